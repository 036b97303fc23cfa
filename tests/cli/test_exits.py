"""Exit codes: every declared error has one, in one place."""

from __future__ import annotations

import pytest

from hookrow import errors
from hookrow.cli import exits
from hookrow.errors import HookrowError, Misuse

CODES = {
    1: {"Vetoed"},
    2: {"Ambiguous"},
    3: {"StorageError", "KeyProblem"},
    4: {"NotFound"},
    5: {"InvalidInput", "Refused"},
}


def kinds() -> list[type[HookrowError]]:
    """Every class of the tree."""
    found = [getattr(errors, name) for name in errors.__all__]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, HookrowError)]


@pytest.mark.parametrize("kind", kinds())
def test_every_declared_error_has_its_code(kind: type[HookrowError]) -> None:
    """The code of the family that it belongs to; a mistake in the calling program has none."""
    bases = {base.__name__ for base in kind.__mro__}
    wanted = [code for code, names in CODES.items() if names & bases]
    made = kind.__new__(kind)
    assert exits.code_of(made) == (wanted[0] if wanted else None)
    assert wanted or kind is HookrowError or issubclass(kind, Misuse)
