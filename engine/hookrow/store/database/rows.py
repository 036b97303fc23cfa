"""Rows: the ids of new ones, and what their columns hold."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Sequence, Table, bindparam, func, select

from hookrow.ids import id_at, ms_of
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.plain import FLAG, NUMBER, TEXT, Kinds
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["allocate", "kinds_of"]

NUMBERS = Sequence("row_number", schema=PG_SCHEMA)
LATEST = select(
    func.greatest(*(select(func.max(table.c.id)).scalar_subquery() for table in (FIRINGS, DELIVERIES)))
).scalar_subquery()
NEXT = select(NUMBERS.next_value().label("number"), func.coalesce(LATEST, 0).label("latest")).select_from(
    func.generate_series(1, bindparam("count"))
)
LOW = (1 << 20) - 1
SET_BACK = id_at(24 * 60 * 60 * 1000)
"""A clock that was set back by less than a day takes no ids along: what is kept for days is kept so much longer."""
MOMENT: Final[frozenset[type]] = frozenset((datetime, type(None)))
KINDS: Final[Mapping[type, frozenset[type]]] = {
    int: NUMBER,
    bool: FLAG,
    float: NUMBER,
    str: TEXT,
    bytes: frozenset((bytes, type(None))),
}
LAST = Prepared(
    select(
        *(select(func.max(table.c.id)).scalar_subquery().label(table.name) for table in (FIRINGS, DELIVERIES, ATTEMPTS))
    )
)


def allocate(
    connection: Connection, now_ms: int, *, firings: int = 0, deliveries: int = 0, attempts: int = 0
) -> tuple[Iterator[int], Iterator[int], Iterator[int]]:
    """Ids for so many new rows of each table, taken inside the write transaction: 64 bits, ordered by time.

    On SQLite the transaction is the only writer, so the next id is the larger of the clock's and the last one's + 1.
    On PostgreSQL a sequence fills the low bits, so that transactions that run at once don't meet; the moment is the
    last id's where the server's clock, or what this machine knows of it, is behind that.
    """
    start, counts = id_at(now_ms), (firings, deliveries, attempts)
    if not any(counts):
        return iter(()), iter(()), iter(())
    if connection.dialect.name == "sqlite":
        [last] = LAST.all(connection)
        first, second, third = (
            iter(range(*span(start, number, count))) for number, count in zip(last, counts, strict=True)
        )
        return first, second, third
    found = connection.execute(NEXT, {"count": sum(counts)}).all()
    low, latest = sorted(row.number & LOW for row in found), found[0].latest
    if 0 <= latest - (start | low[0]) < SET_BACK:
        start = id_at(ms_of(latest) + (low[0] <= latest & LOW))  # the sequence has begun anew
    ids = [start | number for number in low]
    return iter(ids[:firings]), iter(ids[firings : firings + deliveries]), iter(ids[firings + deliveries :])


def span(start: int, last: int | None, count: int) -> tuple[int, int]:
    """The first id of so many, and the one after them."""
    first = max(start, (last or 0) + 1)
    return first, first + count


def kinds_of(table: Table, names: Collection[str] = ()) -> Kinds:
    """What these columns of a table hold, all of them without names."""
    return {name: KINDS.get(table.c[name].type.python_type, MOMENT) for name in names or table.c.keys()}
