"""Making a connection: the name looked up, each address judged before it is dialled, families raced, TLS."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, NamedTuple

from hookrow.hook.egress import Egress
from hookrow.lang import Text
from hookrow.transport.progress import CONNECTED, CONNECTING, SECURED, SECURING, Progress, endpoint

if TYPE_CHECKING:
    from hookrow.transport.connection import Connection

__all__ = ["Blocked", "Peer", "client_tls", "dialled", "judge", "secured"]

NEXT = 0.25
"""Seconds after which the next address is tried beside one that does not answer (RFC 8305, 8)."""
SHUTDOWN = 1.0
"""Seconds that the end of a TLS connection may take."""


class Blocked(OSError):
    """The policy refuses the address that was to be dialled; `reason` says why."""

    def __init__(self, reason: Text) -> None:
        super().__init__(errno.EACCES, "address refused")
        self.reason = reason


class Peer(NamedTuple):
    """Who is to be reached; `literal`: the host is an address."""

    tls: bool
    host: str
    port: int
    literal: bool


def client_tls() -> ssl.SSLContext:
    """What `ssl.create_default_context()` demands: the system's authorities, names checked; TLS 1.2 or newer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    return context


def judge(egress: Egress, address: str, progress: Progress) -> None:
    """Raises Blocked: the policy refuses the address."""
    reason = egress.verdict(address, host=progress.host, port=progress.port)
    if reason is not None:
        progress.blocked = reason
        raise Blocked(reason)


async def dialled(addresses: Sequence[str], port: int, egress: Egress, progress: Progress) -> socket.socket:
    """A connected socket: the first of these addresses that answers, the families in turn (RFC 8305).

    Raises:
        Blocked: the policy refuses all that did not fail otherwise.
        OSError: none could be reached.
    """
    waiting = deque(in_turn(addresses))
    if len(waiting) == 1:
        return await connected(waiting[0], port, egress, progress)
    tries: set[asyncio.Task[socket.socket]] = set()
    errors: list[BaseException] = []
    try:
        while waiting or tries:
            if waiting:
                tries.add(asyncio.create_task(connected(waiting.popleft(), port, egress, progress)))
            done, tries = await asyncio.wait(tries, timeout=NEXT if waiting else None, return_when="FIRST_COMPLETED")
            reached = []
            for each in done:
                error = each.exception()
                if error is None:
                    reached.append(each.result())
                else:
                    errors.append(error)
            for spare in reached[1:]:
                spare.close()
            if reached:
                return reached[0]
    finally:
        for each in tries:
            each.cancel()
        if tries:
            await asyncio.wait(tries)
        for each in tries:
            if not each.cancelled() and each.exception() is None:
                each.result().close()
    raise next((error for error in reversed(errors) if not isinstance(error, Blocked)), errors[-1])


def in_turn(addresses: Sequence[str]) -> list[str]:
    """The two families one after the other, beginning with the first address's."""
    first = [each for each in addresses if (":" in each) == (":" in addresses[0])]
    second = [each for each in addresses if each not in first]
    return [each for each in chain.from_iterable(zip_longest(first, second)) if each is not None]


async def connected(address: str, port: int, egress: Egress, progress: Progress) -> socket.socket:
    """A socket connected to this address, if it may be dialled."""
    progress.mark(CONNECTING)
    judge(egress, address, progress)
    progress.dialled.append(endpoint((address, port)) or address)
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    progress.mark(CONNECTED)
    return made


async def secured(
    protocol: Connection, made: socket.socket, tls: ssl.SSLContext | None, host: str, progress: Progress
) -> None:
    """Give the socket to the protocol, behind TLS where a context is given."""
    loop = asyncio.get_running_loop()
    try:
        raw, _ = await loop.create_connection(lambda: protocol, sock=made)
        if tls is None:
            return
        progress.mark(SECURING)
        try:
            wire = await loop.start_tls(
                raw, protocol, tls, server_hostname=host.rstrip("."), ssl_shutdown_timeout=SHUTDOWN
            )
        except BaseException:
            raw.abort()
            raise
        if wire is None:  # the connection ended with the handshake
            raise ConnectionResetError
        protocol.secured(wire)
        progress.mark(SECURED)
    except BaseException:
        made.close()
        raise
