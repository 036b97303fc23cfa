"""Receivers whose reply's body is endless, packed, broken or not asked for, and replies that only look good."""

from __future__ import annotations

import gzip
import json
import zlib
from functools import cache

from receivers.case import Case, flood, raw
from receivers.scripts import Script, reply, response, send
from receivers.server import Peer

__all__ = ["BODIES", "REPLIES", "exploding"]

BAD = ("bad_reply", "ok")
"""A body that can't be read: a failure where somebody waits for it; to a background hook the status alone counts."""
GOOD = ("ok", "ok")
LARGE = ("reply_too_large", "ok")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TRAILERS = b"X-A: b\r\n" * 1000
ALLOW = b'{"allow": true}'
JSON = ("content-type", "application/json")
MIB = 1_048_576


@cache
def bomb(deflate: bool = False) -> bytes:
    """300 MB of nothing in 300 KB: one compressed block, repeated."""
    machine = zlib.compressobj(9, zlib.DEFLATED, 15 if deflate else 31)
    start = machine.compress(b"") + machine.flush(zlib.Z_FULL_FLUSH)
    return start + (machine.compress(bytes(MIB)) + machine.flush(zlib.Z_FULL_FLUSH)) * 300


def packed(encoding: str, body: bytes) -> Script:
    return reply(200, body, [("content-encoding", encoding), JSON])


def exploding(deflate: bool = False) -> Script:
    """A bomb that is made when it is first sent."""

    def script(peer: Peer) -> None:
        packed("deflate" if deflate else "gzip", bomb(deflate))(peer)

    return script


