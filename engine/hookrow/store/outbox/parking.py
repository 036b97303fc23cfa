"""Many deliveries at once: what a change of their hook means for them, and what a person does with dead ones.

`park`, `unpark`, `cancel` and `uncancel` run in the transaction that changed the hook, after that change: they read the
hook as it then stands. Which state follows which is asked of `states.decide`, once for each kind of row.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    union,
    update,
)

from hookrow.delivery.states import (
    FINISHED,
    PENDING,
    Cause,
    Change,
    Happening,
    HookStanding,
    Standing,
    decide,
    hook_standing,
)
from hookrow.store.database.locks import after_a_lock, all_locked
from hookrow.store.database.notify import announce
from hookrow.store.database.tables import BREAKERS, DELIVERIES, FIRINGS, HOOKS
from hookrow.store.outbox.release import advance, due_of_firsts, lock_keys, pending, state_in, unheld_at, waiting_again

__all__ = [
    "BREAKERS",
    "HOOKS",
    "HeldBack",
    "cancel",
    "catch_up",
    "chunks",
    "drop",
    "hold_restored",
    "hook_now",
    "keep_hooks",
    "park",
    "standing_of",
    "uncancel",
    "unpark",
]

AFTER = DELIVERIES.alias("after")
NOTABLE = DELIVERIES.c.state.not_in([literal_column(f"'{word}'") for word in ("ok", "sent", "skipped")])
"""The term of the index `delivery_notable`."""
RESTORED = "restored"
WITH_HOOK = DELIVERIES.c.skipped == "hook_deleted"


def standing_of(connection: Connection, hook: int) -> HookStanding:
    """What the hook, as it stands in this transaction, means for its deliveries."""
    row = connection.execute(
        select(HOOKS.c.active, HOOKS.c.paused_by, HOOKS.c.deleted_ms).where(HOOKS.c.id == hook)
    ).first()
    return "deleted" if row is None else hook_now(row)


def hook_now(row: Any) -> HookStanding:
    """What the hook in a row means for its deliveries."""
    return hook_standing(row.active, row.paused_by is not None, row.deleted_ms is not None)


def park(connection: Connection, hook: int, now_ms: int) -> int:
    """The hook was paused or switched off: what waits for a worker is kept until it is on again; returns how many."""
    return move(connection, hook, "hook_paused", PENDING, standing_of(connection, hook), now_ms)


def unpark(connection: Connection, hook: int, now_ms: int) -> int:
    """The hook was resumed or switched on: its parked rows go on; its breaker starts anew. Returns how many.

    Nothing happens while the hook is still off, paused or deleted.
    """
    standing = standing_of(connection, hook)
    if standing != "on":
        return 0
    lock_keys(connection)
    anew = {"failures": 0, "since_ms": None, "wait_ms": 0, "probe_ms": None}
    connection.execute(update(BREAKERS).where(BREAKERS.c.hook_id == hook, BREAKERS.c.failures > 0).values(anew))
    return move(connection, hook, "hook_resumed", ("parked",), standing, now_ms)


def cancel(connection: Connection, hook: int, now_ms: int) -> int:
    """The hook was deleted: what was not sent yet is cancelled, with the reason `hook_deleted`; returns how many.

    A request in flight ends as it ends; if it fails, its delivery is cancelled then.
    """
    return move(connection, hook, "hook_deleted", (*PENDING, "parked"), "deleted", now_ms)


def uncancel(connection: Connection, hook: int, now_ms: int) -> int:
    """The deletion of the hook was undone: what it cancelled waits again, parked if the hook is held."""
    return move(connection, hook, "hook_restored", ("cancelled",), standing_of(connection, hook), now_ms)


def catch_up(connection: Connection, parked: Collection[int], now_ms: int, *, cancelled: Collection[int] = ()) -> None:
    """Rows of these hooks were just written as parked or, since the hook was deleted, as cancelled: by a process that
    may not have seen the hooks' latest change.

    Where the hook is on again they go on, where it was deleted they are cancelled: nobody else would look at them.
    """
    keep_hooks(connection, {*parked, *cancelled})
    for hook in sorted({*parked, *cancelled}):
        standing = standing_of(connection, hook)
        if standing != "deleted" and hook in cancelled:
            uncancel(connection, hook, now_ms)
        if standing == "on":
            unpark(connection, hook, now_ms)
        elif standing == "deleted":
            cancel(connection, hook, now_ms)


def keep_hooks(connection: Connection, hooks: Collection[int]) -> None:
    """Lock them as they are (PostgreSQL): a change that commits later must see the rows that are written here."""
    for hook in sorted(hooks):
        connection.execute(select(HOOKS.c.id).where(HOOKS.c.id == hook).with_for_update(read=True))


def kinds(
    cause: Cause, states: Sequence[str], hook: HookStanding, now_ms: int
) -> dict[Change, list[ColumnElement[bool]]]:
    """The rows of these states by what becomes of them: each change with the conditions of its rows."""
    found: dict[Change, list[ColumnElement[bool]]] = {}
    for state, attempted, released in product(states, (False, True), (False, True)):
        standing = Standing(state, int(attempted), released, hook, reason="hook_deleted")
        change = decide(standing, Happening(cause), now_ms)
        if change is None:
            continue
        change = Change(change.state, change.due_ms, 0, change.turn, change.reason)
        found.setdefault(change, []).append(
            and_(
                DELIVERIES.c.state == state,
                DELIVERIES.c.attempts > 0 if attempted else DELIVERIES.c.attempts == 0,
                DELIVERIES.c.released_ms.is_not(None) if released else DELIVERIES.c.released_ms.is_(None),
            )
        )
    return found


def move(
    connection: Connection, hook: int, cause: Cause, states: Sequence[str], standing: HookStanding, now_ms: int
) -> int:
    """Let a happening of the hook happen to all its deliveries in these states; returns how many it moved."""
    its = [DELIVERIES.c.hook_id == hook]
    if set(states) <= set(PENDING):
        its.append(pending)
    else:
        its += [NOTABLE, state_in(states)]
    if states == ("cancelled",):
        its.append(WITH_HOOK)
    lock_keys(connection)
    after_a_lock(connection)
    # What is blocked behind them too: a result that gives the turn on locks such rows in the same order.
    moving = select(DELIVERIES.c.id, DELIVERIES.c.firing_id, DELIVERIES.c.seq).where(*its).cte("moving")
    behind = select(AFTER.c.id).join_from(
        moving,
        AFTER,
        and_(AFTER.c.firing_id == moving.c.firing_id, AFTER.c.seq > moving.c.seq, AFTER.c.state == "blocked"),
    )
    both = union(select(moving.c.id), behind)
    all_locked(connection, select(DELIVERIES.c.id).where(DELIVERIES.c.id.in_(both)).order_by(DELIVERIES.c.id))
    # Whose turn may change: firings in which something is blocked behind such a row, or the row itself will be.
    firings = set(
        connection.execute(
            select(DELIVERIES.c.firing_id).where(
                *its,
                or_(
                    and_(DELIVERIES.c.released_ms.is_(None), DELIVERIES.c.attempts == 0),
                    exists(
                        select(1).where(
                            AFTER.c.firing_id == DELIVERIES.c.firing_id,
                            AFTER.c.seq > DELIVERIES.c.seq,
                            AFTER.c.state == "blocked",
                        )
                    ),
                ),
            )
        ).scalars()
    )
    moved = 0
    for change, alternatives in kinds(cause, states, standing, now_ms).items():
        # Whose lease somebody took by hand keeps it: it is being sent, and no worker may send it beside them.
        values: dict[str, Any] = {"state": change.state, "skipped": change.reason}
        values["done_ms"] = now_ms if change.state in FINISHED else None
        if change.due_ms is not None or change.state in PENDING:
            due = func.coalesce(DELIVERIES.c.due_ms, now_ms) if change.due_ms is None else literal(change.due_ms)
            values["due_ms"] = due_of_firsts(hook, due) if cause == "hook_resumed" else due
        result = connection.execute(update(DELIVERIES).where(*its, or_(*alternatives)).values(**values))
        moved += result.rowcount
    if moved and standing == "on":
        waiting_again(connection, hook)
        announce(connection)
    for part in chunks(sorted(firings)):
        advance(connection, part, now_ms)
    return moved


def chunks(ids: Sequence[int], size: int = 1000) -> list[Sequence[int]]:
    """Pieces short enough for the parameters of one statement."""
    return [ids[start : start + size] for start in range(0, len(ids), size)]


class HeldBack(NamedTuple):
    """How many deliveries a restored database has as unfinished, and when the first and the last were fired."""

    deliveries: int
    first_ms: int | None
    last_ms: int | None


def hold_restored(connection: Connection, now_ms: int, *, only_count: bool = False) -> HeldBack:
    """The database is a backup that was put back: hold what it has as unfinished, since it may have been sent since."""
    unfinished = or_(pending, state_in(("leased", "parked")))
    found = connection.execute(
        select(func.count(), func.min(FIRINGS.c.at_ms), func.max(FIRINGS.c.at_ms))
        .select_from(DELIVERIES.join(FIRINGS, FIRINGS.c.id == DELIVERIES.c.firing_id))
        .where(unfinished)
    ).one()
    if not only_count:
        values = {"state": "cancelled", "skipped": RESTORED, "done_ms": now_ms, "lease_ms": None, "owner": None}
        connection.execute(update(DELIVERIES).where(unfinished).values(**values))
    return HeldBack(*found)


def drop(connection: Connection, deliveries: Collection[int], now_ms: int, lease_now: int | None = None) -> list[int]:
    """A person gives dead deliveries up, but not one that is being sent by hand; returns those that were dropped."""
    change = decide(Standing("dead"), Happening("dropped"), now_ms)
    assert change is not None
    dead = and_(DELIVERIES.c.state == "dead", unheld_at(now_ms if lease_now is None else lease_now))
    dropped: list[int] = []
    for part in chunks(sorted(deliveries)):
        its = update(DELIVERIES).where(DELIVERIES.c.id.in_(part), dead)
        settled = its.values(state=change.state, done_ms=now_ms).returning(DELIVERIES.c.id)
        dropped += connection.execute(settled).scalars()
    return dropped
