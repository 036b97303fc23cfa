"""One database's rows in another: hooks and what belongs to them, and of the log what is finished, value by value.

Each step makes a part of the target equal to the source, whatever is there: what was broken off goes on where it was,
and a second walk that changes nothing has compared both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, and_, delete, exists, func, insert, not_, select, tuple_, update

from hookrow.delivery.states import UNFINISHED
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.moments import KEPT_AS
from hookrow.store.database.tables import ATTEMPTS, DEEDS, DELIVERIES, EVENTS, FIRINGS, HOOKS, REVISIONS, SETTINGS

__all__ = ["Left", "Piece", "configure", "counted", "is_the_sources", "left", "newest", "next_piece", "transfer"]

CONFIGURATION: Final = (HOOKS, REVISIONS, EVENTS, SETTINGS, DEEDS)
"""In the order in which rows can be added."""
CARRIED: Final = {SETTINGS: (SETTINGS.c.name != KEPT_AS,)}
"""A machine's clock stays with the machine."""
LOG: Final = (FIRINGS, DELIVERIES, ATTEMPTS)
PIECE = 500
"""Firings that are looked at together, at most."""
PIECE_BYTES = 16_000_000
"""Payloads and bodies of so many bytes are looked at together, unless one firing has more."""

Row = tuple[Any, ...]
Whole = tuple[tuple[Row, ...], ...]
"""A firing's rows, table by table."""

under_way: Final = exists(
    select(DELIVERIES.c.id).where(DELIVERIES.c.firing_id == FIRINGS.c.id, DELIVERIES.c.state.in_(UNFINISHED))
)
finished: Final = and_(FIRINGS.c.outcome.is_not(None), not_(FIRINGS.c.deferred), not_(under_way))


class Piece(NamedTuple):
    """Firings whose ids follow each other: the first is above `after`, the last is `to`."""

    after: int
    to: int
    firings: int


class Left(NamedTuple):
    """What stays where it is: firings that are not finished, and their deliveries that are not."""

    firings: int
    deliveries: int


def is_the_sources(source: Connection, target: Connection) -> bool:
    """Whether all that the target has came from this source: no hook is its own or newer, nor its newest firing."""
    known = {
        (row.id, row.uid): row.revision for row in source.execute(select(HOOKS.c.id, HOOKS.c.uid, HOOKS.c.revision))
    }
    for row in target.execute(select(HOOKS.c.id, HOOKS.c.uid, HOOKS.c.revision)):
        if known.get((row.id, row.uid), -1) < row.revision:
            return False
    last = target.execute(select(FIRINGS.c.uid).order_by(FIRINGS.c.id.desc()).limit(1)).scalar()
    return last is None or source.execute(select(FIRINGS.c.id).where(FIRINGS.c.uid == last)).scalar() is not None


def configure(source: Connection, target: Connection) -> int:
    """Make hooks, revisions, events, settings and deeds equal to the source's, in the caller's transaction.

    Returns:
        How many rows were not.
    """
    changed = 0
    for table in CONFIGURATION:
        keys = list(table.primary_key)
        wanted, found = keyed(source, table), keyed(target, table)
        gone = [key for key in found if key not in wanted]
        for some in chunks(gone):
            target.execute(delete(table).where(tuple_(*keys).in_(some)))
        other = [(key, values) for key, values in wanted.items() if key in found and found[key] != values]
        if table is HOOKS:  # a key may have gone to another hook since, or two may have been swapped
            for some in chunks([key for key, _ in other]):
                target.execute(update(HOOKS).where(tuple_(*keys).in_(some)).values(key=HOOKS.c.uid))
        fresh = [values for key, values in wanted.items() if key not in found]
        if fresh:
            target.execute(insert(table), fresh)
        for key, values in other:
            same = [column == value for column, value in zip(keys, key, strict=True)]
            target.execute(update(table).where(*same).values(values))
        changed += len(gone) + len(fresh) + len(other)
        go_on_numbering(target, table)
    return changed


def keyed(connection: Connection, table: Table) -> dict[Row, dict[str, Any]]:
    rows = connection.execute(select(table).where(*CARRIED.get(table, ())).order_by(*table.primary_key))
    return {tuple(row._mapping[column] for column in table.primary_key): dict(row._mapping) for row in rows}


def go_on_numbering(connection: Connection, table: Table) -> None:
    """PostgreSQL counts by itself, and does not see numbers that were given."""
    column = table.autoincrement_column
    if connection.dialect.name == "postgresql" and column is not None:
        last = func.max(column)
        serial = func.pg_get_serial_sequence(f"{PG_SCHEMA}.{table.name}", column.name)
        connection.execute(select(func.setval(serial, func.coalesce(last, 1), last.is_not(None))))


