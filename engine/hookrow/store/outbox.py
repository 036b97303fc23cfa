"""The outbox: deliveries that wait for a worker (DESIGN 7). Functions of a connection inside a transaction."""

from __future__ import annotations

from hookrow.store.parking import cancel, drop, never_enqueued, park, revive, uncancel, unpark
from hookrow.store.release import admit

__all__ = ["admit", "cancel", "drop", "never_enqueued", "park", "revive", "uncancel", "unpark"]
