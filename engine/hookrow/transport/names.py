"""Host names looked up in threads of our own, so that hung names delay neither healthy ones nor the exit."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hookrow.clock import Clock
from hookrow.errors import EngineClosed

__all__ = ["Resolver"]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a look-up gave, and when."""

    addresses: tuple[str, ...]
    at: float


class Resolver:
    """Looks host names up: one look-up a host at a time, answers kept for 30 s. Belongs to one event loop.

    Each look-up runs in a daemon thread of its own, at most 64 at once. asyncio's pool has a handful of threads, which
    a few hung names take for themselves; and no exit waits for a daemon thread. After 30 s, which is longer than any
    hook waits, an answer is no longer waited for; its thread counts until it ends.
    """

    AT_ONCE = 64
    KEPT = 30.0
    LONGEST = 30.0
    KEPT_HOSTS = 1024
    ADDRESSES = 16

    def __init__(self, clock: Clock, getaddrinfo: Callable[..., Any] = socket.getaddrinfo) -> None:
        self.clock = clock
        self.getaddrinfo = getaddrinfo
        self.found: dict[str, Resolution] = {}
        self.running: dict[str, asyncio.Task[tuple[str, ...]]] = {}
        self.slots: Final = asyncio.Semaphore(self.AT_ONCE)

    async def close(self) -> None:
        """Forget the look-ups under way; their threads end by themselves."""
        for task in self.running.values():
            task.cancel()

    async def look_up(self, host: str) -> tuple[str, ...]:
        """The addresses of `host`, 16 at most, from memory or by a look-up that all who ask share.

        Cancelling a caller leaves the look-up to others who wait for the same name.

        Raises:
            OSError: the name has no address, or nobody could tell (`socket.gaierror`).
            EngineClosed: it was closed meanwhile.
        """
        known = self.found.get(host)
        if known is not None and self.clock.monotonic() - known.at <= self.KEPT:
            return known.addresses
        task = self.running.get(host)
        if task is None:
            task = asyncio.create_task(self.ask(host), name="hookrow-name")
            task.add_done_callback(heard)
            self.running[host] = task
        await asyncio.wait([task])  # its cancellation is not handed on: who asks was not cancelled
        if task.cancelled():
            raise EngineClosed()
        return task.result()

    async def ask(self, host: str) -> tuple[str, ...]:
        """One look-up, in a thread."""
        try:
            async with asyncio.timeout(self.LONGEST):
                await self.slots.acquire()
                answer: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
                try:
                    threading.Thread(target=self.work, args=(host, answer), name="hookrow-name", daemon=True).start()
                except RuntimeError as error:
                    self.slots.release()
                    raise OSError(errno.EAGAIN, str(error)) from None
                addresses = await answer
            self.keep(host, addresses)
            return addresses
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from None
        finally:
            del self.running[host]

    def work(self, host: str, answer: asyncio.Future[tuple[str, ...]]) -> None:
        """The thread's whole life: ask the system, hand the answer to the loop."""
        try:
            infos = self.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(info[4][0] for info in infos))[: self.ADDRESSES]
            failure: OSError | None = None if addresses else socket.gaierror(socket.EAI_NONAME, "no address")
        except OSError as error:
            addresses, failure = (), error
        except UnicodeError:  # a label longer than names allow
            addresses, failure = (), socket.gaierror(socket.EAI_NONAME, "not a host name")

        def settle() -> None:
            self.slots.release()
            if answer.done():
                return
            if failure is None:
                answer.set_result(addresses)
            else:
                answer.set_exception(failure)

        with contextlib.suppress(RuntimeError):  # the loop may be closed by now: then nobody waits
            answer.get_loop().call_soon_threadsafe(settle)

    def keep(self, host: str, addresses: tuple[str, ...]) -> None:
        """Remember an answer; the oldest ones make room."""
        self.found.pop(host, None)
        while len(self.found) >= self.KEPT_HOSTS:
            del self.found[next(iter(self.found))]
        self.found[host] = Resolution(addresses, self.clock.monotonic())


def heard(task: asyncio.Task[tuple[str, ...]]) -> None:
    """Take note of a failure that nobody may be left to hear."""
    if not task.cancelled():
        task.exception()
