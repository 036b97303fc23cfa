"""A reserve of disk space beside an SQLite file, given up so that a purge can work on a full disk.

On a full disk a DELETE fails too: what it changes is first written to the WAL, and the WAL is emptied only by making
the database file longer. So whoever opens a database to write sees that there is a file of the size that the WAL may
reach, and a purge that meets a full disk gives it up, empties the WAL and goes on.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from hookrow.payload import MIB

__all__ = ["SIZE", "keep", "release", "reserve_of"]

SIZE = 44 * MIB
"""Bytes: the WAL at its usual largest (10,000 pages), and a batch of a purge."""
SHARE = 8
"""On a small disk the reserve is one part in so many of what is free."""
ENDING = "-reserve"


def reserve_of(path: Path) -> Path:
    """The name of the reserve of a database file."""
    return path.with_name(path.name + ENDING)


def keep(path: Path) -> bool:
    """See that the database file at `path` has its reserve (0600), as large as it may be; whether there is one now.

    What is asked for is really allocated, not a hole. No room for it is no error: a purge makes some.
    """
    reserve = reserve_of(path)
    # Under a name of its own until it is whole: two may do this at once.
    part = reserve.with_name(f".{reserve.name}.{secrets.token_hex(4)}.part")
    try:
        room = os.statvfs(path.parent)
        size = min(SIZE, room.f_bavail * room.f_frsize // SHARE)
        with suppress(FileNotFoundError):
            if reserve.stat().st_size >= size:
                return True
        handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            allocate(handle, max(size, 1))
        finally:
            os.close(handle)
        part.replace(reserve)
    except OSError:
        part.unlink(missing_ok=True)
        return False
    return True


def allocate(handle: int, size: int) -> None:
    """Take so many bytes of the disk for a file. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    for start in range(0, size, MIB):  # macOS
        os.write(handle, bytes(min(MIB, size - start)))


def release(path: Path) -> bool:
    """Give the reserve up; whether there was one."""
    try:
        reserve_of(path).unlink()
    except OSError:
        return False
    return True
