"""One reply, taken in as its bytes come: interim answers passed over, the head, the body without its framing. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal

from hookrow.payload import MIB
from hookrow.reasons.reason import Reason
from hookrow.transport.head import TOKEN, Head, head_in
from hookrow.transport.reading import Unreadable

__all__ = ["HEAD_LIMIT", "REPLY_LIMIT", "ReplyReader"]

HEAD_LIMIT = 64 * 1024
"""Bytes that may have come without the head of the reply being complete: interim answers (1xx) and headers together.
One read is never cut: with the head's end comes some body."""
REPLY_LIMIT = 80 * MIB
"""Bytes of a whole reply on the wire: the longest body that is counted, and its framing."""
LINE_LIMIT = 8 * 1024
TRAILERS_LIMIT = 4 * 1024
TRAILER: Final = re.compile(rb"%b:[^\r\n\0]*\r\n" % TOKEN)
SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")


class ReplyReader:
    """Reads one reply; whoever has the connection feeds it.

    `head` is there once it came whole. `done`: the reply's end was seen; `excess`: bytes came behind it, which answer
    nothing. `to_the_end`: only the connection's end ends the body.
    """

    __slots__ = ("buffer", "done", "excess", "head", "left", "seen", "state", "trailing")

    def __init__(self) -> None:
        self.head: Head | None = None
        self.done: bool = False
        self.excess: bool = False
        self.seen: int = 0
        self.buffer: bytes = b""
        self.left: int = 0
        self.trailing: int = 0
        self.state: Literal["head", "length", "end", "size", "chunk", "after", "trailers"] = "head"

    @property
    def to_the_end(self) -> bool:
        return self.state == "end"

    def feed(self, data: bytes, pieces: list[bytes]) -> None:
        """Take in some more bytes; the pieces of the body in them are added to `pieces`, those before a fault too.

        Raises:
            Broken: they are no head of HTTP/1.1's.
            Unreadable: the body's framing is broken, or too much came.
        """
        self.seen += len(data)
        if self.head is None:
            rest = self.take_head(data)
            if rest is None:
                if self.seen > HEAD_LIMIT:
                    raise Unreadable(Reason("head_too_long", limit=HEAD_LIMIT))
                return
            data = rest
        elif self.seen > REPLY_LIMIT:
            raise Unreadable(Reason("reply_too_long_on_wire", limit=REPLY_LIMIT))
        if not data:
            return
        if self.done:
            self.excess = True
        elif self.state == "end":
            pieces.append(data)
        elif self.state == "length":
            piece = data if len(data) <= self.left else data[: self.left]
            self.excess = len(data) > self.left
            self.left -= len(piece)
            self.done = not self.left
            pieces.append(piece)
        else:
            self.chunks(data, pieces)

    def take_head(self, data: bytes) -> bytes | None:
        """The bytes behind the head; None while it has not come whole."""
        start = max(len(self.buffer) - 3, 0)
        data = self.buffer + data
        while (found := head_in(data, start)) is not None:
            head, end = found
            data, start = data[end:], 0
            if 100 <= head.status < 200 and head.status != 101:
                continue
            self.head, self.buffer = head, b""
            if head.bodiless:
                self.done = True
            elif head.chunked:
                self.state = "size"
            elif head.length is None:
                self.state = "end"
            else:
                self.left, self.state = head.length, "length"
            return data
        self.buffer = data
        return None

    def chunks(self, data: bytes, pieces: list[bytes]) -> None:
        """The same of a chunked body."""
        data, self.buffer = self.buffer + data, b""
        at, size = 0, len(data)
        while at < size and not self.done:
            if self.state == "chunk":
                piece = data[at : at + self.left]
                at += len(piece)
                self.left -= len(piece)
                if not self.left:
                    self.state = "after"
                pieces.append(piece)
                continue
            end = data.find(b"\n", at, at + LINE_LIMIT) + 1
            if not end:
                self.buffer = data[at:]
                break
            self.line(data[at:end])
            at = end
        if len(self.buffer) >= LINE_LIMIT or (self.state == "after" and not b"\r\n".startswith(self.buffer)):
            raise Unreadable(Reason("framing_broken"))
        self.excess = self.done and at < size

    def line(self, line: bytes) -> None:
        """A line of the framing."""
        if self.state == "size":
            found = SIZE.fullmatch(line)
            if found is not None:
                self.left = int(found[1], 16)
                self.state = "chunk" if self.left else "trailers"
                return
        elif line == b"\r\n":
            if self.state == "after":
                self.state = "size"
            else:
                self.done = True
            return
        elif self.state == "trailers" and TRAILER.fullmatch(line) is not None:
            self.trailing += len(line)
            if self.trailing <= TRAILERS_LIMIT:
                return
        raise Unreadable(Reason("framing_broken"))
