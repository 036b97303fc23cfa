"""Retention: what goes, what stays, in which steps; and the WAL, which is emptied in a lull."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, update

from hookrow.store.configuration.revisions import ENGINE, Author, history, revise
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS, REVISIONS
from hookrow.store.log import purge as purge_module
from hookrow.store.log.purge import BATCH, BATCH_ROWS, Purging, kept_bytes, purge, size
from hookrow.store.outbox import breaker
from hookrow.store.outbox.parking import HOOKS
from hookrow.store.outbox.writing import IDEMPOTENCY_MS
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
    database = open_database(f"sqlite:///{tmp_path / 'hooks.db'}")
    hook = add_hook(database, "a")
    many(database, hook, 600, size=500)
    full = size(database)
    gone = purge(database, days=10_000, most_bytes=full // 2, now_ms=T0 + DAY)
    assert 200 < gone.firings < 600
    assert kept(database) == {(T0 + number) << 20 for number in range(gone.firings, 600)}, "the oldest first"
    assert full // 4 < size(database) <= full // 2
    database.close()


def test_what_a_host_keeps_back_is_not_purged(database: Database) -> None:
    """`defer=True`: its host may still say `enqueue()`, for a while, however full the disk is."""
    many(database, add_hook(database, "a"), 3)
    deferred = update(FIRINGS).where(FIRINGS.c.id == T0 << 20).values(deferred=True)
    database.writer.write(lambda connection: connection.execute(deferred) and None)
    purge(database, days=10_000, most_bytes=1, now_ms=T0 + 1000)
    assert kept(database) == {T0 << 20}
    purge(database, days=10_000, most_bytes=1, now_ms=T0 + DAY * 30)
    assert kept(database) == set()


def test_a_key_is_not_forgotten_while_it_counts(database: Database) -> None:
    """A call that is tried again within ten minutes finds its firing, whatever the purge."""
    many(database, add_hook(database, "a"), 3)
    keyed = update(FIRINGS).where(FIRINGS.c.id == T0 << 20).values(idempotency_key="k")
    database.writer.write(lambda connection: connection.execute(keyed) and None)
    purge(database, days=0, most_bytes=1, now_ms=T0 + IDEMPOTENCY_MS - 1)
    assert kept(database) == {T0 << 20}
    # By the server's clock it counts a minute longer.
    purge(database, days=0, most_bytes=1, now_ms=T0 + IDEMPOTENCY_MS + 60_000, lease_now=T0 + IDEMPOTENCY_MS - 1)
    assert kept(database) == {T0 << 20}
    purge(database, days=0, most_bytes=1, now_ms=T0 + IDEMPOTENCY_MS)
    assert kept(database) == set()


def test_what_is_being_sent_by_hand_is_not_purged(database: Database) -> None:
    """A redelivery of a delivery that has arrived holds its row for as long as its lease."""
    many(database, add_hook(database, "a"), 3)
    leased = update(DELIVERIES).where(DELIVERIES.c.firing_id == T0 << 20).values(lease_ms=T0 + 60_000, owner="hand")
    database.writer.write(lambda connection: connection.execute(leased) and None)
    purge(database, days=10_000, most_bytes=1, now_ms=T0 + 1000)
    assert kept(database) == {T0 << 20}
    purge(database, days=10_000, most_bytes=1, now_ms=T0 + 60_001)
    assert kept(database) == set()


def many(database: Database, hook: int, count: int, *, deliveries: int = 1, state: str = "ok", size: int = 20) -> None:
    """Firings with deliveries of one attempt each, written at once; their moments begin at T0."""

    def job(connection: Connection) -> None:
        numbers = range(count)
        common: dict[str, Any] = {"event": "e", "moment": "after", "deadline_ms": T0, "outcome": "allowed"}
        given = [
            {"id": (T0 + n) << 20, "uid": f"{state}{n}", "at_ms": T0 + n, "payload": "ы" * size, "deferred": False}
            for n in numbers
        ]
        connection.execute(insert(FIRINGS), [common | each for each in given])
        common = {"hook_id": hook, "hook_revision": 1, "position": 10, "mode": "notify", "state": state}
        children = [
            {"id": ((T0 + n) << 20) + seq, "firing_id": (T0 + n) << 20, "seq": seq}
            for n in numbers
            for seq in range(deliveries)
        ]
        connection.execute(insert(DELIVERIES), [common | each for each in children])
        common = {"number": 1, "origin": "worker", "at_ms": T0, "url": "http://receiver.example/", "ms": 5}
        connection.execute(
            insert(ATTEMPTS), [common | {"id": each["id"], "delivery_id": each["id"]} for each in children]
        )

    database.writer.write(job)


def flaps(database: Database, hook: int, count: int, at_ms: int) -> None:
    """The hook's breaker opens and closes again, so many times, a minute apart."""

    def job(connection: Connection) -> None:
        for number in range(count):
            now_ms = at_ms + number * 60_000
            assert breaker.pause(connection, hook, "breaker", "timeout", now_ms)
            assert breaker.resume(connection, hook, now_ms + 30_000)

    database.writer.write(job)


