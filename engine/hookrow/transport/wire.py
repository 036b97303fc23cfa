"""The shipped transport: aiohttp beneath httpx's interface.

httpx's own connection pool does work in proportion to its size on every request; aiohttp's does not. Only what aiohttp
documents is used.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractStreamWriter

from hookrow.clock import Clock
from hookrow.errors import Misuse
from hookrow.hook.egress import Egress, literal
from hookrow.lang import Text
from hookrow.transport.names import Resolver
from hookrow.transport.progress import (
    CONNECTED,
    CONNECTING,
    CURRENT,
    HEADED,
    SECURED,
    SECURING,
    SENDING,
    SENT,
    Progress,
    endpoint,
)
from hookrow.transport.watch import ByteGuard

__all__ = ["CONTENT_ENCODING", "Blocked", "Transport", "client_tls"]

CONTENT_ENCODING = "content_encoding"
"""The response's extension that holds this header: httpx inflates without bound what bears it."""

KEEP_ALIVE = 4.0
READ_AHEAD = 64 * 1024
NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
OURS = ("User-Agent", "Accept", "Content-Type")
FRAMING = (b"content-length", b"transfer-encoding")


class Blocked(OSError):
    """The policy refuses the address that was to be dialled; `reason` says why."""

    def __init__(self, reason: Text) -> None:
        super().__init__(errno.EACCES, "address refused")
        self.reason = reason


class StaleReply(aiohttp.ClientConnectionError):
    """A reply lay in a kept connection before the request was written: it answers nothing that we asked."""


class TimedContext(ssl.SSLContext):
    """Notes when a handshake begins: asyncio asks for the BIO then."""

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        progress = CURRENT.get(None)
        if progress is not None:
            progress.mark(CONNECTED)
            progress.mark(SECURING)
        return super().wrap_bio(*args, **kwargs)


def client_tls() -> ssl.SSLContext:
    """What `ssl.create_default_context()` demands: the system's authorities, names checked; TLS 1.2 or newer."""
    context = TimedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


@lru_cache(1024)
def target(url: str) -> tuple[yarl.URL, str, int]:
    """An httpx URL as aiohttp's, with host and port; no credentials, no fragment, an address spelled plainly."""
    parsed = httpx.URL(url)
    host = parsed.raw_host.decode("ascii")
    address = literal(host)
    if address is not None:
        host = str(address)
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    netloc = endpoint((host, port))
    return yarl.URL(f"{parsed.scheme}://{netloc}{parsed.raw_path.decode('ascii')}", encoded=True), host, port


