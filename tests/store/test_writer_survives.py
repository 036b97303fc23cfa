"""The writer serves everybody: nothing that one caller does or leaves ends it for the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from hookrow.errors import DatabaseBusy, StorageError
from hookrow.store.database import locks as locks_module
from hookrow.store.database import writer as writer_module
from hookrow.store.database.database import Database
from hookrow.store.database.failures import RowLocked, Unsure
from hookrow.store.database.locks import SLACK, here
from hookrow.store.database.opening import open_database


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """One kind is enough: the thread is the same."""
    made = open_database(f"sqlite:///{tmp_path}/hooks.db")
    yield made
    made.close()


@contextmanager
def held(database: Database) -> Iterator[None]:
    """Keep the thread busy: what is submitted meanwhile gathers in one batch."""
    began, gate = threading.Event(), threading.Event()

    def job(connection: Connection) -> None:
        began.set()
        gate.wait(10)

    waiting = database.writer.submit(job)
    assert began.wait(10)
    yield
    gate.set()
    waiting.result(10)


def until(true: Callable[[], bool]) -> None:
    """Wait for it, at most ten seconds."""
    for _ in range(2000):
        if true():
            return
        time.sleep(0.005)
    raise AssertionError("it never came true")


def test_a_caller_that_gave_up_is_left_alone(sqlite: Database) -> None:
    """Its cancelled future gets no answer; the next caller gets its own."""
    with held(sqlite):
        given_up, patient = sqlite.writer.submit(lambda c: 1), sqlite.writer.submit(lambda c: 2)
        assert given_up.cancel()
    assert patient.result(10) == 2
    assert sqlite.writer.write(lambda c: 3) == 3


def test_a_job_that_is_taken_back_while_the_thread_gathers_is_left_alone(sqlite: Database) -> None:
    """How many there are is no promise: whoever's time is up removes its own, without a lock."""

    class Shrinking(deque[Any]):
        lies: bool = False

        def __len__(self) -> int:
            lies, self.lies = self.lies, False
            return super().__len__() + lies

    sqlite.writer.waiting = waiting = Shrinking()
    with held(sqlite):
        both = [sqlite.writer.submit(lambda c, n=n: n) for n in (1, 2)]
        waiting.lies = True
    assert [each.result(10) for each in both] == [1, 2]


def test_a_loop_that_was_closed_is_left_alone(sqlite: Database) -> None:
    """A service that drops its loop with a commit under way does not take the writer along."""
    loop = asyncio.new_event_loop()
    with held(sqlite):
        task = loop.create_task(sqlite.writer.awrite(lambda c: 1))
        loop.run_until_complete(asyncio.sleep(0))
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        loop.close()
    assert sqlite.writer.write(lambda c: 2) == 2


def test_a_caller_who_handles_a_jobs_error_is_left_alone(sqlite: Database) -> None:
    """Several jobs fail together; one caller has his error while those of others are still repeated.

    He awaits something in its handler, as a cancelled firing does that records its end: his coroutine was closed by
    what took the variables out of the next error's frames, and his task waited for ever."""
    handles, tries = threading.Event(), list[int]()

    def fails_twice(connection: Connection) -> None:
        tries.append(1)
        assert len(tries) == 1 or handles.wait(10)
        connection.exec_driver_sql("SELECT * FROM nowhere")

    async def caller(other: asyncio.Task[None]) -> str:
        try:
            await sqlite.writer.awrite(lambda c: None, 0.0)
        except StorageError:
            handles.set()
            await asyncio.wait([other])
        return "goes on"

    async def main() -> tuple[Any, ...]:
        with held(sqlite):
            other = asyncio.create_task(sqlite.writer.awrite(fails_twice))
            both = asyncio.gather(caller(other), other, return_exceptions=True)
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            return tuple(await both)

    said, failed = asyncio.run(main())
    assert said == "goes on"
    assert isinstance(failed, StorageError)


def test_whoever_handles_an_error_of_many_is_left_alone(sqlite: Database) -> None:
    """It is one object: while one of them handles it, a question of another's fails."""

    async def caller(given: asyncio.Future[None], asked: asyncio.Event, *, asks: bool) -> str:
        try:
            await given
        except ValueError:
            await asyncio.sleep(0)  # the other has it, too, by then
            if asks:
                with pytest.raises(StorageError):
                    sqlite.writer.write(lambda c: c.exec_driver_sql("SELECT * FROM nowhere"))
                asked.set()
            await asked.wait()
        return "goes on"

    async def main() -> list[str]:
        given, asked = asyncio.get_running_loop().create_future(), asyncio.Event()
        both = asyncio.gather(caller(given, asked, asks=True), caller(given, asked, asks=False))
        await asyncio.sleep(0)
        given.set_exception(ValueError())
        async with asyncio.timeout(10):
            return await both

    assert asyncio.run(main()) == ["goes on", "goes on"]


