"""The outbox: deliveries that wait for a worker. Functions of a connection inside a write transaction.

Each may run again from the start if the transaction was rolled back. In the parts: `claims` (who may send
what), `settling` (what came of it), `parking` (many rows follow their hook), `release` (whose turn it is), `breaker`.
"""

from __future__ import annotations

from hookrow.store.outbox.breaker import Note, note, pause_gone
from hookrow.store.outbox.claims import (
    Claimed,
    Taken,
    claim_firings,
    give_back,
    renew,
)
from hookrow.store.outbox.due import Overdue, mend_clock, next_due, overdue
from hookrow.store.outbox.parking import cancel, drop, enqueue, never_enqueued, park, revive, uncancel, unpark
from hookrow.store.outbox.release import admit, unstick
from hookrow.store.outbox.settling import Made, Settle, Settled, record_attempt, settle_redelivery
from hookrow.store.outbox.takeover import INTERRUPTED, claim, lease_for_redelivery, recover

__all__ = [
    "INTERRUPTED",
    "Claimed",
    "Made",
    "Note",
    "Overdue",
    "Settle",
    "Settled",
    "Taken",
    "admit",
    "cancel",
    "claim",
    "claim_firings",
    "drop",
    "enqueue",
    "give_back",
    "lease_for_redelivery",
    "mend_clock",
    "never_enqueued",
    "next_due",
    "note",
    "overdue",
    "park",
    "pause_gone",
    "record_attempt",
    "recover",
    "renew",
    "revive",
    "settle_redelivery",
    "uncancel",
    "unpark",
    "unstick",
]
