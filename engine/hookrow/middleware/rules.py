"""The rules of both middlewares: which events a call means, who is asked about it, and what its handler then gets."""

from __future__ import annotations

import hashlib
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar, Unpack
from urllib.parse import quote

from hookrow.core.arrival import UNSEEN, Arrival, Barrier, FireArgs, depth_of, traceparent_of
from hookrow.core.blocking import HookEngine
from hookrow.core.calls import CallInHand, call_in_hand
from hookrow.core.drafts import LONGEST_KEY
from hookrow.core.engine import AsyncHookEngine
from hookrow.errors import (
    IdempotencyConflict,
    InvalidInput,
    InvalidPayload,
    Problem,
    TransactionMisuse,
)
from hookrow.events import Event, Events
from hookrow.hook.modes import ROW_LIMIT
from hookrow.lang import Text
from hookrow.middleware.call import AFTER, BEFORE, ApiCall, Shape
from hookrow.middleware.problem import conflict, problem, too_deep
from hookrow.middleware.views import Unseen
from hookrow.payload import JsonObject, dumps, same
from hookrow.records import Firing
from hookrow.store.configuration.cache import Config

__all__ = ["GRACE", "KEY", "Handled", "Rules", "fired"]

log: Final = logging.getLogger("hookrow")
App = TypeVar("App")
AnyEngine = TypeVar("AnyEngine", bound=AsyncHookEngine | HookEngine)
Condition = Callable[[ApiCall], bool | Awaitable[bool]]
Idempotency = Callable[[ApiCall], str | Awaitable[str | None] | None]
BY_THE_SERVICE: dict[str, Sequence[str]] = {"before_registration": ()}
"""Fired by the service itself, after its own checks, unless a route opts in (docs/reference/events.md)."""
GRACE = 5.0
"""Seconds for which the application's shutdown waits for after-hooks under way."""
KEY = "hookrow"
EVERY = "*"
"""In `unseen`: every event that is not named."""


def fired(request: Any) -> Mapping[str, Firing]:
    """What the middleware has fired for this request, by event: the results of its before events.

    Args:
        request: an ASGI scope or a WSGI environ, or a request that has one (Starlette's, FastAPI's, Flask's, Django's).
            `Any`, since Django's views declare their request as HttpRequest, which has neither.
    """
    scope = request if isinstance(request, Mapping) else getattr(request, "scope", None)
    if scope is None:
        scope = request.environ
    found: Mapping[str, Firing] = scope.get("state", scope).get(KEY, {})
    return found


@dataclass(eq=False)
class Handled:
    """A call on its way: what its hooks have made of it."""

    call: ApiCall
    """As the handler gets it."""
    in_hand: CallInHand
    later: list[Event] = field(default_factory=list)
    """What follows if it succeeds."""
    body: bytes | None = None
    """The new body, where hooks have changed it."""
    refusal: JsonObject | None = None
    """What the client is answered instead of what the handler would say."""


