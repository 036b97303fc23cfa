"""`hookrow keys`: the key that seals secrets."""

from __future__ import annotations

import os
from typing import Final

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import Command, family, option
from hookrow.cli.commands.care.init import say_key_made
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import confirm, put, say
from hookrow.errors import Refused
from hookrow.lang import Plural, Text, quoted
from hookrow.safetext import visible

__all__ = ["keys"]

keys: Final = family("keys")


@keys.command("new", cls=Command, brief=Text("Create a key if there is none yet."))
@pass_session
def new(session: Session) -> None:
    """Make a key where there is none yet."""
    from hookrow import KeyRing

    if KeyRing.load(session.path, os.environ).keys:
        raise Refused(Text("There is a key already. To change it: hookrow keys rotate"))
    if session.path is None:
        say(Text("Set this as HOOKROW_KEYS for every process on the database; it is stored nowhere else:"))
        put(KeyRing.new().entries())
        return
    path = KeyRing.file_beside(session.path)
    if session.path.exists():
        with session.engine() as engine:
            engine.keys.require()
    KeyRing.make_file(path)
    say_key_made(path)


@keys.command("check", cls=Command, brief=Text("Decrypt every secret, to check that the keys are the right ones."))
@pass_session
def check(session: Session) -> None:
    """Open every sealed secret."""
    with session.engine() as engine:
        count = engine.keys.check()
        ring = engine.keys.ring
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
    more=Text(
        "The keys before it stay in the file, for copies of the database made until now: hookrow keys forget removes "
        "one. Interrupted, it is completed by the next run."
    ),
)
@pass_session
def rotate(session: Session) -> None:
    """Make a new key and seal every secret with it."""
    with session.engine() as engine:
        key, count = engine.keys.rotate()
    say(
        Plural(
            "{n} secret is encrypted with the new key {id}.",
            "{n} secrets are encrypted with the new key {id}.",
            count,
            id=key,
        )
    )


@keys.command(
    "forget",
    cls=Command,
    brief=Text("Remove a key that decrypts nothing here any more."),
    more=Text(
        "Refused while it decrypts a stored secret. Copies of the database made while it was in use need it: remove it "
        "once they are gone, or keep a copy of it with them."
    ),
)
@click.argument("key")
@option("--yes", is_flag=True, says=Text("Don't ask."))
@pass_session
def forget(session: Session, key: str, yes: bool) -> int:
    """Remove a key that decrypts nothing here any more."""
    with session.engine() as engine:
        engine.keys.forgettable(key)
        question = Text(
            "Remove key {key}? No secret here needs it. Secrets in copies of the database from its time will be lost.",
            key=key,
        )
        if not confirm(question, yes=yes):
            return exits.STOPPED
        engine.keys.forget(key)
        left = engine.keys.ring
    say(Text("Removed key {key}. Keys left: {ids}.", key=key, ids=", ".join(left.ids)))
    return exits.DONE


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
    with session.engine() as engine:
        lost = engine.keys.lost(key)
        hooks = {hook.id: hook for hook in engine.hooks.list(deleted=True)}
        for number, fields in lost.items():
            put(visible(f"{number} {quoted(hooks[number].name)} ({hooks[number].event}): {', '.join(fields)}"))
        question = Plural(
            "Remove the secrets of {n} hook? Its requests are then sent without them.",
            "Remove the secrets of {n} hooks? Their requests are then sent without them.",
            len(lost),
        )
        if not confirm(question, yes=yes):
            return exits.STOPPED
        count = engine.keys.abandon(key)
    say(Plural("Removed the secrets of {n} hook.", "Removed the secrets of {n} hooks.", count))
    return exits.DONE
