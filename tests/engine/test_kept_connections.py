"""Connections kept open between exchanges: what one leaves behind never reaches the next."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, cast

import pytest

from drivers import DRIVERS, asked, closed, transport_of
from hookrow.clock import SystemClock
from hookrow.errors import Misuse
from hookrow.hook.egress import Egress
from hookrow.transport import Exchange, Transport, exchange
from hookrow.transport.connection import Connection
from hookrow.transport.progress import HEADED, SENT, Progress
from hookrow.transport.straight import StraightTransport
from receivers import Authority, Peer, Receiver, reply, reset
from receivers.scripts import response
from scripted import outgoing

pytestmark = pytest.mark.anyio


@pytest.fixture(params=DRIVERS)
async def transport(anyio_backend: str, request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """The shipped transport under the default policy."""
    made = transport_of(request.param)
    yield made
    await closed(made)


async def post(transport: Transport, url: str) -> Exchange:
    """One exchange of a waiting hook."""
    request = outgoing(url)
    made = exchange(transport, request, timeout=5, limit=1_048_576, keep=None, clock=SystemClock())
    return await asked(transport, made)


async def test_a_kept_connection_is_used_again(transport: Transport) -> None:
    """Two exchanges, one connection; the second says so and has no time for connecting."""
    with Receiver(reply(200, b"{}")) as receiver:
        first, second = await post(transport, receiver.url), await post(transport, receiver.url)
        assert (first.reused, second.reused, receiver.connections) == (False, True, 1)
        assert "connect" in first.times
        assert "connect" not in second.times
        assert first.address == second.address == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("more", [response(200, b'{"allow": false}'), b"garbage\r\n\r\n"])
async def test_a_reply_to_nobody_is_not_taken_for_the_next_requests(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, more: bytes
) -> None:
    """What comes on an idle connection answers nothing: the next request goes out on a new one."""
    go, sent, taken_in = threading.Event(), threading.Event(), asyncio.Event()
    take_in = Connection.data_received

    def data_received(connection: Connection, data: bytes) -> None:
        take_in(connection, data)
        taken_in.set()

    def talkative(peer: Peer) -> None:
        peer.read()
        peer.send(response(200, b"first"))
        peer.wait(go)
        peer.send(more)
        sent.set()

    with Receiver(talkative, reply(200, b"second")) as receiver:
        assert (await post(transport, receiver.url)).body == b"first"
        monkeypatch.setattr(Connection, "data_received", data_received)
        go.set()
        if isinstance(transport, StraightTransport):  # nobody takes it in: it is seen as the next exchange begins
            await asyncio.to_thread(sent.wait, 20)
        else:
            await asyncio.wait_for(taken_in.wait(), 20)
        got = await post(transport, receiver.url)
        assert (got.error, got.body, got.reused) == (None, b"second", False)
        assert len(receiver.requests) == 2


@pytest.mark.parametrize("transport", ["loop"], indirect=True)
async def test_each_exchange_has_its_own_limit(transport: Transport, lag: Any) -> None:
    """One timer of a connection looks after its exchanges: a shorter limit holds after a longer one, and the timer of
    an exchange that is over ends no other."""
    go, asked = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        peer.read()
        peer.send(response(200, b"{}"))
        peer.read()
        asked.set()
        peer.wait(go)
        peer.send(response(200, b"late"))

    async def within(seconds: float) -> Exchange:
        request = outgoing(receiver.url)
        return await exchange(transport, request, timeout=seconds, limit=100, keep=None, clock=SystemClock())

    with Receiver(slow) as receiver:
        await within(5)
        began = asyncio.get_running_loop().time()
        assert (await within(0.1)).error == "timeout"
        assert asyncio.get_running_loop().time() - began <= lag.bound(0.1)
        go.set()
    go.clear()
    asked.clear()
    with Receiver(slow) as receiver:
        await within(5)
        (kept,) = transport.here().open
        kept.limit(asyncio.get_running_loop().time())  # as an exchange left it whose time is up about now
        second = asyncio.create_task(within(20))
        assert await asyncio.to_thread(asked.wait, 20)
        assert kept.timer is not None
        assert kept.timer.when() > asyncio.get_running_loop().time() + 1
        go.set()
        got = await second
        assert (got.error, got.body, got.reused) == (None, b"late", True)
    await transport.aclose()
    await asyncio.sleep(0)
    assert kept.timer is None


def mute(peer: Peer) -> None:
    """Take the request, close in the ordinary way."""
    peer.read()
    peer.close()


@pytest.mark.parametrize("breaks", [reset, mute])
async def test_a_break_before_the_reply_is_mended_once(transport: Transport, breaks: Callable[[Peer], None]) -> None:
    """On a reused connection the request is sent once more; if it breaks again that is the outcome."""
    with Receiver(reply(200, b"first"), breaks, reply(200, b"again"), breaks, breaks, reply(200)) as receiver:
        assert (await post(transport, receiver.url)).body == b"first"
        got = await post(transport, receiver.url)
        assert (got.error, got.body, got.reused) == (None, b"again", False)
        assert len(receiver.requests) == 3
        # The connection that mended it is kept: the next one breaks on it, and on a new one, and is told.
        assert (await post(transport, receiver.url)).error == "connect_error"
        assert len(receiver.requests) == 5


async def test_a_reply_that_had_begun_is_not_asked_for_again(transport: Transport) -> None:
    """The receiver may have done what it was asked: after a part of its reply the request is not repeated."""

    def half(peer: Peer) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nX:")
        peer.close()

    with Receiver(reply(200, b"first"), half, reply(200)) as receiver:
        await post(transport, receiver.url)
        assert (await post(transport, receiver.url)).error == "connect_error"
        assert len(receiver.requests) == 2


async def test_another_policy_holds_for_kept_connections_too(transport: Transport) -> None:
    """The address is judged at every exchange: no request leaves once it is refused."""
    with Receiver(reply(200)) as receiver:
        await post(transport, receiver.url)
        transport.egress = Egress.parse("public")
        got = await post(transport, receiver.url)
        assert (got.error, got.sent, len(receiver.requests)) == ("blocked_address", False, 1)


@pytest.mark.parametrize("transport", ["loop"], indirect=True)
async def test_a_transport_stays_on_its_loop(transport: Transport) -> None:
    """On another event loop it refuses at once: its sockets and locks belong to the first."""
    with Receiver() as receiver:
        await post(transport, receiver.url)
        with pytest.raises(Misuse):
            await asyncio.to_thread(asyncio.run, post(transport, receiver.url))


# -- what is sent, and what still lies here ---------------------------------------------------------------------------

LARGE = b"x" * 8_000_000
"""More than systems take in for a receiver that does not read."""


@pytest.fixture(params=["plain", "tls"])
async def either(
    anyio_backend: str, request: pytest.FixtureRequest, driver: str
) -> AsyncIterator[tuple[Transport, ssl.SSLContext | None]]:
    """The shipped transport, and what its receivers need to be reached over TLS, or without."""
    authority = Authority()
    made = transport_of(driver, tls=authority.trust(ssl.create_default_context()))
    yield made, authority.server() if request.param == "tls" else None
    await closed(made)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """On the running loop, or in a thread of its own."""
    return str(request.param)


async def send(transport: Transport, url: str, body: bytes, wait: Literal["reply", "sent"] = "reply") -> Exchange:
    """One exchange of a waiting hook, or of `forget`."""
    made = exchange(transport, outgoing(url, body), timeout=20, limit=100, keep=None, clock=SystemClock(), wait=wait)
    return await asked(transport, made)


async def test_what_still_lies_here_is_not_sent(either: tuple[Transport, ssl.SSLContext | None]) -> None:
    """A receiver that takes the beginning only: `forget` is not sent, over TLS neither."""

    def half(peer: Peer) -> None:
        peer.more()
        peer.reset()

    transport, tls = either
    with Receiver(half, tls=tls, window=4096) as receiver:
        got = await send(transport, receiver.url, LARGE, "sent")
        assert got.error in ("connect_error", "tls_error")  # the system may say that TLS broke
        assert not got.sent
        assert "send" not in got.times


async def test_a_connection_with_unsent_bytes_is_not_kept(either: tuple[Transport, ssl.SSLContext | None]) -> None:
    """A receiver that answers a request before it has read it: the next one does not wait behind the rest."""
    go = threading.Event()

    def early(peer: Peer) -> None:
        peer.more()
        peer.send(response(200, b"early"))
        peer.wait(go)

    transport, tls = either
    with Receiver(early, reply(200, b"second"), tls=tls, window=4096) as receiver:
        first = await send(transport, receiver.url, LARGE)
        second = await send(transport, receiver.url, b"{}")
        assert [(got.error, got.body, got.reused) for got in (first, second)] == [
            (None, b"early", False),
            (None, b"second", False),
        ]
        go.set()


async def test_a_large_request_is_sent_once_all_is_out(
    either: tuple[Transport, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several steps: it is known to be sent before it is answered, and its connection is kept."""
    marked: list[str] = []
    mark = Progress.mark

    def noted(progress: Progress, event: str) -> None:
        marked.append(event)
        mark(progress, event)

    transport, tls = either
    monkeypatch.setattr(Progress, "mark", noted)
    with Receiver(reply(200, b"{}"), tls=tls) as receiver:
        for body in (LARGE, LARGE, b"{}", LARGE):
            assert (await send(transport, receiver.url, body)).error is None
        assert [each for each in marked if each in (SENT, HEADED)] == [SENT, HEADED] * 4
        assert receiver.connections == 1


@pytest.mark.parametrize("driver", ["loop"], indirect=True)
async def test_what_could_not_be_written_is_not_sent(
    either: tuple[Transport, ssl.SSLContext | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke before: what is thrown away with it does not count as sent."""
    begin = Connection.begin

    def later(connection: Connection, *given: Any) -> asyncio.Future[None]:
        go.set()
        receiver.wait_connections(1)
        receiver.wait_idle()  # its RST has come
        return begin(connection, *given)

    transport, tls = either
    go = threading.Event()

    def broken(peer: Peer) -> None:
        peer.wait(go)
        peer.reset()

    with Receiver(broken, tls=tls) as receiver:
        monkeypatch.setattr(Connection, "begin", later)
        got = await send(transport, receiver.url, b"{}", "sent")
        assert (got.error, got.sent) == ("connect_error", False)


async def test_a_transport_of_another_kind_of_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop's transports are no instances of asyncio's."""

    class Foreign:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    made = Connection.connection_made
    monkeypatch.setattr(Connection, "connection_made", lambda self, inner: made(self, cast("Any", Foreign(inner))))
    async with transport_of("loop") as transport:
        with Receiver(reply(200, b"{}")) as receiver:
            assert (await post(transport, receiver.url)).body == b"{}"
