"""What does not work for a while, storage or this machine: how long to wait before the next try."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from hookrow.clock import Clock
from hookrow.errors import StorageError, Unrecorded
from hookrow.lang import Text
from hookrow.store.database.locks import LOCK
from hookrow.store.database.outages import Outage

__all__ = ["Shortage", "Trouble", "recorded"]

T = TypeVar("T")
PAUSE = 0.25
"""Seconds between two tries of who can't wait long."""


async def recorded(write: Callable[[], Awaitable[T]], delivery: str) -> T:
    """What came of a request that a person waits for, written; tried again for LOCK. Raises Unrecorded."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LOCK
    while True:
        try:
            return await write()
        except StorageError as error:
            if loop.time() >= until:
                raise Unrecorded([delivery], error.text) from None
        await asyncio.sleep(PAUSE)


class Trouble:
    """A worker's failures in a row: longer and longer pauses."""

    LONGEST = 5.0
    """Seconds between two tries."""

    def __init__(self, clock: Clock) -> None:
        self.outage: Final = Outage(
            clock, "the outbox can't be read or written, trying again", "the outbox works again"
        )
        self.failures: int = 0

    def failed(self, error: StorageError) -> float:
        """Take a failure; seconds to wait before the next try."""
        self.failures += 1
        self.outage.failed(error)
        return min(0.25 * 2.0 ** min(self.failures - 1, 10), self.LONGEST)

    def worked(self) -> None:
        """What failed has worked again."""
        self.failures = 0
        self.outage.worked()


class Shortage:
    """This machine is short of descriptors, memory or the like: how long each row waits."""

    FIRST, LONGEST = 5_000, 60_000
    """Milliseconds that a row waits the first time, doubled each time, and at the most."""
    ROWS = 10_000

    def __init__(self, clock: Clock) -> None:
        self.outage: Final = Outage(clock, "deliveries wait", "deliveries that waited go again", level=logging.WARNING)
        self.waits: dict[int, int] = {}

    def failed(self, row: int, delivery: str, why: Text | str | None) -> int:
        """Take note of a row that could not be sent, by its id and its public one; the milliseconds that it waits."""
        if len(self.waits) >= self.ROWS:
            self.waits.clear()
        wait = self.waits[row] = min(2 * self.waits.get(row, self.FIRST // 2), self.LONGEST)
        self.outage.failed(f"{delivery}: {why}")
        return wait

    def worked(self, row: int) -> None:
        """The row was sent."""
        if self.waits.pop(row, None) is not None:
            self.outage.worked()
