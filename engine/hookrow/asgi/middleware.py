"""`HookMiddleware`: pure ASGI, for Starlette, FastAPI, Django and all others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Unpack

from hookrow.asgi.bodies import Message, Receive, RequestBody, ResponseBody, Scope, Send, text_headers
from hookrow.core.arrival import Arrival, FireArgs
from hookrow.core.blocking import HookEngine
from hookrow.core.calls import handling
from hookrow.core.engine import AsyncHookEngine
from hookrow.errors import StorageError
from hookrow.events import Event
from hookrow.middleware.call import ApiCall
from hookrow.middleware.problem import PROBLEM
from hookrow.middleware.rules import GRACE, KEY, Handled, Rules
from hookrow.payload import JsonObject, dumps
from hookrow.records import Firing
from hookrow.store.database.locks import MEANT

__all__ = ["HookMiddleware"]

App = Callable[[Scope, Receive, Send], Awaitable[None]]


CARRIED = (b"hook-depth", b"traceparent")
"""Headers that concern what a handler fires, whatever its call means."""


class HookMiddleware(Rules[App, AsyncHookEngine | HookEngine]):
    """Fires the events that an API call means. Before-hooks may refuse the call or change its body; after-hooks follow.

    A call that means no event, a websocket and the lifespan pass through.
    """

    def assemble(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, self.until_told(receive), send)
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with suppress(StorageError):
            self.know(await self.engine.runtime.config_asked(MEANT))
        if possible := self.may_mean(scope["method"], below_root(scope)):
            await self.handle(possible, scope, receive, send)
        elif any(name in CARRIED for name, _ in scope["headers"]):
            with handling(self.take_in_hand(scope["method"], below_root(scope), text_headers(scope["headers"]))):
                await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def fire_by(self, arrival: Arrival, code: str, payload: JsonObject, **how: Unpack[FireArgs]) -> Firing:
        return await self.engine.fire_as(arrival, code, payload, **how)

    async def handle(self, possible: list[Event], scope: Scope, receive: Receive, send: Send) -> None:
        """Before, the application, after."""
        body = RequestBody(receive)
        headers = text_headers(scope["headers"])
        await body.look(headers, self.limit)
        if body.gone:
            await self.app(scope, body.receive, send)  # half a request asks for nothing
            return
        call = ApiCall(
            method=scope["method"],
            path=below_root(scope),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            scope=scope,
            body=body.value,
            seen=body.unseen is None,
            form=body.form,
        )
        firings: dict[str, Firing] = {}
        scope.setdefault("state", {})[KEY] = firings
        handled = await self.before(possible, call, body.unseen, firings)
        if handled.refusal is not None:
            await answer(send, handled.refusal)
            return
        if handled.body is not None:
            body.replace(handled.body)
            scope = {**scope, "headers": resized(scope["headers"], len(handled.body))}
        if handled.later:
            send = ResponseBody(send, self.limit, lambda response: self.follow(handled, response)).send
        with handling(handled.in_hand):
            await self.app(scope, body.receive, send)

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def follow(self, handled: Handled, response: ResponseBody) -> None:
        """The response is out: fire what follows, in a task that neither the request's end nor its client stops."""
        events = self.still_to_fire(handled)
        done = replace(handled.call, status=response.status, response=response.json())
        after = self.report(events, done, handled.in_hand.arrival)
        task = asyncio.get_running_loop().create_task(after, name="hookrow-after")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

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


async def answer(send: Send, found: JsonObject) -> None:
    """Answer with a problem."""
    body = dumps(found).encode()
    headers = [(b"content-type", PROBLEM.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": found["status"], "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
