"""What a driver's error means in our own words."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, IntegrityError

from hookrow.errors import DatabaseBusy, DatabaseDamaged, DatabaseReadOnly, NoDatabase, StorageError
from hookrow.lang import Text

__all__ = ["is_busy", "is_constraint", "translate"]

# SQLite's primary result codes (sqlite.org/rescode.html), told apart by the words of its messages, which the DB-API
# driver of Python 3.11 gives together with `sqlite_errorcode`.
BUSY = ("database is locked", "database table is locked", "lock timeout", "could not obtain lock")
READ_ONLY = ("readonly database", "read-only transaction", "permission denied", "not authorized")
DAMAGED = ("not a database", "malformed", "file is encrypted", "unsupported file format")
MISSING = ("no such table", "unable to open database file", "does not exist")
FULL = ("disk is full", "no space left")


def is_busy(error: BaseException) -> bool:
    """Another writer holds the lock."""
    return isinstance(error, DBAPIError) and any(words in str(error.orig).lower() for words in BUSY)


def is_constraint(error: BaseException) -> bool:
    """A row broke a CHECK, UNIQUE, NOT NULL or FOREIGN KEY."""
    return isinstance(error, IntegrityError)


def translate(error: DBAPIError) -> StorageError:
    """The error of our tree for a driver's error. The SQL and its parameters are left out: they may hold payloads."""
    said = str(error.orig)
    low = said.lower()
    if any(words in low for words in BUSY):
        return DatabaseBusy(
            Text(
                "the database is locked by another writer; inside a transaction of your own on the same SQLite file "
                "use fire(connection=...) or fire(defer=True)"
            )
        )
    if any(words in low for words in READ_ONLY):
        return DatabaseReadOnly(Text("this user may not write the database: {reason}", reason=said))
    if any(words in low for words in DAMAGED):
        return DatabaseDamaged(
            Text("this is not a Hookrow database, or it is damaged: {reason}; restore it from a backup", reason=said)
        )
    if any(words in low for words in MISSING):
        return NoDatabase(Text("no Hookrow database here: {reason}; make one with «hookrow init»", reason=said))
    if any(words in low for words in FULL):
        return StorageError(Text("the disk is full: free some space, or run «hookrow prune»"))
    return StorageError(Text("the database could not do it: {reason}", reason=said))
