"""The head of an HTTP/1.1 reply, as strict as is safe (RFC 9112), as tolerant as old receivers need. Pure.

A line feed alone ends a line, too, and a line that begins with white space goes on with the one before: old receivers
do both (RFC 9112, 2.2 and 5.2 let a recipient take them). What could be read in two ways is refused: a carriage return
alone, NUL, two lengths, a length beside chunks, another transfer coding.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from hookrow.reasons.reason import Reason

__all__ = ["TOKEN", "Broken", "Head", "head_in"]

MOST_HEADERS = 1000
KEPT = 2048
"""Bytes of a head that may be kept for the next one like it."""
LINE = rb"[^\r\n\0]*\r?\n"
TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) ([0-9]{3})(?: %b|\r?\n)((?:%b:%b(?:[ \t]%b)*)*)\r?\n" % (LINE, TOKEN, LINE, LINE)
)
END: Final = re.compile(rb"\n\r?\n")
ALONE: Final = re.compile(rb"\r(?!\n|\Z)")
BEGINNING = b"HTTP/1."
FOLD: Final = re.compile(r"\r?\n[ \t]+")
HEEDED: Final = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding"})
LENGTH: Final = re.compile(r"[0-9]{1,18}")


class Broken(Exception):
    """What came is no reply of HTTP/1.1."""

    def __init__(self, why: Reason) -> None:
        super().__init__(why)
        self.why = why


class Head:
    """A reply's status and headers, and what they say of its body.

    `length` in bytes, None where the body is `chunked` or goes on to the connection's end; `keeps`: the connection may
    be used again; `shown`: the headers as they are logged, once somebody has made that.
    """

    __slots__ = ("chunked", "encoding", "headers", "keeps", "length", "shown", "status")

    def __init__(self, status: int, version: bytes, lines: str) -> None:
        self.status: Final = status
        self.length: int | None = None
        self.chunked: bool = False
        self.encoding: str = ""
        self.keeps: bool = version == b"1"
        self.shown: tuple[tuple[str, str], ...] | None = None
        self.headers: Final[list[tuple[str, str]]] = []
        for line in FOLD.sub(" ", lines).split("\n")[:-1]:
            name, _, value = line.partition(":")
            value = value.strip(" \t\r")
            self.headers.append((name, value))
            if (spoken := name.lower()) in HEEDED:
                self.heed(spoken, value)
        if len(self.headers) > MOST_HEADERS:
            raise Broken(Reason("http_too_many_headers", limit=MOST_HEADERS))
        if self.chunked and self.length is not None:
            raise Broken(Reason("http_two_lengths"))

    def heed(self, name: str, value: str) -> None:
        """What a header says of the body."""
        match name:
            case "content-length":
                if self.length is not None:
                    raise Broken(Reason("http_two_lengths"))
                if LENGTH.fullmatch(value) is None:
                    raise Broken(Reason("http_bad_length"))
                self.length = int(value)
            case "transfer-encoding":
                if self.chunked or value.lower() != "chunked":
                    raise Broken(Reason("http_bad_coding"))
                self.chunked = True
            case "connection":
                words = {word.strip().lower() for word in value.split(",")}
                self.keeps = "close" not in words and (self.keeps or "keep-alive" in words)
            case "content-encoding":
                self.encoding = f"{self.encoding}, {value}" if self.encoding else value

    @property
    def bodiless(self) -> bool:
        """Whether no body follows; none is read either of a status that is none of HTTP's answers."""
        return self.status in (204, 304) or self.length == 0 or not 200 <= self.status < 600


def head_in(data: bytes, start: int) -> tuple[Head, int] | None:
    """The head that these bytes begin with, and where it ends; None while its end has not come.

    Args:
        start: up to here no end was found before.

    Raises:
        Broken
    """
    ended = END.search(data, start)
    if ended is None:
        if not data.startswith(BEGINNING) and not BEGINNING.startswith(data):
            raise Broken(Reason("http_no_head"))
        if ALONE.search(data, start) or data.find(b"\0", start) >= 0:
            raise Broken(Reason("http_bad_head"))
        return None
    found = HEAD.match(data)
    if found is None or found.end() != ended.end():
        raise Broken(Reason("http_bad_head" if data.startswith(BEGINNING) else "http_no_head"))
    status, version, lines = int(found[2]), found[1], found[3].decode("latin-1")
    return (kept if len(lines) <= KEPT else Head)(status, version, lines), ended.end()


@lru_cache(64)
def kept(status: int, version: bytes, lines: str) -> Head:
    """A head that came before: a receiver's heads are mostly alike but for the second in `Date`. Raises Broken."""
    return Head(status, version, lines)
