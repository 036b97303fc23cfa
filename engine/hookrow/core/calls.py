"""The API call in hand: what `fire()` in a handler must know of what the middleware around it has fired already."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final

from hookrow.core.arrival import Arrival
from hookrow.errors import InvalidPayload
from hookrow.payload import normalise, same
from hookrow.records import Firing

__all__ = ["CURRENT", "CallInHand", "call_in_hand", "handling", "within"]

log: Final = logging.getLogger("hookrow")
CURRENT: ContextVar[CallInHand | None] = ContextVar("hookrow_call", default=None)
"""The call that a middleware of this process handles here, of whatever engine; see `call_in_hand`."""


@dataclass(eq=False)
class CallInHand:
    """One call that a middleware handles. It ends with the call: tasks that outlive it fire by themselves.

    Args:
        engine: whose events it means: an engine of another database knows nothing of it.
        route: the call's method and path, for people.
        arrival: how many hooks it came through, and the trace that it belongs to.
        warned: the events that this middleware has warned of.
        outer: the same call in the hands of another middleware around this one.
    """

    engine: object
    route: str
    arrival: Arrival
    warned: set[str]
    outer: CallInHand | None = None
    fired: dict[str, tuple[Firing, bool]] = field(default_factory=dict)
    """The before events' firings, with whether they were deferred; each is given out once."""
    asked: set[str] = field(default_factory=set)
    """The before events that were fired."""
    own: set[str] = field(default_factory=set)
    """The events that were fired inside."""
    ended: bool = False

    def keep(self, firing: Firing, *, deferred: bool) -> None:
        """The middleware has fired this."""
        self.fired[firing.event] = (firing, deferred)
        self.asked.add(firing.event)

    def note(self, event: str) -> None:
        """It was fired inside: whoever is around need not fire it any more."""
        self.own.add(event)
        if self.outer is not None:
            self.outer.note(event)

    def noted(self, event: str) -> bool:
        """Whether it was fired inside, or by whoever is around."""
        return event in self.own or (self.outer is not None and self.outer.noted(event))

    def take(self, event: str, payload: Mapping[str, Any], *, deferred: bool, key: str | None) -> Firing | None:
        """The middleware's own firing, where the handler fires the same once more; None = it is another one.

        The same: the first time, with the payload that hooks were asked about or the one that they left, equal to the
        last private value, and to be sent in the same way. A firing is never swallowed on a guess.
        """
        if event not in self.asked:
            return None
        known, was_deferred = self.fired.pop(event, (None, False))
        if known is not None and key is None and deferred == was_deferred and equal(payload, known):
            return replace(known, reused=True)
        if event not in self.warned:
            self.warned.add(event)
            log.warning(
                "%s is fired twice for %s, by the middleware and by the handler with another payload, key or defer=: "
                "its hooks are called twice. HookMiddleware(bind={%r: []}) leaves the event to the handler",
                event,
                self.route,
                event,
            )
        return None


def equal(payload: Mapping[str, Any], known: Firing) -> bool:
    """Whether the payload is that of the firing, as it came or as the hooks left it."""
    try:
        plain = normalise(payload, 1 << 40)
    except InvalidPayload:
        return False
    return same(plain, known.payload) or same(plain, known.data)


def call_in_hand(engine: object) -> CallInHand | None:
    """The call in hand, where it belongs to this engine."""
    call = CURRENT.get()
    return None if call is None or call.ended or call.engine is not engine else call


@contextmanager
def within(call: CallInHand) -> Iterator[None]:
    """For a part of the time in which the application handles the call: WSGI asks for its response piece by piece."""
    token = CURRENT.set(call)
    try:
        yield
    finally:
        CURRENT.reset(token)


@contextmanager
def handling(call: CallInHand) -> Iterator[None]:
    """For the time in which the application handles the call; threads that it hands work to know it as well."""
    try:
        with within(call):
            yield
    finally:
        call.ended = True
