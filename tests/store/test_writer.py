"""The writer on both databases: commits together, and each caller's rows by themselves."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from hookrow.errors import DatabaseBusy, EngineClosed, KeyTaken, StorageError
from hookrow.ids import new_uid
from hookrow.lang import Text
from hookrow.store.configuration import settings
from hookrow.store.database import writer as writer_module
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.database.standing import refuse_damaged
from hookrow.store.database.tables import HOOKS
from hookrow.store.database.writer import Waiting
from hookrow.store.outbox.writing import Begin, NewDelivery, Rows
from outbox_rows import T0, add_hook
from schemas import ours
from warm import Warm


def firing(uid: str | None = None, **more: Any) -> Rows:
    """A firing's rows, as the core writes them."""
    columns = {"uid": uid or new_uid(T0), "event": "e", "moment": "on", "at_ms": T0, "deadline_ms": T0, "payload": "{}"}
    return Rows(T0, {**columns, "outcome": "allowed", "deferred": False, **more})


def count(database: Database, table: str) -> int:
    """How many rows a table has."""
    with database.read() as connection:
        return int(ours(connection, f"SELECT count(*) FROM main.{table}").scalar_one())


def test_many_callers_commit_together_and_get_their_own_ids(database: Database) -> None:
    """64 threads: every id once, in the order of the log."""
    with ThreadPoolExecutor(64) as pool:
        written = list(pool.map(lambda _: database.writer.write(firing()), range(256)))
    assert len({each.firing for each in written}) == 256 == count(database, "firing")


def test_nobody_waits_for_what_others_try_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is lost, each try takes two seconds: whoever has the least time is first, and whose time has
    passed by then is told so, not tried."""
    writer, moment, tried = database.writer, 100.0, list[list[float]]()
    monkeypatch.setattr(writer_module, "now", lambda: moment)
    batch = [Waiting(firing(), None, Future(), seconds) for seconds in (9.0, 1.0, 5.0, 3.0)]
    answered: dict[float, float] = {}
    for each in batch:
        each.future.add_done_callback(lambda _, each=each: answered.update({each.until - 100: moment - 100}))

    def lost(theirs: list[Waiting], _: float) -> None:
        nonlocal moment
        tried.append([each.until - 100 for each in theirs])
        moment += 2
        raise StorageError(Text("the connection was lost"))

    monkeypatch.setattr(writer, "attempt", lost)
    writer.commit(batch)
    assert tried == [[9.0, 1.0, 5.0, 3.0], [3.0], [5.0], [9.0]]
    assert answered == {1.0: 2.0, 3.0: 4.0, 5.0: 6.0, 9.0: 8.0}
    assert all(isinstance(each.future.exception(), StorageError) for each in batch)


def test_the_jobs_of_one_turn_of_a_loop_go_together(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where callers come many at a time the thread is told once a turn; a lone one's commit begins at once."""
    writer, told = database.writer, 0
    wake = writer.wake_thread

    def counted() -> None:
        nonlocal told
        told += 1
        wake()

    monkeypatch.setattr(writer, "wake_thread", counted)

    async def once(jobs: int) -> tuple[int, int]:
        """How often the thread was told of so many jobs in their own turn, and in all."""
        nonlocal told
        told = 0
        futures = [writer.begin(firing()).future for _ in range(jobs)]
        at_once = told
        await asyncio.gather(*futures)
        return at_once, told

    async def runs() -> list[tuple[int, int]]:
        writer.pause()  # the first ones gather behind this
        first = [writer.begin(firing()).future for _ in range(8)]
        writer.go_on()
        await asyncio.gather(*first)
        return [await once(8), await once(1), await once(1)]

    assert asyncio.run(runs()) == [(0, 1), (0, 1), (1, 1)]
    assert count(database, "firing") == 18


def test_a_loop_that_ends_in_the_turn_of_its_jobs_leaves_them_to_be_written(database: Database) -> None:
    """Nobody tells the thread of them any more: the engine's end does."""
    writer = database.writer

    async def several() -> None:
        writer.pause()
        jobs = [writer.begin(firing()).future for _ in range(2)]
        writer.go_on()
        await asyncio.gather(*jobs)

    asyncio.run(several())
    loop = asyncio.new_event_loop()

    def last() -> None:
        writer.post(firing(), lambda answered: None)
        loop.stop()

    loop.call_soon(last)
    loop.run_forever()
    loop.close()
    writer.close()
    assert count(database, "firing") == 3