def test_an_error_of_ours_keeps_its_frames(sqlite: Database) -> None:
    """A response that streams waits in the handler of one, and the next question fails while the same is handled."""
    given = list[StorageError]()

    def ask() -> None:
        sqlite.writer.write(lambda c: c.exec_driver_sql("SELECT * FROM nowhere"))

    def stream() -> Iterator[str]:
        try:
            ask()
        except StorageError as error:
            given.append(error)
            yield "failed"
            yield "goes on"

    def again() -> None:
        try:
            raise given[0]
        except StorageError:
            ask()

    said = stream()
    assert next(said) == "failed"
    with pytest.raises(StorageError) as second:
        again()
    assert second.value is not given[0]
    assert next(said) == "goes on"


@pytest.mark.parametrize("alone", [True, False])
def test_a_job_may_raise_anything(sqlite: Database, alone: bool) -> None:
    """Also what is no Exception: it goes to its own caller."""

    def leaves(connection: Connection) -> None:
        raise SystemExit(3)

    with held(sqlite):
        others = [] if alone else [sqlite.writer.submit(lambda c: 1)]
        left = sqlite.writer.submit(leaves)
    assert isinstance(left.exception(10), SystemExit)
    assert [other.result(10) for other in others] == ([] if alone else [1])
    assert sqlite.writer.write(lambda c: 2) == 2


