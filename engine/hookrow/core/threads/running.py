"""The calls of an engine that run on an event loop: its end waits for them, and cuts off what takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hookrow.errors import EngineClosed
from hookrow.store.database.locks import LET_GO

__all__ = ["RunningCalls"]

T = TypeVar("T")


class RunningCalls:
    """The tasks that are inside a call of the engine. They are its callers': they go on when the call is over."""

    def __init__(self) -> None:
        self.closing: bool = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.cut: set[asyncio.Task[Any]] = set()
        self.left: asyncio.Event = asyncio.Event()

    async def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call.

        Raises:
            EngineClosed: the engine is closed, or was meanwhile: who calls was not cancelled by anybody else.
        """
        if self.closing:
            call.close()  # nobody will ever await it
            raise EngineClosed()
        task = asyncio.current_task()
        assert task is not None
        if task in self.tasks:  # a transport that the host brought calls the engine again
            return await call
        self.tasks.add(task)
        try:
            return await call
        except asyncio.CancelledError:
            if task in self.cut and task.cancelling() == 1:
                raise EngineClosed() from None
            raise
        finally:
            self.tasks.discard(task)
            if self.closing:
                self.left.set()
                if task in self.cut:
                    self.cut.discard(task)
                    task.uncancel()

    async def settle(self, grace: float, besides: asyncio.Task[Any] | None) -> None:
        """Take no new calls; those on this loop may end within `grace` seconds, then they are cancelled.

        Args:
            besides: the call that asks for this.
        """
        self.closing = True
        if await self.empty_within(grace, besides):
            return
        for task in self.others(besides):
            if task not in self.cut:
                self.cut.add(task)
                task.cancel()
        await self.empty_within(LET_GO, besides)

    async def empty_within(self, seconds: float, besides: asyncio.Task[Any] | None) -> bool:
        """Wait until all have left; whether they have within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while self.others(besides):
                    self.left.clear()
                    await self.left.wait()
        except TimeoutError:
            return False
        return True

    def others(self, besides: asyncio.Task[Any] | None) -> list[asyncio.Task[Any]]:
        """Those of another loop are left alone: it may be one of the parent of a fork."""
        loop = asyncio.get_running_loop()
        return [task for task in list(self.tasks) if task is not besides and task.get_loop() is loop]
