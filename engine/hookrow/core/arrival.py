"""How a firing came about: what its call brings along beside the payload, and what bars its hooks from being asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TypedDict

from hookrow.lang import Text
from hookrow.reasons.reason import Reason

__all__ = ["LOOP", "OF_ITS_OWN", "PLAIN", "UNSEEN", "Arrival", "Barrier", "FireArgs", "depth_of", "traceparent_of"]

UNSEEN = "unseen_body"
"""Hooks can't see the body of the API call."""
LOOP = "loop"
"""The call came through too many hooks."""
LONGEST_TRACEPARENT = 512
"""Characters. Version 00 has 55; a later one may have more, of which nothing is kept."""
TRACEPARENT = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


@dataclass(frozen=True, slots=True)
class Barrier:
    """Why blocking hooks are not asked although they should be: something that the API's client can choose.

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
        barrier: why blocking hooks are not asked.
        fixed: no hook can change the payload: it was made of something that is handed on as it came.
    """

    barrier: Barrier | None = None
    fixed: bool = False
    depth: int = 0
    """How many hooks the call came through."""
    traceparent: str | None = None
    """The span of the caller's that this belongs to, as the header of that name has it (W3C Trace Context)."""
    chosen: bool = False
    """By who fires, not by an API's client: it stands above the span that is current (`observers.Tracer`)."""
    replayed: str | None = None
    """The `traceparent` of the firing that is replayed."""

    def limited(self, loop_depth: int) -> Arrival:
        """With a barrier where that are too many: anybody can send the header, so it may refuse and never skip."""
        if self.depth <= loop_depth:
            return self
        text = Reason("too_deep", n=self.depth, limit=loop_depth)
        return replace(self, barrier=Barrier(LOOP, 508, text, skip=LOOP))


class FireArgs(TypedDict, total=False):
    """What `fire()` takes beside event, payload and connection; `AsyncHookEngine.fire` says what each means."""

    idempotency_key: str | None
    deadline: float
    defer: bool
    depth: int | str | None
    traceparent: str | None


def depth_of(*headers: int | str | None) -> int:
    """How many hooks a call came through: the largest of the values of its headers `hook-depth`.

    One that can't be read counts as 0, and so does none.
    """
    return max((int(each) for each in map(str, headers) if re.fullmatch(r"[0-9]{1,9}", each)), default=0)


def traceparent_of(*headers: str | None) -> str | None:
    """The trace that a call belongs to, by its header `traceparent`, in version 00 of W3C Trace Context.

    None where it has no such header, or one that says nothing for sure: malformed, too long, given twice. Of a later
    version only that is taken over which version 00 knows.
    """
    given = [str(each).strip(" \t") for each in headers if each is not None]
    found = TRACEPARENT.fullmatch(given[0]) if len(given) == 1 and len(given[0]) <= LONGEST_TRACEPARENT else None
    if found is None:
        return None
    if found["version"] == "00":
        return given[0] if found["more"] is None else None
    return f"00-{found['trace']}-{found['parent']}-{int(found['flags'], 16) & 1:02x}"


PLAIN = Arrival()
OF_ITS_OWN = Arrival(chosen=True)
"""Of the engine's own events: they belong to no caller."""
