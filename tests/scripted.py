"""What tests of the engine put in the place of the network and the clock: scripted answers, and time that they move."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx

from hookrow.delivery.message import Message
from hookrow.transport import Outgoing

__all__ = ["HandClock", "Network", "answer", "fails", "outgoing"]

Script = Callable[[httpx.Request], Awaitable[httpx.Response] | httpx.Response]
NOON = 1_795_608_000_000
"""2026-11-25 12:00 UTC."""


class HandClock:
    """A clock that stands until a test moves it: wall and monotonic time together, or the wall's alone."""

    def __init__(self, now_ms: int = NOON) -> None:
        self.wall = now_ms
        self.mono = 1000.0
        self.boot = secrets.token_hex(4)

    def now_ms(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def forward(self, seconds: float) -> None:
        self.wall += round(seconds * 1000)
        self.mono += seconds


def outgoing(url: str, body: bytes = b"{}", headers: Iterable[tuple[str, str]] = ()) -> Outgoing:
    """A POST as an attempt hands it to the transport."""
    pairs = tuple(headers)
    return Outgoing.of(Message("POST", url, pairs, body, pairs))


def answer(status: int = 200, body: Any = None, **headers: str) -> Script:
    """Answer with a status and a JSON body (bytes as they are)."""

    def script(request: httpx.Request) -> httpx.Response:
        data = b"" if body is None else body
        content = data if isinstance(data, bytes) else json.dumps(data).encode()
        sent = {"content-type": "application/json", **{name.replace("_", "-"): each for name, each in headers.items()}}
        return httpx.Response(status, headers=sent, content=content)

    return script


def fails(error: Exception) -> Script:
    """Break the connection with this error."""

    def script(request: httpx.Request) -> httpx.Response:
        raise error

    return script


class Network(httpx.AsyncBaseTransport):
    """Receivers by path. Each request is kept; a path's scripts are used one after another, the last one stays."""

    def __init__(self, **scripts: Script | list[Script]) -> None:
        self.scripts = {path: each if isinstance(each, list) else [each] for path, each in scripts.items()}
        self.requests: list[httpx.Request] = []

    def on(self, path: str, *scripts: Script) -> None:
        self.scripts[path] = list(scripts)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        scripts = self.scripts.get(request.url.path.strip("/"), [answer()])
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        made = script(request)
        return made if isinstance(made, httpx.Response) else await made

    def paths(self) -> list[str]:
        """The paths called, in order."""
        return [request.url.path.strip("/") for request in self.requests]

    def bodies(self, path: str) -> list[Any]:
        """The JSON bodies that a path received."""
        return [json.loads(each.content) for each in self.requests if each.url.path.strip("/") == path]
