"""Work for other threads, also where there are none to be had: no room for one, or the interpreter is ending.

Once its main thread has ended Python takes nothing more into executors, and 3.12 starts no thread: what a service that
forgot to close has in hand is sent and recorded all the same.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from math import inf
from typing import TypeVar

from hookrow.store.database.failures import late

__all__ = ["Threads", "apart", "aside", "in_time", "started"]

T = TypeVar("T")


class Threads:
    """A few threads of an engine's own: a service may keep its loop's executor busy with its own calls, for minutes."""

    MOST = 4

    def __init__(self) -> None:
        self.pid: int = 0
        self.made: ThreadPoolExecutor | None = None

    def pool(self) -> Executor:
        """This process's; a fork leaves its parent's behind."""
        if self.made is None or self.pid != os.getpid():
            self.pid, self.made = os.getpid(), ThreadPoolExecutor(self.MOST, "hookrow-aside")
        return self.made

    def close(self) -> None:
        """They end with what they have in hand; what comes after this is done by who brings it."""
        self.pool().shutdown(wait=False)


def started(thread: threading.Thread) -> bool:
    """Whether a new thread could be started."""
    with suppress(RuntimeError):
        thread.start()
        return True
    return False


def aside(call: Callable[[], T], pool: Executor) -> asyncio.Future[T]:
    """What `call` gives or raises, for the running loop: from another thread, or from this one where there is none."""
    loop = asyncio.get_running_loop()
    with suppress(RuntimeError):
        return loop.run_in_executor(pool, copy_context().run, call)
    done: asyncio.Future[T] = loop.create_future()
    try:
        done.set_result(call())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is raised to who waits
        done.set_exception(error)
    return done


def apart(call: Callable[[], T]) -> Future[T]:
    """What `call` gives or raises, from a thread of its own, for which no exit waits: a name server may hang."""
    done: Future[T] = Future()
    done.set_running_or_notify_cancel()  # who gives up waiting ends nothing
    inside = copy_context()

    def work() -> None:
        try:
            done.set_result(inside.run(call))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised to who waits
            done.set_exception(error)

    if not started(threading.Thread(target=work, name="hookrow-apart", daemon=True)):
        work()
    return done


async def in_time(answer: asyncio.Future[T], seconds: float) -> T:
    """The answer of another thread, which goes on if it takes longer: that it is free to begin has no bound.

    Raises:
        DatabaseBusy: it took longer.
    """
    answer.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # everybody may have gone
    try:
        async with asyncio.timeout(None if seconds == inf else seconds):
            return await asyncio.shield(answer)
    except TimeoutError:
        raise late("") from None
