"""Receivers whose connection breaks, hangs or was never right, and those whose reply's head is wrong."""

from __future__ import annotations

import socket

from receivers.case import Case, flood, raw
from receivers.scripts import close, drip, hold, reset, response, send, silence
from receivers.server import Peer

__all__ = ["CONNECTIONS", "HEADS"]

BAD = ("bad_reply", "bad_reply")
GOOD = ("ok", "ok")
BROKEN = ("connect_error", "connect_error")
CUT = ("connect_error", "ok")
SLOW = ("timeout", "timeout")
SLOW_BODY = ("timeout", "ok")
"""The head came, so a background hook is served; somebody who waits is not."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OK9 = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def reset_at_once(peer: Peer) -> None:
    """RST before a byte is read."""
    peer.reset()


def banner(peer: Peer) -> None:
    """Speak first, as an SSH or SMTP server does, and wait."""
    peer.send(b"220 mail.example ESMTP\r\n")
    peer.wait_left()


def half_closed(peer: Peer) -> None:
    """Take the request, end the own direction without a word, go on reading."""
    peer.read()
    peer.sock.shutdown(socket.SHUT_WR)
    peer.wait_left()


def sips(peer: Peer) -> None:
    """Read a byte, then nothing for a second: a large request never gets out."""
    while True:
        peer.sock.recv(1)
        peer.pause(1.0)


CONNECTIONS = {
    "closes at once": Case(close, *BROKEN, forget=None),
    "RST at once": Case(reset_at_once, *BROKEN, forget=None),
    "closes after the request": Case(send(), *BROKEN),
    "RST after the request": Case(reset, *BROKEN),
    "half closed": Case(half_closed, *BROKEN),
    "closes in the head": Case(send(b"HTTP/1.1 200 OK\r\nX-A"), *BROKEN),
    "RST in the head": Case(send(b"HTTP/1.1 200 OK\r\nX-A", then="reset"), *BROKEN),
    "closes after the head": Case(send(OK9), *CUT, status=200),
    "RST after the head": Case(send(OK9, then="reset"), *CUT, status=200),
    "closes in the body": Case(send(OK9 + b"{}"), *CUT, status=200),
    "RST in the body": Case(send(OK9 + b"{}", then="reset"), *CUT, status=200),
    "closes in a chunk": Case(raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"9\r\n{}"), *CUT, status=200),
    "closes before the last chunk": Case(
        raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"2\r\n{}\r\n"), *CUT, status=200
    ),
    "speaks first": Case(banner, *BAD, forget=None),
    "reads and never answers": Case(hold, *SLOW, waits=True),
    "never stops reading": Case(silence, *SLOW, waits=True),
    "drips the head": Case(drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100, every=0.05), *SLOW, waits=True),
    "drips the body": Case(
        drip(b"x" * 100, every=0.05, head=OK9.replace(b"9", b"99")), *SLOW_BODY, status=200, waits=True
    ),
    "drips chunks": Case(
        drip(b"1\r\nx\r\n" * 30, every=0.05, head=CHUNKED),
        "timeout",
        "ok",
        status=200,
        waits=True,
    ),
    "drips without a length": Case(
        drip(b"x" * 100, every=0.05, head=b"HTTP/1.1 200 OK\r\n\r\n"), *SLOW_BODY, status=200, waits=True
    ),
    "stops in the body": Case(send(OK9 + b"{}", then="hold"), *SLOW_BODY, status=200, waits=True),
    "reads a byte a second": Case(sips, *SLOW, waits=True, large=True),
}


HEADS = {
    "no HTTP at all": Case(send(b"SSH-2.0-OpenSSH_9.2\r\n"), *BAD),
    "HTTP/0.9": Case(send(b"<html>hello</html>\r\n"), *BAD),
    "HTTP/0.9 without a line's end": Case(send(b"hello"), *BAD),
    "HTTP/2 preface": Case(send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), *BAD),
    "HTTP/3.7": Case(raw("HTTP/3.7 200 OK\nContent-Length: 2", b"{}"), *BAD),
    "a request": Case(send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"), *BAD),
    "NUL bytes": Case(send(bytes(1000)), *BAD),
    "status 99": Case(raw("HTTP/1.1 099 Hm\nContent-Length: 0"), *BAD, status=99),
    "status 0": Case(raw("HTTP/1.1 000 Hm\nContent-Length: 0"), *BAD, status=0),
    "status 600": Case(raw("HTTP/1.1 600 Hm\nContent-Length: 0"), *BAD, status=600),
    "status 999": Case(raw("HTTP/1.1 999 Hm\nContent-Length: 0"), *BAD, status=999),
    "status 2000": Case(raw("HTTP/1.1 2000 OK\nContent-Length: 0"), *BAD),
    "status 20": Case(raw("HTTP/1.1 20 OK\nContent-Length: 0"), *BAD),
    "a negative status": Case(raw("HTTP/1.1 -200 OK\nContent-Length: 0"), *BAD),
    "a status in words": Case(raw("HTTP/1.1 OK fine\nContent-Length: 0"), *BAD),
    "status 101": Case(raw("HTTP/1.1 101 Switching\nUpgrade: x\nConnection: upgrade"), *BAD, status=101),
    "no reason": Case(raw("HTTP/1.1 200\nContent-Length: 2", b"{}"), *GOOD, status=200),
    "HTTP/1.0": Case(raw("HTTP/1.0 200 OK", b"{}"), *GOOD, status=200),
    "LF only": Case(send(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), *GOOD, status=200),
    "LF after the status alone": Case(send(b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\n{}"), *GOOD, status=200),
    "CR only": Case(send(b"HTTP/1.1 200 OK\rContent-Length: 2\r\r{}"), *BAD),
    "two lengths": Case(raw("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 5", b"{}"), *BAD),
    "the same length twice": Case(raw("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 2", b"{}"), *BAD),
    "a negative length": Case(raw("HTTP/1.1 200 OK\nContent-Length: -2", b"{}"), *BAD),
    "a length with a sign": Case(raw("HTTP/1.1 200 OK\nContent-Length: +2", b"{}"), *BAD),
    "a length in words": Case(raw("HTTP/1.1 200 OK\nContent-Length: two", b"{}"), *BAD),
    "a length of 30 digits": Case(raw("HTTP/1.1 200 OK\nContent-Length: " + "9" * 30, b"{}"), *BAD),
    "length and chunks": Case(
        raw("HTTP/1.1 200 OK\nContent-Length: 2\nTransfer-Encoding: chunked", b"2\r\n{}\r\n0\r\n\r\n"), *BAD
    ),
    "chunked twice": Case(raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked, chunked", b"2\r\n{}\r\n0\r\n\r\n"), *BAD),
    "a header without a colon": Case(raw("HTTP/1.1 200 OK\nNonsense\nContent-Length: 2", b"{}"), *BAD),
    "a space before the colon": Case(raw("HTTP/1.1 200 OK\nX-A : b\nContent-Length: 2", b"{}"), *BAD),
    "a header without a name": Case(raw("HTTP/1.1 200 OK\n: b\nContent-Length: 2", b"{}"), *BAD),
    "a folded header": Case(raw("HTTP/1.1 200 OK\nX-A: b\n c\nContent-Length: 2", b"{}"), *GOOD, status=200),
    "NUL in a header": Case(raw("HTTP/1.1 200 OK\nX-A: \0\nContent-Length: 2", b"{}"), *BAD),
    "Latin-1 in a header": Case(raw("HTTP/1.1 200 OK\nX-A: \xe9\xff\nContent-Length: 2", b"{}"), *GOOD, status=200),
    "escape codes in a header": Case(
        raw("HTTP/1.1 200 OK\nX-A: \x1b]52;c;\x07\nContent-Length: 2", b"{}"), *GOOD, status=200
    ),
    "a reason of 5 MB": Case(flood(b"HTTP/1.1 200 ", b"O" * 50_000, 100, b"\r\n\r\n"), *BAD),
    "a line of 5 MB": Case(flood(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 50_000, 100, b"\r\n\r\n"), *BAD),
    "a name of 5 MB": Case(flood(b"HTTP/1.1 200 OK\r\n", b"A" * 50_000, 100, b": b\r\n\r\n"), *BAD),
    "a thousand headers": Case(
        flood(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", 1000, b"Content-Length: 2\r\n\r\n{}"), *BAD
    ),
    "endless headers": Case(flood(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 1000), *BAD),
    "three interim answers": Case(
        flood(b"", b"HTTP/1.1 103 Early\r\n\r\n", 3, response(200, b"{}")), *GOOD, status=200
    ),
    "100,000 interim answers": Case(flood(b"", b"HTTP/1.1 103 Early\r\n\r\n" * 1000, 100, response(200, b"{}")), *BAD),
    "endless interim answers": Case(flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000), *BAD),
    "an interim answer and nothing more": Case(send(b"HTTP/1.1 100 Continue\r\n\r\n", then="hold"), *SLOW, waits=True),
    "an interim answer, then closed": Case(send(b"HTTP/1.1 100 Continue\r\n\r\n"), *BROKEN),
}
