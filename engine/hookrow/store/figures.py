"""Figures of the log: a hook's calls, and what the banner counts. No cost grows with the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, func, literal_column, select

from hookrow.store.due import OLDEST
from hookrow.store.parking import NOTABLE
from hookrow.store.prepared import Prepared
from hookrow.store.release import state_in
from hookrow.store.tables import ATTEMPTS, DELIVERIES

__all__ = ["CAP", "calls", "dead", "errors_since", "first_due", "last_call", "queued", "seen_since"]

CAP = 1001
"""Counts stop here: more is only said as «more than 1,000»."""
QUEUE = ("blocked", "queued", "leased", "retrying")

# The newest deliveries of a hook come out of an index alone; each costs one look into the attempts.
NEWEST = (
    select(DELIVERIES.c.id, DELIVERIES.c.firing_id)
    .where(DELIVERIES.c.hook_id == bindparam("hook"), DELIVERIES.c.firing_id >= bindparam("first"))
    .order_by(DELIVERIES.c.firing_id.desc())
    .limit(bindparam("most", type_=Integer))
)
OLDEST_SEEN = Prepared(
    NEWEST.with_only_columns(DELIVERIES.c.firing_id).limit(literal_column("1")).offset(bindparam("last", type_=Integer))
)
CALLS = Prepared(
    select(ATTEMPTS.c.at_ms, ATTEMPTS.c.ms, ATTEMPTS.c.error.is_not(None).label("failed"), ATTEMPTS.c.id).where(
        ATTEMPTS.c.delivery_id.in_(select(NEWEST.subquery("newest").c.id)),
        ATTEMPTS.c.at_ms >= bindparam("since"),
        ATTEMPTS.c.elsewhere.is_(False),
    )
)
CALL = Prepared(
    select(ATTEMPTS.c.status, ATTEMPTS.c.error, ATTEMPTS.c.ms, ATTEMPTS.c.at_ms).where(
        ATTEMPTS.c.id == bindparam("call")
    )
)


def calls(connection: Connection, hook: int, first_ms: int, since_ms: int, most: int) -> Sequence[Any]:
    """The calls since a moment (`at_ms`, `ms`, `failed`, `id`) of the hook's newest deliveries, so many at most, that
    were fired since another moment."""
    return CALLS.all(connection, {"hook": hook, "first": first_ms << 20, "since": since_ms, "most": most})


def seen_since(connection: Connection, hook: int, first_ms: int, most: int) -> int:
    """When the oldest of these deliveries was fired if there may be more of them; else 0. Ids are moments."""
    oldest = OLDEST_SEEN.scalar(connection, {"hook": hook, "first": first_ms << 20, "last": most - 1})
    return 0 if oldest is None else oldest >> 20


def last_call(connection: Connection, found: Sequence[Any]) -> Any:
    """The newest of these calls: `status`, `error`, `ms`, `at_ms`."""
    return CALL.all(connection, {"call": max(call.id for call in found)})[0]


def first_due(connection: Connection) -> int | None:
    """When the first of all deliveries that wait is or was due; None where none waits."""
    return connection.execute(OLDEST).scalar()


def queued(connection: Connection) -> int:
    """How many deliveries wait for their turn or are being sent, counted to the cap."""
    return capped(connection, DELIVERIES, NOTABLE, state_in(QUEUE))


def dead(connection: Connection) -> int:
    """How many are dead, counted to the cap."""
    return capped(connection, DELIVERIES, NOTABLE, state_in(("dead",)))


def errors_since(connection: Connection, since_ms: int) -> int:
    """How many calls failed since a moment, counted to the cap."""
    return capped(connection, ATTEMPTS, ATTEMPTS.c.at_ms >= since_ms, ATTEMPTS.c.error.is_not(None))


def capped(connection: Connection, table: Any, *conditions: Any) -> int:
    few = select(literal_column("1")).select_from(table).where(and_(*conditions)).limit(CAP).subquery()
    return int(connection.execute(select(func.count()).select_from(few)).scalar_one())
