"""Row ids and public ids: what a firing, a delivery and an attempt are called."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, select, text

from hookrow.ids import id_at
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["allocate"]

LAST = {table.name: Prepared(select(func.max(table.c.id))) for table in (FIRINGS, DELIVERIES, ATTEMPTS)}


def allocate(connection: Connection, table: str, count: int, now_ms: int) -> Iterator[int]:
    """Ids for new rows of a table, taken inside the write transaction: 64 bits, ordered by time.

    On SQLite the transaction is the only writer, so the next id is the larger of the clock's and the last one's + 1.
    On PostgreSQL a sequence fills the low bits, so that transactions that run at once don't meet.
    """
    if not count:
        return iter(())
    start = id_at(now_ms)
    if connection.dialect.name == "sqlite":
        last = LAST[table].scalar(connection) or 0
        first = max(start, last + 1)
        return iter(range(first, first + count))
    numbers = connection.execute(
        text("SELECT nextval('row_number') FROM generate_series(1, :count)"), {"count": count}
    ).scalars()
    return iter(sorted(start | (number & 0xFFFFF) for number in numbers))
