"""The event loop of a blocking engine, in a thread of its own: what callers hand to it, and how it ends."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import Any, Final, TypeVar

from hookrow.core.threads.running import RunningCalls
from hookrow.errors import EngineClosed
from hookrow.store.aside import started
from hookrow.store.database.locks import let_go_by, now
from hookrow.system.locks import lock_for

__all__ = ["NoThread", "Portal"]

T = TypeVar("T")


class NoThread(RuntimeError):
    """The loop's thread can't be started: there is no room for one, or the interpreter is ending."""


class Portal:
    """An event loop in a thread of its own, started at the first call and anew after a fork.

    A wall-clock limit needs cancellation, which only a loop has; so the blocking engine runs the async core here.

    First it is open to all. From `shut` on it is closing: who is inside may end, and the engine's end itself may pass.
    From `close` on its loop is gone. It goes that way once, whatever interrupts it: each step can be done again.
    """

    def __init__(self, owner: object = None) -> None:
        """`owner`: the engine, which the loop's thread holds: nobody else may, and it is to be closed at exit."""
        self.owner: Final = owner
        self.closing: bool = False
        self.over: bool = False
        self.lock: threading.RLock = lock_for(self)  # a signal's handler may close the engine at any moment
        self.begin_anew()

    def begin_anew(self) -> None:
        self.ending: threading.RLock = threading.RLock()
        """Of the thread that closes the engine."""
        self.at_it: bool = False
        """Whether it does."""
        self.left: threading.Condition = threading.Condition(self.lock)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.under_way: RunningCalls = RunningCalls()
        """What other threads wait for, where it runs; the engine's end is none of them."""
        self.answers: set[Future[Any]] = set()
        """What all of them wait for."""
        self.threads: list[int] = []
        """Which of them do something by themselves; twice where a signal's handler does so in the middle of that."""
        self.pid: int = os.getpid()  # last: who finds it uses all this

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
                raise EngineClosed()
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

    def shut(self) -> None:
        """Let nobody in any more, neither threads nor what they hand over."""
        with self.lock:
            self.closing = True

    def wait_for_threads(self, seconds: float) -> bool:
        """Let those that are inside end, within so many seconds; whether they have."""
        with self.lock:
            return self.left.wait_for(lambda: not self.threads, seconds)

    def renew(self) -> None:
        """In a child of fork: leave the parent's loop and threads alone."""
        if os.getpid() == self.pid:
            return
        with self.lock:  # threads of the child may come together
            if os.getpid() == self.pid:
                return
            if self.loop is not None:
                # The parent's loop never runs here: what belongs to it must not complain of that as it is collected.
                self.loop.set_exception_handler(lambda loop, context: None)
            self.begin_anew()

    def running(self) -> asyncio.AbstractEventLoop:
        """With `lock` held."""
        if self.loop is None:
            loop = Context().run(asyncio.new_event_loop)  # its handles keep where it was made
            thread = threading.Thread(target=live, args=(loop, self.owner), name="hookrow-loop", daemon=True)
            if not started(thread):
                loop.close()
                raise NoThread("no thread can be started")
            self.loop, self.thread = loop, thread
        return self.loop

    def begin(self, coroutine: Coroutine[Any, Any, T], ended: Callable[[], object], *, last: bool = False) -> Future[T]:
        """Start a coroutine there; `ended` is called when it has let go, cancelled or not.

        Args:
            last: it is the engine's end, which passes while it is closing.

        Raises:
            EngineClosed, NoThread
        """

        async def watched() -> T:
            try:
                return await (coroutine if last else self.under_way.run(coroutine))
            finally:
                ended()

        self.renew()
        # In one step: `shut` comes before it or after it, and what comes before it is on its way to the loop then.
        with self.lock:
            try:
                if self.over or (self.closing and not last):
                    raise EngineClosed()
                loop = self.running()
            except BaseException:
                coroutine.close()  # nobody will ever await it
                raise
            future = asyncio.run_coroutine_threadsafe(watched(), loop)
            self.answers.add(future)
            if self.loop is not loop:  # one has just now
                refuse(future)
        future.add_done_callback(self.answers.discard)
        return future

    def call(self, coroutine: Coroutine[Any, Any, T], *, last: bool = False) -> T:
        """Run a coroutine there and wait for it; an interrupt (ctrl+c) cancels it, and waits until it has let go.

        Raises:
            EngineClosed: the engine is closed, or was meanwhile.
            NoThread
        """
        ended = threading.Event()
        future = self.begin(coroutine, ended.set, last=last)
        try:
            return future.result()
        except BaseException as error:
            if not future.done():
                future.cancel()
                ended.wait(let_go_by(error) - now())
            raise

    async def join(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """As `call`, awaited on another loop; cancelled here, it is cancelled there."""
        answer = asyncio.wrap_future(self.begin(coroutine, lambda: None))
        try:
            await asyncio.wait([answer])
        except asyncio.CancelledError:
            answer.cancel()
            raise
        return answer.result()

    async def settle(self, grace: float) -> None:
        """On the loop, after `shut`: as `RunningCalls.settle`, for what threads wait for."""
        await self.under_way.settle(grace, None)

    def close(self) -> None:
        """End the loop's thread. Who waits for something that has not let go gets EngineClosed."""
        with self.lock:
            self.over = True
            loop, thread = self.loop, self.thread
        if loop is None or thread is None or os.getpid() != self.pid:
            return
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(loop.stop)
        thread.join()
        self.loop = self.thread = None
        for future in tuple(self.answers):
            refuse(future)


def live(loop: asyncio.AbstractEventLoop, owner: object) -> None:
    """The life of the loop, in its thread, and of the engine."""
    try:
        loop.run_forever()
        with suppress(RuntimeError):  # it was told to stop once more
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def refuse(future: Future[Any]) -> None:
    """Nothing answers it any more."""
    with suppress(InvalidStateError):  # who waited for it may have been interrupted
        future.set_exception(EngineClosed())
