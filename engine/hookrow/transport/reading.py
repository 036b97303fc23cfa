"""A reply's body, read and inflated within bounds whatever the receiver sends."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Iterator
from typing import Final

from hookrow.lang import Text
from hookrow.reasons.reason import Reason

__all__ = ["Reading", "Unreadable", "encoding_of"]

SLICE = 64 * 1024
PIECES = 100_000
GZIP, ZLIB, RAW = 31, 15, -15


class Unreadable(Exception):
    """A reply that can't be read: broken compression, too many pieces, an endless head."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


def encoding_of(header: str) -> str | None:
    """The Content-Encoding that a body bears, `identity` left out; None for a plain one."""
    if not header:
        return None
    names = [name for part in header.split(",") if (name := part.strip().lower()) not in ("", "identity")]
    return ", ".join(names) or None


class Reading:
    """Reads a body until its end or until it is longer than `bound` bytes, and keeps its first `keep`.

    gzip and deflate are undone in slices; any other encoding is left as it is. `length` counts plain bytes;
    `encoding` is what the kept bytes still bear. `complete`: the end was seen. `over`: the bound was passed.
    """

    def __init__(self, encoding: str | None, *, keep: int, bound: int) -> None:
        self.inflater: Final = Inflater(encoding) if encoding in ("gzip", "x-gzip", "deflate") else None
        self.encoding: Final = None if self.inflater else encoding
        self.keep = keep
        self.bound = bound
        self.kept: bytearray = bytearray()
        self.length: int = 0
        self.pieces: int = 0
        self.complete: bool = False
        self.over: bool = False

    def push(self, data: bytes) -> None:
        """Some more of a body that is not compressed. Raises Unreadable: too many pieces."""
        self.pieces += 1
        self.take(data)
        if self.pieces > PIECES and not self.over:
            raise Unreadable(Reason("too_many_pieces", count=PIECES))

    async def read(self, stream: AsyncIterable[bytes]) -> None:
        """Read the stream.

        Raises:
            Unreadable: broken compression, or more pieces than a body of any use has: each costs time.
        """
        raw = pieces = 0
        async for data in stream:
            raw += len(data)
            pieces += 1
            if self.inflater is None:
                self.take(data)
            else:
                for plain in self.inflater.inflate(data):
                    self.take(plain)
                    if self.over:
                        break
                    await asyncio.sleep(0)
            # Compressed bytes may come to nothing for ever.
            if self.over or raw > self.bound + SLICE:
                self.over = True
                return
            if pieces > PIECES:
                raise Unreadable(Reason("too_many_pieces", count=PIECES))
            if pieces % 1000 == 0:
                await asyncio.sleep(0)
        if self.inflater is not None:
            self.inflater.end()
        self.complete = True

    def take(self, data: bytes) -> None:
        """Count, and keep what there is room for."""
        self.length += len(data)
        self.kept += data[: self.keep - len(self.kept)] if len(self.kept) < self.keep else b""
        self.over = self.length > self.bound


class Inflater:
    """Undoes gzip or deflate (RFC 9110 8.4.1), at most a slice at a time."""

    def __init__(self, encoding: str | None) -> None:
        self.deflate: bool = encoding == "deflate"
        self.start: bytes = b""
        self.machine: zlib._Decompress | None = None

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of some more compressed ones."""
        if self.machine is None:
            self.start += data
            if len(self.start) < 2:
                return
            data, self.start = self.start, b""
            self.machine = zlib.decompressobj(self.window(data))
        try:
            more = True
            while more:
                plain = self.machine.decompress(data, SLICE)
                data = self.machine.unconsumed_tail
                if self.machine.unused_data:
                    raise Unreadable(Reason("bytes_after_compression"))
                more = bool(data) or len(plain) == SLICE  # a full slice may leave some inside the machine
                yield plain
        except zlib.error as error:
            raise Unreadable(Reason("compression_broken")) from error

    def window(self, data: bytes) -> int:
        """How the data is wrapped: some servers send bare deflate where the RFC wants zlib's wrapping."""
        if not self.deflate:
            return GZIP
        return ZLIB if data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0 else RAW

    def end(self) -> None:
        """Nothing more comes: all of it must have been there. An empty body is a plain one."""
        if self.start or (self.machine is not None and not self.machine.eof):
            raise Unreadable(Reason("compression_cut_short"))
