"""Exit codes, in one place: what each kind of error means to a script (DESIGN 12)."""

from __future__ import annotations

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

__all__ = ["DONE", "MISSING", "NO", "REFUSED", "STOPPED", "STORAGE", "USAGE", "code_of"]

DONE = 0
NO = 1
"""What was asked was done, and the answer is no: a veto, a failed test, redelivery or replay."""
USAGE = 2
STORAGE = 3
"""Storage or key."""
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
