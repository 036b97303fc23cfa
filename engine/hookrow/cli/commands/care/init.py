"""`hookrow init`: makes a database, with its key beside it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from hookrow.cli.catalogue import command, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import YES, say
from hookrow.errors import NoDatabase, Refused
from hookrow.lang import Text
from hookrow.system.fileurl import file_in

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["init", "make", "offer", "say_key_made"]

EXAMPLES = frozenset({"e", "example", "examples", "п", "пример", "примеры"})


@command("init", more=Text("Creates ./hooks.db (or --db) and hookrow.key beside it, readable by you only."))
@option("--example", is_flag=True, says=Text("With sample hooks and firings."))
@pass_session
def init(session: Session, example: bool) -> None:
    """Make a database here."""
    make(session, example=example)
    if example:
        say(Text("The sample hooks call port 8920 of this machine: start a receiver there with hookrow listen"))
    say(Text("Next: {hookrow} for the terminal interface, or {hookrow} hooks add --help", hookrow=session.program))


def make(session: Session, *, example: bool) -> None:
    """Make the session's database with its key beside it, and say so.

    Raises:
        Refused: it exists.
        click.UsageError: there is no such folder.
    """
    from hookrow import KeyRing

    path = session.path
    if path is None and example:
        raise click.UsageError(str(Text("--example makes a SQLite file: give --db a path.")))
    if path is not None and path.exists():
        raise Refused(Text("{path} exists already; nothing was changed.", path=path))
    if path is not None and not path.parent.is_dir():
        raise click.UsageError(str(Text("There is no folder {path}", path=path.parent)))
    if example and path is not None:
        from hookrow.cli.example.example import build

        build(path)
        say(Text("Created {path}", path=path))
    else:
        make_empty(session.url)
    if path is None and not KeyRing.load(None, os.environ).keys:
        say(Text("Secrets need a key: create one with hookrow keys new, and set HOOKROW_KEYS."))
    elif path is not None:
        key = KeyRing.file_beside(path)
        if KeyRing.make_file(key):
            say_key_made(key)


def say_key_made(path: Path) -> None:
    """That a key is there now, and what to do with it."""
    say(
        Text(
            "Created the key {path}. It encrypts the secrets: keep a copy elsewhere, without it they are lost.",
            path=path,
        )
    )


def make_empty(url: str) -> None:
    """Make a database: a file, or a server's, of which no file says whether it is there.

    Raises:
        Refused: the server's database holds our tables.
    """
    from hookrow import HookEngine

    if file_in(url) is None:
        with suppress(NoDatabase), HookEngine(url, worker=False, create=False) as engine:
            raise Refused(Text("{path} exists already; nothing was changed.", path=engine.url))
    with HookEngine(url, worker=False) as engine:
        say(Text("Created {path}", path=engine.path or engine.url))


def offer(session: Session) -> bool:
    """Where there is no database yet: ask whether to make one, with or without the examples; whether there is one now.

    Only for a terminal. What is no clear answer makes nothing.
    """
    path = session.path
    if path is None or path.exists() or not path.parent.is_dir():
        return True  # there is one, or opening it will say what is wrong
    say(Text("There is no database {path} yet. Create one?", path=path))
    say(Text("  y  yes, an empty one"))
    say(Text("  e  with examples: sample hooks for every event, and what happened when they fired"))
    say(Text("  n  no"))
    answer: str = click.prompt(str(Text("[y/e/N]")), default="", show_default=False, prompt_suffix=": ", err=True)
    said = answer.strip().casefold()
    if said not in YES | EXAMPLES:
        return False
    make(session, example=said in EXAMPLES)
    return True
