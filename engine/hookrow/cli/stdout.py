"""Writing to stdout, and the two ways in which that fails; to stderr. Help needs no more than this."""

from __future__ import annotations

from contextlib import suppress

import click

__all__ = ["ReaderGone", "Unwritten", "emit", "tell"]


class ReaderGone(Exception):
    """Whoever read our output went away, as `| head` does."""


class Unwritten(Exception):
    """Our output can't be written: a full disk, say. What the command did is done all the same."""


def emit(data: str | bytes, *, colour: bool | None = None) -> None:
    """Write to stdout, as all data is, and nothing else: what fails here is the output.

    Raises:
        ReaderGone, Unwritten
    """
    try:
        click.echo(data, nl=False, color=colour)
    except BrokenPipeError as error:
        raise ReaderGone(error.strerror or "") from None
    except OSError as error:
        raise Unwritten(error.strerror or "") from None


def tell(text: str, *, nl: bool = True) -> None:
    """Write to stderr. That nobody can be told stops nothing, and changes no exit code."""
    with suppress(OSError):
        click.echo(text, nl=nl, err=True)
