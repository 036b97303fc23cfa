"""What fails for a while, in the log: a line when it begins, one each minute with the count, one when it ends."""

from __future__ import annotations

import logging
import threading
from typing import Final

from hookrow.clock import Clock
from hookrow.system.locks import lock_for

__all__ = ["Outage"]

log: Final = logging.getLogger("hookrow")


class Outage:
    """One kind of trouble; each has one of its own. Safe between threads."""

    QUIET = 60.0
    """Seconds between two lines of one outage."""

    def __init__(self, clock: Clock, failing: str, works: str, *, level: int = logging.ERROR) -> None:
        """`failing` and `works` are what its first and its last line say."""
        self.clock = clock
        self.failing: Final = failing
        self.works: Final = works
        self.level: Final = level
        self.lock: threading.RLock = lock_for(self)
        self.count: int = 0
        self.said: float = 0.0

    def failed(self, reason: object) -> None:
        """Once more."""
        now = self.clock.monotonic()
        with self.lock:
            self.count += 1
            count = self.count
            if count > 1 and now - self.said < self.QUIET:
                return
            self.said = now
        # Without the lock: a log that is slow to write holds up nobody whose firing is recorded.
        if count == 1:
            log.log(self.level, "%s: %s", self.failing, reason)
        else:
            log.log(self.level, "%s, %d times so far: %s", self.failing, count, reason)

    def worked(self) -> None:
        """It is over, if it was."""
        if not self.count:
            return
        with self.lock:
            count, self.count = self.count, 0
        if count:
            log.warning("%s (failures: %d)", self.works, count)