class Transport(httpx.AsyncBaseTransport):
    """HTTP for one event loop of one process: made at first use, bound to it from then on.

    No redirects, cookies, proxies, decompression, nor waiting for a free connection; idle connections are kept for 4 s.
    Each address is judged by `egress` when it is dialled and again when its connection is reused; another policy may
    be assigned at any time. A request that breaks on a reused connection before the reply's first byte is sent once
    more on a new one. Time limits are the caller's: see `exchange`.
    """

    def __init__(
        self,
        egress: Egress,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        getaddrinfo: Callable[..., Any] = socket.getaddrinfo,
    ) -> None:
        self.egress = egress
        self.clock = clock
        self.tls = tls
        self.getaddrinfo = getaddrinfo
        self.home: tuple[int, asyncio.AbstractEventLoop] | None = None
        self.resolver: Resolver | None = None
        self.sessions: dict[bool, aiohttp.ClientSession] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, give its response with a body to be streamed: raw bytes, never inflated.

        Raises:
            Misuse: used on another event loop or in another process than the first time.
            aiohttp.ClientError, OSError: told in the words of docs/reference/outcomes.md by `hookrow.transport.faults`.
        """
        listener = request.extensions.get("trace")
        progress = listener if isinstance(listener, Progress) else Progress(self.clock)
        content = await request.aread()
        token = CURRENT.set(progress)
        try:
            try:
                return await self.send(request, content, progress, fresh=False)
            except StaleReply:
                pass
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
                if not progress.reused or progress.blocked or begun(error):
                    raise
            progress.restart()
            return await self.send(request, content, progress, fresh=True)
        finally:
            CURRENT.reset(token)

    async def aclose(self) -> None:
        """Close all connections; requests under way break."""
        for session in self.sessions.values():
            await session.close()
        if self.resolver is not None:
            await self.resolver.close()

    async def send(self, request: httpx.Request, content: bytes, progress: Progress, *, fresh: bool) -> httpx.Response:
        """One try; `fresh`: on a connection of its own."""
        url, progress.host, progress.port = target(str(request.url))
        if url.scheme == "https" and self.tls is None:
            self.tls = client_tls()
        try:
            answer = await self.session(fresh).request(
                request.method,
                url,
                headers=[(k.decode(), v.decode()) for k, v in request.headers.raw if k.lower() not in FRAMING],
                data=SentBody(content, self, progress),
                allow_redirects=False,
                ssl=self.tls if self.tls is not None and url.scheme == "https" else True,
            )
        except BaseException:
            abort(progress)
            if progress.watch is not None and progress.watch.fault is not None:
                raise progress.watch.fault from None
            raise
        if progress.answered_before or not progress.sending:
            answer.close()
            abort(progress)
            raise StaleReply
        progress.mark(HEADED)
        if progress.watch is not None:
            progress.watch.headed(answer.content)
        encodings = [value for name, value in answer.raw_headers if name.lower() == b"content-encoding"]
        return httpx.Response(
            answer.status,
            headers=[(name, value) for name, value in answer.raw_headers if name.lower() != b"content-encoding"],
            stream=Stream(answer, progress),
            extensions={CONTENT_ENCODING: b", ".join(encodings).decode("latin-1")},
            request=request,
        )

    def session(self, fresh: bool) -> aiohttp.ClientSession:
        """The session that keeps connections, or the one that makes a new one for each request. Raises Misuse."""
        here = (os.getpid(), asyncio.get_running_loop())
        if self.home is None:
            self.home = here
        elif self.home != here:
            raise Misuse(Text("A transport belongs to the event loop and process that used it first."))
        session = self.sessions.get(fresh)
        if session is None:
            if self.resolver is None:
                self.resolver = Resolver(self.clock, self.getaddrinfo)
            kept: dict[str, Any] = {} if fresh else {"keepalive_timeout": KEEP_ALIVE}
            connector = aiohttp.TCPConnector(
                limit=0,
                force_close=fresh,
                use_dns_cache=False,
                resolver=self.resolver,
                socket_factory=self.dial,
                **kept,
            )
            session = self.sessions[fresh] = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=READ_AHEAD,
                skip_auto_headers=OURS,
                timeout=NO_LIMIT,
                trust_env=False,
            )
        return session

    def dial(self, info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
        """A socket for an address about to be dialled: the one place that sees each of them."""
        family, kind, protocol, _, address = info
        progress = CURRENT.get()
        progress.mark(CONNECTING)
        self.judge(str(address[0]), progress)
        progress.dialled.append(endpoint(address) or str(address))
        return socket.socket(family, kind, protocol)

    def judge(self, address: str, progress: Progress) -> None:
        """Raise `Blocked` if the policy refuses the address."""
        reason = self.egress.verdict(address, host=progress.host, port=progress.port)
        if reason is not None:
            progress.blocked = reason
            raise Blocked(reason)


class SentBody(aiohttp.Payload):
    """The request's bytes; writing them is the first moment at which the connection is known."""

    def __init__(self, content: bytes, owner: Transport, progress: Progress) -> None:
        super().__init__(content)
        self.content = content
        self.owner = owner
        self.progress = progress

    @property
    def size(self) -> int:
        return len(self.content)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self.content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Hand head and body to the connection, and wait until the system has taken the last byte."""
        progress = self.progress
        wire = progress.wire = writer.transport
        if wire is None:
            raise ConnectionResetError(errno.ECONNRESET, "the connection closed")
        watch = progress.watch = ByteGuard.over_wire(wire)
        if CONNECTING in progress.at:
            progress.mark(SECURED if SECURING in progress.at else CONNECTED)
        progress.mark(SENDING)
        peer = wire.get_extra_info("peername")
        progress.address = endpoint(peer)
        if progress.reused:
            self.owner.judge(str(peer[0]), progress)
            if watch.should_close:
                progress.answered_before = True
                raise ConnectionResetError(errno.ECONNRESET, "the connection holds a reply to nobody")
        wire.set_write_buffer_limits(high=0)
        await writer.write(self.content)
        await writer.drain()
        if wire.is_closing():  # then the drain ended for want of a connection
            raise ConnectionResetError(errno.ECONNRESET, "the connection closed")
        progress.mark(SENT)


class Stream(httpx.AsyncByteStream):
    """The response's body as it comes, one item for each piece that the receiver cut it into."""

    def __init__(self, answer: aiohttp.ClientResponse, progress: Progress) -> None:
        self.answer = answer
        self.progress = progress

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        content = self.answer.content
        try:
            while not content.at_eof():
                data, _ = await content.readchunk()
                if data:
                    return data
        except aiohttp.ClientPayloadError:
            watch = self.progress.watch
            if watch is not None and watch.fault is not None:
                raise watch.fault from None
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else cut it."""
        if self.answer.content.at_eof() and self.answer.content.exception() is None:
            self.answer.release()
        else:
            self.answer.close()
            abort(self.progress)


def abort(progress: Progress) -> None:
    """Cut the connection: closing would first send what is still in the buffer, for as long as the receiver likes."""
    if isinstance(progress.wire, asyncio.WriteTransport):
        progress.wire.abort()


def begun(error: aiohttp.ClientError) -> bool:
    """Whether the connection broke inside a reply that had begun: aiohttp then gives what it had read of it."""
    return isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
