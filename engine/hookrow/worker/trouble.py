"""What does not work for a while, storage or this machine: how long to wait, and how seldom to speak of it."""

from __future__ import annotations

import logging
from typing import Final

from hookrow.clock import Clock
from hookrow.errors import StorageError
from hookrow.lang import Text

__all__ = ["Shortage", "Trouble"]

log: Final = logging.getLogger("hookrow")


class Trouble:
    """A worker's failures in a row: longer and longer pauses, and at most two log lines a minute."""

    QUIET = 60.0
    """Seconds between two lines about failures."""
    LONGEST = 5.0
    """Seconds between two tries."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.failures: int = 0
        self.said: float = float("-inf")
        self.told: bool = False

    def failed(self, error: StorageError) -> float:
        """Take a failure; seconds to wait before the next try."""
        self.failures += 1
        now = self.clock.monotonic()
        if now - self.said >= self.QUIET:
            self.said, self.told = now, True
            log.error("the outbox can't be read or written, trying again: %s", error)
        return min(0.25 * 2.0 ** min(self.failures - 1, 10), self.LONGEST)

    def worked(self) -> None:
        """Something was read or written again."""
        if self.failures and self.told:
            log.warning("the outbox works again")
            self.told = False
        self.failures = 0


class Shortage:
    """This machine is short of descriptors, memory or the like: how long each row waits, and one log line a minute."""

    FIRST, LONGEST = 5_000, 60_000
    """Milliseconds that a row waits the first time, doubled each time, and at the most."""
    ROWS = 10_000

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.waits: dict[int, int] = {}
        self.said: float = float("-inf")

    def failed(self, row: int, why: Text | str | None) -> int:
        """Take note of a row that could not be sent; the milliseconds that it waits."""
        if len(self.waits) >= self.ROWS:
            self.waits.clear()
        wait = self.waits[row] = min(2 * self.waits.get(row, self.FIRST // 2), self.LONGEST)
        now = self.clock.monotonic()
        if now - self.said >= Trouble.QUIET:
            self.said = now
            log.warning("deliveries wait: %s", why)
        return wait

    def worked(self, row: int) -> None:
        """The row was sent."""
        self.waits.pop(row, None)
