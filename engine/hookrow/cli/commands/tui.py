"""`hookrow tui`: opens the terminal interface, if it is installed and there is a terminal."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import command
from hookrow.cli.session import Session, pass_session
from hookrow.lang import Text

__all__ = ["open_on", "open_terminal_interface", "tui"]


@command("tui")
@pass_session
def tui(session: Session) -> int:
    """Open the terminal interface."""
    return open_terminal_interface(session)


def open_terminal_interface(session: Session) -> int:
    """The terminal interface on the session's database; where there is none yet, one is offered first.

    Raises:
        NoDatabase: there is none; it says how to make one.
    """
    path = session.path
    if path is not None and not path.exists() and interactive():
        from hookrow.cli.commands.care.init import offer

        if not offer(session):
            return exits.DONE
    session.require()
    return open_on(session.url)


def interactive() -> bool:
    """Whether a person is at both ends, without all that `output` would bring along."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def open_on(url: str) -> int:
    """The terminal interface on a database; its exit code.

    Raises:
        click.UsageError: no terminal, or it is not installed.
    """
    if not interactive():
        raise click.UsageError(str(Text("The terminal interface needs a terminal. Over SSH: ssh -t HOST hookrow")))
    if find_spec("textual") is None or find_spec("hookrow_tui") is None:
        missing = Text(
            "The terminal interface is not installed here: pip install 'hookrow[tui]'. The commands all work."
        )
        raise click.UsageError(str(missing))
    code: int | None = import_module("hookrow_tui").run(url)
    return code or 0
