"""Retention by itself: now and then the worker deletes what the settings no longer keep (docs/reference/settings.md).

Before that it ends, in the record, the firings whose process died.

Any worker may do it; where two do it at once, each batch goes once. A look without a find writes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from hookrow.errors import EngineClosed, StorageError
from hookrow.store.aside import aside
from hookrow.store.database import reserve
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.log.purge import Purging
from hookrow.store.outbox.writing import end_interrupted

__all__ = ["Limits", "Retention"]

log: Final = logging.getLogger("hookrow")

FIRST = 60.0
"""Seconds after its start at which a worker looks first: a process that lives shorter leaves it to others."""
EVERY = 600.0
"""Seconds between two looks."""
PAUSE = 0.1
"""Seconds between two batches: nobody is in a hurry."""

Limits = Callable[[], Awaitable[tuple[float, int]]]
"""The settings `retention_days` and `retention_bytes` as they stand."""


class Retention:
    """Looks now and then; `tend` is called by the worker's loop and returns at once."""

    def __init__(self, database: Database, clock: StorageClock, limits: Limits) -> None:
        self.database = database
        self.clock = clock
        self.limits = limits
        self.due: float = clock.monotonic() + FIRST
        self.task: asyncio.Task[None] | None = None
        self.stopped: Final = asyncio.Event()

    def tend(self) -> None:
        """Begin a pass if one is due and none is under way."""
        if self.clock.monotonic() >= self.due and self.task is None:
            self.task = asyncio.get_running_loop().create_task(self.run(), name="hookrow-retention")

    async def run(self) -> None:
        """One pass. Storage that fails is told once, and left to the next pass."""
        try:
            now_ms = self.clock.now_ms()
            ended = await self.database.writer.awrite(lambda connection: end_interrupted(connection, now_ms))
            if ended:
                log.warning("%d firings had not ended when their process died", ended)
            days, most_bytes = await self.limits()
            moment = {"now_ms": now_ms, "lease_now": self.clock.lease_ms()}
            purging = Purging(self.database, days=days, most_bytes=most_bytes, gentle=True, **moment)
            pool = self.database.threads.pool()
            while not self.stopped.is_set() and await aside(purging.step, pool):
                await self.rest()
            if purging.firings:
                log.info("retention: %d finished firings were deleted", purging.firings)
            if self.database.path is not None:
                await aside(partial(reserve.keep, self.database.path), pool)
        except StorageError as error:
            log.warning("retention has to wait: %s", error)
        except EngineClosed:
            log.debug("retention ends with the engine")
        finally:
            self.due = self.clock.monotonic() + EVERY
            self.task = None

    async def rest(self) -> None:
        """Let others write; ends at once when the worker does."""
        try:
            async with asyncio.timeout(PAUSE):
                await self.stopped.wait()
        except TimeoutError:
            return

    async def stop(self, seconds: float) -> None:
        """Begin no batch more; wait for the one that is under way."""
        self.stopped.set()
        if self.task is not None:
            await asyncio.wait([self.task], timeout=seconds)