def test_the_engines_own_pauses_go_by_age(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that fails on and on makes revisions without end; what people did stays, and a hook's newest one."""
    monkeypatch.setattr(purge_module, "PAUSE", 0)
    monkeypatch.setattr(purge_module, "BATCH", 10)
    hook, other = add_hook(database, "a"), add_hook(database, "b")
    flaps(database, hook, 10, T0)  # two steps

    def by_hand(connection: Connection) -> None:
        row = connection.execute(select(HOOKS).where(HOOKS.c.id == hook)).one()
        stands = dict(row._mapping)
        for action, paused in (("pause", "person"), ("resume", None)):
            stands = revise(connection, stands, {"paused_by": paused}, Author("olga", T0 + DAY), action)

    database.writer.write(by_hand)
    flaps(database, hook, 3, T0 + 8 * DAY)
    flaps(database, other, 1, T0)
    assert purge(database, days=3, most_bytes=2**40, now_ms=T0 + 10 * DAY).firings == 0
    with database.read() as connection:
        left = history(connection, hook)
        assert [each.action for each in history(connection, other)] == ["resume"], "the newest says how the hook stands"
    assert [(each.who, each.action) for each in left[6:]] == [("olga", "resume"), ("olga", "pause")]
    assert [each.who for each in left[:6]] == [ENGINE] * 6
    before = database.writer.commits
    purge(database, days=3, most_bytes=2**40, now_ms=T0 + 10 * DAY)
    assert database.writer.commits == before, "a look is no transaction of writing"


def test_a_size_that_is_reached_ends_it(database: Database) -> None:
    """However many steps the old pauses take after that."""
    hook = add_hook(database, "a")
    many(database, hook, 40, size=3000)
    pauses = [
        {"hook_id": hook, "revision": 100 + n, "at_ms": 1, "who": ENGINE, "action": "pause", "event": "e"}
        for n in range(5 * BATCH)
    ]
    database.writer.write(lambda connection: connection.execute(insert(REVISIONS), pauses) and None)
    purging = Purging(database, days=10_000, most_bytes=size(database) - 20_000, now_ms=T0 + DAY)
    steps = []
    while purging.step():
        steps.append(purging.firings)
    assert 0 < purging.firings < 30
    assert steps[-4:] == [purging.firings] * 4


def test_a_batch_is_small(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 500 rows in one transaction, firings whole; one that has more goes alone. A worker's retention takes at
    most 80 on PostgreSQL."""
    monkeypatch.setattr(purge_module, "PAUSE", 0)
    hook = add_hook(database, "a")
    many(database, hook, 30, deliveries=20)
    purging = Purging(database, days=0, most_bytes=2**40, now_ms=T0 + DAY)
    gone = []
    while purging.step():
        gone.append(purging.firings - sum(gone))
    assert gone == [12, 12, 6]
    assert 12 * (1 + 20 + 20) <= BATCH_ROWS < 13 * (1 + 20 + 20)
    many(database, hook, 15, deliveries=20)
    gentle = Purging(database, days=0, most_bytes=2**40, now_ms=T0 + DAY, gentle=True)
    assert gentle.step()
    assert gentle.firings == (12 if database.dialect == "sqlite" else 1)
    assert purge(database, days=0, most_bytes=2**40, now_ms=T0 + DAY).firings == 15 - gentle.firings
    many(database, hook, 2, deliveries=300)
    assert purge(database, days=0, most_bytes=2**40, now_ms=T0 + DAY).firings == 2
    assert kept(database) == set()


def test_a_batch_is_found_by_its_own_rows(postgres_url: str) -> None:
    """On PostgreSQL, whatever the statistics say: joined to all deliveries a batch of 200 took 3 s at a million."""
    database, asked = open_database(postgres_url), []
    hook = add_hook(database, "a")
    finished(database, hook, T0)

    def note(connection: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        asked.append((statement, given))

    event.listen(database.engine("read"), "before_cursor_execute", note)
    assert purge(database, days=1, most_bytes=2**40, now_ms=T0 + 6 * DAY).firings == 1
    event.remove(database.engine("read"), "before_cursor_execute", note)
    with database.read() as connection:
        found, plan = next(each for each in asked if "EXISTS" in each[0]), "EXPLAIN "
        said = "\n".join(connection.exec_driver_sql(plan + found[0], found[1]).scalars())
        assert connection.exec_driver_sql("SHOW max_parallel_workers_per_gather").scalar_one() == "0"
    assert ("Anti Join" in said, "SubPlan" in said) == (False, True)
    assert "octet_length" in found[0], "their bytes by the same look: to name them again took twice as long"
    database.close()


def test_what_is_never_purged_does_not_count(database: Database) -> None:
    """The limit is for what may go: dead deliveries that exceed it alone cost no finished firing its life."""
    hook = add_hook(database, "a")
    many(database, hook, 200, state="dead", size=5_000)
    done = [finished(database, hook, T0 + DAY + number) for number in range(20)]
    assert kept_bytes(database) > 200 * 10_000, "bytes, not characters"
    limit = 1_000_000
    assert kept_bytes(database) > limit
    assert purge(database, days=10_000, most_bytes=limit, now_ms=T0 + 2 * DAY).firings == 0
    assert set(done) < kept(database)


def test_nothing_to_delete_writes_nothing(database: Database) -> None:
    """A look is no transaction of writing."""
    hook = add_hook(database, "a")
    finished(database, hook, T0)
    before = database.writer.commits
    assert purge(database, days=3, most_bytes=2**40, now_ms=T0 + DAY).firings == 0
    assert database.writer.commits == before


COUNT = [pytest.param(6_000, id="check"), pytest.param(200_000, marks=pytest.mark.torture, id="torture")]


@pytest.mark.parametrize("count", COUNT)
def test_firing_goes_on_beside_a_purge(tmp_path: Path, count: int) -> None:
    """20 firings a second from another connection while rows are purged: 99 of 100 are written in 200 ms."""
    url = f"sqlite:///{tmp_path / 'hooks.db'}"
    database, other = open_database(url), open_database(url)
    other.process_lock = threading.RLock()  # as another process: it shares nothing but the file
    hook = add_hook(database, "a")
    many(database, hook, count // 3)
    took: list[float] = []
    late: list[float] = []
    done = threading.Event()

    def firing() -> None:
        while not done.wait(0.05):
            started = time.perf_counter()
            fire(other, [hook], T0 + DAY)
            took.append(time.perf_counter() - started)

    def sentinel() -> None:
        """How late a thread is that wants but to run and to see a byte on the disk: the machine's share."""
        with (tmp_path / "beside").open("wb", buffering=0) as beside:
            while not done.is_set():
                due = time.perf_counter() + 0.005
                done.wait(0.005)
                beside.write(b"x")
                os.fsync(beside.fileno())
                late.append(time.perf_counter() - due)

    threads = [threading.Thread(target=each) for each in (firing, sentinel)]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    gone = purge(database, days=0, most_bytes=2**40, now_ms=T0 + DAY)
    lasted = time.perf_counter() - started
    done.set()
    for thread in threads:
        thread.join()
    database.close()
    other.close()
    p99 = sorted(took)[len(took) * 99 // 100]
    print(f"{count} rows purged in {lasted:.1f} s; {len(took)} firings beside it: p99 {p99 * 1000:.0f} ms")
    assert gone.firings == count // 3
    assert p99 < 0.2 + 10 * max(late)


@pytest.mark.parametrize("reader", [False, True])
def test_the_wal_is_emptied_in_a_lull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: bool) -> None:
    """A second without work, and the WAL is empty; behind a long reader some seconds after its end, by itself."""
    monkeypatch.setattr("hookrow.store.database.writer.LULL", 0.05)
    monkeypatch.setattr("hookrow.store.database.writer.LONGEST_LULL", 0.1)
    path = tmp_path / "hooks.db"
    database = open_database(f"sqlite:///{path}")
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
    else:
        fire(database, [hook])
    other.close()
    until(lambda: wal.stat().st_size == 0)
    assert len(rows(database)) == 1
    database.close()


def until(true: Callable[[], bool]) -> None:
    """Wait for what the writer's thread does."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_wal_is_bounded_under_readers_that_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is always somebody who reads, none for long, and never a lull: the WAL stays near its limit."""
    limit = 400_000
    monkeypatch.setattr("hookrow.store.database.database.LARGE_WAL", limit)
    path = tmp_path / "hooks.db"
    database = open_database(f"sqlite:///{path}")
    hook = add_hook(database, "a")
    done = threading.Event()
    meanwhile = [0]  # bytes written during each reader's look: many where a busy machine holds it up

    def read(delay: float) -> None:
        plain = sqlite3.connect(path, isolation_level=None)
        while not done.wait(delay):
            before = written
            plain.execute("BEGIN")
            plain.execute("SELECT count(*) FROM delivery").fetchone()
            done.wait(0.005)
            plain.execute("COMMIT")
            meanwhile.append(written - before)
            delay = 0.0
        plain.close()

    largest = written = 0
    readers = [threading.Thread(target=read, args=(number * 0.002,)) for number in range(3)]
    for each in readers:
        each.start()
    wal = path.with_name("hooks.db-wal")
    while written < 16 * limit:
        before = wal.stat().st_size
        many_payload(database, hook)
        after = wal.stat().st_size
        written += max(after - before, 0)
        largest = max(largest, after)
    done.set()
    for each in readers:
        each.join()
    database.close()
    assert largest < 5 * limit + max(meanwhile)


def many_payload(database: Database, hook: int) -> None:
    """Some pages more in the WAL."""
    for _ in range(5):
        fire(database, [hook])


def test_the_wal_behind_a_reader_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows, that can't be helped; writers hardly wait for it, and it is emptied when the reader has gone."""
    limit = 200_000
    monkeypatch.setattr("hookrow.store.database.database.LARGE_WAL", limit)
    monkeypatch.setattr("hookrow.store.database.writer.LULL", 0.05)
    monkeypatch.setattr("hookrow.store.database.writer.LONGEST_LULL", 0.1)
    path = tmp_path / "hooks.db"
    wal = path.with_name("hooks.db-wal")
    database = open_database(f"sqlite:///{path}")
    hook = add_hook(database, "a")
    patience: list[int] = []
    checkpoint = database.checkpoint
    monkeypatch.setattr(
        database, "checkpoint", lambda patience_ms=0: patience.append(patience_ms) or checkpoint(patience_ms)
    )
    plain = sqlite3.connect(path, isolation_level=None)
    plain.execute("BEGIN")
    plain.execute("SELECT count(*) FROM delivery").fetchone()
    while wal.stat().st_size < 5 * limit:
        fire(database, [hook])
    waited = sum(each > 0 for each in patience)
    assert 1 <= waited <= 5, "once for each growth by the limit"
    plain.execute("COMMIT")
    plain.close()
    until(lambda: wal.stat().st_size == 0)
    database.close()


def test_two_processes_that_purge_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other deleted between two questions of this one is left out."""
    hook = add_hook(database, "a")
    first, second = finished(database, hook, T0), finished(database, hook, T0 + 1000)
    other = open_database(database.address.render_as_string(hide_password=False))
    sizes_of = purge_module.sizes_of

    def meanwhile(connection: Connection, found: list[int]) -> Any:
        other.writer.write(lambda theirs: purge_module.purge_batch(theirs, [first], T0 + 9 * DAY, T0 + 9 * DAY))
        return sizes_of(connection, found)

    monkeypatch.setattr(purge_module, "sizes_of", meanwhile)
    purge(database, days=3, most_bytes=2**40, now_ms=T0 + 9 * DAY)
    assert kept(database).isdisjoint({first, second})
    other.close()
