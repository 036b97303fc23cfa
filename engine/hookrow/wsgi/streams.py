"""Bodies on their way: a request's, read as far as hooks may see it and handed on; a response's, seen in passing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from hookrow.middleware.views import BodyKind, Unseen, content_kind, too_large, view
from hookrow.payload import JsonObject
from hookrow.reasons.reason import Reason
from hookrow.wsgi.environ import Environ, headers_of

__all__ = ["Passing", "Readable", "RequestStream", "StartResponse"]

StartResponse = Callable[..., Callable[[bytes], object]]
ENDLESS = 1 << 62


class Readable(Protocol):
    """`wsgi.input`."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; b"" at the end."""
        ...


class RequestStream:
    """A request's body. `look` reads it; `hand_on` then gives the application all of it."""

    def __init__(self, environ: Environ) -> None:
        self.environ = environ
        self.value: JsonObject | None = None
        """What hooks see of it."""
        self.form: bool = False
        """Whether that are a form's fields, which a hook can't change."""
        self.unseen: Unseen | None = None
        """Why they see nothing of it."""
        self.broken_off: bool = False
        """Whether the client left before its end."""

    def look(self, limit: int) -> None:
        """Find out what hooks see of it, holding at most `limit` bytes and one; the rest is left to the application."""
        length = self.length()
        if length is None:
            # Only the server knows where it ends, and the application may have a way of its own to ask it.
            self.unseen = Unseen(411, Reason("body_length_unknown"))
            return
        kind: BodyKind | Unseen = content_kind(headers_of(self.environ))
        if ENDLESS > length > limit:
            kind = too_large(limit)
        # Of a body that can't be seen only whether there is one: a stream is not held up.
        if isinstance(kind, Unseen) and length < ENDLESS:
            empty, body = not length, b""
        else:
            most = limit + 1 if isinstance(kind, BodyKind) else 1
            body = self.read(length, most)
            empty = not body
            self.broken_off = length < ENDLESS and len(body) < length
        if self.broken_off:
            return
        if empty:
            found: JsonObject | Unseen = {}
        elif isinstance(kind, Unseen):
            found = kind
        else:
            found = too_large(limit) if len(body) > limit else view(kind, body)
            self.form = kind.form
        if isinstance(found, Unseen):
            self.unseen = found
        else:
            self.value = found

    def length(self) -> int | None:
        """How many bytes it has; ENDLESS where it ends by itself, None where nobody says (PEP 3333 knows no chunks)."""
        if self.environ.get("wsgi.input_terminated"):
            stated = self.environ.get("CONTENT_LENGTH") or ENDLESS
        elif self.environ.get("HTTP_TRANSFER_ENCODING"):
            return None
        else:
            stated = self.environ.get("CONTENT_LENGTH") or 0
        text = str(stated)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None

    def read(self, length: int, most: int) -> bytes:
        """Take the body from the server, at most so many bytes of it, and keep them for the application."""
        original: Readable = self.environ["wsgi.input"]
        chunks: list[bytes] = []
        left = min(length, most)
        while left and (chunk := original.read(left)):
            chunks.append(chunk)
            left -= len(chunk)
        taken = b"".join(chunks)
        whole = left or len(taken) == length
        self.environ["wsgi.input"] = io.BytesIO(taken) if whole else Rejoined(taken, original)
        return taken

    def replace(self, body: bytes) -> None:
        """Give the application another body: so many bytes of JSON."""
        self.environ.pop("HTTP_TRANSFER_ENCODING", None)
        self.environ["wsgi.input"] = io.BytesIO(body)
        self.environ["CONTENT_LENGTH"] = str(len(body))
        if not self.environ.get("CONTENT_TYPE"):
            self.environ["CONTENT_TYPE"] = "application/json"  # there was no body


class Rejoined:
    """What was read already, and then the rest as the server gives it: `wsgi.input` for the application."""

    def __init__(self, taken: bytes, rest: Any) -> None:
        self.taken: Final = io.BytesIO(taken)
        self.rest = rest

    def read(self, size: int | None = -1) -> bytes:
        """As PEP 3333 has it; also the ones below."""
        if size is None or size < 0:
            return self.taken.read() + bytes(self.rest.read())
        found = self.taken.read(size)
        return found if len(found) == size else found + bytes(self.rest.read(size - len(found)))

    def readline(self, size: int | None = -1) -> bytes:
        most = -1 if size is None else size
        found = self.taken.readline(most)
        if found.endswith(b"\n") or len(found) == most:
            return found
        return found + bytes(self.rest.readline() if most < 0 else self.rest.readline(most - len(found)))

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


class Passing:
    """A response on its way: handed on at once, and remembered where it is JSON of at most `limit` bytes.

    `within` is entered while the application makes a part of it; `ended` is called when all was handed on, or the
    client left in the middle of it.
    """

    def __init__(
        self,
        start: StartResponse,
        limit: int,
        within: Callable[[], AbstractContextManager[None]],
        ended: Callable[[Passing], None],
    ) -> None:
        self.original = start
        self.limit = limit
        self.within = within
        self.ended = ended
        self.status: int = 0
        self.chunks: list[bytes] | None = None
        self.size: int = 0
        self.stated: str = ""
        self.exhausted: bool = False
        self.failed: bool = False
        self.closed: bool = False
        self.parts: Iterable[bytes] = ()
        self.iterator: Iterator[bytes] = iter(())

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """WSGI's `start_response` for the application."""
        self.status = int(status[:3])
        pairs = [(name.lower(), value) for name, value in headers]
        self.stated = dict(pairs).get("content-length", "")
        kind = content_kind(pairs)
        self.chunks, self.size = ([] if isinstance(kind, BodyKind) and not kind.form else None), 0
        write = self.original(status, headers) if exc_info is None else self.original(status, headers, exc_info)

        def written(chunk: bytes) -> object:
            self.remember(chunk)
            return write(chunk)

        return written

    def of(self, parts: Iterable[bytes]) -> Passing:
        """The application's response in this one."""
        self.parts, self.iterator = parts, iter(parts)
        return self

    def __iter__(self) -> Passing:
        return self

    def __next__(self) -> bytes:
        try:
            with self.within():
                chunk = next(self.iterator)
        except StopIteration:
            self.exhausted = True
            raise
        except BaseException:
            self.failed = True
            raise
        self.remember(chunk)
        return chunk

    def close(self) -> None:
        """The server has sent it, or can't any more: what was done is done."""
        if self.closed:
            return
        self.closed = True
        close = getattr(self.parts, "close", None)
        try:
            if close is not None:
                with self.within():
                    close()
        finally:
            self.ended(self)

    def remember(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.limit:
            self.chunks = None
        if self.chunks is not None:
            self.chunks.append(chunk)

    @property
    def succeeded(self) -> bool:
        """Whether the application has made a 2xx response, whoever is still there to take it."""
        return not self.failed and 200 <= self.status < 300

    @property
    def body(self) -> bytes | None:
        """What was sent, where it is JSON that hooks may see and all of it was asked for."""
        whole = self.exhausted or str(self.size) == self.stated
        return b"".join(self.chunks) if self.chunks is not None and whole else None
