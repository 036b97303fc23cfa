"""A signal that this process sends to itself from another thread."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["Strike"]

AGAIN = 0.05
TRIES = 400


class Strike:
    """A signal whose handler runs in the main thread, once and surely.

    Sent once it may never be handled: where it comes just as the main thread goes to sleep on a lock, CPython has noted
    it and sleeps on, until somebody wakes that thread (shown with 3.11 to 3.13: seven of ten, where the main thread has
    handed the interpreter's lock to the very thread that sends it). So it is sent until it was handled.
    """

    def __init__(self, number: signal.Signals, do: Callable[[], object]) -> None:
        """`do`: what the handler does, the first time."""
        self.number = number
        self.do = do
        self.struck: threading.Event = threading.Event()

    def __enter__(self) -> Strike:
        self.before = signal.signal(self.number, self.handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(self.number, self.before)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if not self.struck.is_set():
            self.struck.set()
            self.do()

    def send(self) -> None:
        """From any thread but the main one."""
        for _ in range(TRIES):
            os.kill(os.getpid(), self.number)
            if self.struck.wait(AGAIN):
                return
        raise AssertionError("the handler was not called")
