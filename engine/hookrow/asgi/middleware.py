"""`HookMiddleware`: pure ASGI, for Starlette, FastAPI, Django and all others."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from hookrow.asgi.bodies import Message, Receive, RequestBody, ResponseBody, Scope, Send, text_headers
from hookrow.asgi.call import AFTER, BEFORE, ApiCall, Shape
from hookrow.asgi.problem import answer, problem, too_deep
from hookrow.asgi.views import Unseen
from hookrow.core import AsyncHookEngine, HookEngine
from hookrow.core.arrival import UNSEEN, Arrival, Barrier, FireArgs, depth_of
from hookrow.core.calls import CallInHand, call_in_hand, handling
from hookrow.errors import InvalidInput, InvalidPayload, Problem, StorageError, TransactionMisuse
from hookrow.events import Event, Events
from hookrow.hook.modes import ROW_LIMIT
from hookrow.lang import Text
from hookrow.payload import dumps, same
from hookrow.records import Firing

__all__ = ["HookMiddleware", "fired"]

log: Final = logging.getLogger("hookrow")
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Condition = Callable[[ApiCall], bool | Awaitable[bool]]
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
        request: an ASGI scope, or a request that has one (Starlette's, FastAPI's, Django's ASGIRequest). `Any`, since
            Django's views declare their request as HttpRequest, which has none.
    """
    scope = request if isinstance(request, Mapping) else request.scope
    found: Mapping[str, Firing] = scope.get("state", {}).get(KEY, {})
    return found


