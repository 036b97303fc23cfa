"""A connection with one exchange at a time on it, over asyncio's own transports."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from hookrow.transport.framing import ReplyReader
from hookrow.transport.head import Broken, Head
from hookrow.transport.progress import CONNECTING, HEADED, SENDING, SENT, Progress, endpoint
from hookrow.transport.reading import Unreadable

if TYPE_CHECKING:
    from hookrow.hook.egress import Egress

__all__ = ["Connection", "Late", "Stale", "Talk"]


Told: TypeAlias = "Callable[[Connection], None]"


class Stale(ConnectionError):
    """A kept connection broke before the reply's first byte: the request may go out once more."""


class Late(TimeoutError):
    """The exchange's time has run out."""


class Talk(Protocol):
    """What a connection needs to know of an exchange, and tells it."""

    progress: Progress

    def headed(self, head: Head) -> bool:
        """The head is there; gives whether the body is to be handed out by `Connection.pieces`."""
        ...

    def took(self, piece: bytes) -> bool:
        """A piece of the body came; gives whether that is enough. Raises Unreadable."""
        ...

    def ended(self) -> None:
        """The body's end was seen."""
        ...

    async def read(self, pieces: AsyncIterator[bytes]) -> None:
        """Take in a body that is handed out. Raises Unreadable."""
        ...


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
        self.talk: Talk | None = None
        self.reader: ReplyReader = ReplyReader()
        self.over: asyncio.Future[None] | None = None
        self.handed: deque[bytes] | None = None
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
            await self.begin(talk, request)
            if self.handed is not None:
                await talk.read(self.pieces())
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
        if self.talk is None:
            return
        if self.loop.time() < self.deadline:
            self.limit(self.deadline)
        else:
            self.fail(Late())

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def begin(self, talk: Talk, request: bytes) -> asyncio.Future[None]:
        """Write the request; the future is done when the reply was taken in, or so much that the rest is handed out."""
        progress = talk.progress
        progress.address = self.place
        progress.mark(SENDING)
        self.talk, self.reader, self.handed, self.fault = talk, ReplyReader(), None, None
        self.over = self.loop.create_future()
        self.wire.write(request)
        if not self.wire.get_write_buffer_size():
            progress.mark(SENT)
        return self.over

    async def pieces(self) -> AsyncIterator[bytes]:
        """The rest of a body, no faster than it is asked for."""
        assert self.handed is not None
        while True:
            while self.handed:
                yield self.handed.popleft()
            if self.fault is not None:
                raise self.fault
            if self.reader.done:
                return
            self.more = self.loop.create_future()
            self.wire.resume_reading()
            await self.more

    def let_go(self) -> None:
        """The exchange is over: the connection is kept where it may be."""
        talk, reader = self.talk, self.reader
        self.talk = self.over = None
        if not self.open or talk is None:
            return
        head = reader.head
        clean = reader.done and not reader.excess and head is not None and head.keeps and talk.progress.sent
        if clean and 200 <= head.status < 600:  # type: ignore[union-attr]
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
        assert isinstance(transport, asyncio.Transport)
        self.wire: asyncio.Transport = transport
        self.peer: Any = transport.get_extra_info("peername")
        self.place: str | None = endpoint(self.peer)
        self.open = True
        transport.set_write_buffer_limits(high=0)  # `resume_writing` says when the last byte was handed over

    def resume_writing(self) -> None:
        if self.talk is not None and not self.talk.progress.sent:
            self.talk.progress.mark(SENT)

    def data_received(self, data: bytes) -> None:
        talk, reader = self.talk, self.reader
        if talk is None:
            self.abort()
            return
        if self.over is None or self.fault is not None:
            return
        pieces: list[bytes] = []
        broken: Broken | Unreadable | None = None
        before = reader.head
        try:
            reader.feed(data, pieces)
        except (Broken, Unreadable) as error:
            broken = error
        if before is None and reader.head is not None:
            talk.progress.mark(HEADED)
            if talk.headed(reader.head):
                self.handed = deque()
        if self.handed is not None:
            self.handed.extend(pieces)
            self.wire.pause_reading()
        elif self.took(talk, pieces):
            return
        if broken is not None:
            self.fail(broken)
        elif self.handed is not None:
            self.tell()
        elif reader.done:
            talk.ended()
            self.tell()

    def took(self, talk: Talk, pieces: list[bytes]) -> bool:
        """Give the pieces to the exchange; whether that ended it."""
        try:
            if not any(talk.took(piece) for piece in pieces):
                return False
        except Unreadable as error:
            self.fail(error)
        else:
            self.abort()
            self.tell()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self.stop_timer()
        self.forget(self)
        talk, reader = self.talk, self.reader
        if talk is None or self.over is None or (self.over.done() and self.handed is None):
            return
        if reader.to_the_end and exc is None:
            reader.done = True
            if self.handed is None:
                talk.ended()
            self.tell()
        elif self.fault is None and not reader.done:
            reused = CONNECTING not in talk.progress.at
            self.tell(Stale() if reused and not reader.seen else exc or ConnectionResetError())
