"""The shipped transport: HTTP/1.1 over connections of our own."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, Self

from hookrow.clock import Clock
from hookrow.errors import Misuse
from hookrow.hook.egress import Egress
from hookrow.lang import Text
from hookrow.transport.connection import Connection
from hookrow.transport.dialling import Peer, client_tls, dialled, judge, secured
from hookrow.transport.names import Resolver
from hookrow.transport.outgoing import Outgoing
from hookrow.transport.pool import Pool
from hookrow.transport.progress import NAMED, NAMING, Progress
from hookrow.transport.taking import Late, Stale, Talk

__all__ = ["Transport"]


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
        self.pool: Pool[Connection] | None = None

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

    async def send(self, request: Outgoing, talk: Talk, seconds: float) -> None:
        """Send the request and let `talk` take in the reply, within so many seconds.

        Raises:
            Late: the time ran out.
            Misuse: used on another event loop or in another process than the first time.
            EngineClosed: it was closed while it looked the name up.
            Blocked, Broken, Unreadable, OSError: told in the words of docs/reference/outcomes.md by
                `hookrow.transport.faults`.
        """
        pool, progress, peer, egress = self.here(), talk.progress, request.place.peer, self.egress
        deadline = self.now() + seconds
        progress.host, progress.port = peer.host, peer.port
        content = request.content
        kept = pool.take(peer)
        if kept is not None:
            if kept.judged is not egress:
                try:
                    judge(egress, str(kept.peer[0]), progress)
                except BaseException:
                    kept.abort()
                    raise
                kept.judged = egress
            try:
                await kept.exchange(talk, content, deadline)
            except Stale:
                progress.restart()
            else:
                return
        made = await self.dial(peer, egress, progress, deadline)
        made.judged = egress
        await made.exchange(talk, content, deadline)

    async def dial(self, peer: Peer, egress: Egress, progress: Progress, deadline: float) -> Connection:
        """A new connection. Raises what `send` does."""
        pool = self.here()
        made = Connection(peer, pool.keep, pool.forget)
        await self.reach(peer, egress, progress, deadline - self.now(), made)
        pool.open.add(made)
        return made

    async def reach(
        self, peer: Peer, egress: Egress, progress: Progress, seconds: float, protocol: Connection | None = None
    ) -> socket.socket:
        """A connected socket, given to the protocol, behind TLS, if there is one. Raises what `send` does."""
        self.here()
        limited = asyncio.timeout(seconds)
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
                if protocol is not None:
                    await secured(protocol, found, self.own_tls() if peer.tls else None, peer.host, progress)
        except TimeoutError:
            if limited.expired():
                raise Late from None
            raise
        return found

    def own_tls(self) -> ssl.SSLContext:
        """What connections are secured with, made when the first one needs it: the system's certificates are read."""
        if self.tls is None:
            self.tls = client_tls()
        return self.tls

    def now(self) -> float:
        """Seconds by the clock of the loop."""
        return asyncio.get_running_loop().time()

    def here(self) -> Pool[Connection]:
        """The pool, whose loop this must be. Raises Misuse."""
        loop = asyncio.get_running_loop()
        home = (os.getpid(), loop)
        if self.pool is None:
            self.home = home
            self.pool = Pool(loop.time, loop.call_later)
            self.resolver = Resolver(self.clock, self.getaddrinfo)
        elif self.home != home:
            raise Misuse(Text("A transport belongs to the event loop and process that used it first."))
        return self.pool