def later(first: bytes, then: bytes) -> Script:
    """The head, and a moment later the fault: it comes in another read."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(first)
        peer.pause(0.05)
        peer.send(then)
        peer.wait_left()

    return script


def empty_blocks(peer: Peer) -> None:
    """Compressed bytes for ever that come to nothing."""
    machine = zlib.compressobj(9, zlib.DEFLATED, 31)
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + machine.compress(b""))
    while True:
        peer.send(b"\x00\x00\x00\xff\xff" * 10_000)


BODIES = {
    "100 MB": Case(
        flood(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", bytes(65_536), 1600), *LARGE, status=200
    ),
    "a byte more than the limit": Case(reply(200, b"x" * (MIB + 1)), *LARGE, status=200),
    "exactly the limit": Case(reply(200, b" " * (MIB - 2) + b"{}"), *GOOD, status=200),
    "a body without end": Case(flood(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65_536)), *LARGE, status=200),
    "chunks without end": Case(flood(CHUNKED, b"10000\r\n" + bytes(65_536) + b"\r\n"), *LARGE, status=200),
    "chunks of a byte without end": Case(flood(CHUNKED, b"1\r\na\r\n" * 10_000), *BAD, status=200),
    "a chunk of 2^63": Case(
        raw("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"8000000000000000\r\nx", then="reset"),
        *BAD,
        status=200,
    ),
    "a chunk of 2^64": Case(send(CHUNKED + b"10000000000000000\r\nx"), *BAD, status=200),
    "a negative chunk": Case(send(CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"), *BAD, status=200),
    "a chunk's size in words": Case(send(CHUNKED + b"two\r\n{}\r\n0\r\n\r\n"), *BAD, status=200),
    "a chunk longer than it says": Case(send(CHUNKED + b"2\r\n{}{}\r\n0\r\n\r\n"), *BAD, status=200),
    "a chunk of 2^64 later": Case(later(CHUNKED, b"10000000000000000\r\nx"), *BAD, status=200),
    "a negative chunk later": Case(later(CHUNKED + b"2\r\n{}\r\n", b"-2\r\n{}\r\n0\r\n\r\n"), *BAD, status=200),
    "a chunk longer than it says later": Case(later(CHUNKED, b"2\r\n{}{}\r\n0\r\n\r\n"), *BAD, status=200),
    "a thousand trailers later": Case(later(CHUNKED + b"2\r\n{}\r\n", b"0\r\n" + TRAILERS), *BAD, status=200),
    "junk after the reply later": Case(later(response(200, ALLOW)[:-1], b"}junk"), *GOOD, status=200),
    "a chunk extension without end": Case(flood(CHUNKED + b"2;a=", b"x" * 65_536), *BAD, status=200),
    "trailers without end": Case(flood(CHUNKED + b"2\r\n{}\r\n0\r\n" + TRAILERS, TRAILERS), *BAD, status=200),
    "a gzip bomb": Case(exploding(), *LARGE, status=200),
    "a deflate bomb": Case(exploding(True), *LARGE, status=200),
    "compressed nothing without end": Case(empty_blocks, *LARGE, status=200),
    "gzip that was not asked for": Case(packed("gzip", gzip.compress(ALLOW)), *GOOD, status=200),
    "deflate that was not asked for": Case(packed("deflate", zlib.compress(ALLOW)), *GOOD, status=200),
    "gzip twice": Case(packed("gzip, gzip", gzip.compress(gzip.compress(ALLOW))), *BAD, status=200),
    "gzip in two headers": Case(
        reply(
            200,
            gzip.compress(gzip.compress(ALLOW)),
            [("content-encoding", "gzip"), ("content-encoding", "gzip"), JSON],
        ),
        *BAD,
        status=200,
    ),
    "gzip within gzip": Case(packed("gzip", gzip.compress(gzip.compress(ALLOW))), *BAD, status=200),
    "broken gzip": Case(packed("gzip", b"\x1f\x8bnonsense" * 9), *BAD, status=200),
    "gzip cut short": Case(packed("gzip", gzip.compress(ALLOW)[:-8]), *BAD, status=200),
    "gzip and more": Case(packed("gzip", gzip.compress(ALLOW) + b"more"), *BAD, status=200),
    "plain called gzip": Case(packed("gzip", ALLOW), *BAD, status=200),
    "nothing called gzip": Case(packed("gzip", b""), *GOOD, status=200),
    "brotli": Case(packed("br", b"\x0b\x07\x80{}\x03"), *BAD, status=200),
    "an encoding that nobody knows": Case(packed("\xff" * 100, ALLOW), *GOOD, status=200),
    "junk after the reply": Case(send(response(200, ALLOW) + b"junk"), *GOOD, status=200),
    "a second reply after the first": Case(
        send(response(200, ALLOW) + response(200, b'{"allow": false}')), *GOOD, status=200
    ),
    "an empty body and more": Case(send(response(204) + b"{}"), *GOOD, status=204),
}


def said(body: bytes | str, status: int = 200, kind: str = "application/json", **headers: str) -> Script:
    """An honest answer by form, with this body."""
    content = body.encode() if isinstance(body, str) else body
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return reply(status, content, [("Content-Type", kind), *named])


def answer(body: bytes | str, gate: str, transform: str = "", record: str = "ok", **how: str) -> Case:
    return Case(said(body, **how), gate, record, transform, status=200)  # type: ignore[arg-type]


def status(number: int, word: str, body: bytes = b"", **headers: str) -> Case:
    return Case(said(body, number, **headers), word, word, status=number)


ELSEWHERE = "http://169.254.169.254/latest/"
REPLIES = {
    "204": Case(reply(204), *GOOD, status=204),
    "205": Case(reply(205), *GOOD, status=205),
    "200 and nothing": Case(reply(200), *GOOD, status=200),
    "200 and white space": answer(b" \r\n ", "ok"),
    "304": status(304, "redirect"),
    "304 with a length": Case(
        raw("HTTP/1.1 304 Not\nContent-Length: 5", then="keep"), "redirect", "redirect", status=304
    ),
    **{f"{number} inside": status(number, "redirect", location=ELSEWHERE) for number in (301, 302, 303, 307, 308)},
    "300 with a choice": status(300, "redirect", b"<a href=x>", location="/a"),
    "a redirect to nowhere": Case(reply(302), "redirect", "redirect", status=302),
    "a redirect to itself": status(302, "redirect", location="/"),
    "a redirect to another scheme": status(302, "redirect", location="ftp://h/etc/passwd"),
    "a redirect to nonsense": status(302, "redirect", location="http://[::1"),
    "a redirect with a body of 100 MB": Case(
        flood(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 104857600\r\n\r\n", bytes(65_536), 1600),
        "redirect",
        "redirect",
        status=302,
    ),
    "a refresh": answer("{}", "ok", refresh="0; url=/x"),
    "403 of a proxy": status(403, "bad_status", b"<html>no</html>", kind="text/html"),
    "404 with an object": status(404, "bad_status", b'{"error": "no route"}'),
    "500 with allow": status(500, "bad_status", ALLOW),
    "500 with a veto": status(500, "bad_status", b'{"allow": false}'),
    "503": status(503, "bad_status", retry_after="-5"),
    "429": status(429, "bad_status", retry_after="9" * 6000),
    "401 with a challenge": status(401, "bad_status", www_authenticate='Basic realm="x"'),
    "407 with a challenge": status(407, "bad_status", proxy_authenticate='Basic realm="x"'),
    "418 that says no": Case(said(b'{"allow": false}', 418), "vetoed", "bad_status", status=418),
    "a cookie": answer("{}", "ok", set_cookie="a=1; Domain=127.0.0.1"),
    "not JSON": answer("<html>", "bad_reply"),
    "text": answer("fine", "ok", "bad_reply", kind="text/plain"),
    "a list": answer("[]", "ok", "bad_reply"),
    "a number": answer("1", "ok", "bad_reply"),
    "two values": answer("{}{}", "bad_reply"),
    "not UTF-8": answer(b'{"message": "\xff"}', "bad_reply"),
    "a byte order mark": answer(b"\xef\xbb\xbf" + ALLOW, "ok"),
    "UTF-16": answer('{"allow": true}'.encode("utf-16"), "bad_reply"),
    "UTF-32": answer('{"allow": true}'.encode("utf-32"), "bad_reply"),
    "NaN": answer('{"result": NaN}', "bad_reply"),
    "Infinity": answer('{"result": -Infinity}', "bad_reply"),
    "1e999": answer('{"result": 1e999}', "bad_reply"),
    "200,000 levels": answer("[" * 200_000 + "]" * 200_000, "bad_reply"),
    "200,000 levels of objects": answer('{"a":' * 100_000 + "1" + "}" * 100_000, "bad_reply"),
    "a number of 6,000 digits": answer('{"result": ' + "9" * 6000 + "}", "bad_reply"),
    "allow twice, once no": answer('{"allow": false, "allow": true}', "vetoed"),
    "allow twice, always yes": answer('{"allow": true, "allow": true}', "bad_reply"),
    "a no with half a character": answer('{"allow": false, "message": "\\ud83d"}', "vetoed"),
    "a no beside NaN": answer('{"allow": false, "score": NaN}', "vetoed"),
    "a no in declared windows-1251": answer(
        '{"allow": false, "message": "Нет"}'.encode("cp1251"), "vetoed", kind="application/json; charset=windows-1251"
    ),
    "a byte order mark alone": answer(b"\xef\xbb\xbf", "ok"),
    "NUL": answer(b"\x00", "bad_reply"),
    "NUL in a text": answer('{"message": "\\u0000", "warnings": ["\\u0000\\u001b"]}', "ok"),
    "half a character": answer('{"message": "\\ud800"}', "bad_reply"),
    "allow in words": answer('{"allow": "false"}', "bad_reply"),
    "allow as a number": answer('{"allow": 0}', "bad_reply"),
    "allow as nothing": answer('{"allow": null}', "bad_reply"),
    "80,000 keys": answer("{" + ",".join(f'"{n}":1' for n in range(80_000)) + "}", "ok"),
    "a veto of a megabyte": answer(json.dumps({"allow": False, "message": "x" * 1_000_000}), "vetoed"),
    "no known key": answer('{"ok": false}', "ok"),
    "a key more": answer('{"data": {"stranger": 1}}', "ok", "bad_reply"),
    "a key less": answer('{"data": {"order": null}}', "ok", "bad_reply"),
    "data that is a list": answer('{"data": [1]}', "ok", "bad_reply"),
    **{
        f"charset {label!r}": answer(ALLOW, "ok", kind=f"application/json; charset={label}")
        for label in ("utf-8,gbk", "base64", "idna", "utf-16", "")
    },
    "410": status(410, "bad_status"),
    "410 with 2 MiB": status(410, "bad_status", bytes(2 * MIB)),
    "503 with 2 MiB": status(503, "bad_status", bytes(2 * MIB)),
    "409 with 2 MiB": status(409, "bad_status", bytes(2 * MIB)),
    "a no of 2 MiB": Case(
        said(json.dumps({"allow": False, "message": "x" * 2 * MIB}), 409), "reply_too_large", "bad_status", status=409
    ),
}
