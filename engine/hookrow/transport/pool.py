"""Connections of one event loop that are kept for the next exchange."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from hookrow.transport.connection import Connection

__all__ = ["Pool"]

KEPT = 4.0
"""Seconds: receivers close idle connections after five and more."""


class Pool:
    """The connections that are open, and which of them are idle: the one used last goes first (LIFO)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: Final = loop
        self.open: set[Connection] = set()
        self.idle: dict[Any, deque[Connection]] = {}
        self.reaper: asyncio.TimerHandle | None = None

    def take(self, key: Any) -> Connection | None:
        """A kept connection for this key, if there is one that lives."""
        kept = self.idle.get(key)
        now = self.loop.time()
        while kept:
            found = kept.pop()
            if found.open and found.expires > now:
                return found
            found.abort()
        return None

    def keep(self, connection: Connection) -> None:
        """Nobody speaks over it any more."""
        connection.expires = self.loop.time() + KEPT
        self.idle.setdefault(connection.key, deque()).append(connection)
        if self.reaper is None:
            self.reaper = self.loop.call_later(KEPT, self.reap)

    def forget(self, connection: Connection) -> None:
        """It was closed."""
        self.open.discard(connection)
        kept = self.idle.get(connection.key)
        if kept is not None and connection in kept:
            kept.remove(connection)

    def reap(self) -> None:
        """Close what was idle for too long."""
        self.reaper = None
        now = self.loop.time()
        for key, kept in list(self.idle.items()):
            while kept and kept[0].expires <= now:
                kept.popleft().abort()
            if not kept:
                del self.idle[key]
        if self.idle:
            soonest = min(kept[0].expires for kept in self.idle.values())
            self.reaper = self.loop.call_at(soonest, self.reap)

    def close(self) -> None:
        """Close all; exchanges under way break."""
        if self.reaper is not None:
            self.reaper.cancel()
            self.reaper = None
        self.idle.clear()
        for connection in list(self.open):
            connection.abort()
