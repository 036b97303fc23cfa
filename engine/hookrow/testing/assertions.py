"""Strict assertions: each holds for exactly what is said, and its message shows what was there instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hookrow.records import Firing, Veto
from hookrow.testing.receiver import HookReceiver, Received

__all__ = ["assert_allowed", "assert_fired", "assert_received", "assert_vetoed"]


class Firings(Protocol):
    """An engine that remembers what was fired."""

    @property
    def fired(self) -> list[Firing]: ...


def told(firing: Firing) -> str:
    """A firing in one line."""
    veto = firing.veto
    hooks = ", ".join(f"{each.hook.key}: {each.skipped or each.error or each.outcome}" for each in firing.deliveries)
    by = "" if veto is None else f" by {veto.hook.key} ({veto.by}, {veto.status} {veto.code}: {veto.message})"
    return f"{firing.event} was {firing.outcome}{by}; hooks: {hooks or 'none'}"


def assert_fired(engine: Firings, *events: str) -> list[Firing]:
    """Exactly these events were fired, in this order, and no other; gives the firings.

    Raises:
        AssertionError
    """
    fired = engine.fired
    if tuple(each.event for each in fired) != events:
        lines = "\n".join(f"  {told(each)}" for each in fired) or "  nothing"
        raise AssertionError(f"fired should have been exactly {', '.join(events) or 'nothing'}; but it was\n{lines}")
    return fired


def assert_allowed(firing: Firing) -> None:
    """The operation may go on, and no hook has failed on the way.

    Raises:
        AssertionError
    """
    if not firing.allowed or any(each.outcome == "failed" for each in firing.deliveries):
        raise AssertionError(f"it should have been allowed without a failure; but {told(firing)}")


def assert_vetoed(firing: Firing, by: str, *, code: str | None = None, status: int | None = None) -> Veto:
    """A hook said no: the one of this key, in so many words. A hook set to `stop` that failed has not said no.

    Args:
        code: the veto's code, where it matters.
        status: the veto's HTTP status, where it matters.

    Raises:
        AssertionError
    """
    veto = firing.veto
    wrong = (
        veto is None
        or veto.by != "hook"
        or veto.hook.key != by
        or (code is not None and veto.code != code)
        or (status is not None and veto.status != status)
    )
    if wrong or veto is None:
        said = "".join(f", {name} {value}" for name, value in (("code", code), ("status", status)) if value is not None)
        raise AssertionError(f"it should have been vetoed by {by}{said}; but {told(firing)}")
    return veto


def assert_received(receiver: HookReceiver, *events: str) -> Sequence[Received]:
    """Exactly these events came to the receiver, in this order, and no other; gives the requests.

    Raises:
        AssertionError
    """
    came = list(receiver.received)
    if tuple(each.event for each in came) != events:
        raise AssertionError(f"{receiver!r} should have received exactly {', '.join(events) or 'nothing'}")
    return came
