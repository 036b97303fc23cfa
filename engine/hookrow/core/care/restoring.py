"""A backup put back in the place of a database, a database looked through, room made on a full disk: with no engine.

Nothing is sent by a restored database of itself: what a backup has as unfinished was sent since, as far as anybody
knows. Its deliveries are held as `cancelled`, reason `restored`; a person sends those that are wanted again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from hookrow.clock import Clock, SystemClock, from_ms
from hookrow.core.actor import actor
from hookrow.core.care.sealing import open_all
from hookrow.errors import DatabaseDamaged, NoDatabase, Refused, StorageError
from hookrow.lang import Text
from hookrow.secrets.vault import Vault
from hookrow.store.configuration.revisions import Author, Changing
from hookrow.store.database.backup import copy, sync
from hookrow.store.database.database import Database, opened
from hookrow.store.database.failures import translate
from hookrow.store.database.opening import open_database
from hookrow.store.database.places import misplaced
from hookrow.store.database.reserve import release as make_room
from hookrow.store.database.standing import clear_damage, file_id, mark_damage
from hookrow.store.log import deeds
from hookrow.store.outbox.parking import HeldBack, hold_restored
from hookrow.system.fileurl import file_url

__all__ = ["HeldBack", "Restored", "check", "hold_in", "make_room", "restore"]

LOCKS = 0x40000000
"""Where SQLite keeps its locks in a file (https://sqlite.org/fileformat2.html, «The Lock-Byte Page»), 512 bytes."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back: the file that stood there before under its new name, and what is held of the backup."""

    kept: Path | None
    held: HeldBack


def restore(
    source: Path, path: Path, environ: Mapping[str, str], *, send_pending: bool = False, clock: Clock | None = None
) -> Restored:
    """Put a backup in the place of the database file at `path`; the file there is kept as NAME.before-restore-TIME.

    Args:
        send_pending: hold nothing: a worker goes on with what the backup has as unfinished.

    Raises:
        NoDatabase: there is no such backup, it is none of Hookrow's, or the place is not safe.
        SchemaTooNew: a newer Hookrow made it.
        DatabaseDamaged: it does not pass SQLite's integrity check.
        KeyMissing, KeyWrong, KeyUnsafe: the keys that are here don't open its secrets.
        Refused: it is open, in this process or another, or it is the database itself.
        StorageError: it can't be written.
    """
    clock = clock or SystemClock()
    if not source.is_file():
        raise NoDatabase(Text("there is no file {path}", path=source))
    if path.exists() and path.samefile(source):
        raise Refused(Text("{path} is the database itself: give the backup", path=source))
    if (unsafe := misplaced(path)) is not None:
        raise NoDatabase(unsafe)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        copy(source.absolute(), part, None)
        held = prepare(part, path, environ, clock, send_pending=send_pending)
        with alone(path):
            kept = put_in_place(part, path, clock)
    except sqlite3.Error as error:
        raise translate(DBAPIError(None, None, error), path) from None
    except OSError as error:
        raise StorageError(Text("can't write {path}: {reason}", path=path, reason=error.strerror or "")) from None
    finally:
        for end in ("", "-journal", "-wal", "-shm", "-reserve"):
            part.with_name(part.name + end).unlink(missing_ok=True)
    return Restored(kept, held)


def prepare(part: Path, path: Path, environ: Mapping[str, str], clock: Clock, *, send_pending: bool) -> HeldBack:
    """Bring the copy to today's schema, see that its secrets open, hold its deliveries; it is one file afterwards."""
    database = open_database(file_url(part), clock=clock, create=False)
    try:
        open_all(database, Vault.for_database(path, environ))
        held = hold(database, send_pending=send_pending)
    finally:
        database.close()
    with closing(sqlite3.connect(part)) as plain:
        plain.execute("PRAGMA journal_mode=DELETE")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    return held


def hold(database: Database, *, send_pending: bool = False) -> HeldBack:
    """Hold what a restored database has as unfinished."""
    author = Author(actor(), database.clock.now_ms())

    def job(connection: Connection) -> HeldBack:
        deeds.note(connection, author, "restore", ["send pending" if send_pending else "hold pending"])
        return hold_restored(connection, author.at_ms, only_count=send_pending)

    return database.writer.write(Changing(author, job))


def hold_in(url: str, *, send_pending: bool = False) -> HeldBack:
    """Hold what a server's database has as unfinished after it was restored by the server's own tools."""
    database = open_database(url, create=False)
    try:
        return hold(database, send_pending=send_pending)
    finally:
        database.close()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lock a database file as a whole against whoever uses SQLite on it, if it is there.

    Raises:
        Refused: it is open, here or in another process.
    """
    used = Refused(Text("{path} is in use: stop the services, workers and screens that have it open", path=path))
    # Locks don't exclude their own process, and closing the file here would let all of it go that this process has.
    ours = [each.path for each in list(opened) if each.path and (each.engines or each.version_reader)]
    if path.exists() and file_id(path) in map(file_id, ours):
        raise used
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 512, LOCKS)
        yield
    except BlockingIOError:
        raise used from None
    finally:
        os.close(handle)


def put_in_place(part: Path, path: Path, clock: Clock) -> Path | None:
    """Give the finished copy its name; the old file and its WAL stay under another one.

    Killed in between, the old file is whole under one of the names, or the new one stands beside a WAL that is not its
    own, which opening refuses.
    """
    kept = None
    if path.exists():
        kept = path.with_name(f"{path.name}.before-restore-{from_ms(clock.now_ms()):%Y%m%dT%H%M%SZ}")
        os.link(path, kept)
        if wal_of(path).exists():
            os.link(wal_of(path), wal_of(kept))
    part.replace(path)
    for end in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    clear_damage(path)
    sync(path.parent)
    return kept


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def check(path: Path) -> None:
    """Look a database file through, beside whoever uses it. Nobody answers from one that fails, until it is replaced.

    Raises:
        NoDatabase: it does not exist.
        DatabaseDamaged: with what SQLite found first.
    """
    if not path.exists():
        raise NoDatabase(Text("there is no database {path}; create one with hookrow init", path=path))
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as plain:
            (found,) = plain.execute("PRAGMA integrity_check(1)").fetchone()
            broken = plain.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        said = translate(DBAPIError(None, None, error), path)
        if isinstance(said, DatabaseDamaged):
            mark_damage(path)
        raise said from None
    if found != "ok" or broken is not None:
        mark_damage(path)
        reason = " ".join(found.split()) if found != "ok" else f"foreign key of {broken[0]}"
        raise DatabaseDamaged(
            Text("{path} is damaged: {reason}. Put a backup back: hookrow db restore FILE", path=path, reason=reason)
        )
    clear_damage(path)
