"""A consistent copy of an SQLite file while others write: plain copying misses what is still in the WAL."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from hookrow.errors import DatabaseDamaged, Refused, StorageError
from hookrow.lang import Text
from hookrow.store.database import readonly
from hookrow.store.database.failures import translate

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

__all__ = ["back_up"]

PAGES = 1000
"""Pages copied at a time; between them writers go on."""


Progress = Callable[[int, int], None]
"""Told after each step: pages copied, pages in all."""


def back_up(database: Database, target: Path, *, replace: bool = False, progress: Progress | None = None) -> Path:
    """Copy the database at one moment, verify the copy, give it its name only then (0600).

    Raises:
        Refused: `target` exists and `replace` is false; it is this database, or another one that is in use.
        StorageError: no SQLite file, or the copy could not be written.
        DatabaseDamaged: the copy does not pass SQLite's integrity check.
    """
    if database.path is None:
        raise StorageError(Text("only an SQLite file is copied; use pg_dump for {url}", url=database.url))
    target = Path(os.path.realpath(target))  # a link stays one
    if target.exists() and not (replace and target.is_file()):
        raise Refused(Text("{path} exists already", path=target))
    # A database's file must not change under those who have it open, and a WAL left beside would be read into the copy.
    if target.exists() and target.samefile(database.path):
        raise Refused(Text("{path} is the database itself: give the copy another name", path=target))
    for beside in (target.with_name(f"{target.name}-{end}") for end in ("wal", "journal")):
        if beside.exists():
            raise Refused(Text("{path} is in use or was not closed: {beside} is there", path=target, beside=beside))
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        copy(database.path, part, progress, read_only=database.read_only)
        part.chmod(0o600)
        if replace:
            part.replace(target)
        else:
            os.link(part, target)  # unlike a look before, this can't replace what another one made meanwhile
            part.unlink()
        sync(target.parent)
    except FileExistsError:
        raise Refused(Text("{path} exists already", path=target)) from None
    except sqlite3.Error as error:
        raise translate(DBAPIError(None, None, error), target) from None
    except OSError as error:
        raise StorageError(Text("can't write {path}: {reason}", path=target, reason=error.strerror or "")) from None
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            part.with_name(part.name + end).unlink(missing_ok=True)
    return target


def copy(source: Path, part: Path, progress: Progress | None, *, read_only: bool = False) -> None:
    """Copy by SQLite's own backup, and verify.

    Args:
        read_only: this user may not write the source, nor what SQLite keeps beside it.

    Raises:
        DatabaseDamaged: the copy, or the source.
    """

    def step(status: int, left: int, total: int) -> None:
        if progress is not None:
            progress(total - left, total)

    before = readonly.stamp(source)
    if read_only:
        reading = readonly.connect(source)
    else:
        reading = sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, isolation_level=None)
    writing = sqlite3.connect(part)
    try:
        # One view for the whole copy: SQLite would begin anew after every commit of others, and never end.
        reading.execute("BEGIN")
        reading.execute("SELECT 1 FROM sqlite_master").fetchone()
        reading.backup(writing, pages=PAGES, progress=step)
        if read_only:
            readonly.unchanged(source, before)
        # A copy is one file: no WAL beside it that could be forgotten.
        writing.execute("PRAGMA journal_mode=DELETE")
        [said] = writing.execute("PRAGMA integrity_check").fetchone()
        if said != "ok":
            raise DatabaseDamaged(Text("the copy of {path} is damaged: {reason}", path=source, reason=said))
    finally:
        writing.close()
        reading.close()
    with part.open("rb") as file:
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Make the new name survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
