"""What the worker's tests share: a worker on a database, and attempts that answer as scripted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from hookrow.clock import SystemClock
from hookrow.store.configuration.cache import hook_from
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.outbox import Claimed
from hookrow.worker import Worker
from outbox_rows import (
    Result,
    hook_row,
    result,
    state,
)

__all__ = ["Receiver", "Script", "now_ms", "running", "seen", "settled", "worker_on"]

Script = Callable[[Claimed], Awaitable[Result]]


class Receiver:
    """Stands for attempts: remembers who was sent, and answers as scripted."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script
        self.sent: list[Claimed] = []
        self.now: Counter[int] = Counter()
        self.most: Counter[int] = Counter()
        self.changed = asyncio.Condition()
        self.events: list[tuple[str, dict[str, Any]]] = []

    async def perform(self, claimed: Claimed, hook: Any) -> Result:
        self.sent.append(claimed)
        self.now[claimed.hook_id] += 1
        self.most[claimed.hook_id] = max(self.most[claimed.hook_id], self.now[claimed.hook_id])
        await self.tell()
        try:
            return result() if self.script is None else await self.script(claimed)
        finally:
            self.now[claimed.hook_id] -= 1

    async def raise_event(self, code: str, payload: dict[str, Any]) -> None:
        self.events.append((code, payload))
        await self.tell()

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that this receiver sees happen."""
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(true)


def worker_on(database: Database, receiver: Receiver, **given: Any) -> Worker:
    """A worker that reads hooks fresh each time."""

    async def hook_of(number: int) -> Any:
        return hook_from(hook_row(database, number))

    clock = given.pop("clock", None)
    return Worker(
        database,
        database.clock if clock is None else StorageClock(clock),
        perform=receiver.perform,
        hook_of=hook_of,
        raise_event=receiver.raise_event,
        **given,
    )


@asynccontextmanager
async def running(worker: Worker, grace: float = 5.0) -> AsyncIterator[Worker]:
    """The worker at work inside the block."""
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        await worker.drain(grace)
        await task


async def seen(true: Callable[[], bool]) -> None:
    """Wait for what only looking can tell, at most 20 s."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nothing tells when a row changes
            await asyncio.sleep(0.02)


async def settled(database: Database, row: int, *wanted: str) -> None:
    """Wait until a delivery is in one of these states."""
    await seen(lambda: state(database, row) in wanted)


def now_ms() -> int:
    """The machine's time."""
    return SystemClock().now_ms()
