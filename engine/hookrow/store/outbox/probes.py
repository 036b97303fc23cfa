"""Which parked delivery tries a hook whose breaker is open: the oldest one whose turn has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, or_, select

from hookrow.delivery.states import STEP
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.tables import DELIVERIES
from hookrow.store.outbox.due import LEASE_NOW, NOW
from hookrow.store.outbox.release import EARLIER, state_in, unheld_at

__all__ = ["MOST_PROBES", "OF_ROW", "PARKED_HEAD", "parked_heads"]

MOST_PROBES = 100
"""The oldest parked rows of a hook, of which one may be its breaker's probe."""
OF_ROW = tuple(
    DELIVERIES.c[name]
    for name in (
        *("id", "firing_id", "hook_id", "seq", "state", "attempts", "released_ms", "order_key", "due_ms", "fence"),
        *("skipped", "owner", "lease_ms", "mode", "first_ms", "takeovers", "error", "begun_ms", "shadow"),
    )
)
REAL = DELIVERIES.c.shadow.is_(None)  # what is asked in shadow says nothing to a breaker: it is no probe
PARKED = and_(DELIVERIES.c.hook_id == bindparam("hook"), DELIVERIES.c.state == "parked", REAL, unheld_at(LEASE_NOW))
GOING_FIRST = exists(
    select(1).where(
        EARLIER.c.firing_id == DELIVERIES.c.firing_id,
        EARLIER.c.seq < DELIVERIES.c.seq,
        EARLIER.c.attempts == 0,
        or_(
            EARLIER.c.state == "blocked",
            and_(
                state_in(("queued", "leased"), EARLIER),
                EARLIER.c.due_ms.is_not(None),
                EARLIER.c.released_ms > NOW - STEP,
            ),
        ),
    )
)
"""As `states.turn` says: the turn of a row that was never released has not come."""


def parked_head(*those: ColumnElement[bool]) -> Prepared:
    """The oldest parked row of a hook that may be its probe, of the `MOST_PROBES` oldest of `those`."""
    return Prepared(
        select(*OF_ROW)
        .where(
            # The condition is not asked of a hundred thousand rows that a dead receiver has left parked.
            DELIVERIES.c.id.in_(
                select(EARLIER.c.id)
                .where(EARLIER.c.hook_id == bindparam("hook"), EARLIER.c.state == "parked", *those)
                .order_by(EARLIER.c.id)
                .limit(MOST_PROBES)
            ),
            DELIVERIES.c.state.concat("") == "parked",  # said so that no index of states is walked for it
            REAL,
            unheld_at(LEASE_NOW),
            or_(DELIVERIES.c.released_ms.is_not(None), ~GOING_FIRST),
        )
        .order_by(DELIVERIES.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


PARKED_HEAD = parked_head()
PARKED_BEHIND = parked_head(EARLIER.c.shadow.is_(None))  # each parked row is read for it, not its entry in an index
ANY_PARKED = Prepared(select(exists(select(1).where(PARKED))))


def parked_heads(connection: Connection, hook: int, now_ms: int, lease_now: int) -> Sequence[Any] | None:
    """The row that may be the hook's probe; none where nothing is parked, None where nobody's turn has come."""
    asked = {"hook": hook, "lease_now": lease_now}
    heads = PARKED_HEAD.all(connection, {**asked, "now": now_ms})
    if heads or not ANY_PARKED.scalar(connection, asked):
        return heads
    return PARKED_BEHIND.all(connection, {**asked, "now": now_ms}) or None
