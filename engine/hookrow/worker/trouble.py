"""What does not work for a while, storage or this machine: how long to wait before the next try. And what fails
although they work: rows that no Hookrow wrote, faults of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Final, TypeVar

from sqlalchemy import Connection

from hookrow.clock import Clock
from hookrow.errors import DatabaseDamaged, StorageError, Unrecorded
from hookrow.lang import Text
from hookrow.store import outbox
from hookrow.store.configuration.cache import read_config
from hookrow.store.database.database import Database
from hookrow.store.database.locks import LOCK
from hookrow.store.database.outages import Outage

__all__ = ["Faults", "Shortage", "Trouble", "recorded"]

log: Final = logging.getLogger("hookrow")

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

    def failed(self, error: Exception) -> float:
        """Take a failure; seconds to wait before the next try."""
        self.failures += 1
        self.outage.failed(error if isinstance(error, StorageError) else f"{type(error).__name__}: {error}")
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


class Faults:
    """What fails although storage works: somebody changed a row by hand, which ends that row; or a fault of ours."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.told: Final[set[str]] = set()
        self.hook: DatabaseDamaged | None = None

    async def ended(self, error: Exception, rows: Collection[int] | None = None) -> bool:
        """Whether unfinished deliveries were found that can't be read, of these or of all: they are ended, each told.

        Else it may be a hook that can't be read, which ends no delivery: `hook`. Or the fault is ours: its traceback is
        told, once.
        """
        self.hook = None
        if isinstance(error, StorageError):
            return False

        def ending(connection: Connection) -> tuple[list[tuple[str, str]], DatabaseDamaged | None]:
            ended = outbox.end_damaged(connection, self.clock.now_ms(), rows)
            try:
                if not ended:
                    read_config(connection, 0)
            except DatabaseDamaged as damaged:
                return ended, damaged
            return ended, None

        found: list[tuple[str, str]] = []
        with suppress(Exception):  # what is told is the first fault
            found, self.hook = await self.database.writer.awrite(ending)
        for delivery, why in found:
            log.error("%s: its row can't be read, no Hookrow wrote it so: %s; it is ended", delivery, why)
        kind = f"{type(error).__name__}: {error}"
        if not found and not self.hook and kind not in self.told and len(self.told) < Shortage.ROWS:
            self.told.add(kind)
            log.error("a fault of Hookrow's own", exc_info=error)
        return bool(found)
