"""A database copied into another one, of either kind, while it is in use; for who cares for it, with no engine.

What is unfinished stays where it is: two databases that both sent it would send it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from hookrow.clock import Clock, SystemClock
from hookrow.core.actor import actor
from hookrow.core.care.sealing import open_all
from hookrow.errors import KeyMissing, Refused
from hookrow.lang import Text
from hookrow.secrets.keyring import key_file_beside
from hookrow.secrets.vault import Vault
from hookrow.store import copying
from hookrow.store.configuration.revisions import Author
from hookrow.store.copying import Left
from hookrow.store.database.address import PG_PLACE
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.database.tables import FIRINGS, HOOKS
from hookrow.store.log import deeds

__all__ = ["Copied", "copy_database"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What the target holds now, what stays in the source, and how much changed there while it was copied."""

    hooks: int
    firings: int
    stays: Left
    meanwhile: int
    """Rows of the configuration and firings that a second look, which compares both, found other than the first."""


def copy_database(
    url: str,
    to: str,
    environ: Mapping[str, str],
    *,
    with_log: bool = False,
    progress: Progress | None = None,
    clock: Clock | None = None,
) -> Copied:
    """Copy hooks, revisions, events, settings and deeds, and with the log its finished firings, and compare.

    What the target has already is not written again, so that it goes on where it was broken off.

    Args:
        progress: called with the firings that were looked at and how many there are in all.

    Raises:
        NoDatabase: there is no source, or the target can't be made.
        KeyMissing, KeyWrong, KeyUnsafe: the keys for the target don't open the source's secrets.
        Refused: it is the same database, or one with hooks or firings of its own.
        StorageError: either can't be used.
    """
    clock = clock or SystemClock()
    source = open_database(url, clock=clock, create=False)
    try:
        with closing(Database(to, clock=clock)) as target:
            see_same(source, target)
            see_keys(source, target, environ)
        target = open_database(to, clock=clock)
        try:
            return copied(source, target, progress if with_log else None, with_log=with_log)
        finally:
            target.close()
    finally:
        source.close()


def see_same(source: Database, target: Database) -> None:
    """Refuse a database as its own target, by whatever name: one server has many (hosts, poolers, sockets).

    Raises:
        Refused
    """
    if source.dialect != target.dialect:
        return
    if source.path is not None and target.path is not None:
        same = target.path.exists() and source.path.samefile(target.path)
    else:
        with source.read() as here, target.read() as there:
            same = here.exec_driver_sql(PG_PLACE).scalar_one() == there.exec_driver_sql(PG_PLACE).scalar_one()
    if same:
        raise Refused(Text("{url} is the database itself", url=target.url))


def see_keys(source: Database, target: Database, environ: Mapping[str, str]) -> None:
    """Refuse before anything is made where the target's keys don't open what is sealed.

    Raises:
        KeyMissing, KeyWrong, KeyUnsafe
    """
    try:
        open_all(source, Vault.for_database(target.path, environ))
    except KeyMissing:
        path = None if source.path is None else key_file_beside(source.path)
        if path is None or not path.exists():
            raise
        raise KeyMissing(
            Text("the target's keys don't open the secrets: set HOOKROW_KEYS to what {path} holds", path=path)
        ) from None


def copied(source: Database, target: Database, progress: Progress | None, *, with_log: bool) -> Copied:
    """Copy, and look through both once more.

    Raises:
        Refused: the target has hooks or firings of its own.
    """
    with source.read() as before, target.read() as there:
        if not copying.is_the_sources(before, there):
            raise Refused(Text("{url} has hooks or firings of its own: copy into a new database", url=target.url))
        last = copying.newest(before)
    if not source.read_only:
        author = Author(actor(), source.clock.now_ms())
        source.writer.write(lambda connection: deeds.note(connection, author, "copy", [target.url]))
    meanwhile = 0
    for _ in ("written", "compared"):
        with source.read(None) as here, target.write() as there:
            meanwhile = copying.configure(here, there)
        if with_log:
            meanwhile += log_copied(source, target, last, progress)
    with source.read(None) as here, target.read(None) as there:
        hooks, firings = copying.counted(there, HOOKS), copying.counted(there, FIRINGS)
        return Copied(hooks, firings, copying.left(here), meanwhile)


def log_copied(source: Database, target: Database, last: int, progress: Progress | None) -> int:
    """Make the target's log the source's up to its last firing, piece by piece; how many firings were not equal."""
    after = seen = changed = 0
    with source.read(None) as here:
        total = copying.counted(here, FIRINGS) if progress is not None else 0
    while True:
        # Each piece by itself: a reader that stayed for all of it would keep the source's WAL from being emptied.
        with source.read(None) as here:
            if (piece := copying.next_piece(here, after, last)) is None:
                return changed
            with target.write() as there:
                changed += copying.transfer(here, there, piece)
        after, seen = piece.to, seen + piece.firings
        if progress is not None:
            progress(seen, total)
