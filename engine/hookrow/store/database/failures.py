"""What a driver's error means in our own words."""

from __future__ import annotations

import re
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import suppress
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from hookrow.errors import (
    DatabaseBusy,
    DatabaseDamaged,
    DatabaseReadOnly,
    DiskFull,
    HookrowError,
    NoDatabase,
    StorageError,
)
from hookrow.lang import Text
from hookrow.store.database.address import POOLER
from hookrow.store.database.reserve import reserve_of

__all__ = [
    "Interrupted",
    "RowLocked",
    "Unsure",
    "busy",
    "damaged",
    "interrupted",
    "late",
    "translate",
    "unshared",
    "unsure",
]

SUSPENDED = CO_COROUTINE | CO_ASYNC_GENERATOR
"""Flags of code whose frames a task waits in; drivers here have none."""


class Interrupted(StorageError):
    """A transaction was rolled back by no fault of what it wrote: it may be begun again from the start."""


class RowLocked(DatabaseBusy):
    """Another session kept a lock on rows or a table, on PostgreSQL: what does not want them is not held up."""


class Unsure(StorageError):
    """A transaction was perhaps committed: it must not be begun again."""


def busy(reason: str) -> DatabaseBusy:
    """The error for a lock that others kept for too long."""
    return DatabaseBusy(
        Text(
            "the database is locked by another writer; inside a transaction of your own on the same SQLite file "
            "use fire(connection=...) or fire(defer=True)"
        )
    )


def interrupted_commit() -> DatabaseBusy:
    """The error for a signal's handler that would write in the middle of its own thread's commit."""
    return DatabaseBusy(
        Text("a signal handler interrupted this thread in a commit; it can write nothing before it has returned")
    )


def locked(reason: str) -> StorageError:
    return RowLocked(Text("another session holds a lock on the database; try again when it has ended"))


def late(reason: str) -> DatabaseBusy:
    """The error for a server, or another thread that asks it, that took too long."""
    return DatabaseBusy(
        Text("the database did not answer in time: another session may hold it up, or the server is out of reach")
    )


def read_only(reason: str) -> StorageError:
    return DatabaseReadOnly(Text("this user may not write the database: {reason}", reason=reason))


def damaged(reason: str) -> StorageError:
    """The error for a file that is no database, or a broken one."""
    return DatabaseDamaged(
        Text(
            "this is not a Hookrow database, or it is damaged: {reason}; put a backup back: hookrow db restore FILE",
            reason=reason,
        )
    )


def missing(reason: str) -> StorageError:
    return NoDatabase(Text("no Hookrow database here: {reason}; create one with hookrow init", reason=reason))


def no_such_database(reason: str) -> StorageError:
    return NoDatabase(
        Text("{reason}: an administrator creates it with CREATE DATABASE, then hookrow init fills it", reason=reason)
    )


def not_let_in(reason: str) -> StorageError:
    return StorageError(
        Text("the server does not let this user in: {reason}; check user and password in the URL", reason=reason)
    )


def uncertified(reason: str) -> StorageError:
    return StorageError(
        Text(
            "the server's certificate can't be checked: {reason}; name the authority's file in the URL: "
            "sslrootcert=FILE",
            reason=reason,
        )
    )


def full(reason: str) -> StorageError:
    return DiskFull(Text("the disk of the database server is full: free some space there"))


def full_file(path: Path) -> StorageError:
    """The error for the full disk of a file, with what helps now: without its reserve a database can't be purged."""
    if reserve_of(path).exists():
        return DiskFull(Text("the disk is full: free some space, or delete old firings: hookrow prune --days 7"))
    return DiskFull(Text("the disk that holds {path} is full: free some space there first", path=path))


def pooled(reason: str) -> StorageError:
    return StorageError(
        Text(
            "a pooler in transaction mode stands before the server: add {words} to the database URL",
            words=f"{POOLER}=transaction",
        )
    )


def unshared(reason: str) -> StorageError:
    """The error for a place where the WAL's index can't be shared between processes."""
    return StorageError(
        Text(
            "SQLite can't share memory with other processes here ({reason}), as on network file systems and in some "
            "containers: put the database on a local disk, or use PostgreSQL",
            reason=reason,
        )
    )


def other(reason: str) -> StorageError:
    return StorageError(Text("the database reports: {reason}", reason=reason))


def without_values(error: BaseException) -> None:
    """Take their variables out of the frames in which an error came about: a connection's hold its password.

    What is raised instead of it carries them along, also `from None`, to whoever records frames. Not out of frames that
    somebody may be suspended in: to clear a coroutine's ends it, and its task waits for ever. So an error of ours, in
    whose handling this one came about, is left to those who were given it.
    """
    seen: set[int] = set()
    beneath: list[BaseException | None] = [error]
    while beneath:
        each = beneath.pop()
        if each is not None and id(each) not in seen and not isinstance(each, HookrowError):
            seen.add(id(each))
            for frame, _ in traceback.walk_tb(each.__traceback__):
                if not frame.f_code.co_flags & SUSPENDED:
                    with suppress(RuntimeError):  # it runs
                        frame.clear()
            beneath += [each.__cause__, each.__context__, getattr(each, "orig", None)]


