"""One database: where it is, how it is opened, read and written. SQLite by default, PostgreSQL by URL.

SQLite is used as FACTS found it safe: WAL, `synchronous=FULL`, foreign keys on for each connection, every write inside
`BEGIN IMMEDIATE`. A busy lock is tried again each 0.7 ms rather than left to SQLite's busy handler, which starves other
processes; within one process all writers of a file take one lock first.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import NullPool

from hookrow.clock import Clock, SystemClock
from hookrow.errors import DatabaseBusy, DatabaseDamaged, DatabaseReadOnly, StorageError
from hookrow.lang import Text
from hookrow.payload import MIB
from hookrow.store.aside import Threads
from hookrow.store.database import locks, readonly, standing
from hookrow.store.database.address import PG_SCHEMA, POOLER, Login, address_of, parameters, path_of, shown
from hookrow.store.database.failures import Interrupted, busy, interrupted, interrupted_commit, late, translate, unsure
from hookrow.store.database.locks import LOCK, Until, begin_immediate, begin_plain, enter_wal, wait_for_nobody
from hookrow.store.database.migrations import HEAD
from hookrow.store.database.moments import StorageClock
from hookrow.store.database.plain import SQLITE_SCHEMA, Ask
from hookrow.store.database.prepared import Prepared, driver_noted, sqlite_driver
from hookrow.store.database.standing import FileId, file_id, mark_damage, refuse_damaged, replaced, schema_in
from hookrow.store.database.tables import VERSION_NUMBER
from hookrow.store.database.writer import Writer

__all__ = ["Database"]

log: Final = logging.getLogger("hookrow")

AUTOCHECKPOINT = 10_000
"""Pages of WAL before SQLite checkpoints by itself; the writer checkpoints when idle."""
CACHE = -500
"""KiB of pages that an SQLite connection keeps, negated; SQLite's own 2,000 save no processor time."""
LARGE_WAL = 64 * MIB
"""Bytes of WAL beyond which readers that overlap are waited for, so that it can be emptied."""
PATIENCE_MS = 100
"""Milliseconds that this waits for them, and every `fire()` with it."""
CONFIG_NUMBER = Prepared(select(VERSION_NUMBER.c.n))
PG_MOMENT = "SELECT pg_current_snapshot()::text"

LOOK_AT_FILE = 5.0
"""Seconds between two looks of who reads whether the file is still the same; who writes looks at each commit."""

