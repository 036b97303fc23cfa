"""The event loop of a blocking engine, in a thread of its own: what callers hand to it, and how it ends."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import Any, TypeVar

from hookrow.core.threads.ending import let_go_by
from hookrow.errors import EngineClosed
from hookrow.lang import Text
from hookrow.store.aside import started
from hookrow.store.database.locks import LET_GO, now

__all__ = ["NoThread", "Portal"]

T = TypeVar("T")


class NoThread(RuntimeError):
    """The loop's thread can't be started: there is no room for one, or the interpreter is ending."""


class Portal:
    """An event loop in a thread of its own, started at the first call and anew after a fork.

    A wall-clock limit needs cancellation, which only a loop has; so the blocking engine runs the async core here.
    """

    def __init__(self) -> None:
        self.closing: bool = False
        self.begin_anew()

    def begin_anew(self) -> None:
        self.lock: threading.RLock = threading.RLock()  # a signal's handler may fire meanwhile
        self.left: threading.Condition = threading.Condition(self.lock)
        self.pid: int = os.getpid()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.calls: set[asyncio.Task[Any]] = set()
        """What other threads wait for."""
        self.threads: list[int] = []
        """Which of them do something by themselves; twice where a signal's handler does so in the middle of that."""

    @property
    def started(self) -> bool:
        """Whether this process has the loop; a fork leaves its parent's behind."""
        return self.loop is not None and os.getpid() == self.pid

    @contextmanager
    def in_thread(self) -> Iterator[None]:
        """For what a thread does by itself: the engine is not closed meanwhile.

        Raises:
            EngineClosed
        """
        self.renew()
        me = threading.get_ident()
        with self.lock:
            if self.closing:
                raise EngineClosed(Text("the engine is closed"))
            self.threads.append(me)
        try:
            yield
        finally:
            self.threads.remove(me)
            with self.lock:
                if self.closing:
                    self.left.notify_all()

    @property
    def inside(self) -> bool:
        """Whether this thread is, in a signal's handler that asks."""
        self.renew()
        return threading.get_ident() in self.threads

    def wait_for_threads(self, seconds: float) -> bool:
        """Take no new ones, and let those that are inside end, within so many seconds; whether they have."""
        self.renew()
        with self.lock:
            self.closing = True
            return self.left.wait_for(lambda: not self.threads, seconds)

    def renew(self) -> None:
        """In a child of fork: leave the parent's loop and threads alone."""
        if os.getpid() == self.pid:
            return
        if self.loop is not None:
            # The parent's loop never runs here: what belongs to it must not complain of that when it is collected.
            self.loop.set_exception_handler(lambda loop, context: None)
        self.begin_anew()

    def running(self) -> asyncio.AbstractEventLoop:
        self.renew()
        with self.lock:
            if self.loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name="hookrow-loop", daemon=True)
                if not started(thread):
                    loop.close()
                    raise NoThread("no thread can be started")
                self.loop, self.thread = loop, thread
            return self.loop

    def begin(self, coroutine: Coroutine[Any, Any, T], ended: Callable[[], object]) -> Future[T]:
        """Start a coroutine there; `ended` is called when it has let go, cancelled or not.

        Raises:
            EngineClosed, NoThread
        """
        try:
            if self.closing:
                raise EngineClosed(Text("the engine is closed"))
            loop = self.running()
        except BaseException:
            coroutine.close()  # nobody will ever await it
            raise

        async def watched() -> T:
            task = asyncio.current_task()
            assert task is not None
            self.calls.add(task)
            try:
                return await coroutine
            finally:
                self.calls.discard(task)
                ended()

        return asyncio.run_coroutine_threadsafe(watched(), loop)

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for it; an interrupt (ctrl+c) cancels it, and waits until it has let go.

        Raises:
            EngineClosed: the engine is closed, or was meanwhile.
            NoThread
        """
        ended = threading.Event()
        future = self.begin(coroutine, ended.set)
        try:
            return future.result()
        except CancelledError:
            raise EngineClosed(Text("the engine is closed")) from None
        except BaseException as error:
            if not future.done():
                future.cancel()
                ended.wait(let_go_by(error) - now())
            raise

    async def join(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """As `call`, awaited on another loop; cancelled here, it is cancelled there."""
        return await asyncio.wrap_future(self.begin(coroutine, lambda: None))

    async def settle(self, grace: float, besides: asyncio.Task[Any] | None) -> None:
        """On the loop: take no new calls; those that threads wait for may end within `grace` seconds, then not.

        Args:
            besides: the call that asks for this.
        """
        self.closing = True
        others = {task for task in self.calls if task is not besides}
        if others:
            _, late = await asyncio.wait(others, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=LET_GO)

    def close(self) -> None:
        """End the loop's thread. Nothing may be running on it."""
        with self.lock:
            loop, thread = self.loop, self.thread
            self.loop = self.thread = None
        if loop is None or os.getpid() != self.pid:
            return
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join()
        loop.close()
