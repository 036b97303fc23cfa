"""Whose turn it is: inside a firing, and among one hook's deliveries of the same order key.

Everything here is called inside the transaction of its cause, after the cause was written. It looks at the rows as they
stand and can be called once too often without harm.

A row that waits for its order key is `queued` (or `retrying`), due at no time (`due_ms` is null): claims pass it over
at no cost, and the end of the row before it makes it due.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)

from hookrow.delivery.states import (
    FINISHED,
    LONGEST_LEASE,
    PENDING,
    STEP,
    UNFINISHED,
    Happening,
    RowPlace,
    Standing,
    decide,
    turn,
)
from hookrow.ids import id_at
from hookrow.store.database.prepared import PreparedIn
from hookrow.store.database.tables import DELIVERIES, FIRINGS
from hookrow.store.outbox.batches import Update

__all__ = [
    "EARLIER",
    "admit",
    "advance",
    "due_of_firsts",
    "give_on",
    "held_back",
    "is_held",
    "keys_locked",
    "lock_keys",
    "pending",
    "state_in",
    "unfinished",
    "unheld_at",
    "unstick",
    "waiting_again",
]

RELEASED = Happening("released")
firing_of: Final = attrgetter("firing_id")
LONGEST_HOLD = LONGEST_LEASE + 2000
"""Milliseconds: a lease that reaches further was written by another clock, before the machine was started anew."""


def is_held(row: Any, lease_now: int) -> bool:
    """Whether somebody has the delivery's lease still: a worker, or a person who sends it by hand, in any state."""
    return row.lease_ms is not None and 0 < row.lease_ms - lease_now <= LONGEST_HOLD


def unheld_at(lease_now: Any) -> ColumnElement[bool]:
    """As `is_held` says: nobody has its lease."""
    left = DELIVERIES.c.lease_ms - lease_now
    return or_(DELIVERIES.c.lease_ms.is_(None), left <= 0, left > LONGEST_HOLD)


def state_in(words: Iterable[str], table: Any = DELIVERIES) -> ColumnElement[bool]:
    """The state is one of these, as literals: SQLite uses a partial index only where its own words are repeated."""
    return table.c.state.in_([literal_column(f"'{word}'") for word in words])  # type: ignore[no-any-return]


pending: Final = state_in(PENDING)
unfinished: Final = state_in(UNFINISHED)

EARLIER = DELIVERIES.alias("earlier")
KEYED_EARLIER = and_(EARLIER.c.order_key.is_not(None), state_in(UNFINISHED, EARLIER))
UNDER_WAY = or_(
    state_in(("leased",), EARLIER),
    and_(state_in(("queued", "retrying"), EARLIER), EARLIER.c.due_ms.is_not(None)),
)

BLOCKED = EARLIER.c.state == literal_column("'blocked'")
"""The term of the index `delivery_blocked`."""
PASSED_OVER = and_(EARLIER.c.released_ms.is_(None), state_in(("parked", *FINISHED), EARLIER))
"""As `states.turn` says: taken out before their own turn had come, and blocking hooks' rows."""


def around_the_turn(firings: Sequence[BindParameter[Any]]) -> Select[Any]:
    """The rows on which the turn depends: the first two that are blocked, and what stands before them down to the row
    that counts. Each is a step in an index, since a firing may have a thousand and every result asks."""
    ours = and_(EARLIER.c.firing_id == FIRINGS.c.id, BLOCKED)
    moving = select(FIRINGS.c.id, select(func.min(EARLIER.c.seq)).where(ours).scalar_subquery().label("seq"))
    first = moving.where(FIRINGS.c.id.in_(firings)).cte("first").prefix_with("MATERIALIZED")
    same = EARLIER.c.firing_id == first.c.id
    before = select(func.max(EARLIER.c.seq)).where(same, EARLIER.c.seq < first.c.seq, ~PASSED_OVER)
    second = select(func.min(EARLIER.c.seq)).where(same, EARLIER.c.seq > first.c.seq, BLOCKED)
    return (
        select(
            *(DELIVERIES.c[name] for name in ("id", "firing_id", "seq", "state", "attempts", "released_ms", "due_ms")),
            DELIVERIES.c.hook_id,
            DELIVERIES.c.order_key,
        )
        .join_from(first, DELIVERIES, DELIVERIES.c.firing_id == first.c.id)
        .where(
            DELIVERIES.c.seq >= func.coalesce(before.scalar_subquery(), first.c.seq),
            DELIVERIES.c.seq <= func.coalesce(second.scalar_subquery(), first.c.seq),
        )
        .order_by(DELIVERIES.c.firing_id, DELIVERIES.c.seq)
    )


