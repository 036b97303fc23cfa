"""An SQLite database for a user who may read its file and nothing else: not a byte of it or beside it is changed.

A file in WAL mode is read with the help of two more, `-wal` and `-shm`. Where a process has it open they are there and
are used. Where nobody has, they are gone, and who may not make them reads the file alone, as SQLite's `immutable` does:
right as long as nobody changes it, so each such reading ends with a look whether somebody did.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from hookrow.errors import DatabaseBusy, DatabaseReadOnly
from hookrow.lang import Text

__all__ = ["Stamp", "connect", "is_read_only", "stamp", "unchanged", "uri"]

Stamp = tuple[bool, int, int]
"""Whether the file is read alone, and how it was then: its last change in nanoseconds, its size."""


def is_read_only(path: Path) -> bool:
    """Whether this user may read the file but not write to it, or not make the files that writing needs beside it."""
    # os.path: a folder that this user may not enter is no error yet, opening says it in words.
    return os.path.exists(path) and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def stamp(path: Path) -> Stamp:
    """How the file stands now."""
    found = path.stat()
    return not path.with_name(path.name + "-wal").exists(), found.st_mtime_ns, found.st_size


def uri(path: Path) -> str:
    """The address by which SQLite opens the file for reading only."""
    return f"{path.as_uri()}?mode=ro" + ("&immutable=1" if stamp(path)[0] else "")


def connect(path: Path) -> sqlite3.Connection:
    """A connection that can't write.

    Raises:
        DatabaseReadOnly: the file can be read, but not what a process that crashed or still runs keeps beside it.
    """
    connection = sqlite3.connect(uri(path), uri=True, check_same_thread=False, isolation_level=None, timeout=5.0)
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN:
            raise
        said = Text(
            "this user may read {path}, but not the files {path}-wal and {path}-shm: give them the same rights, "
            "or let a user who may write open the database once",
            path=path,
        )
        raise DatabaseReadOnly(said) from None
    return connection


def unchanged(path: Path, before: Stamp) -> None:
    """After a reading: what was read of the file alone was whole.

    Raises:
        DatabaseBusy: somebody changed the file meanwhile; reading again will do.
    """
    if before[0] and stamp(path)[1:] != before[1:]:
        raise DatabaseBusy(Text("{path} was written to while it was read: try again", path=path))
