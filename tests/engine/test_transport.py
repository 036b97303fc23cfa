"""One exchange, whatever the receiver does: the right outcome, in time, in bounded memory; and the next one works."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from drivers import DRIVERS, asked, closed, transport_of
from hookrow.clock import SystemClock
from hookrow.hook.egress import Egress
from hookrow.transport import Exchange, Transport, exchange
from receivers import Authority, BlackHole, Peer, Receiver, Script, close, drip, hold, reply, reset, send, silence
from receivers.bodies import exploding
from receivers.scripts import response
from scripted import outgoing

pytestmark = pytest.mark.anyio

LIMIT = 1_048_576
JSON = [("content-type", "application/json")]


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """On the running loop, or in a thread of its own."""
    return str(request.param)


@pytest.fixture
async def transport(anyio_backend: str, driver: str) -> AsyncIterator[Transport]:
    """The shipped transport under the default policy."""
    made = transport_of(driver)
    yield made
    await closed(made)


async def post(transport: httpx.AsyncBaseTransport, url: str, **how: Any) -> Exchange:
    """One exchange of a small JSON body; a waiting hook's unless `keep` says otherwise."""
    request = outgoing(url, b'{"a": 1}', JSON)
    given = {"timeout": 5.0, "limit": LIMIT, "keep": None, **how}
    return await asked(transport, exchange(transport, request, clock=SystemClock(), **given))


