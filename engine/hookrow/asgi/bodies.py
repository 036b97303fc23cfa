"""Bodies on their way: a request's, read as far as hooks may see it and handed on; a response's, seen in passing."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from hookrow.replyjson import NotJson, strict_loads

__all__ = ["Message", "Receive", "RequestBody", "ResponseBody", "Scope", "Send", "is_json", "text_headers"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def text_headers(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """ASGI's headers as text, names in lower case."""
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs)


def is_json(headers: Iterable[tuple[str, str]]) -> bool:
    """Whether a body is JSON that can be read as it stands: neither compressed nor in another charset than UTF-8."""
    found = dict(headers)
    kind, *parameters = [part.strip().lower() for part in found.get("content-type", "").split(";")]
    charset = next((part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    plain = found.get("content-encoding", "identity").strip().lower() in ("", "identity")
    return plain and charset in ("utf-8", "utf8") and (kind == "application/json" or kind.endswith("+json"))


class RequestBody:
    """A request's body. `read` looks at it; `receive` then gives the application all of it, and what comes after."""

    def __init__(self, receive: Receive) -> None:
        self.original = receive
        self.kept: deque[Message] = deque()
        self.value: Any = None
        self.seen = False
        """Whether it is JSON that hooks can see."""
        self.gone = False
        """Whether the client left before its end."""

    async def read(self, limit: int) -> None:
        """Read it as JSON; what is longer than `limit` bytes, or no JSON, stays unseen. Never holds more than that."""
        chunks: list[bytes] = []
        size, more = 0, True
        while more and size <= limit:
            message = await self.original()
            self.kept.append(message)
            if message["type"] == "http.disconnect":
                self.gone = True
                return
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            more = message.get("more_body", False)
        if more or not 0 < size <= limit:
            return
        try:
            self.value = strict_loads(b"".join(chunks))
        except NotJson:
            return
        self.seen = True

    def replace(self, body: bytes) -> None:
        """Give the application another body."""
        self.kept = deque([{"type": "http.request", "body": body, "more_body": False}])

    async def receive(self) -> Message:
        """ASGI's `receive` for the application: the body, then whatever the server says, such as a disconnect."""
        return self.kept.popleft() if self.kept else await self.original()


class ResponseBody:
    """A response on its way: handed on at once, and remembered where it is JSON of at most `limit` bytes.

    `ended` is called when the last part of a 2xx response was handed on, or the client left in the middle of one.
    """

    def __init__(self, send: Send, limit: int, ended: Callable[[ResponseBody], None]) -> None:
        self.original = send
        self.limit = limit
        self.ended = ended
        self.status = 0
        self.chunks: list[bytes] | None = None
        self.size = 0
        self.told = False

    async def send(self, message: Message) -> None:
        """ASGI's `send` for the application."""
        kind = message["type"]
        last = False
        if kind == "http.response.start":
            self.status = message["status"]
            self.chunks = [] if is_json(text_headers(message.get("headers", ()))) else None
        elif kind == "http.response.body":
            last = not message.get("more_body", False)
            self.remember(message.get("body", b""))
        elif kind in ("http.response.zerocopysend", "http.response.pathsend"):
            last = not message.get("more_body", False)
            self.chunks = None
        try:
            await self.original(message)
        except OSError:
            last = True  # the client has left; what was done is done
            self.chunks = None
            raise
        finally:
            if last and not self.told and 200 <= self.status < 300:
                self.told = True
                self.ended(self)

    def remember(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.limit:
            self.chunks = None
        if self.chunks is not None:
            self.chunks.append(chunk)

    def json(self) -> Any:
        """The response as JSON; None where it is none that can be seen."""
        if self.chunks is None:
            return None
        try:
            return strict_loads(b"".join(self.chunks))
        except NotJson:
            return None
