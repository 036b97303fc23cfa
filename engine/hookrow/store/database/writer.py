"""The writer: one thread that commits together what many callers want to write (group commit).

A job is a function of a connection that lies inside a transaction; its result is the caller's answer. What is waiting
is run in one transaction and committed once; a thread that finds nobody writing commits its own job. If anything fails,
each job is repeated alone, so that every caller's rows stand or fall by themselves; so a job must be able to run again
from the start. A transaction that PostgreSQL ended without a trace (a lost connection, a deadlock) is begun again with
all its jobs.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from math import inf
from operator import attrgetter
from typing import Any, ClassVar, Final, Protocol, TypeVar

from sqlalchemy import Connection

from hookrow.errors import DatabaseBusy, DatabaseReadOnly, DiskFull, EngineClosed, StorageError
from hookrow.store.aside import started
from hookrow.store.database.failures import Interrupted, RowLocked, Unsure
from hookrow.store.database.locks import PAUSE, RESTART, SLACK, Until, each_lock, held, left, now

__all__ = ["Job", "Many", "Waiting", "Writer"]

T = TypeVar("T")
Job = Callable[[Connection], T]
MOST = 1000
"""Jobs in one transaction."""
IDLE = 30.0
"""Seconds without work after which the thread ends; the next job starts a new one."""
LULL = 1.0
"""Seconds without work after which what was committed is moved from the WAL into the database file."""
LONGEST_LULL = 10.0
"""Seconds between two tries to empty a WAL that somebody still reads."""


class Many(Protocol):
    """A job of a kind that can be run for many callers at once, with one statement a table."""

    many: ClassVar[bool]

    def __call__(self, connection: Connection) -> Any: ...

    @classmethod
    def run_many(cls, connection: Connection, jobs: Sequence[Any]) -> list[Any]: ...


class Storage(Protocol):
    """What the writer needs of a database."""

    def write(self, seconds: float) -> AbstractContextManager[Connection]: ...

    def checkpoint(self) -> bool: ...

    def relieve(self) -> None: ...

    busy: Callable[[], DatabaseBusy]

    config_seen: tuple[int, int, float]

    def config_in(self, connection: Connection) -> tuple[int, int, float]: ...


class Waiting:
    """A job and who waits for its answer: a thread (a Future) or a coroutine (a loop's future, or a callback)."""

    __slots__ = ("answer", "answered", "back", "error", "future", "job", "loop", "told", "until")

    def __init__(self, job: Job[Any], loop: asyncio.AbstractEventLoop | None, future: Any, seconds: float) -> None:
        self.job: Final = job
        self.loop: Final = loop
        self.future: Any = future
        self.back: Callable[[Waiting], None] | None = None
        self.until: Final = now() + seconds
        self.answer: Any = None
        self.error: BaseException | None = None
        self.told: bool = False
        self.answered: bool = False

    def awaited_again(self) -> asyncio.Future[Any]:
        """In the caller's loop, after its future was cancelled: another one that gives the result of the same job."""
        if self.future.cancelled():
            assert self.loop is not None
            self.future = self.loop.create_future()
            if self.told:
                tell(self)
        future: asyncio.Future[Any] = self.future
        return future


class Writer:
    """Takes jobs from any thread or event loop of this process. Its thread starts at the first job."""

    def __init__(self, database: Storage) -> None:
        self.database = database
        self.waiting: deque[Waiting] = deque()
        self.looks: dict[asyncio.AbstractEventLoop, float] = {}
        """When each loop next looks whether a job of its callers has waited too long: a timer a job would cost more."""
        self.gathering: set[asyncio.AbstractEventLoop] = set()
        """The loops in whose present turn jobs were queued of which the thread is still to be told."""
        self.several: bool = False
        """The last commit answered several jobs of a loop: as many come in one of its turns, and are committed as one.
        The thread would begin with the first few, and a commit costs as much as ten rows."""
        self.lock: Final = threading.RLock()  # taken by itself: in a condition's own code an interrupt would keep it
        self.wake: Final = threading.Condition(self.lock)
        self.thread: threading.Thread | None = None
        self.running: Final = threading.RLock()
        self.closed: bool = False
        self.commits: int = 0
        self.checkpoint_due: bool = False
        self.failed: StorageError | None = None
        """Why the last commit failed; None as soon as one succeeded (docs/firing.md, storage trouble)."""
        self.last: float = inf
        """Until when jobs wait for the database, all together: its engine ends (monotonic seconds)."""

    def submit(self, job: Job[T], seconds: float = inf) -> Future[T]:
        """Queue a job; the future gives its result after the commit.

        Args:
            seconds: how long it may take from now on, once it is begun: its caller waits no longer.

        Raises (through the future):
            StorageError: it could not be committed. Nothing of it is kept, except perhaps where it says that a
                connection (PostgreSQL) was lost in the middle of a commit.
            EngineClosed: the engine was closed before.
        """
        future: Future[T] = Future()
        self.put(Waiting(job, None, future, seconds))
        return future

    def write(self, job: Job[T], seconds: float = inf) -> T:
        """Run a job and wait for its commit, in a thread.

        Where nobody else writes, the calling thread does it itself: to hand the job over and get its answer back would
        take longer than the commit. An interrupt (ctrl+c) that comes meanwhile is raised, with the job done or undone.

        Raises:
            EngineClosed, StorageError; what the job itself raises.
        """
        seconds = left(seconds)  # of whoever calls
        waiting = Waiting(job, None, None, seconds)
        looked_after = True
        # An interrupt may come between the taking of the lock and a note of it: the lock itself knows whose it is.
        try:
            # A signal's handler in the middle of a commit can't wait for those who wait for that.
            mine = (not self.waiting or held(self.running)) and self.running.acquire(blocking=False)
            if mine:
                if self.closed:
                    raise EngineClosed()
                looked_after = self.checkpoint_due
                self.carry_out([waiting])
        finally:
            try:  # noqa: SIM105 (making `suppress` could be interrupted)
                self.running.release()
            except RuntimeError:  # another thread has it
                pass
        if not mine:
            return self.wait_for(job, seconds)
        if self.checkpoint_due and not looked_after:
            self.look_after()
        if waiting.error is not None:
            raise waiting.error
        answer: T = waiting.answer
        return answer

    def wait_for(self, job: Job[T], seconds: float) -> T:
        """Queue a job behind those of others, and wait for its answer."""
        future: Future[T] = Future()
        waiting = Waiting(job, None, future, seconds)
        self.put(waiting)
        try:
            return future.result(None if seconds == inf else seconds)
        except TimeoutError:
            if not future.done() and self.give_up(waiting):
                raise self.database.busy() from None
            return future.result()  # it is under way, and ends by itself

    async def awrite(self, job: Job[T], seconds: float = inf) -> T:
        """Run a job and await its commit. A caller that is cancelled leaves the job to run."""
        answer: T = await self.begin(job, seconds).future
        return answer

    def begin(self, job: Job[T], seconds: float = inf) -> Waiting:
        """Queue a job; its `future`, the running loop's, gives the result after the commit."""
        loop = asyncio.get_running_loop()
        waiting = Waiting(job, loop, loop.create_future(), seconds)
        if waiting.until < self.looks.get(loop, inf):
            self.look_at(loop, waiting.until)
        self.put(waiting)
        return waiting

    def post(self, job: Job[Any], back: Callable[[Waiting], None]) -> None:
        """Queue a job; `back` is called on the running loop with its answer or error: no task need wait for it."""
        waiting = Waiting(job, asyncio.get_running_loop(), None, inf)
        waiting.back = back
        self.put(waiting)

    def look_at(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        if loop not in self.looks:
            self.looks = {each: when for each, when in self.looks.items() if not each.is_closed()}
        self.looks[loop] = moment
        loop.call_later(moment - now(), self.take_back, loop, moment)

    def take_back(self, loop: asyncio.AbstractEventLoop, moment: float) -> None:
        """In the callers' loop: jobs that nobody has begun in their time, until this moment, are taken back."""
        moment = max(moment, now())  # a loop may be a little early
        theirs = [waiting for waiting in self.waiting.copy() if waiting.loop is loop]
        late = [waiting for waiting in theirs if waiting.until <= moment and self.give_up(waiting)]
        for waiting in late:
            waiting.error = self.database.busy()
        settle(late)
        if self.looks.get(loop, inf) <= moment:
            del self.looks[loop]
        first = min((waiting.until for waiting in theirs if waiting.until > moment), default=inf)
        if first < self.looks.get(loop, inf):
            self.look_at(loop, first)

    def end_within(self, seconds: float) -> None:
        """Whatever is still to be written waits for the database so long from now on, and not each job anew."""
        self.last = min(self.last, now() + seconds)

    def give_up(self, waiting: Waiting) -> bool:
        """Take back a job that still waits for others'; False where it is under way."""
        try:
            self.waiting.remove(waiting)
        except ValueError:
            return False
        return True

    def put(self, waiting: Waiting) -> None:
        """Hand a job to the thread. Raises EngineClosed."""
        with self.lock:
            if self.closed:
                raise EngineClosed()
            self.waiting.append(waiting)
            if waiting.loop is None or not self.several or self.thread is None:
                self.wake_thread()
            elif waiting.loop not in self.gathering:
                self.gathering.add(waiting.loop)
                waiting.loop.call_soon(self.gathered, waiting.loop)
            alone = self.thread is None
        if alone:
            self.carry_out_first()

    def gathered(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a loop's next turn: what the one before has queued may be committed."""
        self.gathering.discard(loop)
        with self.lock:
            if self.waiting:
                self.wake_thread()

    def wake_thread(self) -> None:
        """With `lock` held: let the thread see what is new; it may have ended meanwhile."""
        if self.thread is None:
            thread = threading.Thread(target=self.run, name="hookrow-writer", daemon=True)
            self.thread = thread if started(thread) else None  # it waits for `lock`
        self.wake.notify()

    def look_after(self) -> None:
        """Have the thread see to the WAL in the next lull."""
        with self.lock:
            if not self.closed:
                self.wake_thread()

    def run(self) -> None:
        """The thread: drain, commit, answer; checkpoint in a lull."""
        lull, seen = LULL, self.commits
        while True:
            with self.lock:
                if not self.waiting and not self.closed:
                    self.wake.wait(lull if self.checkpoint_due else IDLE)
                idle = not self.waiting
                if idle and (self.closed or not self.checkpoint_due):
                    self.thread = None
                    return
            if idle and seen != self.commits:  # callers have written by themselves meanwhile
                lull, seen = LULL, self.commits
                continue
            if idle:
                with self.running:
                    self.checkpoint_due = not self.database.checkpoint()
                lull = min(2 * lull, LONGEST_LULL)
                continue
            seen = self.carry_out_first()
            lull = LULL

    def carry_out_first(self) -> int:
        """Commit what has waited longest, and answer; how many commits there were by then."""
        # Paused by a fork: the lock is held over the fork and nothing is begun.
        with self.running:
            batch: list[Waiting] = []
            with suppress(IndexError):  # callers take theirs back meanwhile
                while len(batch) < MOST:
                    batch.append(self.waiting.popleft())
            if batch:
                self.carry_out(batch)
            commits = self.commits
        self.answer(batch)
        return commits

    def carry_out(self, batch: list[Waiting]) -> None:
        """With `running` held: commit, and see to the WAL."""
        self.commit(batch)
        self.database.relieve()
        self.commits += 1
        # A full disk may have room again once the WAL is empty.
        self.checkpoint_due = self.failed is None or isinstance(self.failed, DiskFull)

    def commit(self, batch: list[Waiting]) -> None:
        """Run a batch in one transaction; if that fails, each of its jobs in one of its own."""
        patient: list[Waiting] = []
        apart = alone = False
        try:
            self.persist(batch)
        except DatabaseBusy as error:
            self.failed = error
            # Their time is up; the others have more, unless it is not the jobs' limit that was reached.
            up = now() + SLACK
            late = [waiting for waiting in batch if waiting.until <= up]
            apart = not late and len(batch) > 1 and isinstance(error, RowLocked)
            for waiting in late or batch:
                waiting.error = error
            patient = [waiting for waiting in batch if waiting.error is None]
        except (DatabaseReadOnly, Unsure) as error:
            # Nothing was begun, or nothing can be: repeating each alone would only wait again; or all was written.
            self.failed = error
            for waiting in batch:
                waiting.error = error
        except BaseException as error:  # noqa: BLE001 (a job may raise anything; it goes to its own caller)
            alone = len(batch) > 1
            if isinstance(error, StorageError) and not alone:
                self.failed = error
            for waiting in batch:
                waiting.error = error if isinstance(error, StorageError) or not alone else self.database.busy()
        # Outside the handler: callers hold its error by then, which is to be no context of whatever fails next.
        if alone:
            for waiting in sorted(batch, key=attrgetter("until")):
                if waiting.until > now():  # else it was, while others were waited for
                    waiting.error = None
                    self.commit([waiting])
                self.answer([waiting])
        if apart:
            patient = self.commit_apart(batch)
        if patient:
            # The others may wait as long again.
            self.answer([waiting for waiting in batch if waiting.error is not None])
            self.commit(patient)

    def commit_apart(self, batch: list[Waiting]) -> list[Waiting]:
        """One of these, it is not known which, waits for a row that somebody keeps: the others need not (PostgreSQL).

        Each is tried by itself, with a short wait; all together no longer than RESTART, or than the first has that
        gives up its turn. Gives those that may wait on.
        """
        end = now() + RESTART
        patient: list[Waiting] = []
        with each_lock(SLACK):
            for waiting in sorted(batch, key=attrgetter("until")):
                if now() < min(end, waiting.until):
                    waiting.error = None
                    with Until(end - now()):
                        self.commit([waiting])
                if isinstance(waiting.error, DatabaseBusy) and now() + SLACK < waiting.until < inf:
                    waiting.error = None
                    patient.append(waiting)
                    end = min(end, waiting.until)
                else:
                    self.answer([waiting])
        return patient

    def persist(self, batch: list[Waiting]) -> None:
        """One transaction, begun again for a while where the server ended it.

        Where a connection was lost in the commit, the next one is asked what became of it: a firing's id is known.
        """
        until = min(self.last, *(waiting.until for waiting in batch))
        end = until
        answers: list[Any] | None = None
        while True:
            try:
                self.attempt(batch, until - now())
            except Interrupted:
                end = min(end, now() + RESTART)
                if now() >= end:
                    raise
                time.sleep(PAUSE)
            except StorageError as error:
                # After an unknown commit any error may be its own: the same firing is not written twice.
                if isinstance(error, Unsure):
                    answers = [waiting.answer for waiting in batch]
                    for doubt in filter(None, (getattr(waiting.job, "doubt", None) for waiting in batch)):
                        doubt()
                elif answers is None:
                    raise
                if self.proved(batch, error, until):
                    for waiting, answer in zip(batch, answers, strict=True):
                        waiting.answer = answer
                    self.failed = None
                    return
                end = min(end, now() + RESTART)
                if now() >= end:
                    raise
            else:
                return

    def proved(self, batch: list[Waiting], error: StorageError, until: float) -> bool:
        """Whether the server has what this batch wrote. Raises the error where none of its jobs can be looked for, or
        the wait for the commit's answer took all of their time."""
        proof = next(filter(None, (getattr(waiting.job, "proof", None) for waiting in batch)), None)
        seconds = until - now()
        if proof is None or seconds <= 0:
            raise error
        found: bool | None = None
        try:
            with self.database.write(seconds) as connection:
                found = bool(proof(connection))
        except StorageError:
            if found is None:
                raise error from None
        return found

    def attempt(self, batch: list[Waiting], seconds: float) -> None:
        kinds: dict[type, list[Waiting]] = {}
        # Of several, one that waits for a row leaves the others half of their time.
        with each_lock(seconds / 2 if len(batch) > 1 else inf), self.database.write(seconds) as connection:
            for waiting in batch:
                kind = type(waiting.job)
                if getattr(kind, "many", False):
                    kinds.setdefault(kind, []).append(waiting)
            for kind, alike in kinds.items():
                answers = kind.run_many(connection, [waiting.job for waiting in alike])  # type: ignore[attr-defined]
                for waiting, answer in zip(alike, answers, strict=True):
                    waiting.answer = answer
            for waiting in batch:  # after the others: one of them may ask what became of those
                if not getattr(type(waiting.job), "many", False):
                    waiting.answer = waiting.job(connection)
            # Asked beside the event loop: it need not let go of the interpreter's lock to look by itself.
            seen = self.database.config_in(connection)
        self.failed, self.database.config_seen = None, seen

    def answer(self, batch: list[Waiting]) -> None:
        """Tell who waits; one wake-up for each event loop."""
        loops: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
        for waiting in batch:
            if waiting.answered:
                continue
            waiting.answered = True
            if waiting.loop is not None:
                loops.setdefault(waiting.loop, []).append(waiting)
            elif waiting.future.set_running_or_notify_cancel():
                tell(waiting)
        for loop, theirs in loops.items():
            self.several = len(theirs) > 1
            # A loop that was closed meanwhile: nobody waits there any more, but the thread must live for the others.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, theirs)

    def pause(self) -> None:
        """Let no transaction be open until `go_on` (around a fork)."""
        self.running.acquire()

    def go_on(self) -> None:
        self.running.release()

    def close(self) -> None:
        """Write what is waiting, refuse what comes after, end the thread."""
        with self.lock:
            self.closed = True
            thread = self.thread
            self.wake.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        with self.running:  # a caller may be writing in its own thread
            pass


def settle(batch: list[Waiting]) -> None:
    """In the callers' loop: hand out the answers."""
    for waiting in batch:
        if waiting.back is not None:
            waiting.back(waiting)
            continue
        waiting.told = True
        if not waiting.future.done():
            tell(waiting)


def tell(waiting: Waiting) -> None:
    """Hand out one answer."""
    if waiting.error is not None:
        waiting.future.set_exception(waiting.error)
    else:
        waiting.future.set_result(waiting.answer)