AROUND_THE_TURN = PreparedIn(around_the_turn)
MOVE_ON = Update(
    DELIVERIES,
    ("id",),
    {name: f"given.{name}" for name in ("state", "due_ms", "released_ms")},
    "kept.state = 'blocked'",
    "(given.state <> 'blocked' OR kept.due_ms IS NULL)",
)
"""Releases a blocked row, or says until when it is blocked if nobody has."""
OF_ITS_KEY = and_(
    EARLIER.c.hook_id == DELIVERIES.c.hook_id, EARLIER.c.order_key == DELIVERIES.c.order_key, KEYED_EARLIER
)
HELD_BACK = PreparedIn(
    lambda rows: select(DELIVERIES.c.id).where(
        DELIVERIES.c.id.in_(rows),
        or_(
            # Asked as a value: PostgreSQL might join the two instead, row by row, where it takes the table for empty.
            DELIVERIES.c.id > select(func.min(EARLIER.c.id)).where(OF_ITS_KEY).scalar_subquery(),
            # Clocks of several machines differ: what is under way goes first, whatever its id.
            exists(select(1).where(OF_ITS_KEY, EARLIER.c.id != DELIVERIES.c.id, UNDER_WAY)),
        ),
    )
)
OF_KEYS = PreparedIn(
    lambda rows: select(
        select(func.min(EARLIER.c.id)).where(OF_ITS_KEY).scalar_subquery().label("first"),
        exists(select(1).where(OF_ITS_KEY, UNDER_WAY)).label("busy"),
    ).where(DELIVERIES.c.id.in_(rows))
)
"""Of the order keys that these rows have: the first unfinished row, and whether one is under way."""
MAKE_DUE = Update(
    DELIVERIES,
    ("id",),
    {"due_ms": "given.due_ms"},
    "kept.due_ms IS NULL",
    "kept.state IN ('queued', 'retrying')",
)
HEADS = (
    select(func.min(EARLIER.c.id))
    .where(EARLIER.c.hook_id == bindparam("hook"), KEYED_EARLIER)
    .group_by(EARLIER.c.order_key)
    .having(func.max(case((EARLIER.c.state == "leased", 1), else_=0)) == 0)
)
"""The first of each order key of which nothing is in flight."""
WAIT_AGAIN = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.hook_id == bindparam("hook"),
        DELIVERIES.c.order_key.is_not(None),
        unfinished,
        DELIVERIES.c.state.in_(("queued", "retrying")),
        DELIVERIES.c.due_ms.is_not(None),
        DELIVERIES.c.id.not_in(HEADS),
    )
    .values(due_ms=None)
)
STUCK = (
    select(DELIVERIES.c.firing_id)
    .where(
        pending,
        DELIVERIES.c.state == "blocked",
        DELIVERIES.c.due_ms.is_(None),
        DELIVERIES.c.id < bindparam("old"),
        ~exists(
            select(1).where(
                EARLIER.c.firing_id == DELIVERIES.c.firing_id,
                EARLIER.c.seq < DELIVERIES.c.seq,
                BLOCKED,
            )
        ),
    )
    .limit(500)
)
KEY_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('hookrow order'))")
TRY_KEY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtext('hookrow order'))")


def advance(connection: Connection, firings: Collection[int], now_ms: int) -> list[int]:
    """Give the turn on in these firings, as far as it goes; returns the ids of rows that are due now.

    The caller has the lock on order keys.
    """
    due: list[int] = []
    moving = sorted(firings)
    while moving:
        rows = AROUND_THE_TURN.all(connection, moving)
        moving = advance_rows(connection, [list(group) for _, group in groupby(rows, firing_of)], now_ms, due)
    return due


def admit(connection: Connection, firings: Collection[int], now_ms: int) -> list[int]:
    """As `advance`, for rows just written as `blocked`: the first of them gets its turn, and each that may go too."""
    lock_keys(connection)
    return advance(connection, firings, now_ms)


