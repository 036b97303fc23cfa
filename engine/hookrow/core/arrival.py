"""How a firing came about: what its call brings along beside the payload, and what bars its hooks from being asked."""

from __future__ import annotations

from dataclasses import dataclass

from hookrow.lang import Text

__all__ = ["LOOP", "PLAIN", "UNSEEN", "Arrival", "Barrier"]

UNSEEN = "unseen_body"
"""Hooks can't see the body of the API call."""
LOOP = "loop"
"""The call came through too many hooks."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """Why waiting hooks are not asked although they should be: something that the API's client can choose.

    Args:
        code: the deliveries' error, and the refusal's code.
        status: of the refusal.
        text: what the client is told.
        on_failure: each hook's own setting decides; else a `before` event is refused, also under `continue`.
        skip: why background hooks are left out, too; None = they are left out only where the firing is refused.
    """

    code: str
    status: int
    text: Text | str
    on_failure: bool = False
    skip: str | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a call brings along.

    Args:
        fixed: no hook can change the payload: it was made of something that is handed on as it came.
    """

    barrier: Barrier | None = None
    fixed: bool = False


PLAIN = Arrival()
