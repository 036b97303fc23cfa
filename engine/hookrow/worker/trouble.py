"""Storage that does not work for a while: how long to wait, and how seldom to speak of it."""

from __future__ import annotations

import logging
from typing import Final

from hookrow.clock import Clock
from hookrow.errors import StorageError

__all__ = ["Trouble"]

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
