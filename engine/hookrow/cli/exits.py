"""Exit codes, in one place: what each kind of error means to a script (docs/reference/errors.md)."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click

from hookrow.cli.catalogue import spoken
from hookrow.cli.show.output import say
from hookrow.cli.stdout import ReaderGone, Unwritten, tell
from hookrow.errors import (
    Ambiguous,
    HookrowError,
    InvalidInput,
    KeyProblem,
    NotFound,
    Refused,
    StorageError,
    Vetoed,
)
from hookrow.lang import Text

__all__ = ["DONE", "MISSING", "NO", "REFUSED", "STOPPED", "STORAGE", "USAGE", "code_of", "end"]

DONE = 0
NO = 1
"""What was asked was done, and the answer is no: a veto, a failed test, redelivery or replay."""
USAGE = 2
STORAGE = 3
"""Storage or key; or the output can't be written."""
MISSING = 4
REFUSED = 5
"""A conflict, a contradiction, an invalid value."""
STOPPED = 130
"""After ctrl+c."""

CODES: tuple[tuple[type[HookrowError], int], ...] = (
    (Vetoed, NO),
    (Ambiguous, USAGE),
    (StorageError, STORAGE),
    (KeyProblem, STORAGE),
    (NotFound, MISSING),
    (InvalidInput, REFUSED),
    (Refused, REFUSED),
)


def code_of(error: HookrowError) -> int | None:
    """The exit code of an error that was raised on purpose; None for a mistake in this program itself."""
    for kind, code in CODES:
        if isinstance(error, kind):
            return code
    return None


GIVEN = frozenset({"at", "code", "idempotency_key", "since", "to", "until"})
"""What else than a hook's fields an option gives, by the name under which a fault of it is told."""


def end(error: BaseException) -> int:
    """Say what went wrong and give the exit code. Only a fault of this program shows where it happened."""
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return STOPPED
    if isinstance(error, BrokenPipeError | ReaderGone):
        forget_output()
        return DONE
    if isinstance(error, Unwritten):
        forget_output()
        say(Text("Error: the output can't be written: {reason}. What the command changed stays changed.", reason=error))
        return STORAGE
    if isinstance(error, click.ClickException):
        if isinstance(error, click.BadParameter) and isinstance(error.param, click.Argument) and error.ctx is not None:
            error.param_hint = spoken(error.param.make_metavar(error.ctx))  # as the usage line above names it
        with suppress(OSError):  # nobody can be told
            error.show()
        return USAGE
    code = code_of(error) if isinstance(error, HookrowError) else None
    if code is None:
        return unexpected(error)
    explain(error)
    return code


def forget_output() -> None:
    """What could not be written is not tried again: the exit's own flush is to meet no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain(error: BaseException) -> None:
    """A declared error in words: each field's own sentence, or the candidates of an ambiguous name."""
    if isinstance(error, InvalidInput):
        from hookrow.hook.fields import FIELD  # only now: commands that end well need no fields

        for problem in error.problems:
            field = FIELD.get(problem.field)
            option = field.option if field else "--" + problem.field.replace("_", "-")
            if problem.field == "custom_header":
                option = "--custom-header-name"  # the value has options of its own
            named = f"{option}: {problem.text}" if field or problem.field in GIVEN else str(problem)
            say(Text("Error: {message}", message=named))
        return
    say(Text("Error: {message}", message=error))
    if isinstance(error, Ambiguous):
        for candidate in error.candidates:
            say(f"  {candidate}")


def unexpected(error: BaseException) -> int:
    """A fault of this program: where it happened, without the values, since one of them could be a secret."""
    import traceback  # only now

    say(Text("Internal error of Hookrow. Please report the lines below."))
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        where = "".join(traceback.format_tb(link.__traceback__))
        tell(f"{where}{type(link).__module__}.{type(link).__qualname__}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return NO
