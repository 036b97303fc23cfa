"""Deliveries that no Hookrow wrote, since somebody changed rows by hand: found where work fails, ended in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Table, or_, select, update

from hookrow.delivery.states import FINISHED, UNFINISHED
from hookrow.hook.modes import MODES, WAITING
from hookrow.ids import delivery_id
from hookrow.reasons.reason import Reason, keep
from hookrow.records import loads
from hookrow.store.database.tables import DELIVERIES, FIRINGS, HOOKS
from hookrow.store.outbox.release import give_on

__all__ = ["DAMAGED", "end_damaged"]

DAMAGED: Final = "damaged"
LARGE = 2**62
"""No number that is written comes near it: SQLite counts on in floats beyond twice that."""
PLACES = 2**20
"""In a row, from 1: a public id has four letters for it."""
WORDS: Final[Mapping[str, tuple[str, ...]]] = {"state": UNFINISHED, "mode": tuple(MODES)}
OF_FIRING = ("uid", "event", "at_ms", "replay_of", "depth")
OF_DELIVERY = tuple(column.name for column in DELIVERIES.c if column.name != "body")
ROWS = (
    select(
        *(DELIVERIES.c[name] for name in OF_DELIVERY),
        FIRINGS.c.id.label("firing"),
        HOOKS.c.id.label("hook"),
        *(FIRINGS.c[name].label(f"firing_{name}") for name in OF_FIRING),
    )
    .join_from(DELIVERIES, FIRINGS, FIRINGS.c.id == DELIVERIES.c.firing_id, isouter=True)
    .join(HOOKS, HOOKS.c.id == DELIVERIES.c.hook_id, isouter=True)
    .where(or_(DELIVERIES.c.state.is_(None), DELIVERIES.c.state.not_in(FINISHED)))
)
BODIES = select(DELIVERIES.c.body, FIRINGS.c.payload).join_from(
    DELIVERIES, FIRINGS, FIRINGS.c.id == DELIVERIES.c.firing_id
)


def end_damaged(connection: Connection, now_ms: int, rows: Collection[int] | None = None) -> list[tuple[str, str]]:
    """End the unfinished deliveries that can't be read, as `dead`: of these row ids, or of all.

    Returns:
        What was ended: its public id (or row), and what stands where in it.
    """
    found = connection.execute(ROWS if rows is None else ROWS.where(DELIVERIES.c.id.in_(rows))).all()
    ended: list[tuple[str, str]] = []
    firings: set[int] = set()
    keys: dict[tuple[int, str | None], int] = {}
    for row in found:
        faults = list(damage(row)) or ([] if rows is None else list(damaged_texts(connection, row)))
        if not faults:
            continue
        why = "; ".join(faults)
        connection.execute(
            update(DELIVERIES)
            .where(DELIVERIES.c.id == row.id)
            .values(
                state="dead",
                error=DAMAGED,
                detail=keep(Reason("row_damaged", why=why)),
                due_ms=None,
                lease_ms=None,
                owner=None,
                done_ms=now_ms,
            )
        )
        ended.append((name_of(row), why))
        if row.firing is not None:
            firings.add(row.firing)
        if row.hook is not None and isinstance(row.order_key, str):
            keys[row.hook, row.order_key] = row.id
    give_on(connection, firings, keys, now_ms)
    return ended


def damage(row: Any) -> Iterator[str]:
    """What in a delivery's row, or in what an attempt reads of its firing's, no Hookrow would write."""
    if row.firing is None:
        yield "its firing is missing"
    if row.hook is None:
        yield "its hook is missing"
    yield from misfits(
        DELIVERIES, ((each.name, getattr(row, each.name)) for each in DELIVERIES.c if each.name != "body")
    )
    if row.firing is not None:
        yield from misfits(FIRINGS, ((name, getattr(row, f"firing_{name}")) for name in OF_FIRING))


def damaged_texts(connection: Connection, row: Any) -> Iterator[str]:
    """The same of what may be long: the body, and the payload where a reply is judged by it."""
    body, payload = connection.execute(BODIES.where(DELIVERIES.c.id == row.id)).one()
    yield from misfits(DELIVERIES, [("body", body)])
    yield from misfits(FIRINGS, [("payload", payload)])
    if row.mode in WAITING and isinstance(payload, str):
        try:
            loads(payload)
        except (ValueError, RecursionError) as error:
            yield f"payload: {error}"


def misfits(table: Table, values: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Which of these values don't fit their columns."""
    for name, value in values:
        column = table.c[name]
        if value is None:
            fits = bool(column.nullable)
        elif column.type.python_type is int:
            fits = type(value) is int and (0 < value < PLACES if name == "seq" else 0 <= value < LARGE)
        else:
            fits = isinstance(value, column.type.python_type) and (
                table is not DELIVERIES or value in WORDS.get(name, (value,))
            )
        if not fits:
            yield f"{name} = {value!r:.40}"


def name_of(row: Any) -> str:
    """What people call it, where it still has a name."""
    if isinstance(row.firing_uid, str) and type(row.seq) is int and 0 < row.seq < PLACES:
        return delivery_id(row.firing_uid, row.seq)
    return f"row {row.id}"
