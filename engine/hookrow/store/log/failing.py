"""Hooks that fail every time, noticed by whoever sends to them: said on the logger before anybody asks."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hookrow.clock import DAY_MS, Clock
from hookrow.errors import StorageError
from hookrow.store.log.figures import AT_LEAST, LAST_FEW, calls_of
from hookrow.system.locks import lock_for

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

__all__ = ["Failing"]

log: Final = logging.getLogger("hookrow")
PAUSE = 60.0
"""Seconds between two lines about a hook, and between two looks at what other processes recorded of it."""


@dataclass(slots=True)
class FailureRun:
    """Failures in a row. `all_of_them`: the last 24 hours hold no other calls. Moments are monotonic seconds."""

    failures: int
    all_of_them: bool
    asked: float
    said: float | None = None

    @property
    def every_time(self) -> bool:
        return self.failures >= LAST_FEW or (self.all_of_them and self.failures >= 2)


class Failing:
    """What this process knows of hooks whose last call failed. Costs nothing while none does."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.lock: threading.RLock = lock_for(self)
        self.rows: dict[int, FailureRun] = {}

    def before(self, hook: int) -> int:
        """How many calls have failed in a row, where that is every time; else 0."""
        row = self.rows.get(hook)
        return row.failures if row is not None and row.every_time else 0

    def saw(self, hook: Any, *, failed: bool, error: str | None = None) -> None:
        """A call's result is committed. May read the database: not for an event loop."""
        if failed:
            self.again(hook, error)
            return
        with self.lock:
            row = self.rows.pop(hook.id, None)
        if row is not None and row.said is not None:
            log.warning("hook %s works again; %d calls in a row had failed", hook.key or hook.id, row.failures)

    def again(self, hook: Any, error: str | None) -> None:
        now = self.clock.monotonic()
        with self.lock:
            row = self.rows.get(hook.id)
            ask = row is None or now - row.asked >= PAUSE
            if row is None:
                row = self.rows[hook.id] = FailureRun(0, all_of_them=False, asked=now)
            row.failures += 1
            if ask:
                row.asked = now
        if ask:  # without the lock: a database that does not answer holds up nobody else whose call failed
            self.look(hook.id, row)
        with self.lock:
            if self.rows.get(hook.id) is not row:  # it has worked meanwhile
                return
            if not row.every_time or (row.said is not None and now - row.said < PAUSE):
                return
            row.said = now
        stops = ", on_failure is stop" if hook.on_failure == "stop" else ""
        named = hook.key or hook.id
        log.warning("hook %s fails every time: %d calls in a row, %s%s", named, row.failures, error, stops)

    def look(self, hook: int, row: FailureRun) -> None:
        """What all processes recorded of it; while the database can't be read, what this one saw."""
        try:
            with self.database.asking() as ask:
                calls = calls_of(ask, hook, self.database.clock.now_ms() - DAY_MS, AT_LEAST)
        except StorageError:
            row.all_of_them = False
            return
        with self.lock:
            row.failures = len(calls.failed_in_a_row)
            row.all_of_them = row.failures == len(calls.known)
