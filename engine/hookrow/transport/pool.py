"""Connections that are kept for the next exchange, of one event loop or of all threads that call."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

__all__ = ["Pool"]

KEPT = 4.0
"""Seconds: receivers close idle connections after five and more."""


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> object: ...


class Kept(Protocol):
    """A connection; `key`: who is reached over it."""

    key: Any
    expires: float

    @property
    def open(self) -> bool: ...

    def abort(self) -> None: ...


K = TypeVar("K", bound=Kept)


class Pool(Generic[K]):
    """The connections that are open, and which of them are idle: the one used last goes first (LIFO).

    Args:
        now: seconds (monotonic).
        later: has a function called after so many seconds; None: it can't be.
    """

    def __init__(self, now: Callable[[], float], later: Callable[[float, Callable[[], None]], Timer | None]) -> None:
        self.now: Final = now
        self.later: Final = later
        self.lock: Final = threading.RLock()
        self.open: weakref.WeakSet[K] = weakref.WeakSet()  # a connection that an interrupt lost closes itself
        self.idle: dict[Any, deque[K]] = {}
        self.reaper: Timer | None = None
        self.closed: bool = False
        """Nothing is waited for any more."""

    def take(self, key: Any) -> K | None:
        """A kept connection for this key, if there is one that lives."""
        with self.lock:
            kept = self.idle.get(key)
            now = self.now()
            while kept:
                found = kept.pop()
                if found.expires > now and found.open:
                    return found
                found.abort()
            return None

    def keep(self, connection: K) -> None:
        """Nobody speaks over it any more."""
        with self.lock:
            connection.expires = self.now() + KEPT
            self.idle.setdefault(connection.key, deque()).append(connection)
            if self.reaper is None:
                self.reaper = self.later(KEPT, self.reap)

    def forget(self, connection: K) -> None:
        """It was closed."""
        with self.lock:
            self.open.discard(connection)
            kept = self.idle.get(connection.key)
            if kept is not None and connection in kept:
                kept.remove(connection)

    def reap(self) -> None:
        """Close what was idle for too long."""
        with self.lock:
            self.reaper = None
            now = self.now()
            for key, kept in list(self.idle.items()):
                while kept and kept[0].expires <= now:
                    kept.popleft().abort()
                if not kept:
                    del self.idle[key]
            if self.idle:
                soonest = min(kept[0].expires for kept in self.idle.values())
                self.reaper = self.later(soonest - now, self.reap)

    def close(self) -> None:
        """Close all; exchanges under way break."""
        with self.lock:
            if self.reaper is not None:
                self.reaper.cancel()
                self.reaper = None
            self.idle.clear()
            for connection in list(self.open):
                connection.abort()