def advance_rows(connection: Connection, firings: list[list[Any]], now_ms: int, due: list[int]) -> list[int]:
    """Give the turn on among these rows of each firing, adding to `due`; the firings where it may go on behind them.

    They go on together: there may be thousands, and a statement for each would hold the database for as many round
    trips.
    """
    changes: list[dict[str, Any]] = []
    behind: list[int] = []
    going = [(rows, [place_of(row) for row in rows]) for rows in firings]
    while going:
        turns: list[tuple[list[Any], list[RowPlace], int]] = []
        for rows, places in going:
            found = turn(places, now_ms)
            if found is None:
                if [row.state for row in rows].count("blocked") > 1:  # else there is nothing behind them
                    behind.append(rows[0].firing_id)
                continue
            index = next(number for number, place in enumerate(places) if place.seq == found.seq)
            if found.now:
                turns.append((rows, places, index))
            elif rows[index].due_ms is None:
                changes.append({"id": rows[index].id, "state": "blocked", "due_ms": found.due_ms, "released_ms": None})
        held = held_back(connection, [rows[index] for rows, _, index in turns])
        for rows, places, index in turns:
            row = rows[index]
            change = decide(Standing(row.state, row.attempts, released=False), RELEASED, now_ms)
            assert change is not None
            waits = row.id in held
            due_ms = None if waits else change.due_ms
            changes.append({"id": row.id, "state": change.state, "due_ms": due_ms, "released_ms": now_ms})
            places[index] = RowPlace(row.seq, change.state, row.attempts, now_ms, change.due_ms, waits)
            if not waits:
                due.append(row.id)
        going = [(rows, places) for rows, places, _ in turns]
    if changes:
        MOVE_ON.many(connection, sorted(changes, key=itemgetter("id")))  # in the order in which a hook's change locks
    return behind


def place_of(row: Any) -> RowPlace:
    return RowPlace(row.seq, row.state, row.attempts, row.released_ms, row.due_ms, waits(row))


def unstick(connection: Connection, now_ms: int) -> int:
    """Give the turn on where it got lost: the first blocked row of a firing without a limit. Returns how many firings.

    Two transactions on PostgreSQL that end neighbouring rows of a firing at once don't see each other.
    """
    old = id_at(now_ms - 2 * STEP)  # younger rows may be on their way
    found = connection.execute(STUCK, {"old": old}).scalars().all()
    if found:
        admit(connection, found, now_ms)
    return len(found)


def waits(row: Any) -> bool:
    """The row waits for an earlier one of its order key."""
    return row.state in ("queued", "retrying") and row.due_ms is None


def lock_keys(connection: Connection) -> None:
    """On PostgreSQL one transaction at a time gives turns and looks at order keys: two that don't see each other would
    strand a row.

    Whoever has this lock may wait for rows of others, so whoever waits for it must hold none that others may want:
    it comes after a hook's, and before the rows of a change or those to which a result gives the turn.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(KEY_LOCK)


def keys_locked(connection: Connection) -> bool:
    """As `lock_keys` for who holds rows already, and therefore doesn't wait; whether nobody else has the lock."""
    return connection.dialect.name != "postgresql" or bool(connection.execute(TRY_KEY_LOCK).scalar_one())


def held_back(connection: Connection, rows: Iterable[Any]) -> set[int]:
    """The ids of those of these rows before which another unfinished delivery of the hook's same order key goes."""
    keyed = [row.id for row in rows if row.order_key is not None]
    if not keyed:
        return set()
    return {row.id for row in HELD_BACK.all(connection, keyed)}


def give_on(
    connection: Connection, firings: Collection[int], keys: Mapping[tuple[int, str | None], int], now_ms: int
) -> tuple[list[int], bool]:
    """After rows ended: `advance` their firings, and make the next delivery of each of their keys due.

    Args:
        keys: (hook, order key), given with a row that has them.

    Returns:
        What `advance` does; and whether a delivery of a key was made due.
    """
    rows = [row for (_, key), row in keys.items() if key is not None]
    if firings or rows:
        lock_keys(connection)
    due = advance(connection, firings, now_ms)
    return due, bool(rows) and free_keys(connection, rows, now_ms)


def free_keys(connection: Connection, rows: Sequence[int], now_ms: int) -> bool:
    """Make the next delivery of the order key of each of these rows due, unless one is under way; whether any was."""
    free = [{"id": row.first, "due_ms": now_ms} for row in OF_KEYS.all(connection, rows) if row.first and not row.busy]
    unique = {each["id"]: each for each in free}  # the last row is asked for twice where there are three
    return bool(unique and MAKE_DUE.many(connection, list(unique.values())))


def due_of_firsts(hook: int, due: ColumnElement[Any]) -> ColumnElement[Any]:
    """`due`, but nothing where an earlier row of its order key is unfinished: what `waiting_again` would take back."""
    first = DELIVERIES.c.id.in_(HEADS.params(hook=hook))
    return case((or_(DELIVERIES.c.order_key.is_(None), first), due), else_=None)


def waiting_again(connection: Connection, hook: int) -> None:
    """After many rows of a hook came back at once: only the first of each order key is due."""
    connection.execute(WAIT_AGAIN, {"hook": hook})
