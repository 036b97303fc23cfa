"""Whether a database file still is the one that was opened: not replaced, removed, or found to be damaged."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from hookrow.errors import DatabaseDamaged, StorageError
from hookrow.lang import Text
from hookrow.store.database.locks import LOCK
from hookrow.store.database.schema import VERSION_TABLE

__all__ = ["FileId", "clear_damage", "file_id", "mark_damage", "refuse_damaged", "replaced", "schema_in", "wal_size"]

FileId = tuple[int, int]
"""A file's device and inode: another file under the same name has others."""
SQLITE_HEADER = b"SQLite format 3\0"
handles: dict[FileId, int] = {}
"""What `handle_of` has opened."""


def file_id(path: Path) -> FileId | None:
    """None where there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def wal_size(path: Path | None) -> int:
    """How many bytes its WAL has; 0 where there is none."""
    try:
        return os.stat(f"{path}-wal").st_size if path is not None else 0
    except OSError:
        return 0


def replaced(path: Path) -> StorageError:
    """The error for a file that is gone, or another one, while it is open: what was written went into the old one."""
    return StorageError(
        Text("file_replaced: {path} was replaced or removed while it was open; this was not recorded in it", path=path)
    )


def mark_of(path: Path) -> Path:
    return path.with_name(path.name + "-damaged")


def mark_damage(path: Path) -> None:
    """Leave word for every process that this very file is damaged."""
    found = file_id(path)
    if found is not None:
        with suppress(OSError), open(os.open(mark_of(path), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"{found[0]} {found[1]}\n")


def clear_damage(path: Path) -> None:
    """The file is whole, or another one."""
    with suppress(OSError):
        mark_of(path).unlink()


def refuse_damaged(path: Path) -> None:
    """Answer from no file that was found to be damaged, nor from one beside another file's WAL.

    Raises:
        DatabaseDamaged
    """
    with suppress(OSError):
        if mark_of(path).read_text().split() == [str(part) for part in file_id(path) or ()]:
            raise DatabaseDamaged(
                Text("{path} is damaged. Look: hookrow db check. Put a backup back: hookrow db restore FILE", path=path)
            )
    with suppress(OSError):
        wal = path.with_name(path.name + "-wal")
        if wal.stat().st_size:
            head = os.pread(handle_of(path), 20, 0)
            # Bytes 18 and 19: 1 for a file without a WAL, as each backup is; SQLite would write the other file's WAL
            # over it (https://sqlite.org/fileformat2.html, section 1.3).
            if head.startswith(SQLITE_HEADER) and head[18:20] == b"\x01\x01":
                raise DatabaseDamaged(
                    Text(
                        "{wal} belongs to another file than {path}: a backup was copied over a database. Put it back "
                        "by hookrow db restore FILE",
                        wal=wal,
                        path=path,
                    )
                )


def handle_of(path: Path) -> int:
    """A descriptor of the file, kept for as long as the process lives. Raises OSError.

    To close one gives up every lock that SQLite holds on the file for this process (POSIX), and another process then
    deletes the WAL from under us (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    found = os.stat(path)
    known = handles.get((found.st_dev, found.st_ino))
    if known is None:
        known = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        handles[found.st_dev, found.st_ino] = known
    return known


def schema_in(path: Path) -> str | None:
    """The version of the Hookrow schema in a file; None where it is none of ours, or can't be read."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=LOCK)) as plain:
            row = plain.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - a name of our own
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])
