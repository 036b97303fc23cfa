"""A reply's bytes, taken in: however they are cut the same comes out, and it is what h11 makes of them."""

from __future__ import annotations

import time
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookrow.transport.framing import HEAD_LIMIT, ReplyReader
from hookrow.transport.head import Broken
from hookrow.transport.reading import Unreadable

VALUE = st.text("abc \t\xe9,;=", max_size=12)
HEADERS = st.lists(st.tuples(st.sampled_from(["X-A", "Server", "Date"]), VALUE), max_size=4)
BODY = st.binary(max_size=40)
JUNK = (b"\r", b"\n", b"\0", b" ", b":", b"Content-Length: 3\r\n", b"0\r\n\r\n", b"-", b"HTTP/1.1 200 OK\r\n\r\n")


def framed(body: bytes, sizes: list[int]) -> bytes:
    """The body in chunks of these sizes, then of what is left."""
    written, at = b"", 0
    for size in [*sizes, len(body)]:
        if piece := body[at : at + size]:
            written += b"%x;a=b\r\n%b\r\n" % (len(piece), piece)
        at += size
    return written + b"0\r\nX-T: 1\r\n\r\n"


@st.composite
def replies(draw: Any) -> tuple[bytes, bool]:
    """An honest reply, interim ones before it; whether it tells its own end."""
    lines = [f"{name}: {value}".encode("latin-1") for name, value in draw(HEADERS)]
    body, how = draw(BODY), draw(st.sampled_from(["length", "chunks", "end"]))
    if how == "length":
        lines.append(b"Content-Length: %d" % len(body))
    elif how == "chunks":
        lines.append(b"transfer-encoding: Chunked")
        body = framed(body, draw(st.lists(st.integers(1, 9), max_size=3)))
    status = draw(st.sampled_from([b"200 OK", b"404 Not Found", b"500 ", b"299 "]))
    head = b"\r\n".join([b"HTTP/1.1 " + status, *lines]) + b"\r\n\r\n"
    return draw(st.sampled_from([b"", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"])) + head + body, how != "end"


@st.composite
def spoilt(draw: Any) -> bytes:
    """A reply with something put in, or cut out."""
    reply = bytearray(draw(replies())[0])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(reply)))
        if draw(st.booleans()):
            reply[at:at] = draw(st.sampled_from(JUNK))
        else:
            del reply[at : at + draw(st.integers(1, 4))]
    return bytes(reply)


def read(pieces: list[bytes]) -> tuple[Any, ...]:
    """What comes of the bytes: the head, the body, whether its end was seen, what was wrong."""
    reader, body, wrong = ReplyReader(), [], ""
    try:
        for piece in pieces:
            reader.feed(piece, body)
    except (Broken, Unreadable) as error:
        wrong = type(error).__name__
    head = reader.head
    told = None if head is None else (head.status, head.headers, head.keeps)
    return told, b"".join(body), reader.done, reader.excess and not wrong, wrong


@given(spoilt(), st.lists(st.integers(1, 30), max_size=20))
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n", [])
def test_the_cut_makes_no_difference(reply: bytes, cuts: list[int]) -> None:
    """In one read, in some, byte by byte."""
    pieces, at = [], 0
    for size in cuts:
        pieces.append(reply[at : at + size])
        at += size
    pieces.append(reply[at:])
    whole = read([reply])
    assert read(pieces) == whole
    assert read([reply[at : at + 1] for at in range(len(reply))]) == whole


def by_h11(reply: bytes) -> tuple[int, bytes] | None:
    """Status and body as h11 reads them, the connection's end behind them; None where it refuses."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="POST", target="/", headers=[("host", "h"), ("content-length", "0")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(reply)
    status, body = 0, b""
    try:
        while True:
            event = peer.next_event()
            if event is h11.NEED_DATA:
                peer.receive_data(b"")
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                return status, body
    except h11.RemoteProtocolError:
        return None


@given(replies())
def test_honest_replies_are_read_as_h11_reads_them(made: tuple[bytes, bool]) -> None:
    """Status, body and end."""
    reply, ends = made
    told, body, done, excess, wrong = read([reply])
    assert (told[0], body) == by_h11(reply)
    assert (done, excess, wrong) == (ends, False, "")


@given(spoilt())
def test_what_both_take_they_take_for_the_same(reply: bytes) -> None:
    """No reply has two meanings; what follows it is nobody's."""
    told, body, done, _, wrong = read([reply])
    theirs = by_h11(reply)
    if told is not None and (done or not wrong) and theirs is not None and 200 <= told[0] < 600:
        assert (told[0], body) == theirs


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2_0\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: \u0662\r\n\r\n{}".encode(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(reply: bytes) -> None:
    """Whoever stands between might read it in the other."""
    assert read([reply])[::4] == (None, "Broken")


@pytest.mark.parametrize("trailer", [b"X\r: a\r\n", b"X: a\rb\r\n", b"X: \0\r\n", b" X: a\r\n", b": a\r\n", b"X: a\n"])
def test_a_trailer_is_held_to_the_rules_of_a_header(trailer: bytes) -> None:
    """It is thrown away; where it ends must be plain all the same."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert read([head + b"0\r\nX: a\r\n\r\n"])[2:] == (True, False, "")
    assert read([head + b"0\r\n" + trailer + b"\r\n"])[4] == "Unreadable"


ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 103 Early\r\n\r\n"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"yyyyyyyy"),
    "a chunk's extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x=y;"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_nothing_without_end_is_gathered(name: str) -> None:
    """However it is cut: what is not yet understood stays below its bound, in time that grows with its length."""
    first, then = ENDLESS[name]
    began = time.process_time()
    with pytest.raises(Unreadable):
        fed(first, then)
    assert time.process_time() - began < 5


def fed(first: bytes, then: bytes) -> None:
    """Take in the second one over and over."""
    reader = ReplyReader()
    for piece in [first, *[then] * (HEAD_LIMIT // 3)]:
        reader.feed(piece, [])
        assert len(reader.buffer) <= HEAD_LIMIT
