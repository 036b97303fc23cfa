"""The shipped transport: HTTP/1.1 over connections of our own."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Self

import httpx

from hookrow.clock import Clock
from hookrow.errors import Misuse
from hookrow.hook.egress import Egress, literal
from hookrow.lang import Text
from hookrow.transport.connection import Connection, Late, Stale, Talk
from hookrow.transport.dialling import Peer, client_tls, dialled, judge, secured
from hookrow.transport.names import Resolver
from hookrow.transport.pool import Pool
from hookrow.transport.progress import NAMED, NAMING, Progress

__all__ = ["Transport", "peer_of"]


@lru_cache(1024)
def peer_of(url: str) -> Peer:
    """Whom a URL leads to: no credentials, an address spelled plainly."""
    parsed = httpx.URL(url)
    host = parsed.raw_host.decode("ascii")
    address = literal(host)
    tls = parsed.scheme == "https"
    return Peer(
        tls, host if address is None else str(address), parsed.port or (443 if tls else 80), address is not None
    )


def written(request: httpx.Request, content: bytes) -> bytes:
    """The request as it goes over the wire: nothing but what it says, framed by the length of its content."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % (name, value) for name, value in request.headers.raw if name.lower() not in FRAMING]
    lines.append(b"Content-Length: %d" % len(content))
    head = b"\r\n".join(lines)
    if head.count(b"\r") != len(lines) - 1 or head.count(b"\n") != len(lines) - 1 or b"\0" in head:
        raise ValueError("a header with a line break")  # no field of a hook can hold one
    return head + b"\r\n\r\n" + content


FRAMING = (b"content-length", b"transfer-encoding")


class Transport:
    """HTTP for one event loop of one process: made at first use, bound to it from then on.

    No redirects, cookies, proxies, decompression, nor waiting for a free connection; idle connections are kept for 4 s.
    Each address is judged by `egress` when it is dialled, and again when its connection is used under another policy;
    one may be assigned at any time. A request that breaks on a kept connection before the reply's first byte is sent
    once more on a new one.
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
        self.pool: Pool | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections; requests under way break."""
        if self.pool is not None:
            self.pool.close()
            await asyncio.sleep(0)  # they are told
        if self.resolver is not None:
            await self.resolver.close()

    async def send(self, request: httpx.Request, talk: Talk, deadline: float) -> None:
        """Send the request and let `talk` take in the reply, until `deadline` by the loop's clock.

        Raises:
            Late: the time ran out.
            Misuse: used on another event loop or in another process than the first time.
            Blocked, Broken, Unreadable, OSError: told in the words of docs/reference/outcomes.md by
                `hookrow.transport.faults`.
        """
        pool, progress, peer = self.here(), talk.progress, peer_of(str(request.url))
        progress.host, progress.port = peer.host, peer.port
        content = written(request, await request.aread())
        kept = pool.take(peer)
        if kept is not None:
            if kept.judged is not self.egress:
                try:
                    judge(self.egress, str(kept.peer[0]), progress)
                except BaseException:
                    kept.abort()
                    raise
                kept.judged = self.egress
            try:
                await kept.exchange(talk, content, deadline)
            except Stale:
                progress.restart()
            else:
                return
        made = await self.dial(pool, peer, progress, deadline)
        await made.exchange(talk, content, deadline)

    async def dial(self, pool: Pool, peer: Peer, progress: Progress, deadline: float) -> Connection:
        """A new connection. Raises what `send` does."""
        limited = asyncio.timeout_at(deadline)
        egress = self.egress
        try:
            async with limited:
                if peer.literal:
                    addresses: tuple[str, ...] = (peer.host,)
                else:
                    assert self.resolver is not None
                    progress.mark(NAMING)
                    addresses = await self.resolver.look_up(peer.host)
                    progress.mark(NAMED)
                found = await dialled(addresses, peer.port, egress, progress)
                if peer.tls and self.tls is None:
                    self.tls = client_tls()
                made = Connection(peer, pool.keep, pool.forget)
                await secured(made, found, self.tls if peer.tls else None, peer.host, progress)
        except TimeoutError:
            if limited.expired():
                raise Late from None
            raise
        made.judged = egress
        pool.open.add(made)
        return made

    def here(self) -> Pool:
        """The pool, whose loop this must be. Raises Misuse."""
        home = (os.getpid(), asyncio.get_running_loop())
        if self.pool is None:
            self.home = home
            self.pool = Pool(home[1])
            self.resolver = Resolver(self.clock, self.getaddrinfo)
        elif self.home != home:
            raise Misuse(Text("A transport belongs to the event loop and process that used it first."))
        return self.pool
