"""When something is due: for the worker's sleep, for `doctor`, and after the clock was set back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from hookrow.delivery.states import LONGEST_LEASE, LONGEST_REST, PENDING, STEP, longest_pauses
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.tables import DELIVERIES
from hookrow.store.outbox.parking import BREAKERS, HOOKS
from hookrow.store.outbox.release import pending, state_in, unheld_at

__all__ = ["BUSY", "LEASE_NOW", "NOW", "held_by_hook", "lapsed", "leased", "mend_clock", "next_due", "timeless"]

COUNTED = 1001
"""Lapsed rows are counted up to here."""
JUMP = 2000
"""Milliseconds: a moment further ahead than it can be by this much was written before the clock was set back."""

NEVER = 2**62
may_have_wished: Final = func.coalesce(DELIVERIES.c.status, 0).in_((429, 503))
"""Its receiver may have asked for a later moment (Retry-After), of which nothing is kept: that one stands."""

leased: Final = DELIVERIES.c.state == literal_column("'leased'")
"""The term of the index `delivery_leased`."""
NOW: BindParameter[Any] = bindparam("now")
LEASE_NOW: BindParameter[Any] = bindparam("lease_now")


def hooks_with_pending_rows() -> CTE:
    """One step through the index `delivery_due` for each of them (column `hook`): hooks that nothing waits for, of
    which there may be ten thousand, cost nothing. Its whole order is asked for, since another index begins alike."""

    def lowest(rows: Any, *more: ColumnElement[bool]) -> Any:
        ordered = select(rows.c.hook_id).where(state_in(PENDING, rows), *more).order_by(rows.c.hook_id, rows.c.due_ms)
        return ordered.limit(literal_column("1")).scalar_subquery()

    found = select(lowest(DELIVERIES).label("hook")).cte("busy", recursive=True)
    following = DELIVERIES.alias("following")
    return found.union_all(
        select(lowest(following, following.c.hook_id > found.c.hook)).where(found.c.hook.is_not(None))
    )


BUSY = hooks_with_pending_rows()
THEIRS = and_(DELIVERIES.c.hook_id == BUSY.c.hook, pending)
LATER = and_(THEIRS, DELIVERIES.c.due_ms > NOW)
BY_HAND = and_(THEIRS, DELIVERIES.c.due_ms <= NOW, ~unheld_at(LEASE_NOW))
NEXT_DUE = Prepared(
    select(
        func.min(select(func.min(DELIVERIES.c.due_ms)).where(LATER).scalar_subquery()).label("due_ms"),
        func.min(select(func.min(DELIVERIES.c.lease_ms)).where(BY_HAND).scalar_subquery()).label("lease_ms"),
    ).select_from(BUSY)
)
"""After a claim has taken what is due: what a person sends by hand is left, and goes when its lease lapses."""
NEXT_LAPSE = Prepared(select(func.min(DELIVERIES.c.lease_ms)).where(leased))
PROBED = exists().where(  # a join would be taken for a walk over all hooks
    HOOKS.c.id == BREAKERS.c.hook_id,
    HOOKS.c.paused_by == "breaker",
    HOOKS.c.active,
    HOOKS.c.deleted_ms.is_(None),
)
NEXT_PROBE = Prepared(select(func.min(BREAKERS.c.probe_ms)).where(PROBED))


def next_due(connection: Connection, now_ms: int, lease_now: int | None = None) -> int | None:
    """When the next row becomes due, the next lease lapses or the next breaker may be probed, after now."""
    held_now = now_ms if lease_now is None else lease_now
    ahead = held_now - now_ms
    [(due, by_hand)] = NEXT_DUE.all(connection, {"now": now_ms, "lease_now": held_now})
    others = [by_hand, NEXT_LAPSE.scalar(connection), NEXT_PROBE.scalar(connection)]
    moments = [due, *(None if moment is None else moment - ahead for moment in others)]
    return min((moment for moment in moments if moment is not None), default=None)


def lapsed(connection: Connection, before_ms: int) -> int:
    """Rows whose lease lapsed before this moment and that nobody took over, counted up to 1,001. Only reads."""
    rows = select(DELIVERIES.c.id).where(leased, DELIVERIES.c.lease_ms < before_ms).limit(COUNTED)
    return int(connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one())


def held_by_hook(connection: Connection, hooks: Sequence[int]) -> dict[int, int]:
    """How many deliveries are held for each of these hooks."""
    held = and_(DELIVERIES.c.state == "parked", DELIVERIES.c.hook_id.in_(hooks))
    rows = connection.execute(select(DELIVERIES.c.hook_id, func.count()).where(held).group_by(DELIVERIES.c.hook_id))
    return {row[0]: row[1] for row in rows}


def timeless(connection: Connection) -> int:
    """Deliveries that wait for an attempt, but for no moment: nobody would ever send them."""
    rows = select(DELIVERIES.c.id).where(pending, DELIVERIES.c.state != "blocked", DELIVERIES.c.due_ms.is_(None))
    return int(connection.execute(select(func.count()).select_from(rows.limit(COUNTED).subquery())).scalar_one())


def mend_clock(connection: Connection, now_ms: int, lease_now: int | None = None) -> None:
    """Put right what was written before the wall clock was set back: at a worker's start, and when it sees a jump.

    What waits for its turn alone is due; a retry waits no longer than its place in the schedule allows, a breaker's
    probe no longer than the longest rest; leases end within the longest lease. Any number of workers may do it, one
    after another: only moments that can't be true are moved.
    """
    impossible = or_(
        and_(DELIVERIES.c.state == "queued", DELIVERIES.c.due_ms > now_ms + JUMP),
        and_(DELIVERIES.c.state == "blocked", DELIVERIES.c.due_ms > now_ms + STEP + JUMP),
    )
    connection.execute(update(DELIVERIES).where(pending, impossible).values(due_ms=now_ms))
    scheduled = case(*((DELIVERIES.c.attempts == n, now_ms + ms) for n, ms in longest_pauses().items()), else_=NEVER)
    latest = cast(scheduled, BigInteger)
    connection.execute(
        update(DELIVERIES)
        .where(pending, DELIVERIES.c.state == "retrying", DELIVERIES.c.due_ms > latest + JUMP, ~may_have_wished)
        .values(due_ms=latest)
    )
    held_now = now_ms if lease_now is None else lease_now
    connection.execute(
        update(BREAKERS)
        .where(BREAKERS.c.probe_ms > held_now + LONGEST_REST + JUMP)
        .values(probe_ms=cast(BREAKERS.c.wait_ms, BigInteger) + held_now)
    )
    limit = held_now + LONGEST_LEASE
    connection.execute(update(DELIVERIES).where(leased, DELIVERIES.c.lease_ms > limit + JUMP).values(lease_ms=limit))
