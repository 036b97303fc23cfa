"""Rows: the ids of new ones, and what their columns hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, Sequence, Table, bindparam, func, select

from hookrow.ids import id_at
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.locks import now
from hookrow.store.database.plain import FLAG, NUMBER, TEXT, Kinds
from hookrow.store.database.prepared import Prepared, queueing, say
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["Numbers", "allocate", "kinds_of"]

NUMBERS = Sequence("row_number", schema=PG_SCHEMA)
BLOCK = 512
"""Row numbers drawn at once where many are needed; what is left of them is never used."""
FRESH = 10.0
"""Seconds for which they may be used: the sequence comes round to their lower bits after a million."""
NEXT_NUMBERS = f"SELECT nextval('{PG_SCHEMA}.row_number') FROM generate_series(1, CAST($1 AS int))"  # noqa: S608
NEXT = select(NUMBERS.next_value()).select_from(func.generate_series(1, bindparam("count")))
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


class Numbers:
    """Row numbers drawn ahead, for transactions of one engine that follow one another: a later row has a higher one."""

    others: int = 0
    """How often transactions of hosts drew some in this process, which are higher than all that were drawn before."""

    def __init__(self) -> None:
        self.left: list[int] = []
        self.drawn: float = float("-inf")
        self.before: int = 0

    def take(self, count: int, draw: Callable[[int], list[int]]) -> list[int]:
        """So many of them; `draw` gets more from the server."""
        busy = now() - self.drawn < FRESH
        if not busy or self.before != Numbers.others:
            self.left = []
        if len(self.left) < count:
            self.before, self.left = Numbers.others, draw(max(count, BLOCK) if busy else count)
            self.drawn = now()
        taken, self.left = self.left[:count], self.left[count:]
        return taken


def allocate(
    connection: Connection, now_ms: int, *, firings: int = 0, deliveries: int = 0, attempts: int = 0
) -> tuple[Iterator[int], Iterator[int], Iterator[int]]:
    """Ids for so many new rows of each table, taken inside the write transaction: 64 bits, ordered by time.

    On SQLite the transaction is the only writer, so the next id is the larger of the clock's and the last one's + 1.
    On PostgreSQL a sequence fills the low bits, so that transactions that run at once don't meet; an engine draws its
    numbers many at a time.
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
    if (driver := queueing(connection)) is not None:
        draw = partial(say, connection, NEXT_NUMBERS)
        numbers = driver.numbers.take(sum(counts), lambda some: [int(number) for (number,) in draw(str(some))])
    else:
        Numbers.others += 1
        numbers = list(connection.execute(NEXT, {"count": sum(counts)}).scalars())
    ids = sorted(start | (number & 0xFFFFF) for number in numbers)
    return iter(ids[:firings]), iter(ids[firings : firings + deliveries]), iter(ids[firings + deliveries :])


def span(start: int, last: int | None, count: int) -> tuple[int, int]:
    """The first id of so many, and the one after them."""
    first = max(start, (last or 0) + 1)
    return first, first + count


def kinds_of(table: Table, names: Collection[str] = ()) -> Kinds:
    """What these columns of a table hold, all of them without names."""
    return {name: KINDS.get(table.c[name].type.python_type, MOMENT) for name in names or table.c.keys()}
