"""The outbox: deliveries that wait for a worker. Functions of a connection inside a write transaction.

Each may run again from the start if the transaction was rolled back. In the parts: `claims` (who may send
what), `settling` (what came of it), `parking` (many rows follow their hook), `release` (whose turn it is), `breaker`.
"""

from __future__ import annotations

from hookrow.store.outbox.breaker import Note, note, pause_gone, reopen, reopen_closed
from hookrow.store.outbox.claims import (
    Claimed,
    Taken,
    claim_firings,
    give_back,
    renew,
)
from hookrow.store.outbox.damaged import end_damaged
from hookrow.store.outbox.due import mend_clock, next_due
from hookrow.store.outbox.parking import cancel, drop, park, uncancel, unpark
from hookrow.store.outbox.release import admit, unstick
from hookrow.store.outbox.settling import ResultLike, Settle, Settled
from hookrow.store.outbox.takeover import INTERRUPTED, claim, lease_for_redelivery, let_go, recover

__all__ = [
    "INTERRUPTED",
    "Claimed",
    "Note",
    "ResultLike",
    "Settle",
    "Settled",
    "Taken",
    "admit",
    "cancel",
    "claim",
    "claim_firings",
    "drop",
    "end_damaged",
    "give_back",
    "lease_for_redelivery",
    "let_go",
    "mend_clock",
    "next_due",
    "note",
    "park",
    "pause_gone",
    "recover",
    "renew",
    "reopen",
    "reopen_closed",
    "uncancel",
    "unpark",
    "unstick",
]
