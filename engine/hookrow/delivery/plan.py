"""Which hooks of a row are called, queued or left out, and for how long they may take. Pure: the moment is passed in.

Activity and period are judged once, at `fire()` (docs/firing.md); condition, key and body belong to a hook's turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from hookrow.hook.modes import WAITING

__all__ = [
    "CALL",
    "LEAST_WAIT",
    "PARK",
    "PAUSED",
    "QUEUE",
    "Planned",
    "State",
    "Verdict",
    "allowed_after_failure",
    "judge",
    "state",
    "wait_for",
]

State = Literal["off", "expired", "not_yet_valid", "paused", "on"]
LEAST_WAIT = 0.05
"""Seconds: with less than this left, a blocking hook is not called at all."""


class Planned(Protocol):
    """What a plan reads of a hook. Moments are milliseconds since 1970, None where the period is open."""

    @property
    def active(self) -> bool: ...
    @property
    def paused(self) -> bool: ...
    @property
    def valid_from_ms(self) -> int | None: ...
    @property
    def valid_until_ms(self) -> int | None: ...
    @property
    def mode(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a hook in this firing.

    `act`: call (and wait), queue, park (kept until the hook is resumed), skip (somebody wanted it so) or fail (it
    should have been called and can't be). `reason` is the skip's reason or the failure's error, as they are recorded.
    """

    act: Literal["call", "queue", "park", "skip", "fail"]
    reason: str | None = None


CALL = Verdict("call")
QUEUE = Verdict("queue")
PARK = Verdict("park", "paused")
PAUSED = Verdict("fail", "paused")
SKIPS: dict[State, Verdict] = {
    "off": Verdict("skip", "inactive"),
    "expired": Verdict("skip", "expired"),
    "not_yet_valid": Verdict("skip", "not_yet_valid"),
}


def state(hook: Planned, now_ms: int) -> State:
    """The hook's state at a moment: the first that is true. The period is half-open, `[from, until)`."""
    if not hook.active:
        return "off"
    if hook.valid_until_ms is not None and now_ms >= hook.valid_until_ms:
        return "expired"
    if hook.valid_from_ms is not None and now_ms < hook.valid_from_ms:
        return "not_yet_valid"
    return "paused" if hook.paused else "on"


def judge(hook: Planned, now_ms: int) -> Verdict:
    """What becomes of the hook at a firing of that moment, before its condition is asked."""
    found = state(hook, now_ms)
    waits = hook.mode in WAITING
    if found == "on":
        return CALL if waits else QUEUE
    if found == "paused":
        return PAUSED if waits else PARK
    return SKIPS[found]


def wait_for(timeout: float, left: float) -> float | None:
    """Seconds that a blocking hook may take when the row has `left` seconds; None = it fails as `deadline`."""
    return None if left < LEAST_WAIT else min(timeout, left)


def allowed_after_failure(on_failure: str, moment: str) -> bool:
    """Whether the operation goes on although a blocking hook failed; what has already happened can't be stopped."""
    return moment != "before" or on_failure != "stop"