class Rules(ABC, Generic[App, AnyEngine]):
    """What a middleware is told when it is made, and what it does by that with each call."""

    def __init__(
        self,
        app: App,
        engine: AnyEngine,
        *,
        conditions: Mapping[str, Condition] | None = None,
        shapes: Mapping[str, Shape] | None = None,
        bind: Mapping[str, Sequence[str]] | None = None,
        defer: Collection[str] = (),
        limit: int = 1_048_576,
        unseen: str | Mapping[str, str] = "refuse",
        deadline: float = ROW_LIMIT,
        idempotency: Idempotency | None = None,
    ) -> None:
        """Put it around an application.

        Args:
            engine: closed by the application itself; an `AsyncHookEngine` belongs to the server's event loop.
            conditions: by name, whether it holds for a call (`ORDER_SUM_AUTHORISED`). What one raises fails the
                request.
            shapes: by event, how its payload is made.
            bind: by event, the API calls that mean it, in the place of the catalogue's: `POST /path/{id}`. An empty one
                leaves the event to the service. `before_registration` is empty unless given.
            defer: before events whose background deliveries are kept back until the handler calls
                `fired(request)[code].enqueue(connection)`.
            limit: bytes of a request's or response's body that hooks can see.
            unseen: what becomes of a call whose body hooks can't see, where its before event has a blocking hook that
                is active and in its period: `refuse` (415, 413 or 400, whatever the hooks' `on_failure`), `on_failure`
                (each such hook has failed, its own setting decides), `ask` (hooks are asked with an empty payload); or
                one of these by event, the others as `refuse`. An event with a shape of its own is left to that.
            deadline: seconds for all blocking hooks of one event together.
            idempotency: gives a call's idempotency key, which must name its scope (the user) as well as the client's
                word; None = the call has none. Within 10 minutes the before hooks of the same call are not called
                again, its handler is; another payload under the same key is answered with 422.

        Conditions, shapes and `idempotency` may be async in the ASGI middleware.

        Raises:
            EventNotFound: the catalogue does not hold an event that is named here.
            InvalidInput: a call of `bind` is not written as it should be, or `unseen` holds another word.
            TransactionMisuse: `defer` names an event that is not a before event.
        """
        self.app: App = app
        self.engine: AnyEngine = engine
        self.conditions: Final = dict(conditions or {})
        self.shapes: Final = dict(shapes or {})
        self.bind: Final = {**BY_THE_SERVICE, **(bind or {})}
        self.defer: Final = frozenset(defer)
        self.limit = limit
        self.deadline = deadline
        self.idempotency = idempotency
        self.warned: set[str] = set()
        self.unseen: Final = dict(unseen) if isinstance(unseen, Mapping) else dict.fromkeys([EVERY], unseen)
        for word in self.unseen.values():
            if word not in ("refuse", "on_failure", "ask"):
                raise InvalidInput([Problem("unseen", Text("refuse, on_failure or ask."))])
        for code in (*self.shapes, *self.defer, *(self.unseen if isinstance(unseen, Mapping) else ())):
            if engine.events.get(code).moment != "before" and code in self.defer:
                raise TransactionMisuse(Text("defer= is for before events; {code} is none", code=code))
        self.assemble()
        self.know(engine.runtime.config())
        self.bound: Final = Events(
            replace(engine.events.get(code), methods=tuple(calls)) for code, calls in self.bind.items()
        )

    @abstractmethod
    def assemble(self) -> None:
        """Make what this protocol has beside that. Raises InvalidInput: its engine is of the other kind."""

    @abstractmethod
    async def fire_by(self, arrival: Arrival, code: str, payload: JsonObject, **how: Unpack[FireArgs]) -> Firing:
        """Fire an event by the engine, as this protocol waits for it."""

    # -- which events -------------------------------------------------------------------------------------------------

    def know(self, config: Config) -> None:
        """Go by this from now on."""
        self.config: Config = config
        self.known: Events = self.engine.runtime.catalogue(config)

    def may_mean(self, method: str, path: str) -> list[Event]:
        """The events that a call means if every condition holds, as they are known. Each protocol looks before, in its
        own way; where the database can't be read what was known holds: calls that mean none are no business of ours.
        """
        return self.matching(method, path, self.conditions)

    def matching(self, method: str, path: str, holds: Collection[str]) -> list[Event]:
        """The events that a call means where these conditions hold, in the catalogue's order, as `bind` has it."""
        exact = quote(path)  # `match` takes a path as it stands in a URL
        known = [event for event in self.known.match(method, exact, holds=holds) if event.code not in self.bind]
        bound = [event for event in self.bound.match(method, exact, holds=holds) if event.code in self.bind]
        if not bound:
            return known
        places = {event.code: place for place, event in enumerate(self.known)}
        return sorted([*known, *bound], key=lambda event: places.get(event.code, len(places)))

    async def meant(self, possible: list[Event], call: ApiCall) -> list[Event]:
        """Of the events that this call may mean those that it does; only conditions that matter for it are asked."""
        plain = self.matching(call.method, call.path, ())
        if plain == possible:
            return possible
        holds = [
            name
            for name, condition in self.conditions.items()
            if self.matching(call.method, call.path, [name]) != plain and await settled(condition(call))
        ]
        return self.matching(call.method, call.path, holds)

    # -- before the handler -------------------------------------------------------------------------------------------

    async def before(
        self, possible: list[Event], call: ApiCall, unseen: Unseen | None, firings: dict[str, Firing]
    ) -> Handled:
        """Ask the hooks of the before events; `firings`, which the handler sees, takes what came of it."""
        events = await self.meant(possible, call)
        in_hand = self.take_in_hand(call.method, call.path, call.headers)
        arrival = in_hand.arrival
        handled = Handled(call, in_hand, [event for event in events if event.moment != "before"])
        asked = [event for event in events if event.moment == "before"]
        key = await self.key_of(call) if asked else None
        for event in asked:
            try:
                firing = firings[event.code] = await self.ask(event, handled.call, unseen, arrival, key)
            except IdempotencyConflict:
                handled.refusal = conflict(event.code)
                return handled
            if firing.veto is not None:
                handled.refusal = problem(firing)
                return handled
            in_hand.keep(firing, deferred=event.code in self.defer)
            put_back = self.shapes.get(event.code, BEFORE).body
            if call.seen and put_back is not None and not same(firing.data, firing.payload):
                handled.call = replace(handled.call, body=put_back(handled.call, firing.data))
        if handled.call.body is not call.body:
            handled.body = dumps(handled.call.body).encode()
        later, depth = handled.later, arrival.depth
        if depth and later and (reason := self.too_deep(depth, later)):
            handled.refusal = too_deep(later[0].code, reason)
        return handled

    def too_deep(self, depth: int, later: list[Event]) -> Text | str | None:
        """Why a call that came through so many hooks is refused; None = it is not."""
        return self.engine.runtime.too_deep(self.config, depth, [event.code for event in later])

    def take_in_hand(self, method: str, path: str, headers: Sequence[tuple[str, str]]) -> CallInHand:
        """What `fire()` in the call's handler must know of it, also where the call itself means no event: through how
        many hooks it came, and its trace."""
        arrival = Arrival(
            depth=depth_of(*named(headers, "hook-depth")), traceparent=traceparent_of(*named(headers, "traceparent"))
        )
        runtime = self.engine.runtime
        return CallInHand(runtime, f"{method} {path}", arrival, self.warned, call_in_hand(runtime))

    async def key_of(self, call: ApiCall) -> str | None:
        """The call's idempotency key. One that is too long for a database is known by its digest."""
        key = None if self.idempotency is None else await settled(self.idempotency(call))
        return key if key is None or len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()

    async def ask(self, event: Event, call: ApiCall, unseen: Unseen | None, came: Arrival, key: str | None) -> Firing:
        """Fire a before event. What the engine can't take of a body is as unseen as what is no JSON."""
        shape = self.shapes.get(event.code, BEFORE)
        payload = await settled(shape.payload(call))
        how: FireArgs = {"deadline": self.deadline, "defer": event.code in self.defer}
        barrier = self.barrier(event.code, unseen) if shape is BEFORE else None
        arrival = replace(came, barrier=barrier, fixed=call.form)
        try:
            # Nobody is asked about a body that is not seen: the same call with one that is may come under this key.
            keyed: FireArgs = {**how, "idempotency_key": None if barrier else key}
            return await self.fire_by(arrival, event.code, payload, **keyed)
        except InvalidPayload as fault:
            if shape is not BEFORE:
                raise
            # Only its length is left to find fault with.
            arrival = replace(arrival, barrier=self.barrier(event.code, Unseen(413, fault.problems[0].text)))
            return await self.fire_by(arrival, event.code, {}, **how)

    def barrier(self, code: str, unseen: Unseen | None) -> Barrier | None:
        """What keeps hooks from being asked about a body that they can't see."""
        way = self.unseen.get(code) or self.unseen.get(EVERY, "refuse")
        if unseen is None or way == "ask":
            return None
        return Barrier(UNSEEN, unseen.status, unseen.text, on_failure=way == "on_failure")

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def still_to_fire(self, handled: Handled) -> list[Event]:
        """What follows a call that succeeded; what the handler has fired by itself is not fired once more."""
        events = [event for event in handled.later if not handled.in_hand.noted(event.code)]
        for event in events:
            handled.in_hand.note(event.code)
        return events

    async def report(self, events: Sequence[Event], call: ApiCall, arrival: Arrival) -> None:
        """Fire after events; nobody waits, so that what fails is logged."""
        for event in events:
            try:
                payload = await settled(self.shapes.get(event.code, AFTER).payload(call))
                await self.fire_by(arrival, event.code, payload, deadline=self.deadline)
            except Exception:
                log.exception("%s was not fired after %s %s", event.code, call.method, call.path)


def named(headers: Sequence[tuple[str, str]], name: str) -> list[str]:
    """The values of a header that may come several times, which WSGI's servers join by a comma."""
    return [each.strip() for key, value in headers if key == name for each in value.split(",")]


async def settled(value: Any) -> Any:
    """What a function gave, awaited where it is async."""
    return await value if inspect.isawaitable(value) else value