process_locks: dict[str, threading.RLock] = {}
"""One lock a database file for all writers of this process; PostgreSQL lets them write at once."""
opened: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """Connections to one database, and its writer thread.

    Nothing is connected until the first use; a fork closes what is open first, since SQLite's connections and their
    locks do not survive one.
    """

    def __init__(self, url: str | URL, *, clock: Clock | None = None, login: Login | None = None) -> None:
        """`hookrow.store.database.opening.open_database` gives one that is ready for use."""
        self.address: URL = address_of(url)
        self.login: Final = login
        self.url: Final = shown(self.address)
        self.dialect: Final = self.address.get_backend_name()
        self.clock: StorageClock = StorageClock(clock or SystemClock(), remote=self.dialect != "sqlite")
        self.path: Final = path_of(self.address) if self.dialect == "sqlite" else None
        if self.path is not None:
            # A host that changes its folder must not open another file.
            self.address = self.address.set(database=str(self.path))
        self.notifies: Final = self.dialect == "postgresql" and POOLER not in self.address.query
        """Whether notices can be heard: they arrive on connections of one's own, directly or by session pooling."""
        self.guard: threading.RLock = threading.RLock()
        self.process_lock: threading.RLock = process_lock(self.path)
        self.engines: dict[str, Engine] = {}
        self.kept: Connection | None = None  # for writing; used under `process_lock` alone
        self.version_reader: sqlite3.Connection | None = None
        self.version_readers: int = 0
        self.wal_limit: int = LARGE_WAL
        self.place: str | None = None
        """Which PostgreSQL database of which running server this is, once it was asked."""
        self.file: FileId | None = None
        """Which file is read (SQLite), which one written, and when the name was last seen to be that file's."""
        self.kept_file: FileId | None = None
        self.looked: float = float("-inf")
        self.generation: int = 0
        """How often another file was opened in its place."""
        self.config_seen: tuple[int, int, float] = (-1, -1, float("-inf"))
        """What the last commit of the writer found, as `config_in` says it."""
        self.committed: Callable[[float], None] | None = None  # told how many seconds a commit took
        self.busy: Callable[[], DatabaseBusy] = partial(late if self.path is None else busy, "")
        """Makes the error for a caller whose time was up before this process wrote for it."""
        self.writer: Writer = Writer(self)
        self.threads: Threads = Threads()
        self.closed: bool = False
        self.reached: bool = False
        """The server was there once: if it is not, it may come back (PostgreSQL)."""
        self.read_only: bool = self.path is not None and readonly.is_read_only(self.path)
        opened.add(self)

    # -- connections ------------------------------------------------------------------------------------------------

    def engine(self, purpose: str) -> Engine:
        """The SQLAlchemy engine for `read` or `write`; made at first need."""
        with self.guard:
            found = self.engines.get(purpose)
            if found is None:
                found = self.engines[purpose] = self.make_engine(purpose)
                # What was in use while this was closed would lie open in a pool that nobody empties any more.
                event.listen(found, "checkin", lambda _, record: record.invalidate() if self.closed else None)
            return found

    def make_engine(self, purpose: str) -> Engine:
        if self.dialect == "postgresql":
            from hookrow.store.database.server import engine_for  # its driver is not installed everywhere

            return engine_for(self.address, purpose, self.clock, self.login)
        # Parameters hold payloads and URLs with tokens: SQLAlchemy's own log and errors must not repeat them.
        path = self.path
        assert path is not None
        if self.read_only:
            reader = partial(readonly.connect, path)
            made = create_engine("sqlite://", creator=reader, poolclass=NullPool, hide_parameters=True)
        else:
            creator = partial(self.connect_file, path)
            made = create_engine(self.address, creator=creator, poolclass=locks.BoundedPool, hide_parameters=True)
        event.listen(made, "connect", self.tune)
        if purpose == "write":
            event.listen(made, "connect", enter_wal)
            event.listen(made, "connect", wait_for_nobody)
            event.listen(made, "begin", begin_immediate)
        else:
            event.listen(made, "begin", begin_plain)
        return made

    def connect_file(self, path: Path) -> sqlite3.Connection:
        """A connection to the file that is there; none is made where it was removed."""
        return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, check_same_thread=False, timeout=LOCK)

    def see_file(self, *, now: bool = False) -> None:
        """See that the file at `path` is the one that is open, at most every LOOK_AT_FILE seconds; else open it anew.

        Raises:
            StorageError: it was removed, or is none of this schema.
            DatabaseDamaged: it is known to be damaged.
        """
        moment = time.monotonic()  # noqa: TID251 - the disk's time, whatever time the engine is given
        if self.path is None or (not now and moment - self.looked < LOOK_AT_FILE):
            return
        with self.guard:
            found = file_id(self.path)
            if self.file is not None and found != self.file:
                self.forget_version_reader()
                self.dispose("read")  # who writes finds out by itself, with no transaction open
                self.generation += 1
                if found is None or schema_in(self.path) != HEAD:
                    raise replaced(self.path)
                log.warning("%s is another file than before: it was opened anew", self.path)
            refuse_damaged(self.path)
            self.file, self.looked = found, moment

    def meant(self, error: DBAPIError) -> StorageError:
        """The error of our tree; a file that SQLite finds damaged is marked for everybody."""
        said = translate(error, self.path)
        if isinstance(said, DatabaseDamaged) and self.path is not None and not self.read_only:
            mark_damage(self.path)
            self.looked = float("-inf")
        return said

    def pg_parameters(self) -> dict[str, Any]:
        """Host, user, password and more for the driver itself: for a connection outside SQLAlchemy's pools."""
        return parameters(self.address, self.login)

    def tune(self, connection: sqlite3.Connection, record: Any) -> None:
        """Set up a new SQLite connection."""
        connection.isolation_level = None
        connection.create_function("holds", 2, holds, deterministic=True)
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA wal_autocheckpoint={AUTOCHECKPOINT}")
        cursor.execute(f"PRAGMA cache_size={CACHE}")
        cursor.close()

    @contextmanager
    def read(self, seconds: float | None = inf) -> Iterator[Connection]:
        """A connection for reading: one consistent view, never blocked by writers.

        Args:
            seconds: how long the server is waited for in all (PostgreSQL); None: as long as it takes.

        Raises:
            Interrupted: the server ended it; it may be asked again.
            DatabaseBusy: it took too long.
            StorageError: any other.
        """
        self.see_file()
        before = readonly.stamp(self.path) if self.read_only and self.path is not None else None
        try:
            with Until(seconds), self.connected("read") as connection:
                try:
                    yield connection
                except BaseException:
                    if self.path is not None:  # an answer that was not read to its end keeps the view that it has
                        connection.invalidate()
                    raise
        except DBAPIError as error:
            if interrupted(error, committing=False):
                raise Interrupted(translate(error, self.path).text) from None
            raise self.meant(error) from None
        if before is not None and self.path is not None:
            readonly.unchanged(self.path, before)

    def connected(self, purpose: str) -> Connection:
        """A connection; on PostgreSQL with its transaction begun. Raises DatabaseBusy, where all are in use."""
        engine = self.engine(purpose)
        if self.path is not None:
            return engine.connect()
        from hookrow.store.database.server import begun

        made = begun(engine, again=self.reached)
        self.reached = True
        return made

    @contextmanager
    def asking(self) -> Iterator[Ask]:
        """As `read`, for questions in plain SQL."""
        with self.read() as connection:

            def ask(question: str, values: Mapping[str, Any]) -> Sequence[Any]:
                if self.path is None:
                    question = question.replace(SQLITE_SCHEMA, f"{PG_SCHEMA}.")
                return connection.execute(text(question), values).all()

            yield ask

    def may_only_read(self) -> bool:
        """Whether this role of a server may not write (PostgreSQL)."""
        with self.read() as connection:
            asked = f"SELECT has_table_privilege('{PG_SCHEMA}.hook', 'UPDATE')"
            return not connection.exec_driver_sql(asked).scalar_one()

    @contextmanager
    def write(self, seconds: float = inf) -> Iterator[Connection]:
        """A transaction of the calling thread. Only for the writer thread, start and upkeep: all else uses `writer`.

        Args:
            seconds: how long locks and the server are waited for in all; a lock never longer than LOCK.

        Raises:
            Interrupted: it was surely rolled back, by no fault of what was written: it may be begun again.
            DatabaseBusy: it took too long.
            StorageError: any other.
        """
        if self.read_only:
            raise DatabaseReadOnly(Text("this user may only read the database {path}", path=self.path or self.url))
        committing = False
        try:
            with Until(seconds), self.alone(), self.transaction() as connection:
                yield connection
                committing = True
        except DBAPIError as error:
            if interrupted(error, committing=committing):
                raise Interrupted(translate(error, self.path).text) from None
            raised = unsure(error) if committing and error.connection_invalidated else self.meant(error)
            raise raised from None

    def alone(self) -> AbstractContextManager[None]:
        """Hold `process_lock`.

        Raises:
            DatabaseBusy
        """
        if locks.held(self.process_lock):
            raise interrupted_commit()
        return locks.holding(self.process_lock, self.busy)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One write transaction. SQLite's connection is kept from one to the next, until something goes wrong in it."""
        if self.path is None:
            with self.connected("write") as connection:
                yield connection
                self.commit(connection)
            return
        self.see_file(now=self.kept is None)
        if self.kept is not None and self.kept_file != self.file:
            self.let_kept_go()
            self.dispose("write")
        connection = self.writing_connection()
        try:
            # By the driver: SQLAlchemy's own way takes as long as a commit's statements. It joins where a job uses it.
            begin_immediate(connection)
            yield connection
            self.commit(connection)
            # Nothing is acknowledged that went into a file which is no longer the database: one look a batch.
            if file_id(self.path) != self.kept_file:
                self.looked = float("-inf")
                raise replaced(self.path)
        except BaseException:
            self.let_kept_go()
            if file_id(self.path) != self.kept_file:
                self.dispose("write")
            raise

    def commit(self, connection: Connection) -> None:
        """Commit a write transaction. Nothing else commits, but a migration and the callers of `fire(connection=…)`."""
        began = 0.0 if self.committed is None else locks.now()
        if self.path is None or connection.in_transaction():
            connection.commit()
        else:
            driver: Any = sqlite_driver(connection)
            try:
                driver.execute("COMMIT")
            except sqlite3.Error as error:
                raise OperationalError("COMMIT", None, error) from None
        if self.committed is not None:
            self.committed(locks.now() - began)

    def config_in(self, connection: Connection) -> tuple[int, int, float]:
        """The configuration's number in a write transaction, of which generation of the file, and when (SQLite)."""
        if self.path is None:
            return self.config_seen
        return CONFIG_NUMBER.scalar(connection), self.generation, time.monotonic()  # noqa: TID251

    def writing_connection(self) -> Connection:
        if self.kept is None:
            self.kept_file = None if self.path is None else file_id(self.path)
            self.kept = driver_noted(self.engine("write").connect())
        return self.kept

    def let_kept_go(self) -> None:
        if self.kept is not None:
            self.kept.close()
            self.kept = None

    def checkpoint(self, patience_ms: int = 0) -> bool:
        """Move what the WAL holds into the database file, and empty the WAL if nobody reads from it.

        Args:
            patience_ms: how long to wait for those who do.

        Returns:
            Whether the WAL is empty now, or there is none. A long reader keeps it: try again.
        """
        if self.read_only or not standing.wal_size(self.path):
            return True  # SQLite would take the emptying of an empty WAL for a change, of which every worker hears
        try:
            with self.alone():
                driver: Any = self.writing_connection().connection.driver_connection
                driver.execute(f"PRAGMA busy_timeout={patience_ms}")
                try:
                    (busy, _, _) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                finally:
                    driver.execute("PRAGMA busy_timeout=0")
        except (sqlite3.Error, DBAPIError, DatabaseBusy) as error:
            log.debug("no checkpoint now: %s", error)
            return False
        return not busy

    def relieve(self) -> None:
        """After a commit: empty a WAL that has grown beyond its limit because readers overlap all the time.

        Behind one reader that stays it can't be emptied; then it is tried again when it has grown by as much once more.
        """
        grown = standing.wal_size(self.path)
        if grown > self.wal_limit:
            self.wal_limit = LARGE_WAL if self.checkpoint(PATIENCE_MS) else grown + LARGE_WAL
        elif grown < LARGE_WAL:
            self.wal_limit = LARGE_WAL

    def data_version(self) -> int:
        """A number that moves when anybody has committed to this database. Microseconds on SQLite.

        PostgreSQL has no such pragma: there it stands for which transactions have ended. Its newest number alone would
        not show one that was begun early and committed late.
        """
        if self.path is None:
            with self.read() as connection:
                return hash(connection.exec_driver_sql(PG_MOMENT).scalar_one())
        if self.read_only and (alone := readonly.stamp(self.path))[0]:
            return alone[1]  # far above what is counted below
        self.see_file()
        with self.guard:
            version = int(self.ask_version_reader("PRAGMA data_version"))
            # Every connection counts for itself, so a new one (after a fork) must never repeat an old one's number.
            return self.version_readers << 32 | version

    def config_number(self) -> int:
        """The number of the configuration (SQLite). Asked after each commit of our own, so without SQLAlchemy."""
        with self.guard:
            return int(self.ask_version_reader("SELECT n FROM config_version"))

    def ask_version_reader(self, question: str) -> Any:
        """With `guard` held: one value, from the driver's own connection outside any transaction.

        Inside one the version would stand still.
        """
        try:
            if self.version_reader is None:
                assert self.path is not None
                self.version_reader = sqlite3.connect(
                    f"{self.path.as_uri()}?mode=ro", uri=True, check_same_thread=False, isolation_level=None
                )
                self.version_readers += 1
            return self.version_reader.execute(question).fetchone()[0]
        except sqlite3.Error as error:
            self.forget_version_reader()
            raise translate(DBAPIError(None, None, error), self.path) from None

    def forget_version_reader(self) -> None:
        if self.version_reader is not None:
            self.version_reader.close()
            self.version_reader = None

    # -- life -------------------------------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Close every idle connection; the next use opens new ones."""
        with self.guard:
            self.forget_version_reader()
            self.let_kept_go()
            for engine in self.engines.values():
                engine.dispose()
            self.engines.clear()

    def close(self) -> None:
        """Write what is waiting, then close. Calling it twice is harmless."""
        self.closed = True
        self.writer.close()
        self.threads.close()
        self.disconnect()
        opened.discard(self)

    def dispose(self, purpose: str) -> None:
        """Close every idle connection of one kind."""
        with self.guard:
            engine = self.engines.pop(purpose, None)
        if engine is not None:
            engine.dispose()

    def restrict(self) -> None:
        """Give the database files to their owner alone (0600): they hold payloads and sealed secrets."""
        if self.path is None:
            return
        for name in (self.path, *(self.path.with_name(self.path.name + end) for end in ("-wal", "-shm"))):
            with suppress(FileNotFoundError):  # who closes last removes two of them, at any moment
                name.chmod(0o600)


def process_lock(path: Path | None) -> threading.RLock:
    """The lock that this process's writers of a file share; one of its own for each engine on PostgreSQL."""
    return threading.RLock() if path is None else process_locks.setdefault(str(path), threading.RLock())


def holds(text: str | None, words: str) -> bool:
    """For searches: whether a text holds these casefolded words, in capitals or not, in every language."""
    return text is not None and words in text.casefold()


def before_fork() -> None:
    """Let go of every connection: a child that inherits one corrupts locks it believes to hold."""
    for database in list(opened):
        database.writer.pause()
        database.disconnect()


def after_fork_in_parent() -> None:
    for database in list(opened):
        database.writer.go_on()


def after_fork_in_child() -> None:
    """Locks may be held by threads that do not exist here; the writer's thread is one of them."""
    process_locks.clear()
    for database in list(opened):
        database.guard = threading.RLock()
        database.process_lock = process_lock(database.path)
        database.engines = {}
        database.kept = None
        database.version_reader = None
        database.writer = Writer(database)


os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=after_fork_in_child)