def test_a_failing_job_does_not_sink_its_neighbours(database: Database) -> None:
    """A constraint, a declared error, a bug: each goes to its own caller, the rest is committed."""
    taken = new_uid(T0)
    database.writer.write(firing(taken))

    def refused(connection: Connection) -> None:
        settings.store(connection, "refused", "half done")
        raise KeyTaken("taken")

    database.writer.pause()
    jobs: list[Any] = [firing(), firing(taken), refused, firing(payload=None), lambda c: 1 / 0, firing()]
    futures = [database.writer.submit(job) for job in jobs]
    database.writer.go_on()
    errors = [future.exception(10) for future in futures]
    assert [error is None for error in errors] == [True, False, False, False, False, True]
    assert isinstance(errors[1], StorageError)
    assert isinstance(errors[2], KeyTaken)
    assert isinstance(errors[4], ZeroDivisionError)
    assert count(database, "firing") == 3
    with database.read() as connection:
        assert ours(connection, "SELECT count(*) FROM main.setting WHERE name = 'refused'").scalar() == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_row_that_somebody_keeps_holds_up_no_neighbour(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants it is told after the limit; what was to be committed with it is committed."""
    monkeypatch.setattr("hookrow.store.database.server.LOCK", 0.5)
    hook = add_hook(database, "a")
    keeper = open_database(database.address.render_as_string(hide_password=False))
    database.writer.pause()
    with keeper.write(20) as keeping:
        keeping.execute(select(HOOKS.c.id).with_for_update())
        wanting = database.writer.submit(
            lambda c: c.execute(update(HOOKS).where(HOOKS.c.id == hook).values(position=5))
        )
        others = [database.writer.submit(firing()) for _ in range(3)]
        database.writer.go_on()
        with pytest.raises(DatabaseBusy, match="another session holds a lock"):
            wanting.result(30)
        assert len({other.result(30).firing for other in others}) == 3
    keeper.close()


def test_a_firing_that_is_begun_again_finds_itself(database: Database) -> None:
    """Its first commit was taken for lost and arrived after all: it does not wait for the end of another call's."""
    job = Begin(firing(idempotency_key="k", payload_hash="h", outcome=None, deadline_ms=T0 + 30_000))
    assert database.writer.write(job) == database.writer.write(job)
    assert job.proof is not None
    assert count(database, "firing") == 1


def test_a_delivery_without_its_hook_is_refused(database: Database) -> None:
    """Foreign keys are on for every connection."""
    values = {"seq": 1, "hook_id": 999, "hook_revision": 1, "position": 1, "mode": "notify", "state": "queued"}
    job = firing()
    job.deliveries = [NewDelivery(values)]
    with pytest.raises(StorageError):
        database.writer.write(job)
    assert count(database, "firing") == 0


def test_a_closed_writer_says_so(database: Database) -> None:
    """And what was waiting before is written."""
    last = database.writer.submit(firing())
    database.close()
    assert last.result(10).firing
    with pytest.raises(EngineClosed):
        database.writer.write(firing())


def test_row_ids_follow_the_log_when_the_clock_goes_back(database: Database) -> None:
    """Time-ordered, and never twice the same."""
    late = database.writer.write(firing()).firing
    early = firing()
    early.now_ms = T0 - 86_400_000
    again = database.writer.write(early).firing
    assert again != late
    if database.dialect == "sqlite":  # one writer: the order of commits is the order of ids
        assert again == late + 1


CHILD = """
import sys
from hookrow.store.database.opening import open_database
from hookrow.store.database.standing import refuse_damaged
from hookrow.store.database.database import Database
from hookrow.store.configuration import settings
database = open_database(sys.argv[1])
for number in range(int(sys.argv[2])):
    def job(connection):
        from sqlalchemy import select
        from hookrow.store.database.tables import SETTINGS
        value = select(SETTINGS.c.value).where(SETTINGS.c.name == "n").with_for_update()
        n = connection.execute(value).scalar()
        settings.store(connection, "n", str(int(n) + 1))
    database.writer.write(job)
database.close()
"""


@pytest.mark.parametrize(
    "times", [pytest.param(50, id="check"), pytest.param(150, marks=pytest.mark.torture, id="torture")]
)
def test_two_processes_read_then_write_without_an_error(database: Database, times: int) -> None:
    """Nothing lost, nothing «locked» (FACTS: deferred transactions lost a quarter)."""
    database.writer.write(lambda connection: settings.store(connection, "n", "0"))
    url = database.address.render_as_string(hide_password=False)
    children = [Warm([sys.executable, "-c", CHILD, url, str(times)]) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    with database.read() as connection:
        assert ours(connection, "SELECT value FROM main.setting WHERE name = 'n'").scalar() == str(2 * times)


def test_files_belong_to_their_owner_alone(tmp_path: Path) -> None:
    """Database, WAL, shared memory and reserve are 0600 whatever the umask."""
    before = os.umask(0)
    try:
        made = open_database(f"sqlite:///{tmp_path}/hooks.db")
        made.writer.write(firing())
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        made.close()
    finally:
        os.umask(before)
    assert set(modes) == {"hooks.db", "hooks.db-wal", "hooks.db-shm", "hooks.db-reserve"}
    assert set(modes.values()) == {0o600}


def test_sqlite_is_set_up_as_it_was_found_safe(tmp_path: Path) -> None:
    """WAL, FULL, foreign keys: on the connections that read and on the one that writes."""
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")

    def pragmas(connection: Connection) -> list[Any]:
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    with made.read() as connection:
        assert pragmas(connection) == ["wal", 2, 1]
    assert made.writer.write(pragmas) == ["wal", 2, 1]
    made.close()


def test_a_lock_that_is_never_given_up_is_busy_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the ways out; afterwards everything works."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", 0.05)
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    other = sqlite3.connect(tmp_path / "hooks.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusy, match=r"connection=.*defer=True"):
        made.writer.write(firing())
    assert isinstance(made.writer.failed, DatabaseBusy)
    other.rollback()
    other.close()
    made.writer.write(firing())
    assert made.writer.failed is None
    made.close()


def test_whose_time_is_up_is_told_before_others_wait_on(tmp_path: Path) -> None:
    """The file is locked: a caller with a limit does not wait for a worker of the same batch, which has none."""
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    made.writer.pause()
    with closing(sqlite3.connect(tmp_path / "hooks.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        patient, limited = made.writer.submit(lambda connection: "done"), made.writer.submit(firing(), 0.2)
        made.writer.go_on()
        with pytest.raises(DatabaseBusy):
            limited.result(30)
        assert not patient.done()
        other.execute("ROLLBACK")
        assert patient.result(30) == "done"
    made.close()


@pytest.mark.anyio
async def test_a_caller_who_handles_its_error_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others of its batch meet afterwards, whose frames are emptied, is no part of that error."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", 0.5)
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    with closing(sqlite3.connect(tmp_path / "hooks.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        made.writer.pause()
        patient, limited = made.writer.submit(lambda connection: "done"), made.writer.begin(firing(), 0.1)
        made.writer.go_on()

        async def handles() -> Any:
            try:
                await limited.future
            except DatabaseBusy:
                return await asyncio.wrap_future(patient)

        with pytest.raises(DatabaseBusy):
            await handles()
    made.close()


def test_hooks_are_checked_by_the_database_too(database: Database) -> None:
    """CHECK constraints are the second line: a bad value that slipped past the fields is refused."""
    for column, value in (
        ("position", -5),
        ("timeout", 60.0),
        ("url", "ftp://h/"),
        ("auth_login", "a:b"),
        ("name", ""),
    ):
        with pytest.raises(StorageError):
            add_hook(database, "bad", **{column: value})


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the system tells no locks")
def test_a_look_at_the_file_gives_up_no_lock(tmp_path: Path) -> None:
    """SQLite's locks are the process's: to open the file beside it and close it again would end them all, and another
    process would take the file for nobody's and delete the WAL, with what was acknowledged in it."""

    def held() -> int:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        inode = str(path.stat().st_ino)
        return sum(line[4] == str(os.getpid()) and line[5].rpartition(":")[2] == inode for line in lines)

    path = tmp_path / "hooks.db"
    with closing(open_database(f"sqlite:///{path}")) as made:
        made.writer.write(firing())
        before = held()
        assert before
        refuse_damaged(path)
        assert held() == before


class InterruptedLock:
    """A lock of the writer's that is taken, and then the interrupt comes."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def acquire(self, *, blocking: bool) -> bool:
        self.inner.acquire(blocking=blocking)
        raise KeyboardInterrupt

    def release(self) -> None:
        self.inner.release()


def test_an_interrupt_leaves_nothing_locked(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C at the very moment at which the calling thread takes the lock: others go on writing."""
    lock = database.writer.running
    monkeypatch.setattr(database.writer, "running", InterruptedLock(lock))
    with pytest.raises(KeyboardInterrupt):
        database.writer.write(firing())
    monkeypatch.undo()
    other = threading.Thread(target=database.writer.write, args=(firing(),), daemon=True)
    other.start()
    other.join(20)
    assert not other.is_alive()
