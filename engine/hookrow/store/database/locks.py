"""How long anything of ours waits, in seconds: the waits themselves take their limits from here, and so does a page.

docs/reference/waits.md is made of `WAITS`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

from sqlalchemy import Connection, Select, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from hookrow.errors import DatabaseBusy
from hookrow.lang import Text
from hookrow.store.database.failures import damaged
from hookrow.store.database.prepared import sqlite_driver
from hookrow.store.database.tables import TABLES

__all__ = [
    "ANSWER",
    "CHANGE",
    "CONNECT",
    "FIRE",
    "GREETING",
    "INTERRUPTS",
    "LET_GO",
    "LOCK",
    "MEANT",
    "PAUSE",
    "RECORD",
    "RESTART",
    "SLACK",
    "STILL",
    "WAITS",
    "AtLeast",
    "BoundedPool",
    "Until",
    "after_a_lock",
    "all_locked",
    "as_one_change",
    "at_work",
    "begin_immediate",
    "begin_plain",
    "each_lock",
    "enter_wal",
    "held",
    "here",
    "holding",
    "insist",
    "left",
    "let_go_by",
    "limits",
    "ms",
    "now",
    "wait_for_nobody",
]

LOCK: Final = 5.0
"""For a lock or a transaction of somebody else's."""
CONNECT: Final = 5.0
"""For a connection to PostgreSQL: its name looked up, the server reached, of several the one that is wanted, the user
let in."""
GREETING: Final = 2.0
"""For the answer to BEGIN, for which a server that lives waits for nothing: a connection that is silent is given up."""
ANSWER: Final = 9.0
"""For the answer to one statement of a command, of the interface or of a worker."""
FIRE: Final = 5.0
"""For the database in one `fire()`, all its waits together; less where less is left of its deadline."""
MEANT: Final = 0.5
"""For what an API call means, to the ASGI middleware: it asks for every call, also for those that mean nothing."""
CHANGE: Final = 8.5
"""For the database in one change of hooks or settings, all its waits together; what it then shows has RECORD more."""
RECORD: Final = 1.0
"""What the commit always has that records which hooks were asked, whatever is left."""
RESTART: Final = 2.0
"""In which what surely is not committed is tried again, where a server ended a connection or is not there."""
PAUSE: Final = 0.05
"""Between two such tries."""
SLACK: Final = 0.2
"""Given to a server that ends a wait by itself, before the connection is taken for silent."""
STILL: Final = 5.0
"""For the next statement of a transaction that writes: a process that stands still meanwhile holds nobody up longer."""
LET_GO: Final = 6.0
"""For a cancelled or interrupted call to let go: a commit under way ends first."""

INTERRUPTS: Final = (KeyboardInterrupt, SystemExit)
"""What signal handlers raise in the main thread, between any two steps."""


P = ParamSpec("P")
T = TypeVar("T")


class Wait(NamedTuple):
    """One row of the page."""

    of: str
    seconds: float | str
    then: str


BUSY = "`DatabaseBusy`"
WAITS: Final = (
    Wait("SQLite: another process's transaction", LOCK, BUSY),
    Wait("SQLite: another engine of this process that writes to the file", LOCK, BUSY),
    Wait("PostgreSQL: another session's lock", LOCK, BUSY),
    Wait("PostgreSQL: a connection (name, network, login), all hosts of the URL together", CONNECT, BUSY),
    Wait("a free connection, where all of an engine's are in use", LOCK, BUSY),
    Wait("PostgreSQL: a kept connection that has gone silent", GREETING, "a new connection is made"),
    Wait("PostgreSQL: one statement of a command, the interface, a worker", ANSWER, BUSY),
    Wait("PostgreSQL: a process that stands still in a transaction that writes", STILL, "it is begun again"),
    Wait("PostgreSQL: a server that restarts", RESTART, "`StorageError`"),
    Wait("`fire()`: the database, all waits together, or what is left of the deadline", FIRE, BUSY),
    Wait("`fire()`: at least, to record what hooks were asked", RECORD, BUSY),
    Wait("`fire()`: a firing of the same idempotency key", "its deadline + 1", "it is recorded as `cancelled`"),
    Wait("the ASGI middleware: what an API call means (PostgreSQL)", MEANT, "it goes by what it knew"),
    Wait("a change of hooks or settings: the database, all waits together", CHANGE + RECORD, BUSY),
    Wait("another thread of the process that reads the hooks or writes", LOCK, BUSY),
    Wait("a cancelled or interrupted call: its last commit", LET_GO, "the caller gets its interrupt"),
    Wait("the end of an engine: the database, all waits together, beyond the grace period", LOCK, "leases lapse"),
    Wait("the key file's folder: another command that changes keys", LOCK, "`Refused`"),
    Wait("a receiver's host name", "the hook's timeout", "`name_error`"),
    Wait("a program of the system that is asked something (macOS: `sysctl`)", 1, "it is done without"),
)
"""What waits for storage, locks and threads. What hooks wait for is in the fields `timeout` and `deadline`."""


