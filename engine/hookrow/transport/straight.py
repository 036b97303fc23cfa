"""Requests that a calling thread makes by itself, over sockets of its own: no event loop turns for them.

The coroutines of an exchange run here as well: over this transport none of them waits for a loop, so `straight` drives
them to their end. A name is looked up and an address dialled on a loop all the same: that is rare, and raced.
"""

from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from hookrow.clock import Clock, SystemClock
from hookrow.hook.egress import Egress
from hookrow.transport.dialling import Peer
from hookrow.transport.line import Line
from hookrow.transport.pool import Pool
from hookrow.transport.progress import Progress
from hookrow.transport.wire import Transport

__all__ = ["StraightTransport", "straight"]

T = TypeVar("T")
REAL: Final = SystemClock()
"""What a test sets by hand is none that a socket waits by."""
Run = Callable[[Coroutine[Any, Any, socket.socket]], socket.socket]
alive: weakref.WeakSet[StraightTransport] = weakref.WeakSet()


def straight(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing: it may only let others go first."""
    try:
        while True:
            if coroutine.send(None) is not None:
                raise RuntimeError("it waits for an event loop")
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        coroutine.close()


class StraightTransport(Transport):
    """The same for threads, as many at once as there are; a child of fork begins anew."""

    def __init__(self, egress: Egress, clock: Clock, run: Run, beside: Callable[[], Transport]) -> None:
        """`run` runs a coroutine on a loop, in this thread or another; `beside` gives the running loop's transport."""
        super().__init__(egress, clock)
        self.run = run
        self.beside = beside
        self.begin_anew()
        alive.add(self)

    def begin_anew(self) -> None:
        self.pid: int = os.getpid()
        self.lines: Pool[Line] = Pool(self.now, later)

    def now(self) -> float:
        return REAL.monotonic()

    def here(self) -> Pool[Line]:  # type: ignore[override]
        if os.getpid() != self.pid:
            left = list(self.lines.open)
            self.begin_anew()
            for line in left:  # copies: of the parent's connections nothing is said to anybody
                line.pool = self.lines  # a thread of the parent may hold the other one's lock for ever
                line.abort()
        return self.lines

    async def dial(self, peer: Peer, egress: Egress, progress: Progress, deadline: float) -> Line:  # type: ignore[override]
        async def reached() -> socket.socket:
            return await self.beside().reach(peer, egress, progress, deadline - self.now())

        pool = self.here()
        made = Line(peer, pool, self.run(reached()))
        pool.open.add(made)
        try:
            if peer.tls:
                made.secure(self.own_tls(), progress, deadline)
        except BaseException:
            made.abort()
            raise
        return made

    def cancel(self) -> None:
        """Whoever waits for a receiver gets EngineClosed."""
        self.lines.closed = True
        for line in list(self.lines.open):
            line.cut_off()

    def close(self) -> None:
        """Close what is idle. Nobody may be inside."""
        timer = self.lines.reaper
        self.here().close()
        if isinstance(timer, threading.Timer):
            timer.join()


def after_fork_in_child() -> None:
    for transport in list(alive):
        transport.here()


os.register_at_fork(after_in_child=after_fork_in_child)


def later(seconds: float, call: Callable[[], None]) -> threading.Timer | None:
    """Call it in a thread, if there is room for one: connections are looked at again as one is kept."""
    timer = threading.Timer(seconds, call)
    timer.name, timer.daemon = "hookrow-lines", True
    try:
        timer.start()
    except RuntimeError:
        return None
    return timer