def unsure(error: DBAPIError) -> Unsure:
    """The error for a connection that was lost while it committed: whether the server did is not known here."""
    return Unsure(
        Text(
            "the connection was lost during a commit, which may have succeeded; look before you repeat it: {reason}",
            reason=said(error),
        )
    )


def interrupted(error: DBAPIError, *, committing: bool) -> bool:
    """Whether a PostgreSQL transaction ended without a trace through no fault of its own.

    The connection was lost before COMMIT was sent; or the server said why it ended it: a deadlock (40P01), a conflict
    of two that ran at once (40001), an administrator or a shutdown (57P..: said instead of an answer, so it committed
    nothing), a limit for a process that stands still in its transaction (25P03).
    """
    states: set[str] = set()
    cause: BaseException | None = error.orig
    while cause is not None:  # psycopg may say last that it could not tidy up
        states.add(getattr(cause, "sqlstate", None) or "")
        cause = cause.__context__
    if "57014" in states:
        return False  # its time was up
    ended = any(state.startswith("57P") for state in states)
    return (
        ended or not states.isdisjoint(("25P03", "40P01", "40001")) or (error.connection_invalidated and not committing)
    )


Meaning = Callable[[str], StorageError]
OF_SQLITE: dict[int, Meaning] = {
    sqlite3.SQLITE_BUSY: busy,
    sqlite3.SQLITE_LOCKED: busy,
    sqlite3.SQLITE_READONLY: read_only,
    sqlite3.SQLITE_PERM: read_only,
    sqlite3.SQLITE_AUTH: read_only,
    sqlite3.SQLITE_CORRUPT: damaged,
    sqlite3.SQLITE_NOTADB: damaged,
    sqlite3.SQLITE_CANTOPEN: missing,
    sqlite3.SQLITE_FULL: full,
    sqlite3.SQLITE_IOERR_SHMOPEN: unshared,
    sqlite3.SQLITE_IOERR_SHMMAP: unshared,
    sqlite3.SQLITE_IOERR_SHMLOCK: unshared,
    sqlite3.SQLITE_IOERR_SHMSIZE: full,  # opening makes a file beside the database, which found no room
}
"""By SQLite's result codes (sqlite.org/rescode.html), primary or extended."""
OF_POSTGRESQL: dict[str, Meaning] = {
    "55P03": locked,  # lock_not_available
    "57014": late,  # query_canceled: by its limit, or by ours
    "25006": read_only,  # read_only_sql_transaction
    "42501": read_only,  # insufficient_privilege
    "42P01": missing,  # undefined_table
    "3D000": no_such_database,  # invalid_catalog_name
    "28000": not_let_in,  # invalid_authorization_specification
    "28P01": not_let_in,  # invalid_password
    "53100": full,  # disk_full
    "26000": pooled,  # invalid_sql_statement_name
    "42P05": pooled,  # duplicate_prepared_statement
}
"""By SQLSTATE: the server's messages come in its own language."""
BY_WORDS = {"no such table": missing, "disk is full": full}
"""Where there is no code: SQLite's missing table, a driver between."""
REFUSED: dict[str, Meaning] = {
    r'FATAL: +database ".*" does not exist': no_such_database,
    r'FATAL: +(role ".*" does not exist|password authentication failed|no pg_hba\.conf entry)': not_let_in,
    r"root certificate|certificate verify failed|server certificate": uncertified,
}
"""Why no connection came about: libpq gives no code for that, but words, those of the server in its own language. What
is not known says what was said and no more."""


def translate(error: DBAPIError, path: Path | None = None) -> StorageError:
    """The error of our tree for a driver's error, on the file at `path` where the database is one.

    Only the first line of what the driver said is told. The SQL, its parameters and PostgreSQL's details («Failing row
    contains …») may hold payloads and secrets.
    """
    cause, reason = error.orig, said(error)
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None:
        meaning = OF_POSTGRESQL.get(getattr(cause, "sqlstate", None) or "")
    else:
        meaning = OF_SQLITE.get(code) or OF_SQLITE.get(code & 0xFF)
    if meaning is None:
        meaning = next((each for words, each in BY_WORDS.items() if words in reason), None)
    if meaning is None and code is None:
        meaning = next((each for words, each in REFUSED.items() if re.search(words, str(cause))), None)
    if meaning is None:
        meaning = other
    return full_file(path) if meaning is full and path is not None else meaning(reason)


def said(error: DBAPIError) -> str:
    """The first line of what the driver said; its frames forget what they held."""
    without_values(error)
    return (str(error.orig).splitlines() or [type(error.orig).__name__])[0]