def test_what_was_perhaps_committed_is_not_begun_again(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is lost in the middle of the commit of several: repeated alone, each might be written twice."""
    ran: list[int] = []
    write = sqlite.write

    @contextmanager
    def lost(seconds: float) -> Iterator[Connection]:
        with write(seconds) as connection:
            yield connection
        raise Unsure("lost")

    with held(sqlite):
        monkeypatch.setattr(sqlite, "write", lost)  # the one that is held has begun
        futures = [sqlite.writer.submit(lambda c, n=n: ran.append(n)) for n in range(2)]
    assert [type(future.exception(10)) for future in futures] == [Unsure, Unsure]
    assert ran == [0, 1]
    assert isinstance(sqlite.writer.failed, Unsure)


def test_no_wait_is_added_to_a_commit_that_took_all_the_time(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its caller waited for the commit's answer, and then once more to be told whether it is there."""
    moment, asked = 100.0, list[float]()

    class Provable:
        def __call__(self, connection: Connection) -> int:
            return 1

        def proof(self, connection: Connection) -> bool:
            return True

    @contextmanager
    def silent(seconds: float) -> Iterator[None]:
        nonlocal moment
        asked.append(seconds)
        yield
        if len(asked) == 1:
            moment += took
            raise Unsure("lost")

    monkeypatch.setattr(writer_module, "now", lambda: moment)
    monkeypatch.setattr(sqlite, "write", silent)
    monkeypatch.setattr(sqlite, "config_in", lambda _: (0, 0, 0.0))
    took = 4.0
    assert sqlite.writer.write(Provable(), 5.0) == 1
    assert asked == [5.0, 1.0]
    took = 5.0
    asked.clear()
    with pytest.raises(Unsure):
        sqlite.writer.write(Provable(), 5.0)
    assert asked == [5.0]


def test_who_waits_for_a_row_holds_up_nobody_elses_job(sqlite: Database) -> None:
    """PostgreSQL: another session keeps one row for the whole limit. It is not told whose job wanted it."""
    waits: list[float] = []

    def wants_it(connection: Connection) -> None:
        waits.append(here.lock)
        raise RowLocked("locked")

    with held(sqlite):
        jobs = [sqlite.writer.submit(each) for each in (lambda _: 1, wants_it, lambda _: 2)]
    assert [type(each.exception(10)) for each in jobs] == [type(None), RowLocked, type(None)]
    assert waits == [inf, SLACK]
    with pytest.raises(RowLocked):
        sqlite.writer.write(wants_it)
    assert waits == [inf, SLACK, inf]


def test_who_waits_for_a_row_waits_on_when_the_others_are_done(sqlite: Database) -> None:
    """The first try leaves everybody half of their time; who is let in then has the rest."""
    waits: list[float] = []

    def wants_it(connection: Connection) -> int:
        waits.append(here.lock)
        if len(waits) < 3:
            raise RowLocked("locked")
        return 3

    with held(sqlite):
        jobs = [sqlite.writer.submit(each, 20) for each in (lambda _: 1, wants_it, lambda _: 2)]
    assert [each.result(10) for each in jobs] == [1, 3, 2]
    assert waits[0] <= 10
    assert waits[1:] == [SLACK, inf]


@pytest.mark.parametrize("first", ["row", "silence"])
def test_whoever_waits_on_for_a_row_is_answered_in_time(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Behind the row that one job wants the server falls silent, and another that has more time is tried meanwhile."""
    moment, answered = 100.0, dict[str, float]()

    def wants_it(connection: Connection) -> None:
        raise RowLocked("locked")

    def meets_silence(connection: Connection) -> None:
        nonlocal moment
        assert here.until is not None
        if here.lock == SLACK:  # tried by itself
            moment = here.until
            raise DatabaseBusy("silent")

    def waits(name: str) -> Future[None]:
        job, seconds = {"row": (wants_it, 1.0), "silence": (meets_silence, 5.0)}[name]
        future = sqlite.writer.submit(job, seconds)
        future.add_done_callback(lambda _: answered.__setitem__(name, moment))
        return future

    for module in (writer_module, locks_module):
        monkeypatch.setattr(module, "now", lambda: moment)
    with held(sqlite):
        both = [waits(each) for each in sorted(("row", "silence"), key=lambda each: each != first)]
    assert {type(each.exception(10)) for each in both} <= {RowLocked, type(None)}
    assert answered["row"] <= 101.0
    assert answered["silence"] <= 105.0


def test_where_everything_is_locked_a_batch_ends(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole table is: its jobs are not tried one after another for minutes."""
    monkeypatch.setattr(writer_module, "RESTART", 0.0)
    tried: list[int] = []

    def wants_it(connection: Connection) -> None:
        tried.append(1)
        raise RowLocked("locked")

    with held(sqlite):
        jobs = [sqlite.writer.submit(wants_it) for _ in range(3)]
    assert [type(each.exception(10)) for each in jobs] == [RowLocked] * 3
    assert len(tried) == 1


def test_a_thread_that_finds_nobody_writing_commits_by_itself(sqlite: Database) -> None:
    """Else its job joins those that wait for the writer's thread."""
    assert sqlite.writer.write(lambda c: threading.current_thread()) is threading.current_thread()
    with ThreadPoolExecutor(1) as pool:
        with held(sqlite):
            other = pool.submit(sqlite.writer.write, lambda c: threading.current_thread().name)
            until(lambda: bool(sqlite.writer.waiting))
        assert other.result(10) == "hookrow-writer"


def test_an_interrupted_job_is_undone_and_the_next_one_works(sqlite: Database) -> None:
    """Ctrl+c in the main thread, which commits by itself."""

    def interrupted(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO setting (name, value) VALUES ('a', 'b')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sqlite.writer.write(interrupted)
    count = "SELECT count(*) FROM setting WHERE name = 'a'"
    assert sqlite.writer.write(lambda c: c.exec_driver_sql(count).scalar_one()) == 0
    assert sqlite.writer.submit(lambda c: 2).result(10) == 2


def test_what_callers_wrote_themselves_leaves_the_wal_in_a_lull(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread sees to it, though it wrote nothing."""
    monkeypatch.setattr("hookrow.store.database.writer.LULL", 0.01)
    sqlite.writer.write(lambda c: c.exec_driver_sql("INSERT INTO setting (name, value) VALUES ('a', 'b')").close())
    assert sqlite.path is not None
    wal = Path(f"{sqlite.path}-wal")
    until(lambda: wal.stat().st_size == 0)


def test_an_idle_thread_ends_and_the_next_job_starts_another(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library keeps no thread that nobody needs."""
    monkeypatch.setattr("hookrow.store.database.writer.IDLE", 0.01)
    monkeypatch.setattr("hookrow.store.database.writer.LULL", 0.01)
    sqlite.writer.write(lambda c: 1)
    first = sqlite.writer.thread
    if first is not None:
        first.join(10)
    assert sqlite.writer.thread is None
    assert sqlite.writer.write(lambda c: 2) == 2
