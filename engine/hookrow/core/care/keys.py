"""`engine.keys`: the keys that encrypt the secrets of one database, and what they open."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hookrow.core.care.sealing import open_all
from hookrow.core.threads.bridge import Awaited, awaited
from hookrow.errors import Refused, StorageError
from hookrow.lang import Plural, Text
from hookrow.secrets.keyring import KeyRing, write_key_file
from hookrow.store import hooks as hookstore
from hookrow.store.configuration.revisions import Changing
from hookrow.store.database.locks import LOCK, PAUSE, now
from hookrow.store.log import deeds

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from hookrow.core.runtime import Runtime

__all__ = ["AsyncKeys", "Keys"]


class Keys:
    """The key ring of one database."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    @property
    def ring(self) -> KeyRing:
        """The keys as they were read last, without a look at the file."""
        return self.runtime.vault.ring

    @property
    def notice(self) -> Text | None:
        """That a key file was made for the first secret, and where; None where it was there."""
        return self.runtime.vault.notice

    def check(self) -> int:
        """Decrypt every secret; gives how many there are. Raises KeyProblem for one that can't be."""
        return open_all(self.runtime.database, self.runtime.vault)

    def require(self) -> None:
        """Refuse where what is stored can't be decrypted here, as saving a secret does. Raises KeyProblem."""
        self.runtime.sealing.require(self.runtime.config())

    def rotate(self) -> tuple[str, int]:
        """Put a new key into the key file and encrypt every secret with it; the keys before it stay in the file.

        A rotation that was broken off is ended, with the key that it made. Gives that key's id, and how many secrets
        there are. No key leaves the file: `forget` removes one.

        Raises:
            Refused: the keys come from the environment, and the first one encrypts every secret already.
            KeyProblem: a secret can't be decrypted.
            StorageError: the file can't be written.
        """
        vault = self.runtime.vault
        with alone(self.runtime.database.path):
            self.require()
            ring = vault.ready()
            if not self.used() - {ring.active_id}:
                if ring.path is None:
                    said = Text("The keys come from {source}: put a new key first there by hand.", source=ring.source)
                    raise Refused(said)
                write(ring.path, ring.with_new_key())
                ring = vault.reload()
            author = self.runtime.author()

            def job(connection: Connection) -> int:
                deeds.note(connection, author, "keys", [f"rotate: {ring.active_id}"])
                return hookstore.reseal_all(connection, vault, author)

            count = self.runtime.database.writer.write(Changing(author, job))
        return ring.active_id, count

    def used(self) -> set[str]:
        """The ids of the keys that stored secrets are encrypted with."""
        with self.runtime.database.read() as connection:
            return {each.token.split(".")[1] for each in hookstore.sealed_values(connection)}

    def forgettable(self, key: str) -> None:
        """Look whether `forget` would remove this key. Raises Refused, as it does."""
        ring = self.runtime.vault.reload()
        if key not in ring.keys:
            raise Refused(Text("There is no key {key} in {source}.", key=key, source=ring.source))
        if ring.path is None:
            raise Refused(Text("The keys come from {source}: remove the key there by hand.", source=ring.source))
        if key == ring.active_id:
            raise Refused(
                Text("Key {key} encrypts what is stored from now on. To replace it: hookrow keys rotate", key=key)
            )
        with self.runtime.database.read() as connection:
            opens = hookstore.sealed_by(connection, key)
        if opens:
            raise Refused(
                Plural(
                    "Key {key} decrypts stored secrets of {n} hook ({hooks}). To encrypt them with the first key: "
                    "hookrow keys rotate",
                    "Key {key} decrypts stored secrets of {n} hooks ({hooks}). To encrypt them with the first key: "
                    "hookrow keys rotate",
                    len(opens),
                    key=key,
                    hooks=", ".join(map(str, opens)),
                )
            )

    def forget(self, key: str) -> None:
        """Remove a key that decrypts nothing here from the key file; copies of the database from its time need it.

        Raises:
            Refused: it decrypts stored secrets or encrypts new ones, it is not here, or the keys come from the
                environment.
            StorageError: the file can't be written.
        """
        with alone(self.runtime.database.path):
            self.forgettable(key)
            ring = self.runtime.vault.ring
            assert ring.path is not None
            write(ring.path, ring.without(key))
            self.runtime.vault.reload()
            author = self.runtime.author()
            self.runtime.database.writer.write(
                Changing(author, lambda connection: deeds.note(connection, author, "keys", [f"forget: {key}"]))
            )

    def lost(self, key: str) -> Mapping[int, tuple[str, ...]]:
        """The secrets that only this key decrypts: the fields of each hook, by its id, deleted hooks too.

        Raises:
            Refused: the key is here, or no secret is encrypted with it.
        """
        if key in self.runtime.sealing.ids(again=True):
            raise Refused(Text("Key {key} is available and decrypts its secrets: nothing was removed.", key=key))
        with self.runtime.database.read() as connection:
            lost = hookstore.sealed_by(connection, key)
        if not lost:
            raise Refused(Text("No secret is encrypted with key {key}.", key=key))
        return lost

    def abandon(self, key: str) -> int:
        """Remove the secrets that only this key decrypts; gives how many hooks had one. Raises Refused, as `lost`."""
        self.lost(key)
        author = self.runtime.author()

        def job(connection: Connection) -> int:
            deeds.note(connection, author, "keys", [f"abandon: {key}"])
            return hookstore.abandon(connection, key, author)

        return self.runtime.database.writer.write(Changing(author, job))


class AsyncKeys(Awaited[Keys]):
    """`Keys`, awaited."""

    check: Final = awaited(Keys.check)
    rotate: Final = awaited(Keys.rotate)
    forgettable: Final = awaited(Keys.forgettable)
    forget: Final = awaited(Keys.forget)
    lost: Final = awaited(Keys.lost)
    abandon: Final = awaited(Keys.abandon)


@contextmanager
def alone(database: Path | None) -> Iterator[None]:
    """Be the only one who changes keys beside this database: of two at once, one would throw the other's key away.

    Raises:
        Refused: another is at it, for longer than the limit.
    """
    if database is None:
        yield
        return
    folder = os.open(database.absolute().parent, os.O_RDONLY)
    try:
        end = now() + LOCK
        while True:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if now() >= end:
                    raise Refused(Text("another command is changing the keys; try again when it has ended")) from None
                time.sleep(PAUSE)
        yield
    finally:
        os.close(folder)


def write(path: Path, ring: KeyRing) -> None:
    """Replace a key file. Raises StorageError."""
    try:
        write_key_file(path, ring)
    except OSError as error:
        raise StorageError(Text("can't write {path}: {reason}", path=path, reason=error.strerror or "")) from None
