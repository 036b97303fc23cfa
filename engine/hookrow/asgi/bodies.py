"""Bodies on their way: a request's, read as far as hooks may see it and handed on; a response's, seen in passing."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any

from hookrow.middleware.views import BodyKind, Unseen, content_kind, json_of, too_large, view
from hookrow.payload import Json, JsonObject

__all__ = ["Message", "Receive", "RequestBody", "ResponseBody", "Scope", "Send", "text_headers"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def text_headers(pairs: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """ASGI's headers as text, names in lower case."""
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs)


def declared(headers: Sequence[tuple[str, str]]) -> int:
    """The length that a request says its body has; 0 where it says none."""
    length = dict(headers).get("content-length", "")
    return int(length[:19]) if length.isascii() and length.isdigit() else 0


class RequestBody:
    """A request's body. `look` reads it; `receive` then gives the application all of it, and what comes after."""

    def __init__(self, receive: Receive) -> None:
        self.original = receive
        self.kept: deque[Message] = deque()
        self.value: JsonObject | None = None
        """What hooks see of it."""
        self.form: bool = False
        """Whether that are a form's fields, which a hook can't change."""
        self.unseen: Unseen | None = None
        """Why they see nothing of it."""
        self.empty: bool = True
        self.gone: bool = False
        """Whether the client left before its end."""

    async def look(self, headers: Sequence[tuple[str, str]], limit: int) -> None:
        """Find out what hooks see of it; what they can't see is left to the application as it comes.

        Never holds more than `limit` bytes and the message in which they are exceeded.
        """
        kind: BodyKind | Unseen = too_large(limit) if declared(headers) > limit else content_kind(headers)
        chunks: list[bytes] = []
        size, more = 0, True
        # Of a body that can't be seen only whether there is one: a stream is not held up.
        most = limit if isinstance(kind, BodyKind) else 0
        while more and size <= most:
            message = await self.original()
            self.kept.append(message)
            if message["type"] == "http.disconnect":
                self.gone = True
                return
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            more = message.get("more_body", False)
        self.empty = not size
        if self.empty:
            found: JsonObject | Unseen = {}
        elif isinstance(kind, Unseen):
            found = kind
        else:
            found = too_large(limit) if size > limit else view(kind, b"".join(chunks))
            self.form = kind.form
        if isinstance(found, Unseen):
            self.unseen = found
        else:
            self.value = found

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
        self.status: int = 0
        self.chunks: list[bytes] | None = None
        self.size: int = 0
        self.told: bool = False

    async def send(self, message: Message) -> None:
        """ASGI's `send` for the application."""
        event = message["type"]
        last = False
        if event == "http.response.start":
            self.status = message["status"]
            kind = content_kind(text_headers(message.get("headers", ())))
            self.chunks = [] if isinstance(kind, BodyKind) and not kind.form else None
        elif event == "http.response.body":
            last = not message.get("more_body", False)
            self.remember(message.get("body", b""))
        elif event in ("http.response.zerocopysend", "http.response.pathsend"):
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

    def json(self) -> Json:
        """The response as JSON; None where it is none that can be seen."""
        return json_of(None if self.chunks is None else b"".join(self.chunks))
