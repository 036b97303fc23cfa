"""An error of the engine in words for the person at the screen, who calls no function of it."""

from __future__ import annotations

from hookrow.errors import DatabaseBusy, HookrowError, InvalidInput
from hookrow_tui.words import Say

__all__ = ["needs_secrets", "sentence"]


def sentence(error: HookrowError) -> str:
    """What went wrong and what to do. The faults of fields stand without the field's code: a label is beside them."""
    if isinstance(error, DatabaseBusy):
        return str(
            Say(
                "The database is busy: another program is writing to it and did not stop in time. Nothing was changed; "
                "try again."
            )
        )
    if isinstance(error, InvalidInput):
        return "; ".join(str(problem.text) for problem in error.problems)
    return str(error)


def needs_secrets(error: HookrowError) -> bool:
    """Whether it is refused only because kept secrets would go to another origin."""
    return isinstance(error, InvalidInput) and error.problems[0].field == "keep_secrets"
