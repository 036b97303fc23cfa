"""Event loops that calling threads run themselves: a blocking `fire()` waits for no other thread to wake up.

To hand a request to the portal's loop and get its answer back costs as much as the request. So a thread takes a loop
with its own kept connections, runs it until its hooks have answered, and leaves it for the next caller.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar

from hookrow.core.threads.portal import Portal
from hookrow.errors import EngineClosed
from hookrow.store.aside import started
from hookrow.store.database.locks import let_go_by

__all__ = ["Loops"]

T = TypeVar("T")
MOST = 8
"""Loops of one engine; more callers at once share the portal's, where it is the processor that they wait for."""
KEPT = 4.0
"""Seconds after which an unused loop is closed: no connection stays open for longer (docs/security.md)."""

alive: weakref.WeakSet[Loops] = weakref.WeakSet()


class Loops:
    """The loops of one engine, each run by one thread at a time."""

    def __init__(self, portal: Portal, let_go: Callable[[], Awaitable[None]]) -> None:
        """`let_go` closes, on the running loop, what the engine keeps for it."""
        self.portal = portal
        self.let_go = let_go
        self.closed: bool = False
        self.left_behind: list[asyncio.AbstractEventLoop] = []
        self.begin_anew()
        alive.add(self)

    def begin_anew(self) -> None:
        self.lock: threading.RLock = threading.RLock()  # a signal's handler may come to it again
        self.idle: list[tuple[asyncio.AbstractEventLoop, float]] = []
        self.busy: dict[asyncio.AbstractEventLoop, asyncio.Task[Any] | None] = {}
        self.timer: threading.Timer | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine and wait for it; an interrupt (ctrl+c, an alarm) cancels it, and waits until it has let go.

        Raises:
            EngineClosed: the engine was closed meanwhile, and it was cancelled.
        """
        try:
            loop = self.take()
        except BaseException:
            coroutine.close()  # nobody will ever await it
            raise
        if loop is None:
            return self.portal.call(coroutine)
        sound = False
        try:
            task: asyncio.Task[T] = loop.create_task(coroutine)
            self.busy[loop] = task
            try:
                answer = loop.run_until_complete(task)
                sound = True
                return answer
            except asyncio.CancelledError:  # by `cancel`: nobody else has the task
                raise EngineClosed() from None
            except BaseException as error:
                sound = task.done() and isinstance(error, Exception)
                if sound:
                    raise
                let_go_by(error)  # its time runs from here, for what is recorded after this too
                # A signal's handler raised it, and may have hit anything: what else it broke is nobody's to be told of.
                loop.set_exception_handler(lambda loop, context: None)
                if not task.done():
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        loop.run_until_complete(task)
                raise
        finally:
            self.give_back(loop, sound)

    def take(self) -> asyncio.AbstractEventLoop | None:
        with self.lock:
            if self.closed or len(self.busy) >= MOST:
                return None
            # The one that was used last: its connections are the freshest.
            try:
                loop = self.idle.pop()[0] if self.idle else Context().run(asyncio.new_event_loop)  # kept by no call's
            except OSError:  # no descriptor is left: the portal's has its own already
                return None
            self.busy[loop] = None
            return loop

    def give_back(self, loop: asyncio.AbstractEventLoop, sound: bool) -> None:
        with self.lock:
            del self.busy[loop]
            if sound and not self.closed:
                self.idle.append((loop, loop.time()))
                self.set_timer()
                return
        if sound:
            self.end(loop)
        else:  # where no interrupt comes once more
            self.end_elsewhere([loop])

    def set_timer(self) -> None:
        """With `lock` held: see to idle loops later. One timer at a time, so that no call pays for it."""
        if self.timer is None:
            timer = threading.Timer(KEPT, self.reap)
            timer.name, timer.daemon = "hookrow-loops", True
            self.timer = timer if started(timer) else None

    def reap(self) -> None:
        """Close the loops that nobody has used for a while."""
        with self.lock:
            self.timer = None
            old = [loop for loop, since in self.idle if loop.time() - since >= KEPT / 2]
            self.idle = [each for each in self.idle if each[0] not in old]
            if self.idle:
                self.set_timer()
        self.end_all(old)

    def end_all(self, loops: Iterable[asyncio.AbstractEventLoop]) -> None:
        for loop in loops:
            self.end(loop)

    def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close a loop that nobody runs, with its connections; one that was interrupted as it stopped, stops twice."""
        try:
            with suppress(RuntimeError):
                loop.run_until_complete(self.ended())
                return
            loop.run_until_complete(self.ended())
        finally:
            loop.close()

    async def ended(self) -> None:
        await self.let_go()
        await asyncio.get_running_loop().shutdown_asyncgens()

    def cancel(self) -> None:
        """Cancel what runs; each thread closes its loop when it has let go. No loop is begun from now on."""
        with self.lock:
            self.closed = True
            for loop, task in self.busy.items():
                if task is not None:
                    loop.call_soon_threadsafe(task.cancel)

    def close(self) -> None:
        """Close what is idle."""
        with self.lock:
            self.closed = True
            idle, self.idle = [loop for loop, _ in self.idle], []
            timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()
            timer.join()
        self.end_elsewhere(idle)

    def before_fork(self) -> None:
        """A child that collects an idle loop would take the parent's connections out of the parent's own selector."""
        with self.lock:
            idle, self.idle = [loop for loop, _ in self.idle], []
        self.end_elsewhere(idle)

    def end_elsewhere(self, loops: list[asyncio.AbstractEventLoop]) -> None:
        """In a thread of its own: this one may be running a loop, and no other runs inside it."""
        if loops:
            ending = threading.Thread(target=self.end_all, args=(loops,))
            if started(ending):
                ending.join()
            else:
                self.end_all(loops)


def before_fork() -> None:
    for loops in list(alive):
        loops.before_fork()


def after_fork_in_child() -> None:
    for loops in list(alive):
        # Other threads of the parent run these: they must never be collected here.
        loops.left_behind += [*loops.busy, *(loop for loop, _ in loops.idle)]
        loops.begin_anew()


os.register_at_fork(before=before_fork, after_in_child=after_fork_in_child)