class Patience(threading.local):
    """Until when this thread waits for the database (monotonic seconds); None: without end."""

    until: float | None = float("inf")
    locks: float = float("inf")
    """Until when what has begun its work waits for locks."""
    lock: float = float("inf")
    """The most seconds for one lock, where that is less than LOCK."""


here: Final = Patience()


class Until:
    """In this block the thread waits no longer than so many seconds, all waits together; inner blocks only shorten it.

    `None` is without end, for what takes as long as it takes: migrations, backups, counts over a whole log.
    """

    __slots__ = ("before", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds: Final = seconds

    def __enter__(self) -> None:
        self.before: float | None = here.until
        if self.seconds is None or self.before is None:
            here.until = None
        else:
            here.until = min(self.before, now() + self.seconds)

    def __exit__(self, *_: object) -> None:
        here.until = self.before


class AtLeast(Until):
    """In this block the thread may wait for so many seconds, whatever is left: what was committed is shown."""

    __slots__ = ()

    def __enter__(self) -> None:
        self.before: float | None = here.until
        if self.before is not None and self.seconds is not None:
            here.until = max(self.before, now() + self.seconds)


@contextmanager
def each_lock(seconds: float) -> Iterator[None]:
    """Inside, this thread's transactions wait no longer for one lock, whatever they have left (PostgreSQL)."""
    before, here.lock = here.lock, min(here.lock, seconds)
    try:
        yield
    finally:
        here.lock = before


@contextmanager
def at_work() -> Iterator[None]:
    """Inside, in its transaction, this thread's statements have limits of their own alone: there may be much to do,
    such as thousands of deliveries that wait for a hook. Its waits for locks end together all the same."""
    if here.until is not None:
        here.locks, here.until = here.until, float("inf")
    try:
        yield
    finally:
        here.locks = float("inf")


def left_for_locks(connection: Connection) -> float | None:
    """Seconds that this thread's change may still wait for locks (PostgreSQL); None where nothing counts them."""
    if connection.dialect.name != "postgresql" or here.locks == float("inf"):
        return None
    return max(here.locks - now(), 0.0)


def after_a_lock(connection: Connection) -> None:
    """A lock may have been waited for: the next of this transaction has what is left (PostgreSQL)."""
    seconds = left_for_locks(connection)
    if seconds is not None:
        connection.exec_driver_sql(f"SELECT {limit('lock_timeout', min(LOCK, here.lock, seconds))}")


def all_locked(connection: Connection, rows: Select[Any]) -> None:
    """Lock these rows before one statement changes them: it would wait for each of their holders anew, as long as a
    lone lock may be waited for. All these waits end together (PostgreSQL)."""
    if connection.dialect.name != "postgresql":
        return
    locking = select(func.count()).select_from(rows.with_for_update(key_share=True).subquery())
    seconds = left_for_locks(connection)
    if seconds is None:
        connection.execute(locking)
        return
    ends = limit("statement_timeout", seconds)
    (whole, _) = connection.exec_driver_sql(f"SELECT current_setting('statement_timeout'), {ends}").one()
    connection.execute(locking)
    connection.execute(text("SELECT set_config('statement_timeout', :whole, true)"), {"whole": whole})
    after_a_lock(connection)


def as_one_change(method: Callable[P, T]) -> Callable[P, T]:
    """A method whose waits for the database are bounded together, by CHANGE, until its transaction does its work."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with Until(CHANGE):
            return method(*args, **kwargs)

    return call


def now() -> float:
    """The machine's time is waited for, whatever clock the engine is given."""
    return time.monotonic()  # noqa: TID251


def left(most: float) -> float:
    """Seconds that this thread may still wait, at most these."""
    return most if here.until is None else max(min(most, here.until - now()), 0.0)


def let_go_by(error: BaseException) -> float:
    """By when a call lets go that this interrupted: all that it still waits for has one limit, from the first time that
    somebody asks."""
    by: float = vars(error).setdefault("let_go_by", now() + LET_GO)
    return by


def held(lock: threading.RLock) -> bool:
    """Whether this thread has it: a signal's handler runs in the thread that it interrupts."""
    return bool(lock._is_owned())  # type: ignore[attr-defined]


class BoundedPool(QueuePool):
    """Connections of which there are only so many: for a free one each thread waits as long as it may."""

    __module__ = QueuePool.__module__  # its log is SQLAlchemy's own, and no line of ours

    @property
    def _timeout(self) -> float:
        return left(LOCK)

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        """SQLAlchemy's, one for all."""

    def connect(self) -> PoolProxiedConnection:
        """A free connection, or a new one.

        Raises:
            DatabaseBusy: all are in use.
        """
        try:
            return super().connect()
        except PoolTimeout:
            raise DatabaseBusy(Text("all connections to the database are in use; try again")) from None


@contextmanager
def holding(lock: threading.RLock, late: Callable[[], Exception]) -> Iterator[None]:
    """Hold a lock of this process, for which LOCK is waited; an interrupt (ctrl+c) leaves it to nobody.

    It may come between the taking and a note of it: the lock itself knows whose it is. Not to be nested.

    Raises:
        What `late` gives: it took longer.
    """
    try:
        if not lock.acquire(timeout=left(LOCK)):
            raise late()
        yield
    finally:
        try:  # noqa: SIM105 (making `suppress` could be interrupted)
            lock.release()
        except RuntimeError:  # it is not this thread's
            pass


LOCK_PAUSE = 0.0007


def insist(connection: sqlite3.Connection, statement: str) -> None:
    """Run a statement that needs a lock, again and again for up to LOCK while another process has it.

    SQLite's own busy handler does not do: it starves other processes at `BEGIN IMMEDIATE`, and is not asked at all
    where two connections, each with a shared lock, want to change the journal's mode.

    Raises:
        sqlite3.Error: still locked, or anything else.
    """
    end = now() + left(LOCK)
    while True:
        try:
            connection.execute(statement).fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or now() > end:
                raise
            time.sleep(LOCK_PAUSE)


def ms(seconds: float) -> int:
    """Whole milliseconds, for a server that takes 0 for no limit."""
    return 0 if seconds == float("inf") else max(round(seconds * 1000), 1)


def limit(name: str, seconds: float) -> str:
    """Set a limit for this transaction, unless the administrator's own is shorter (0 is none)."""
    theirs = f"nullif(extract(epoch FROM current_setting('{name}')::interval) * 1000, 0)"
    return f"set_config('{name}', least({theirs}, {ms(seconds)})::int::text, true)"


def limits(lock: float, statement: float) -> str:
    """What a transaction begins with, so that the server itself ends what lasts too long."""
    return f"{limit('lock_timeout', lock)}, {limit('statement_timeout', statement)}"


def wait_for_nobody(connection: sqlite3.Connection, record: Any) -> None:
    """For writing, where `begin_immediate` does the waiting."""
    connection.execute("PRAGMA busy_timeout=0")


def begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock, waiting up to LOCK for other processes; not where this connection has it already."""
    driver: Any = sqlite_driver(connection)
    if driver.in_transaction:
        return
    try:
        insist(driver, "BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise OperationalError("BEGIN IMMEDIATE", None, error) from None  # hooks' errors are not wrapped


def begin_plain(connection: Connection) -> None:
    """A read transaction: deferred, so it holds no lock before its first SELECT."""
    connection.exec_driver_sql("BEGIN")


def enter_wal(connection: sqlite3.Connection, record: Any) -> None:
    """Before the first write: a copy that a backup made is a file without a WAL until then.

    Such a file proves itself first, once in its life: one that is damaged is refused as it is.
    """
    try:
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            return
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {table.name for table in TABLES} <= names:
            return  # the write itself will say what is missing
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(" ".join(found.split()))
        insist(connection, "PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise OperationalError("PRAGMA journal_mode", None, error) from None  # hooks' errors are not wrapped
