"""Retention: what goes, what stays; and the WAL, which is emptied in a lull."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from hookrow.store.database import Database
from hookrow.store.purge import purge, size
from outbox_rows import T0, add_hook, claim, failed, fire, ids, result, rows, set_hook, settle

DAY = 86_400_000


def finished(database: Database, hook: int, at_ms: int) -> int:
    """A firing whose only delivery is done; its row id."""
    firing, _ = fire(database, [hook], at_ms)
    for claimed in claim(database, at_ms).rows:
        settle(database, claimed, result(at_ms=at_ms), at_ms)
    return firing


def kept(database: Database) -> set[int]:
    """The firings that still have deliveries."""
    return {row.firing_id for row in rows(database).values()}


def test_age(database: Database) -> None:
    """Finished firings older than the limit go; younger ones stay."""
    hook = add_hook(database, "a")
    old, young = finished(database, hook, T0), finished(database, hook, T0 + 5 * DAY)
    assert purge(database, days=3, most_bytes=2**40, now_ms=T0 + 6 * DAY).firings == 1
    assert (old in kept(database), young in kept(database)) == (False, True)


def test_pending_and_dead_stay(database: Database) -> None:
    """However old: queued, leased, retrying, parked, dead."""
    hooks = {name: add_hook(database, name) for name in ("dead", "retrying", "leased", "queued", "parked")}
    firings = {}
    for name in ("dead", "retrying", "leased"):
        firings[name], _ = fire(database, [hooks[name]])
        (claimed,) = claim(database).rows
        if name == "dead":
            settle(database, claimed, result("failed", error="template_error"))
        elif name == "retrying":
            settle(database, claimed, failed())
    for name in ("queued", "parked"):
        firings[name], _ = fire(database, [hooks[name]])
    database.writer.write(lambda connection: set_hook(connection, hooks["parked"], active=False))
    taken = ids(claim(database, limit=0))  # parks what is due of a hook that is off
    assert taken == []
    states = {row.state for row in rows(database).values()}
    assert states == {"dead", "retrying", "leased", "queued", "parked"}
    assert purge(database, days=0, most_bytes=0, now_ms=T0 + 1000 * DAY).firings == 0
    assert kept(database) == set(firings.values())


def test_size(tmp_path: Path) -> None:
    """The oldest go until the log fits; their pages are free for new rows."""
    database = Database(f"sqlite:///{tmp_path / 'hooks.db'}")
    hook = add_hook(database, "a")
    made = [finished(database, hook, T0 + number) for number in range(600)]
    full = size(database)
    gone = purge(database, days=10_000, most_bytes=full // 2, now_ms=T0 + DAY)
    assert 0 < gone.firings < 600
    assert kept(database) == set(made[gone.firings :]), "the oldest first"
    assert size(database) < full
    database.close()


@pytest.mark.parametrize("reader", [False, True])
def test_the_wal_is_emptied_in_a_lull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: bool) -> None:
    """A second without work, and the WAL is empty; behind a long reader as soon as there is a lull after its end."""
    monkeypatch.setattr("hookrow.store.writer.LULL", 0.05)
    path = tmp_path / "hooks.db"
    database = Database(f"sqlite:///{path}")
    wal = path.with_name("hooks.db-wal")
    hook = add_hook(database, "a")
    other = sqlite3.connect(path, isolation_level=None)
    if reader:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM delivery").fetchone()
        fire(database, [hook])
        time.sleep(0.2)  # lulls pass, the reader stays
        assert wal.stat().st_size > 0
        other.execute("COMMIT")
    other.close()
    fire(database, [hook])
    end = time.monotonic() + 10
    while wal.stat().st_size:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert len(rows(database)) == (2 if reader else 1)
    database.close()
