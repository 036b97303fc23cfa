"""A connection over which the calling thread itself speaks: a socket, and waits that end at the deadline."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hookrow.errors import EngineClosed
from hookrow.transport.head import Broken
from hookrow.transport.progress import SECURED, SECURING, SENDING, SENT, Progress, endpoint
from hookrow.transport.reading import Unreadable
from hookrow.transport.taking import Late, Taking, Talk

if TYPE_CHECKING:
    from hookrow.hook.egress import Egress
    from hookrow.transport.dialling import Peer
    from hookrow.transport.pool import Pool

__all__ = ["Line"]

ONCE = 65_536
"""Bytes that are taken in at a time."""
NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Line:
    """One connection, used by one thread at a time.

    Its methods that wait raise Late at `deadline` by the pool's clock, and EngineClosed as the pool's connections are
    cut off by another thread. What a signal's handler raises comes out of them, too.
    """

    def __init__(self, key: Peer, pool: Pool[Line], wire: socket.socket) -> None:
        self.key: Peer = key
        self.pool = pool
        self.wire: socket.socket = wire
        self.peer: Any = (key.host, key.port)
        with suppress(OSError):  # it may be gone by now, and the request will say so
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.peer = wire.getpeername()
        self.place: str | None = endpoint(self.peer)
        self.judged: Egress | None = None
        """The policy under which its address was allowed last."""
        self.expires: float = 0.0
        self.closed: bool = False
        self.rest: memoryview = memoryview(b"")
        """What of the request is still to be sent."""
        self.poller: select.poll = select.poll()
        self.poller.register(wire, select.POLLIN)
        self.waited_for: int = select.POLLIN

    def secure(self, tls: ssl.SSLContext, progress: Progress, deadline: float) -> None:
        """Put it behind TLS. Raises Late, EngineClosed, OSError."""
        progress.mark(SECURING)
        name = self.key.host.rstrip(".")
        wire = tls.wrap_socket(self.wire, server_hostname=name, do_handshake_on_connect=False)
        self.wire = wire
        while True:
            try:
                wire.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.wait(select.POLLIN, deadline)
            except ssl.SSLWantWriteError:
                self.wait(select.POLLOUT, deadline)
        progress.mark(SECURED)

    async def exchange(self, talk: Talk, request: bytes, deadline: float) -> None:
        """Write the request and take the reply in. Interrupted, it cuts the line. Raises as `Connection.exchange`."""
        taking = Taking(talk)
        talk.progress.address = self.place
        talk.progress.mark(SENDING)
        self.rest = memoryview(request)
        try:
            while not self.step(taking, deadline):
                pass
            if taking.handed is not None:
                await talk.read(self.pieces(taking, deadline))
        except BaseException:
            self.abort()
            raise
        if taking.clean:
            self.pool.keep(self)
        else:
            self.abort()

    async def pieces(self, taking: Taking, deadline: float) -> AsyncIterator[bytes]:
        """The rest of a body, no faster than it is asked for."""
        assert taking.handed is not None
        fault: Exception | None = None
        while True:
            while taking.handed:
                yield taking.handed.popleft()
            if fault is not None:
                raise fault
            if taking.reader.done:
                return
            try:
                self.step(taking, deadline)
            except (Broken, Unreadable) as error:  # what came before it counts
                fault = error

    def step(self, taking: Taking, deadline: float) -> bool:
        """Send on, and take in what comes; as `Taking.take`."""
        try:
            if self.rest:
                self.send(taking.talk.progress)
            data = self.receive(deadline)
        except Late:
            raise
        except OSError as error:
            raise taking.cut(error) or error from None
        if data is None:
            return False
        if data:
            return taking.take(data)
        end = taking.cut(None)
        if end is not None:
            raise end
        return True

    def send(self, progress: Progress) -> None:
        """As much as the system takes."""
        try:
            self.rest = self.rest[self.wire.send(self.rest) :]
        except NOTHING_YET:
            return
        if not self.rest:
            progress.mark(SENT)

    def receive(self, deadline: float) -> bytes | None:
        """Some bytes, none at the connection's end; None where it is time to send on, or to ask once more."""
        if not (isinstance(self.wire, ssl.SSLSocket) and self.wire.pending()):
            self.wait(select.POLLIN | select.POLLOUT if self.rest else select.POLLIN, deadline)
        try:
            return self.wire.recv(ONCE)
        except NOTHING_YET:
            return None

    def wait(self, events: int, deadline: float) -> None:
        """Until the socket is ready for one of these. Raises Late, EngineClosed."""
        if events != self.waited_for:
            self.poller.modify(self.wire, events)
            self.waited_for = events
        left = deadline - self.pool.now()
        ready = left > 0 and not self.pool.closed and self.poller.poll(left * 1000)
        if self.pool.closed:
            raise EngineClosed()
        if not ready:
            raise Late

    @property
    def open(self) -> bool:
        """Whether it may be used, as nobody speaks over it: whatever came meanwhile answers nothing."""
        if self.closed or self.waited_for != select.POLLIN:
            return False
        if not self.poller.poll(0):
            return True
        if isinstance(self.wire, ssl.SSLSocket):
            try:
                self.wire.recv(1)
            except ssl.SSLWantReadError:  # a session ticket
                return True
            except OSError:
                pass
        return False

    def cut_off(self) -> None:
        """Wake up the thread that waits for the receiver, and no more: the socket is that thread's."""
        with suppress(OSError):
            socket.socket.shutdown(self.wire, socket.SHUT_RDWR)

    def __del__(self) -> None:
        self.wire.close()  # an interrupt between two exchanges has lost it

    def abort(self) -> None:
        """Cut the connection."""
        self.closed = True
        self.pool.forget(self)
        self.wire.close()
