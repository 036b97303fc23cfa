"""How late this machine runs what is due: its share in every time that is measured."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

__all__ = ["Sentinel"]


class Sentinel:
    """Two threads: one sleeps a little and sees how late it wakes, one writes to the disk and syncs, as commits do."""

    STEP = 0.02
    PAUSE = 0.1
    WORTH = 0.005
    """Seconds of lateness from which on it is remembered."""
    STARVED = 0.5

    def __init__(self, path: Path) -> None:
        """`path`: a file on the disk of the tests."""
        self.late: deque[tuple[float, float]] = deque(maxlen=10_000)
        self.starved: list[float] = []
        """When it was later than STARVED: whoever holds a lock may have been, too."""
        self.since = [time.monotonic()] * 2
        self.ended = threading.Event()
        for number, work in enumerate((self.wake, lambda: self.sync(path))):
            threading.Thread(target=work, name=f"sentinel-{number}", daemon=True).start()

    def wake(self) -> None:
        while not self.ended.is_set():
            self.since[0] = time.monotonic()
            time.sleep(self.STEP)
            self.note(time.monotonic() - self.since[0] - self.STEP)

    def sync(self, path: Path) -> None:
        with path.open("wb", buffering=0) as file:
            while not self.ended.is_set():
                self.since[1] = time.monotonic()
                file.write(b"x")
                os.fsync(file.fileno())
                self.note(time.monotonic() - self.since[1])
                self.since[1] = float("inf")
                self.ended.wait(self.PAUSE)

    def note(self, seconds: float) -> None:
        if seconds > self.STARVED:
            self.starved.append(time.monotonic())
        if seconds > self.WORTH:
            self.late.append((time.monotonic(), seconds))

    def largest(self, began: float) -> float:
        """The largest lateness that ended since this moment (monotonic), or goes on."""
        now = time.monotonic()
        going_on = max(now - self.since[0] - self.STEP, now - self.since[1], 0.0)
        return max((seconds for moment, seconds in list(self.late) if moment >= began), default=0.0) + going_on

    def close(self) -> None:
        self.ended.set()
