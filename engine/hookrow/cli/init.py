"""`hookrow init`: makes a database, with its key beside it."""

from __future__ import annotations

import click

from hookrow.cli.commands import command, option
from hookrow.cli.output import say
from hookrow.cli.session import Session, pass_session
from hookrow.errors import Refused
from hookrow.lang import Text

__all__ = ["init"]


@command("init", more=Text("Makes ./hooks.db (or --db) and hookrow.key beside it, readable by you only."))
@option("--example", is_flag=True, says=Text("With sample hooks and firings to look at."))
@pass_session
def init(session: Session, example: bool) -> None:
    """Make a database here."""
    path = session.path
    if path is None and example:
        raise click.UsageError(str(Text("--example makes a SQLite file: give --db a path.")))
    if path is not None and path.exists():
        raise Refused(Text("{path} exists already; nothing was changed.", path=path))
    if path is not None and not path.parent.is_dir():
        raise click.UsageError(str(Text("There is no folder {path}.", path=path.parent)))
    if example and path is not None:
        from hookrow.cli.example import build

        build(path)
    else:
        from hookrow import HookEngine

        HookEngine(session.url, worker=False).close()
    say(Text("Made {path}.", path=path or session.url.rpartition("@")[2]))
    if path is not None:
        from hookrow.vault import key_file_beside, make_key_file

        key = key_file_beside(path)
        if make_key_file(key):
            say(Text("Made {path}: it seals secrets. Keep a copy elsewhere: without it they are lost.", path=key))
    say(Text("Next: hookrow, for the terminal interface; or hookrow hooks add --help"))
