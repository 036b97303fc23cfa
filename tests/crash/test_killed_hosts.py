"""`kill -9` of the host in `fire()`, of a purge, of a migration, and while a database is made: all of it or nothing."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from crash_sizes import sizes, until
from hookrow import HookEngine
from hookrow.records import LogFilter
from hookrow.store.database.migrations import run
from hookrow.store.database.opening import open_database
from hookrow.store.outbox.writing import end_interrupted
from schemas import NEXT, make_oldest, scripts_with

KILLS = sizes(sqlite=(10, 200), postgresql=(5, 200))
COMMITS = sizes(sqlite=(2, 25), postgresql=(1, 25))
INTERRUPTED = {"code": "firing_interrupted", "values": {}}
TIMES = [pytest.param(2, id="check"), pytest.param(25, marks=pytest.mark.torture, id="torture")]


def fired(court: Any) -> set[str]:
    """What the firings that are kept were called."""
    rows = court.ask("SELECT f.payload FROM firing f JOIN delivery d ON d.firing_id = f.id")
    return {json.loads(payload)["number"] for (payload,) in rows}


def said(court: Any, word: str) -> list[str]:
    """What the hosts wrote down: `begun` before, `done` after `fire()` (or their commit) returned."""
    lines = court.acks.read_text().splitlines() if court.acks.exists() else []
    return [each.split()[1] for each in lines if each.startswith(word)]


@pytest.mark.parametrize(("courts", "kills"), KILLS, indirect=["courts"])
@pytest.mark.parametrize("host", ["own_host", "transaction_host"])
def test_a_host_killed_at_random(court: Any, dice: random.Random, host: str, kills: int) -> None:
    """What returned is kept; what is kept was begun, and of one host at most one that did not return. What had been
    committed as running is ended in the record, with its reason."""
    court.hooks("a")
    for left in reversed(range(kills)):
        number = court.nursery.start(host, db=court.db, acks=str(court.acks))
        word = "begun" if left else "done"  # one returns, however slow the machine: else nothing would be shown
        until(lambda number=number, word=word: any(each.startswith(f"{number}-") for each in said(court, word)))
        time.sleep(dice.uniform(0, 0.12))  # the random moment
        court.nursery.kill(number)
    court.quiet()
    kept, done, begun = fired(court), set(said(court, "done")), set(said(court, "begun"))
    print(f"{host}: kills {kills}, returned {len(done)}, kept {len(kept)}")
    assert done <= kept <= begun
    unsure = [each.split("-")[0] for each in kept - done]
    assert len(unsure) == len(set(unsure))
    if host == "transaction_host":
        assert {number for (number,) in court.ask("SELECT number FROM host_order")} == kept
    running = {json.loads(each)["number"] for (each,) in court.ask("SELECT payload FROM firing WHERE outcome IS NULL")}
    assert running.isdisjoint(done | kept)
    with HookEngine(court.db, worker=False) as engine:
        ended = engine.runtime.database.writer.write(partial(end_interrupted, now_ms=1 << 50))
        told = [each.as_json() for each in engine.log.page(LogFilter(outcome="cancelled"), limit=1000)]
    print(f"ended in the record: {ended}")
    assert ended == len(running)
    assert [(each["data"]["number"] in running, each["reason"]) for each in told] == [(True, INTERRUPTED)] * ended
    court.whole()


@pytest.mark.parametrize(("courts", "times"), COMMITS, indirect=["courts"])
@pytest.mark.parametrize(("point", "kept"), [("fire:before", False), ("fire:after", True)])
@pytest.mark.parametrize("host", ["own_host", "transaction_host"])
def test_a_host_killed_around_its_commit(court: Any, host: str, point: str, kept: bool, times: int) -> None:
    """Killed before the commit: no row. Killed after it, before `fire()` could return: the row."""
    court.hooks("a")
    for _ in range(times):
        number = court.nursery.start(host, db=court.db, acks=str(court.acks), point=point)
        court.nursery.gone(number)
    court.quiet()
    begun = said(court, "begun")
    assert len(begun) == times
    assert fired(court) == (set(begun) if kept else set())
    court.whole()


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("point", ["purge:before", "purge:inside", "purge:after"])
def test_a_purge_killed(court: Any, point: str, times: int) -> None:
    """Firings go whole or stay whole, pending ones stay; the next purge ends the work."""
    court.hooks("a")
    for _ in range(times):
        with HookEngine(court.db, worker=False) as engine:
            pending = {engine.fire("after_registration", {"number": str(time.monotonic_ns())}).id for _ in range(3)}
            for hook in engine.hooks.list():
                engine.hooks.update(hook.id, {"condition": "false"})
            for _ in range(70):
                engine.fire("after_registration", {"number": 1})
            for hook in engine.hooks.list():
                engine.hooks.update(hook.id, {"condition": ""})
        number = court.nursery.start("purging", db=court.db, point=point)
        court.nursery.gone(number)
        court.whole()
        lone = "SELECT count(*) FROM firing f WHERE NOT EXISTS (SELECT 1 FROM delivery d WHERE d.firing_id = f.id)"
        assert court.ask(lone) == [(0,)]
        with HookEngine(court.db, worker=False) as engine:
            assert engine.log.prune(days=0).firings > 0
            assert pending <= {each.id for each in engine.log.page(limit=1000)}
    assert court.ask("SELECT count(*) FROM firing") == [(3 * times,)]


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("point", ["make:before", "make:after"])
def test_killed_while_a_database_is_made(nursery: Any, tmp_path: Path, point: str, times: int) -> None:
    """The next start finds either no schema and makes it, or all of it."""
    for number in range(times):
        path = tmp_path / f"{number}.db"
        nursery.gone(nursery.start("making", db=f"sqlite:///{path}", point=point))
        with HookEngine(f"sqlite:///{path}", worker=False) as engine:
            assert engine.hooks.list() == []


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("point", ["migrate:copy", "migrate:before", "migrate:inside", "migrate:after"])
def test_a_migration_killed(
    nursery: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    """The old schema or the new one, whole; the next start upgrades; one copy of the old one lies beside it, whole."""
    scripts = scripts_with(tmp_path)
    first = tmp_path / "first.db"
    make_oldest(first)
    with closing(sqlite3.connect(first)) as plain:
        kept = {table: plain.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("hook", "delivery")}
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    found = []
    for number in range(times):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = Path(shutil.copy(first, folder / "hooks.db"))
        child = nursery.start("migrating", db=f"sqlite:///{path}", scripts=str(scripts), point=point)
        nursery.gone(child)
        with closing(sqlite3.connect(path)) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert plain.execute("PRAGMA foreign_key_check").fetchall() == []
            [version] = plain.execute("SELECT version_num FROM hookrow_version").fetchone()
            columns = [name for _, name, *_ in plain.execute("PRAGMA table_info(hook)")]
            assert ("note" in columns) == (version == NEXT)
            found.append(version)
            plain.execute("UPDATE hookrow_version SET version_num = version_num")  # it can be written
        monkeypatch.setattr("hookrow.store.database.opening.HEAD", version)  # whichever it is, this Hookrow opens it
        database = open_database(f"sqlite:///{path}")
        run.upgrade(database, scripts=scripts, target=NEXT)
        database.close()
        with closing(sqlite3.connect(path)) as plain:
            assert plain.execute("SELECT version_num FROM hookrow_version").fetchone() == (NEXT,)
            assert plain.execute("SELECT count(*) FROM hook WHERE note IS NULL").fetchone() == kept["hook"]
            assert plain.execute("SELECT count(*) FROM delivery WHERE weight = 0").fetchone() == kept["delivery"]
        with closing(sqlite3.connect(folder / "hooks.db.schema-0001")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert copy.execute("SELECT count(*) FROM hook").fetchone() == kept["hook"]
        assert not list(folder.glob("*.part*")), "a copy cut short is taken away"
    expected = {"migrate:copy": {"0001"}, "migrate:before": {"0001"}, "migrate:after": {NEXT}}
    assert set(found) <= expected.get(point, {"0001", NEXT})
    assert not [each for each in nursery.errors().splitlines() if "Error" in each]
