"""Rows: the ids of new ones, and those that no Hookrow wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Sequence, bindparam, func, select

from hookrow.errors import DatabaseDamaged
from hookrow.ids import id_at
from hookrow.lang import Text
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["allocate", "reading"]

NUMBERS = Sequence("row_number", schema=PG_SCHEMA)
NEXT = select(NUMBERS.next_value()).select_from(func.generate_series(1, bindparam("count")))
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
    numbers = connection.execute(NEXT, {"count": count}).scalars()
    return iter(sorted(start | (number & 0xFFFFF) for number in numbers))


@contextmanager
def reading(table: str) -> Iterator[None]:
    """What can't be read of a table's rows was changed by hand: that is told with the way out, not as a fault of ours.

    Raises:
        DatabaseDamaged
    """
    try:
        yield
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError) as error:
        told = Text(
            "a row of the table {table} can't be read ({reason}); no Hookrow wrote it so: put it right, or restore a "
            "backup",
            table=table,
            reason=f"{type(error).__name__}: {error}",
        )
        raise DatabaseDamaged(told) from error