DEFLATED = zlib.compress(b'{"allow": true}')
HOSTILE: dict[str, tuple[Script, str | None, int | None]] = {
    "closes at once": (close, "connect_error", None),
    "closes by RST": (reset, "connect_error", None),
    "closes after the headers": (send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "connect_error", 200),
    "closes in the body": (send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), "connect_error", 200),
    "RST in the body": (send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", then="reset"), "connect_error", 200),
    "no HTTP at all": (send(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad_reply", None),
    "HTTP/2 preface": (send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "bad_reply", None),
    "a status of four digits": (send(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), "bad_reply", None),
    "status 600": (reply(600, b"{}"), "bad_reply", 600),
    "status 99": (send(b"HTTP/1.1 099 Hm\r\nContent-Length: 0\r\n\r\n"), "bad_reply", 99),
    "two lengths": (send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}"), "bad_reply", None),
    "chunk of size 2^63": (
        send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\nx", then="reset"),
        None,
        200,
    ),
    "a line of 5 MB": (send(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 5_000_000 + b"\r\n\r\n"), "bad_reply", None),
    "longer than the limit": (reply(200, b"x" * (LIMIT + 1)), "reply_too_large", 200),
    "a bomb": (exploding(), "reply_too_large", 200),
    "broken gzip": (reply(200, b"\x1f\x8bnonsense" * 9, [("content-encoding", "gzip")]), "bad_reply", 200),
    "gzip cut short": (reply(200, gzip.compress(b"{}" * 99)[:-8], [("content-encoding", "gzip")]), "bad_reply", 200),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_waiting_exchange_ends_in_the_right_word(transport: Transport, name: str) -> None:
    """Each fault of a receiver has its word, and does not spoil the next exchange."""
    script, error, status = HOSTILE[name]
    with Receiver(script, reply(200, b"{}")) as receiver:
        got = await post(transport, receiver.url)
        if error is not None:
            assert (got.error, got.status) == (error, status)
        else:
            assert (got.error in ("bad_reply", "connect_error"), got.status) == (True, status)
        assert got.detail is not None
        assert len(got.body) <= LIMIT
        assert (await post(transport, receiver.url)).error is None


GOOD: dict[str, tuple[Script, bytes]] = {
    "plain": (reply(200, b'{"allow": true}', JSON), b'{"allow": true}'),
    "gzip": (reply(200, gzip.compress(b"{}"), [("content-encoding", "gzip")]), b"{}"),
    "deflate": (reply(200, DEFLATED, [("content-encoding", "deflate")]), b'{"allow": true}'),
    "bare deflate": (reply(200, DEFLATED[2:-4], [("content-encoding", "deflate")]), b'{"allow": true}'),
    "no length, then closed": (send(b"HTTP/1.1 200 OK\r\n\r\n{}"), b"{}"),
    "chunked": (send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", then="keep"), b"{}"),
    "204": (reply(204), b""),
    "junk in the reply's packet": (send(response(200, b"{}") + b"junk"), b"{}"),
    "interim answers first": (send(b"HTTP/1.1 103 Early\r\n\r\n" * 3 + response(200, b"{}"), then="keep"), b"{}"),
}


@pytest.mark.parametrize("name", GOOD)
async def test_an_honest_reply_is_read_whole(transport: Transport, name: str) -> None:
    """Compression and framing of every honest kind."""
    script, body = GOOD[name]
    with Receiver(script) as receiver:
        got = await post(transport, receiver.url)
    assert (got.error, got.body, got.length, got.complete) == (None, body, len(body), True)
    assert got.sent


SLOW: dict[str, Script] = {
    "drips the body": drip(b"x" * 30, every=0.05, head=b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n"),
    "drips the headers": drip(b"HTTP/1.1 200 OK\r\nX-Slow: 1\r\nContent-Length: 0\r\n\r\n", every=0.05),
    "never answers": hold,
    "reads nothing": silence,
}


@pytest.mark.parametrize("name", SLOW)
async def test_the_limit_is_the_wall_clocks(transport: Transport, lag: Any, name: str) -> None:
    """A receiver that keeps a connection busy holds nobody past the limit (FACTS: httpx's own took 6 s for 1)."""
    with Receiver(SLOW[name]) as receiver:
        began = asyncio.get_running_loop().time()
        got = await post(transport, receiver.url, timeout=0.4)
        took = asyncio.get_running_loop().time() - began
        assert got.error == "timeout"
        assert 0.4 <= took <= lag.bound(0.4 + 0.25)


async def test_a_black_hole_is_a_timeout_of_the_connection(transport: Transport, lag: Any) -> None:
    """A full backlog: the connection never comes about."""
    with BlackHole() as hole:
        began = asyncio.get_running_loop().time()
        got = await post(transport, hole.url, timeout=0.4)
        assert asyncio.get_running_loop().time() - began <= lag.bound(0.4 + 0.25)
    assert (got.error, got.sent, got.status) == ("timeout", False, None)


async def test_redirects_are_not_followed(transport: Transport) -> None:
    """301 to 308: one connection, the status as it is."""
    for status in (301, 302, 303, 307, 308):
        with Receiver(reply(200, b"{}")) as target, Receiver(reply(status, b"", [("location", target.url)])) as first:
            got = await post(transport, first.url)
            assert (got.error, got.status) == (None, status)
            assert target.requests == []


async def test_a_background_exchange_is_decided_by_its_status(transport: Transport) -> None:
    """The kept part is cut with the true length shown; a body that breaks off changes nothing."""
    with Receiver(reply(200, b"x" * 200_000)) as receiver:
        got = await post(transport, receiver.url, keep=65_536)
        assert (got.error, len(got.body), got.length, got.complete) == (None, 65_536, 200_000, True)
    with Receiver(send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")) as receiver:
        got = await post(transport, receiver.url, keep=65_536)
        assert (got.error, got.status, got.complete) == (None, 200, False)


@pytest.mark.parametrize("driver", ["loop"], indirect=True)  # no thread waits for these
async def test_forget_is_done_once_the_request_is_out(transport: Transport) -> None:
    """Whatever the receiver says then, or if it says nothing, is not a failure, and nothing of it is returned."""
    with Receiver(reply(500, b"secret"), hold, send(b"nonsense")) as receiver:
        for limit in (5, 2, 5):  # the one held ends at its limit, which is to be enough for the sending
            got = await post(transport, receiver.url, wait="sent", timeout=limit)
            assert (got.error, got.status, got.headers, got.body, got.sent) == (None, None, (), b"", True)
        assert len(receiver.wait(3)) == 3


@pytest.mark.parametrize("driver", ["loop"], indirect=True)  # no thread waits for these
async def test_forget_fails_where_the_request_did_not_go_out(transport: Transport) -> None:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
        got = await post(transport, url, wait="sent")
    assert (got.error, got.sent) == ("connect_error", False)


async def test_a_connection_closed_under_us_is_replaced_once(transport: Transport) -> None:
    """The receiver closed the kept connection: the request goes out again on a new one, as the same exchange."""
    with Receiver(reply(200, b"{}")) as receiver:
        assert (await post(transport, receiver.url)).error is None
        receiver.hang_up()
        assert (await post(transport, receiver.url)).error is None
        assert len(receiver.requests) == 2


async def test_cookies_and_proxies_are_nobodys(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cookie set by one reply travels with no request; the shell's proxy variables are not looked at."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with Receiver(reply(200, b"{}", [("set-cookie", "a=1")])) as receiver:
        for _ in range(2):
            assert (await post(transport, receiver.url)).error is None
        assert [request.header("cookie") for request in receiver.requests] == [None, None]


async def test_compression_is_not_asked_for_twice(transport: Transport) -> None:
    """What the message says is what leaves: nothing is added to its headers but the framing."""
    request = {"accept-encoding": "identity", "content-type": "application/json", "user-agent": "Hookrow/1"}
    with Receiver(reply(200, b"{}")) as receiver:
        made = outgoing(receiver.url, b"{}", request.items())
        await asked(transport, exchange(transport, made, timeout=5, limit=LIMIT, keep=None, clock=SystemClock()))
        [got] = receiver.requests
    names = sorted(name.lower() for name, _ in got.headers)
    assert names == ["accept-encoding", "content-length", "content-type", "host", "user-agent"]


@pytest.mark.parametrize(
    ("names", "days", "trusted", "error"),
    [
        (("127.0.0.1",), (-1, 30), True, None),
        (("127.0.0.1",), (-1, 30), False, "tls_error"),
        (("other.test",), (-1, 30), True, "tls_error"),
        (("127.0.0.1",), (-30, -1), True, "tls_error"),
        (("127.0.0.1",), (5, 30), True, "tls_error"),
    ],
)
async def test_tls_is_verified(
    driver: str, names: tuple[str, ...], days: tuple[int, int], trusted: bool, error: str | None
) -> None:
    """Trusted and right; else self-signed, for another name, expired, not yet valid: no request leaves."""
    authority = Authority()
    context = ssl.create_default_context()
    transport = transport_of(driver, tls=authority.trust(context) if trusted else context)
    with Receiver(reply(200, b"{}"), tls=authority.server(*names, days=days)) as receiver:
        got = await post(transport, receiver.url)
        assert got.error == error
        assert bool(receiver.requests) is (error is None)
    await closed(transport)


async def test_plain_http_on_a_tls_port_is_a_tls_error(transport: Transport) -> None:
    """And a handshake that hangs is a timeout."""

    def plain(peer: Peer) -> None:
        peer.more()
        peer.send(b"HTTP/1.1 400 Bad\r\n\r\n")
        peer.close()

    with Receiver(plain) as receiver:
        got = await post(transport, receiver.url.replace("http://", "https://"))
        assert got.error == "tls_error"
    with Receiver(silence) as receiver:
        got = await post(transport, receiver.url.replace("http://", "https://"), timeout=0.3)
        assert got.error == "timeout"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_broken_handshake_is_a_tls_error(transport: Transport, how: str) -> None:
    """The TCP connection stood: what failed is TLS."""

    def leave(peer: Peer) -> None:
        peer.more()
        getattr(peer, how)()

    with Receiver(leave) as receiver:
        got = await post(transport, receiver.url.replace("http://", "https://"))
        assert (got.error, got.sent) == ("tls_error", False)
        assert "connect" in got.times


async def test_looking_a_name_up_is_timed_and_told(driver: str) -> None:
    """The look-up has its own time; where the limit passes in it the sentence says so, without the URL's secrets."""
    hang = threading.Event()

    def resolve(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        if host == "hung.test":
            hang.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    transport = transport_of(driver, getaddrinfo=resolve)
    with Receiver(reply(200)) as receiver:
        good = await post(transport, f"http://good.test:{receiver.port}/")
        late = await post(transport, f"http://me:password@hung.test:{receiver.port}/?token=t0k3n", timeout=1)
    hang.set()
    await closed(transport)
    assert set(good.times) == {"name", "connect", "send", "wait", "read", "total"}
    assert late.error == "timeout"
    assert "looking up" in str(late.detail)
    assert "hung.test" in str(late.detail)
    assert "password" not in str(late.detail)
    assert "t0k3n" not in str(late.detail)


def endless(head: bytes, more: bytes) -> Script:
    """Answer for ever."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\n" + head)
        while True:
            peer.send(more)

    return script


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS: dict[str, tuple[Script, str, str | None]] = {
    "chunks": (endless(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"), "reply_too_large", None),
    "chunks of a byte": (endless(CHUNKED, b"1\r\na\r\n" * 10_000), "bad_reply", None),
    "a body without length": (endless(b"\r\n", b"x" * 65536), "reply_too_large", None),
    "headers": (endless(b"", b"X-A: b\r\n" * 1000), "bad_reply", "bad_reply"),
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_an_endless_reply_ends(transport: Transport, name: str) -> None:
    """Long before the time limit; to a background hook its status counts; the next exchange works."""
    script, waiting, background = ENDLESS[name]
    for keep, error in ((None, waiting), (65_536, background)):
        with Receiver(script, reply(200, b"{}")) as receiver:
            got = await post(transport, receiver.url, keep=keep, timeout=20)
            assert (got.error, got.complete) == (error, False)
            assert len(got.body) <= LIMIT
            assert (await post(transport, receiver.url)).error is None


async def test_the_address_connected_to_is_the_one_that_was_checked(driver: str) -> None:
    """A name that resolves inside is refused where it is dialled, whatever it said before; nothing is sent."""
    answers = [["127.0.0.1"]]

    def resolve(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[0]]

    transport = transport_of(driver, Egress.parse("public"), getaddrinfo=resolve)
    with Receiver(reply(200, b"{}")) as receiver:
        port = receiver.url.rstrip("/").rpartition(":")[2]
        got = await post(transport, f"http://receiver.test:{port}/")
        assert (got.error, got.sent) == ("blocked_address", False)
        assert receiver.requests == []
    await closed(transport)


async def test_hung_names_do_not_delay_a_healthy_one(anyio_backend: str, lag: Any) -> None:
    """Twenty names that hang for ever, and one that answers: it answers at once (B013)."""
    hang = threading.Event()

    def resolve(host: str, port: int, *args: Any, **more: Any) -> list[Any]:
        if host.startswith("hung"):
            hang.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    transport = Transport(Egress(), SystemClock(), getaddrinfo=resolve)
    with Receiver(reply(200, b"{}")) as receiver:
        port = receiver.url.rstrip("/").rpartition(":")[2]
        hung = [
            asyncio.ensure_future(post(transport, f"http://hung{number}.test:{port}/", timeout=1))
            for number in range(20)
        ]
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        got = await post(transport, f"http://healthy.test:{port}/")
        took = asyncio.get_running_loop().time() - began
        assert got.error is None
        assert took <= lag.bound(0.5)
        assert {each.error for each in await asyncio.gather(*hung)} == {"timeout"}
    hang.set()
    await transport.aclose()


@pytest.mark.parametrize(
    ("raised", "word"),
    [
        (httpx.ConnectTimeout("x"), "timeout"),
        (httpx.ReadTimeout("x"), "timeout"),
        (httpx.ConnectError("refused"), "connect_error"),
        (httpx.ReadError("reset"), "connect_error"),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), "connect_error"),
        (httpx.RemoteProtocolError("illegal status line"), "bad_reply"),
        (httpx.DecodingError("bad gzip"), "bad_reply"),
        (httpx.InvalidURL("bad port"), "connect_error"),
        (ConnectionRefusedError("x"), "connect_error"),
        (socket.gaierror(-2, "Name or service not known"), "name_error"),
        (ssl.SSLError(1, "handshake"), "tls_error"),
    ],
)
async def test_errors_of_other_transports_have_the_same_words(raised: Exception, word: str) -> None:
    """The seam takes any httpx transport."""

    class Breaking(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise raised

    got = await post(Breaking(), "http://receiver.test/?token=secret")
    assert got.error == word
    assert "secret" not in str(got.detail)


@pytest.mark.parametrize("driver", ["loop"], indirect=True)  # a thread's: tests/engine/test_thread_loops.py
async def test_cancelling_lets_go_of_the_connection(transport: Transport) -> None:
    """A cancelled exchange raises, and the receiver sees the connection end."""
    with Receiver(hold) as receiver:
        task = asyncio.ensure_future(post(transport, receiver.url))
        await asyncio.to_thread(receiver.wait, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(receiver.wait_idle)