def counted(connection: Connection, table: Table) -> int:
    """How many rows a table has."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def left(connection: Connection) -> Left:
    """What is not finished."""
    open_ones = select(func.count()).select_from(FIRINGS).where(not_(finished))
    deliveries = select(func.count()).select_from(DELIVERIES).where(DELIVERIES.c.state.in_(UNFINISHED))
    return Left(connection.execute(open_ones).scalar_one(), connection.execute(deliveries).scalar_one())


def next_piece(connection: Connection, after: int, to: int) -> Piece | None:
    """The next firings above one id and up to another; None where there are no more."""
    bodies = select(func.sum(func.length(func.coalesce(DELIVERIES.c.body, "")))).where(
        DELIVERIES.c.firing_id == FIRINGS.c.id
    )
    weight = func.length(FIRINGS.c.payload) + func.coalesce(bodies.scalar_subquery(), 0)
    some = select(FIRINGS.c.id, weight).where(FIRINGS.c.id > after, FIRINGS.c.id <= to)
    count = size = last = 0
    for number, bytes_ in connection.execute(some.order_by(FIRINGS.c.id).limit(PIECE)):
        size += bytes_
        if count and size > PIECE_BYTES:
            break
        count, last = count + 1, number
    return Piece(after, last, count) if count else None


def newest(connection: Connection) -> int:
    """The newest firing's id; 0 where there is none."""
    return connection.execute(select(func.max(FIRINGS.c.id))).scalar() or 0


def transfer(source: Connection, target: Connection, piece: Piece) -> int:
    """Make the target's firings of this piece those that are finished in the source, in the caller's transaction.

    Returns:
        How many were not equal.
    """
    wanted, found = wholes(source, piece), wholes(target, piece)
    gone = [number for number, whole in found.items() if wanted.get(number) != whole]
    for some in chunks(gone):
        theirs = select(DELIVERIES.c.id).where(DELIVERIES.c.firing_id.in_(some))
        target.execute(delete(ATTEMPTS).where(ATTEMPTS.c.delivery_id.in_(theirs)))
        target.execute(delete(DELIVERIES).where(DELIVERIES.c.firing_id.in_(some)))
        target.execute(delete(FIRINGS).where(FIRINGS.c.id.in_(some)))
    fresh = [whole for number, whole in wanted.items() if found.get(number) != whole]
    for at, table in enumerate(LOG):
        add(target, table, [row for whole in fresh for row in whole[at]])
    return len(fresh) + sum(number not in wanted for number in gone)


def wholes(connection: Connection, piece: Piece) -> Mapping[int, Whole]:
    """The finished firings of a piece with all their rows."""
    mine = and_(FIRINGS.c.id > piece.after, FIRINGS.c.id <= piece.to)
    theirs = and_(DELIVERIES.c.firing_id > piece.after, DELIVERIES.c.firing_id <= piece.to)
    heads = {row[0]: row for row in map(tuple, connection.execute(select(FIRINGS).where(mine, finished)))}
    shares: defaultdict[int, list[Row]] = defaultdict(list)
    for row in connection.execute(select(DELIVERIES).where(theirs).order_by(DELIVERIES.c.id)):
        shares[row.firing_id].append(tuple(row))
    tries: defaultdict[int, list[Row]] = defaultdict(list)
    asked = select(DELIVERIES.c.firing_id, ATTEMPTS).join_from(ATTEMPTS, DELIVERIES).where(theirs)
    for row in connection.execute(asked.order_by(ATTEMPTS.c.id)):
        tries[row[0]].append(tuple(row[1:]))
    return {number: ((row,), tuple(shares[number]), tuple(tries[number])) for number, row in heads.items()}


def add(connection: Connection, table: Table, rows: list[Row]) -> None:
    """Write new rows of the log, past SQLAlchemy, which costs many times what the driver does."""
    if not rows:
        return
    names = ", ".join(table.c.keys())
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(table.c))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)  # noqa: S608
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {PG_SCHEMA}.{table.name} ({names}) FROM STDIN") as lines:
        for row in rows:
            lines.write_row(row)


def chunks(keys: list[Any]) -> Iterable[list[Any]]:
    """A few hundred at a time: a statement takes so many parameters and no more."""
    return (keys[at : at + PIECE] for at in range(0, len(keys), PIECE))
