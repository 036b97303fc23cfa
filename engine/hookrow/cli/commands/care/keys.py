"""`hookrow keys`: the key that seals secrets."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Command, family, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import confirm, put, say
from hookrow.errors import Refused, StorageError
from hookrow.lang import Plural, Text, quoted
from hookrow.safetext import visible

if TYPE_CHECKING:
    from hookrow.secrets.keyring import KeyRing

__all__ = ["keys"]

keys = family("keys")


@keys.command("new", cls=Command, brief=Text("Create a key if there is none yet."))
@pass_session
def new(session: Session) -> None:
    """Make a key where there is none yet."""
    from hookrow.secrets.keyring import KeyRing, key_file_beside, make_key_file

    if KeyRing.load(session.path, os.environ).keys:
        raise Refused(Text("There is a key already. To change it: hookrow keys rotate"))
    if session.path is None:
        say(Text("Set this as HOOKROW_KEYS for every process on the database; it is stored nowhere else:"))
        put(KeyRing.new().entries())
        return
    path = key_file_beside(session.path)
    if session.path.exists():
        with session.engine() as engine:
            engine.runtime.sealing.require(engine.runtime.config())
    make_key_file(path)
    say(
        Text(
            "Created the key {path}. It encrypts the secrets: keep a copy elsewhere, without it they are lost.",
            path=path,
        )
    )


@keys.command("check", cls=Command, brief=Text("Decrypt every secret, to check that the keys are the right ones."))
@pass_session
def check(session: Session) -> None:
    """Open every sealed secret."""
    from hookrow.store.hooks import sealed_values

    with session.engine() as engine:
        vault = engine.runtime.vault
        with engine.runtime.database.read() as connection:
            count = 0
            for _, place, token in sealed_values(connection):
                vault.open(token, place)
                count += 1
        ring = vault.ring
    if ring.keys:
        say(Text("Keys: {ids}, from {source}.", ids=", ".join(ring.ids), source=ring.source))
    elif session.path is None:
        say(Text("There is no key: create one with hookrow keys new, and set HOOKROW_KEYS."))
    else:
        say(Text("There is no key; saving the first secret creates one."))
    say(Text("All secrets can be decrypted: {n}.", n=count) if count else Text("There are no encrypted secrets."))


@keys.command(
    "rotate",
    cls=Command,
    brief=Text("Create a new key and re-encrypt every secret with it."),
    more=Text("The previous key stays in the file until the next rotation, for copies of the database made until now."),
)
@pass_session
def rotate(session: Session) -> None:
    """Make a new key and seal every secret with it."""
    from hookrow.store.hooks import reseal_all

    with session.engine() as engine, rotating(session.path):
        vault = engine.runtime.vault
        engine.runtime.sealing.require(engine.runtime.config())
        ring = vault.ready()
        if ring.path is None:
            raise Refused(Text("The keys come from {source}: put a new key first there by hand.", source=ring.source))
        fresh = ring.with_new_key()
        write(ring.path, fresh)  # with the old ones: a rotation that breaks off leaves nothing unreadable
        vault.reload()
        author = engine.runtime.author()
        count = engine.runtime.database.writer.write(lambda connection: reseal_all(connection, vault, author))
        write(ring.path, fresh.only(fresh.active_id, ring.active_id))
    say(
        Plural(
            "{n} secret is encrypted with the new key {id}.",
            "{n} secrets are encrypted with the new key {id}.",
            count,
            id=fresh.active_id,
        )
    )


@keys.command(
    "abandon",
    cls=Command,
    brief=Text("Remove the secrets that only a lost key can decrypt."),
    more=Text(
        "Lists the hooks, asks, and removes those secrets. Requests are then sent without them until new secrets are "
        "entered."
    ),
)
@click.argument("key")
@option("--yes", is_flag=True, says=Text("Don't ask."))
@pass_session
def abandon(session: Session, key: str, yes: bool) -> int:
    """Remove the secrets that only a lost key can decrypt."""
    from hookrow.store import hooks as hookstore

    with session.engine() as engine:
        runtime = engine.runtime
        if key in runtime.sealing.ids(again=True):
            raise Refused(Text("Key {key} is available and decrypts its secrets: nothing was removed.", key=key))
        with runtime.database.read() as connection:
            lost = hookstore.abandoned_by(connection, key)
        if not lost:
            raise Refused(Text("No secret is encrypted with key {key}.", key=key))
        hooks = runtime.config().hooks
        for number, fields in lost.items():
            put(visible(f"{number} {quoted(hooks[number].name)} ({hooks[number].event}): {', '.join(fields)}"))
        question = Plural(
            "Remove the secrets of {n} hook? Its requests are then sent without them.",
            "Remove the secrets of {n} hooks? Their requests are then sent without them.",
            len(lost),
        )
        if not confirm(question, yes=yes):
            return exits.STOPPED
        author = runtime.author()
        count = runtime.database.writer.write(lambda connection: hookstore.abandon(connection, key, author))
    say(Plural("Removed the secrets of {n} hook.", "Removed the secrets of {n} hooks.", count))
    return exits.DONE


@contextmanager
def rotating(database: Path | None) -> Iterator[None]:
    """Be the only one who rotates keys beside this database: of two at once, one would throw the other's key away."""
    if database is None:
        yield
        return
    folder = os.open(database.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def write(path: Path, ring: KeyRing) -> None:
    """Put these keys into the file.

    Raises:
        StorageError: it can't be written.
    """
    from hookrow.secrets.keyring import write_key_file

    try:
        write_key_file(path, ring)
    except OSError as error:
        raise StorageError(Text("can't write {path}: {reason}", path=path, reason=error.strerror or "")) from None
