"""How much a receiver may send: no endless head, trailer or framing keeps the event loop busy while a hook has time."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from hookrow.lang import Text
from hookrow.payload import MIB
from hookrow.reasons.reason import Reason
from hookrow.transport.reading import Unreadable

__all__ = ["HEAD_LIMIT", "REPLY_LIMIT", "ByteGuard"]

HEAD_LIMIT = 64 * 1024
"""Bytes that may have come without the head of the reply being complete: interim answers (1xx) and headers together."""
REPLY_LIMIT = 80 * MIB
"""Bytes of a whole reply on the wire: the longest body that is counted, and its framing."""


class ByteGuard(asyncio.Protocol):
    """Stands between a connection and its protocol, counts what comes, and cuts what is too much.

    aiohttp bounds each line and the number of headers, but goes through interim answers and chunk extensions for ever,
    thousands of them at each turn of the loop; and where the framing of a body breaks after the head it closes the
    connection and lets the reader wait. One read is never cut: with the head's end comes some body.
    """

    def __init__(self, wire: asyncio.WriteTransport) -> None:
        inner = wire.get_protocol()
        assert isinstance(inner, asyncio.Protocol)
        self.inner: Any = inner
        self.wire = wire
        self.seen: int = 0
        self.limit: int = HEAD_LIMIT
        self.body: aiohttp.StreamReader | None = None
        self.fault: Unreadable | None = None
        wire.set_protocol(self)

    @classmethod
    def over_wire(cls, wire: asyncio.WriteTransport) -> ByteGuard:
        """The connection's watch; it counts anew, for one reply."""
        found = wire.get_protocol()
        watch = found if isinstance(found, ByteGuard) else cls(wire)
        watch.seen, watch.limit, watch.body = 0, HEAD_LIMIT, None
        return watch

    @property
    def should_close(self) -> bool:
        """aiohttp's protocol knows of bytes that came while the connection was idle."""
        return bool(getattr(self.inner, "should_close", False))

    def headed(self, body: aiohttp.StreamReader) -> None:
        """The head is complete; what follows is read from `body`."""
        self.limit = REPLY_LIMIT
        self.body = body

    def data_received(self, data: bytes) -> None:
        if self.seen > self.limit:
            if self.body is None:
                self.cut(Reason("head_too_long", limit=HEAD_LIMIT))
            else:
                self.cut(Reason("reply_too_long_on_wire", limit=REPLY_LIMIT))
            return
        self.seen += len(data)
        closing = self.wire.is_closing()
        self.inner.data_received(data)
        if self.body is not None and not self.body.is_eof() and self.wire.is_closing() and not closing:
            self.cut(Reason("framing_broken"))

    def cut(self, why: Text) -> None:
        """End the connection, and whoever reads from it."""
        self.fault = Unreadable(why)
        self.wire.abort()
        if self.body is not None:
            self.body.set_exception(self.fault)

    def eof_received(self) -> bool | None:
        kept: bool | None = self.inner.eof_received()
        return kept

    def connection_lost(self, exc: Exception | None) -> None:
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self.inner.pause_writing()

    def resume_writing(self) -> None:
        self.inner.resume_writing()
