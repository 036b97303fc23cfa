"""What the command line writes: data to stdout, talk to stderr, and nothing that could script a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click

from hookrow.cli.show.layout import Cell, Column, table
from hookrow.cli.stdout import emit, tell
from hookrow.errors import Unrecorded
from hookrow.lang import Text
from hookrow.safetext import in_json, visible

__all__ = [
    "YES",
    "colours",
    "confirm",
    "has_keyboard",
    "in_terminal",
    "paint",
    "put",
    "put_file",
    "put_json",
    "put_table",
    "say",
    "terminal_width",
    "to_json",
    "unrecorded",
]

NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
YES = frozenset({"y", "yes", "д", "да"})


def in_terminal(stream: IO[str] | None = None) -> bool:
    """Whether a person is looking at the stream (stdout)."""
    return (stream or sys.stdout).isatty()


def has_keyboard() -> bool:
    """Whether a person can be asked: stdin is a terminal."""
    return sys.stdin.isatty()


def colours(stream: IO[str] | None = None) -> bool:
    """Whether colours may be written: in a terminal, without NO_COLOR (no-color.org)."""
    return in_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width() -> int | None:
    """Columns of the terminal on stdout; None where stdout is no terminal, and nothing needs to be cut."""
    if not in_terminal():
        return None
    import shutil  # only now: with three kinds of archives it is as large as all of click

    return shutil.get_terminal_size().columns


def put(line: Text | str = "") -> None:
    """A line of data on stdout. Whatever came from outside must be made `visible` before."""
    emit(f"{line}\n", colour=colours() or None)


def put_file(text: str) -> None:
    """A file on stdout: in UTF-8, as its readers expect, whatever the terminal shows."""
    emit(text.encode() if hasattr(sys.stdout, "buffer") else text)


def say(text: Text | str, *values: object) -> None:
    """A sentence for the person, on stderr."""
    tell(" ".join(visible(each) for each in (text, *values)))


def paint(text: str, colour: str | None = None, *, bold: bool = False, dim: bool = False) -> str:
    """A text made visible, in colour where stdout shows colours."""
    shown = visible(text)
    return click.style(shown, fg=colour, bold=bold or None, dim=dim or None) if colours() else shown


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON whose characters are data only: what could act on a terminal is written as an escape."""
    import json  # only now: help prints none

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    return in_json(text)


def put_json(value: Any) -> None:
    """One object on one line of stdout; all ASCII where that is not UTF-8, as JSON is."""
    text = to_json(value)
    encoding = (sys.stdout.encoding or "UTF-8").upper().replace("-", "")
    put(text if encoding == "UTF8" else NOT_ASCII.sub(escaped, text))


def escaped(found: re.Match[str]) -> str:
    """Characters as JSON's own escapes."""
    import json

    return json.dumps(found[0])[1:-1]


def put_table(columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]]) -> None:
    """A table on stdout, cut to the terminal's width where there is one."""
    for line in table(columns, rows, limit=terminal_width(), colours=colours()):
        put(line)


@contextmanager
def unrecorded(*, as_json: bool) -> Iterator[None]:
    """Where JSON is asked for, what was sent and could not be recorded is told there, too."""
    try:
        yield
    except Unrecorded as error:
        if as_json:
            put_json({"error": "unrecorded", "deliveries": list(error.deliveries), "message": str(error)})
        raise


def confirm(question: Text, *, yes: bool, enter: bool = False) -> bool:
    """Whether the person agrees; anything but a clear yes is a no. Without a terminal only `--yes` is an answer.

    Args:
        enter: Enter alone is a yes, for what can do no harm.

    Raises:
        click.UsageError: there is nobody to ask.
    """
    if yes:
        return True
    if not has_keyboard():
        say(question)
        raise click.UsageError(str(Text("Can't ask for confirmation: not a terminal. Add --yes to continue.")))
    choice = Text("[Y/n]") if enter else Text("[y/N]")
    prompt = f"{visible(question)} {choice}"
    answer: str = click.prompt(prompt, default="", show_default=False, prompt_suffix=": ", err=True)
    said = answer.strip().casefold()
    return said in YES or (enter and not said)