class HookMiddleware:
    """Fires the events that an API call means. Before-hooks may refuse the call or change its body; after-hooks follow.

    A call that means no event, a websocket and the lifespan pass through.
    """

    def __init__(
        self,
        app: App,
        engine: AsyncHookEngine | HookEngine,
        *,
        conditions: Mapping[str, Condition] | None = None,
        shapes: Mapping[str, Shape] | None = None,
        bind: Mapping[str, Sequence[str]] | None = None,
        defer: Collection[str] = (),
        limit: int = 1_048_576,
        unseen: str | Mapping[str, str] = "refuse",
        deadline: float = ROW_LIMIT,
    ) -> None:
        """Put it around an application.

        Args:
            engine: closed by the application itself; an `AsyncHookEngine` belongs to the server's event loop.
            conditions: by name, whether it holds for a call (`ORDER_SUM_AUTHORISED`); may be async. What one raises
                fails the request.
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

        Raises:
            EventNotFound: the catalogue does not hold an event that is named here.
            InvalidInput: a call of `bind` is not written as it should be, or `unseen` holds another word.
            TransactionMisuse: `defer` names an event that is not a before event.
        """
        self.app = app
        self.engine = engine
        self.conditions: Final = dict(conditions or {})
        self.shapes: Final = dict(shapes or {})
        self.bind: Final = {**BY_THE_SERVICE, **(bind or {})}
        self.defer: Final = frozenset(defer)
        self.limit = limit
        self.deadline = deadline
        self.tasks: set[asyncio.Task[None]] = set()
        self.warned: set[str] = set()
        self.unseen: Final = dict(unseen) if isinstance(unseen, Mapping) else dict.fromkeys([EVERY], unseen)
        for word in self.unseen.values():
            if word not in ("refuse", "on_failure", "ask"):
                raise InvalidInput([Problem("unseen", Text("refuse, on_failure or ask."))])
        for code in (*self.shapes, *self.defer, *(self.unseen if isinstance(unseen, Mapping) else ())):
            if engine.events.get(code).moment != "before" and code in self.defer:
                raise TransactionMisuse(Text("defer= is for before events; {code} is none", code=code))
        self.known: Events = engine.events.current()
        self.bound: Final = Events(
            replace(engine.events.get(code), methods=tuple(calls)) for code, calls in self.bind.items()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, self.until_told(receive), send)
        elif scope["type"] == "http" and (possible := self.may_mean(scope["method"], below_root(scope))):
            await self.handle(possible, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    # -- which events -------------------------------------------------------------------------------------------------

    def may_mean(self, method: str, path: str) -> list[Event]:
        """The events that a call means if every condition holds.

        Where the database can't be read, by the catalogue as it was: calls that mean none are no business of ours.
        """
        with suppress(StorageError):
            self.known = self.engine.events.current()
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

    # -- one call -----------------------------------------------------------------------------------------------------

    async def handle(self, possible: list[Event], scope: Scope, receive: Receive, send: Send) -> None:
        """Before, the application, after."""
        body = RequestBody(receive)
        headers = text_headers(scope["headers"])
        await body.look(headers, self.limit)
        if body.gone:
            await self.app(scope, body.receive, send)  # half a request asks for nothing
            return
        query, seen = scope.get("query_string", b"").decode("latin-1"), body.unseen is None
        call = ApiCall(
            method=scope["method"],
            path=below_root(scope),
            query=query,
            headers=headers,
            scope=scope,
            body=body.value,
            seen=seen,
            form=body.form,
        )
        events = await self.meant(possible, call)
        firings: dict[str, Firing] = {}
        scope.setdefault("state", {})[KEY] = firings
        depth = depth_of(*(value for name, value in headers if name == "hook-depth"))
        outer = call_in_hand(self.engine.runtime)
        in_hand = CallInHand(self.engine.runtime, f"{call.method} {call.path}", depth, self.warned, outer)
        given = call.body
        for event in events:
            if event.moment != "before":
                continue
            shape = self.shapes.get(event.code, BEFORE)
            firing = firings[event.code] = await self.ask(event, shape, call, body.unseen, depth)
            if firing.veto is not None:
                await answer(send, problem(firing))
                return
            in_hand.keep(firing, deferred=event.code in self.defer)
            if call.seen and shape.body is not None and not same(firing.data, firing.payload):
                call = replace(call, body=shape.body(call, firing.data))
        if call.body is not given:
            text = dumps(call.body).encode()
            body.replace(text)
            scope = {**scope, "headers": resized(scope["headers"], len(text))}
        later = [event for event in events if event.moment != "before"]
        if depth and later and (reason := self.engine.runtime.too_deep(depth, [event.code for event in later])):
            await answer(send, too_deep(later[0].code, reason))
            return
        if later:
            send = ResponseBody(send, self.limit, lambda response: self.follow(later, call, response, in_hand)).send
        with handling(in_hand):
            await self.app(scope, body.receive, send)

    async def ask(self, event: Event, shape: Shape, call: ApiCall, unseen: Unseen | None, depth: int) -> Firing:
        """Fire a before event. What the engine can't take of a body is as unseen as what is no JSON."""
        payload = await settled(shape.payload(call))
        how: FireArgs = {"deadline": self.deadline, "defer": event.code in self.defer}
        barrier = self.barrier(event.code, unseen) if shape is BEFORE else None
        arrival = Arrival(barrier, fixed=call.form, depth=depth)
        try:
            return await self.engine.fire_as(arrival, event.code, payload, **how)
        except InvalidPayload as fault:
            if shape is not BEFORE:
                raise
            # Only its length is left to find fault with.
            arrival = replace(arrival, barrier=self.barrier(event.code, Unseen(413, fault.problems[0].text)))
            return await self.engine.fire_as(arrival, event.code, {}, **how)

    def barrier(self, code: str, unseen: Unseen | None) -> Barrier | None:
        """What keeps hooks from being asked about a body that they can't see."""
        way = self.unseen.get(code) or self.unseen.get(EVERY, "refuse")
        if unseen is None or way == "ask":
            return None
        return Barrier(UNSEEN, unseen.status, unseen.text, on_failure=way == "on_failure")

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def follow(self, events: Sequence[Event], call: ApiCall, response: ResponseBody, in_hand: CallInHand) -> None:
        """The response is out: fire what follows, in a task that neither the request's end nor its client stops.

        What the handler has fired by itself is not fired once more.
        """
        events = [event for event in events if not in_hand.noted(event.code)]
        for event in events:
            in_hand.note(event.code)
        done = replace(call, status=response.status, response=response.json())
        task = asyncio.get_running_loop().create_task(self.report(events, done, in_hand.depth), name="hookrow-after")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def report(self, events: Sequence[Event], call: ApiCall, depth: int) -> None:
        """Fire after events; nobody waits, so that what fails is logged."""
        for event in events:
            try:
                payload = await settled(self.shapes.get(event.code, AFTER).payload(call))
                await self.engine.fire_as(Arrival(depth=depth), event.code, payload, deadline=self.deadline)
            except Exception:
                log.exception("%s was not fired after %s %s", event.code, call.method, call.path)

    async def settle(self, grace: float = GRACE) -> None:
        """Wait until after events under way are fired, at most `grace` seconds. The application's shutdown does it."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=grace)

    def until_told(self, receive: Receive) -> Receive:
        """The lifespan's `receive`: before the application is told to shut down, what follows its calls is done."""

        async def told() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.settle()
            return message

        return told


def below_root(scope: Scope) -> str:
    """The path below the point where the application is mounted (ASGI's `root_path` is a part of `path`)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and (path == root or path.startswith(f"{root}/")) else path


def resized(headers: Sequence[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    """The headers of a body that is now so many bytes of JSON."""
    kept = [pair for pair in headers if pair[0].lower() not in (b"content-length", b"transfer-encoding")]
    if all(name.lower() != b"content-type" for name, _ in kept):
        kept.append((b"content-type", b"application/json"))  # there was no body
    return [*kept, (b"content-length", str(length).encode())]


async def settled(value: Any) -> Any:
    """What a function gave, awaited where it is async."""
    return await value if inspect.isawaitable(value) else value
