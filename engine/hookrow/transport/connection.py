"""A connection with one exchange at a time on it, over asyncio's own transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from hookrow.transport.head import Broken
from hookrow.transport.progress import SENDING, SENT, endpoint
from hookrow.transport.reading import Unreadable
from hookrow.transport.taking import Late, Taking, Talk

if TYPE_CHECKING:
    from hookrow.hook.egress import Egress

__all__ = ["Connection"]


Told: TypeAlias = "Callable[[Connection], None]"


class Connection(asyncio.Protocol):
    """One connection; while nobody speaks over it, whatever comes closes it, since it answers nothing."""

    def __init__(self, key: Any, keep: Told, forget: Told) -> None:
        """Make one for `key`; `keep` is told when it is free for the next exchange, `forget` when it is closed."""
        self.key = key
        self.keep = keep
        self.forget = forget
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.judged: Egress | None = None
        """The policy under which its address was allowed last."""
        self.expires: float = 0.0
        self.open: bool = False
        self.taking: Taking | None = None
        self.over: asyncio.Future[None] | None = None
        self.more: asyncio.Future[None] | None = None
        self.fault: BaseException | None = None
        self.deadline: float = 0.0
        self.timer: asyncio.TimerHandle | None = None
        """Looks at `deadline` no later than that; one for many exchanges, since few last that long."""

    # -- one exchange -------------------------------------------------------------------------------------------------

    async def exchange(self, talk: Talk, request: bytes, deadline: float) -> None:
        """Write the request and take the reply in, until `deadline` by the loop's clock. Cancelled, it cuts the line.

        Raises:
            Stale, Late
            Broken, Unreadable, OSError: what breaks it.
        """
        self.limit(deadline)
        try:
            taking = self.taking = Taking(talk)
            await self.begin(taking, request)
            if taking.handed is not None:
                await talk.read(self.pieces(taking))
        except BaseException:
            self.abort()
            raise
        finally:
            self.let_go()

    def limit(self, deadline: float) -> None:
        """From now on an exchange ends by then."""
        self.deadline = deadline
        if self.timer is None or self.timer.when() > deadline:
            self.stop_timer()
            self.timer = self.loop.call_at(deadline, self.look_at_time)

    def look_at_time(self) -> None:
        """The exchange that the timer was made for is over, or late."""
        self.timer = None
        if self.taking is None:
            return
        if self.loop.time() < self.deadline:
            self.limit(self.deadline)
        else:
            self.fail(Late())

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def begin(self, taking: Taking, request: bytes) -> asyncio.Future[None]:
        """Write the request; the future is done when the reply was taken in, or so much that the rest is handed out."""
        progress = taking.talk.progress
        progress.address = self.place
        progress.mark(SENDING)
        self.fault = None
        self.over = self.loop.create_future()
        self.wire.write(request)
        self.look_at_buffers()
        return self.over

    def look_at_buffers(self) -> None:
        """The request is sent once the system has all of it: nothing is left in TLS's buffer nor in the one below.

        What is closing has thrown its buffer away.
        """
        taking, raw = self.taking, self.raw
        if taking is None or taking.talk.progress.sent or raw.is_closing():
            return
        if not raw.get_write_buffer_size() and not self.wire.get_write_buffer_size():
            taking.talk.progress.mark(SENT)

    async def pieces(self, taking: Taking) -> AsyncIterator[bytes]:
        """The rest of a body, no faster than it is asked for."""
        assert taking.handed is not None
        while True:
            while taking.handed:
                yield taking.handed.popleft()
            if self.fault is not None:
                raise self.fault
            if taking.reader.done:
                return
            self.more = self.loop.create_future()
            self.wire.resume_reading()
            await self.more

    def let_go(self) -> None:
        """The exchange is over: the connection is kept where it may be."""
        taking, self.taking, self.over = self.taking, None, None
        if not self.open or taking is None:
            return
        if taking.clean:
            self.wire.resume_reading()
            self.keep(self)
        else:
            self.abort()

    def fail(self, error: BaseException) -> None:
        """End the exchange and the connection."""
        self.abort()
        self.tell(error)

    def tell(self, error: BaseException | None = None) -> None:
        """Wake who waits."""
        self.fault = error
        for waiting in (self.over, self.more):
            if waiting is not None and not waiting.done():
                if error is None or waiting is self.more:
                    waiting.set_result(None)
                else:
                    waiting.set_exception(error)

    def abort(self) -> None:
        """Cut the connection: closing would first send what is still in the buffer, as long as the receiver likes."""
        self.open = False
        self.wire.abort()

    # -- what asyncio tells -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if TYPE_CHECKING:  # uvloop's are no instances of it
            assert isinstance(transport, asyncio.Transport)
        self.raw: asyncio.Transport = transport
        self.wire: asyncio.Transport = transport
        self.peer: Any = transport.get_extra_info("peername")
        self.place: str | None = endpoint(self.peer)
        self.open = True
        transport.set_write_buffer_limits(high=0)  # `resume_writing` says when the last byte was handed over

    def secured(self, tls: asyncio.Transport) -> None:
        """From now on it speaks through this one, which writes to the one below."""
        self.wire = tls
        tls.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        # With a limit of 0 TLS calls this and `resume_writing` in turn, as one of the two buffers has changed.
        self.look_at_buffers()

    def resume_writing(self) -> None:
        self.look_at_buffers()

    def data_received(self, data: bytes) -> None:
        taking = self.taking
        if taking is None:
            self.abort()
            return
        if self.over is None or self.fault is not None:
            return
        try:
            told = taking.take(data)
        except (Broken, Unreadable) as error:
            self.fail(error)
            return
        if taking.handed is not None:
            self.wire.pause_reading()
        if taking.enough:
            self.abort()
        if told:
            self.tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self.stop_timer()
        self.forget(self)
        taking = self.taking
        if taking is None or self.over is None or (self.over.done() and taking.handed is None):
            return
        if self.fault is None and not taking.reader.done:
            self.tell(taking.cut(exc))
