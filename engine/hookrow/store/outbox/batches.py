"""Many rows in one statement: what every firing and result writes, made from the tables' columns.

A statement for each row would let go of the interpreter's lock for each row, and the event loop takes it meanwhile: the
writer's commit is as long as they are many. SQLite is given up to 64 rows of values, PostgreSQL one JSON text, since
its driver adapts each parameter by itself.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import IntegrityError

from hookrow.payload import MIB
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.plain import SQLITE_SCHEMA
from hookrow.store.database.prepared import queueing, say, sqlite_driver, wrapped

__all__ = ["Insert", "Noted", "Update", "insert"]

MOST = 64
"""Rows in one statement of SQLite."""
LARGE = 8 * MIB
"""Bytes of one JSON text; rows beyond go into the next."""


class Rowwise:
    """A statement that takes many rows of these columns."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns: Final = tuple(str(name) for name in columns)  # SQLAlchemy has its own kind
        self.in_order: Final[Callable[[Mapping[str, Any]], Any]] = itemgetter(*self.columns)
        self.place: Final = f"({', '.join('?' * len(self.columns))})"
        self.texts: Final[dict[int, str]] = {}

    def of_values(self, places: str) -> str:
        """The statement with these places for values (SQLite)."""
        raise NotImplementedError

    def on_sqlite(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
        """Run for 64, 32, 16 … rows at a time: so few texts that the driver keeps each of them prepared."""
        driver = sqlite_driver(connection)
        execute: Any = connection.exec_driver_sql if driver is None else driver.execute
        start, left = 0, len(rows)
        try:
            while left:
                size = MOST if left >= MOST else 1 << (left.bit_length() - 1)
                said = self.texts.get(size)
                if said is None:
                    said = self.texts[size] = self.of_values(", ".join([self.place] * size))
                given = chain.from_iterable(map(self.in_order, rows[start : start + size]))
                yield execute(said, tuple(given))
                start, left = start + size, left - size
        except sqlite3.Error as error:
            raise wrapped(error) from None


class Insert(Rowwise):
    """New rows of a table. A column that a row does not name gets its default."""

    def __init__(self, table: Table) -> None:
        super().__init__(list(table.columns.keys()))
        self.blank: Final = {str(column.name): getattr(column.default, "arg", None) for column in table.columns}
        names = ", ".join(self.columns)
        self.head: Final = f"INSERT INTO {table.name} ({names}) VALUES "  # noqa: S608 - columns of our own
        self.table: Final = str(table.name)
        ours = f"{PG_SCHEMA}.{table.name}"
        self.words: Final = f"INSERT INTO {ours} ({names}) SELECT {names} FROM {rows_of(ours)} AS given"  # noqa: S608
        self.on_server: Final = text(self.words.format(rows=":rows"))

    def of_values(self, places: str) -> str:
        return self.head + places

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert them in their order. Raises DBAPIError; IntegrityError where a constraint is broken."""
        if connection.dialect.name == "sqlite":
            for _ in self.on_sqlite(connection, self.whole(rows)):
                pass
            return
        for part in as_json(self.whole(rows)):
            connection.execute(self.on_server, {"rows": part})

    def whole(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The rows with what they don't name."""
        return [{**self.blank, **row} for row in rows]


def insert(connection: Connection, *given: tuple[Insert, Sequence[Mapping[str, Any]]]) -> None:
    """Rows of several tables, in the order in which they refer to one another. On a connection of ours to PostgreSQL
    they may go later, at the latest with the commit, and all in one statement: what is broken is told then.

    Raises:
        DBAPIError: IntegrityError where a constraint is broken.
    """
    given = tuple(each for each in given if each[1])
    driver = queueing(connection)
    if driver is None:
        for into, rows in given:
            into.many(connection, rows)
        return
    parts = [list(as_json(into.whole(rows))) for into, rows in given]
    if all(len(part) == 1 for part in parts):
        if given:
            driver.later(inserting(*(into for into, _ in given)), *(part[0] for part in parts))
        return
    for (into, _), part in zip(given, parts, strict=True):
        for each in part:
            driver.later(inserting(into), each)


@cache
def inserting(*into: Insert) -> str:
    """Rows of these tables in one statement (PostgreSQL): its parameters are their JSON texts."""
    *others, last = (each.words.format(rows=f"${number}") for number, each in enumerate(into, 1))
    named = ", ".join(f"new_{each.table} AS ({words})" for each, words in zip(into, others, strict=False))
    return f"WITH {named} {last}" if others else last


class Update(Rowwise):
    """Rows of a table changed, each by values of its own, where its `keys` (the id first) are still what they were."""

    def __init__(self, table: Table, keys: Sequence[str], values: Mapping[str, str], *only: str) -> None:
        """Make it.

        Args:
            values: what each column becomes, as SQL: `given.NAME` is the row's own value, `kept.NAME` the
                column as it is.
            only: conditions besides the keys, in the same words.
        """
        named = set(re.findall(r"given\.(\w+)", " ".join((*values.values(), *only)))) - set(keys)
        super().__init__([*keys, *sorted(named)])
        assert named <= set(table.columns.keys())
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        where = " AND ".join([*(f"kept.{key} = given.{key}" for key in keys), *only])
        self.head: Final = f"WITH given({', '.join(self.columns)}) AS (VALUES "
        self.tail: Final = f") UPDATE {table.name} AS kept SET {sets} FROM given WHERE {where} RETURNING {keys[0]}"  # noqa: S608
        ours = f"{PG_SCHEMA}.{table.name}"
        set_and_where = f"SET {sets} FROM {rows_of(ours)} AS given WHERE {where}".replace(
            SQLITE_SCHEMA, f"{PG_SCHEMA}."
        )
        self.words: Final = f"UPDATE {ours} AS kept {set_and_where} RETURNING kept.{keys[0]}"
        self.on_server: Final = text(self.words.format(rows=":rows"))

    def of_values(self, places: str) -> str:
        return self.head + places + self.tail

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Collection[int]:
        """Change them; no two may have the same keys. Returns the ids of those that were changed."""
        if connection.dialect.name == "sqlite":
            return {number for result in self.on_sqlite(connection, rows) for (number,) in result.fetchall()}
        parts = as_json([{name: row[name] for name in self.columns} for row in rows])
        return {number for part in parts for (number,) in connection.execute(self.on_server, {"rows": part})}


class Noted:
    """Rows changed, and others that refer to these written: one statement (PostgreSQL)."""

    def __init__(self, update: Update, into: Insert, column: str) -> None:
        self.update: Final = update
        self.into: Final = into
        changed, written = update.words.format(rows="$1"), into.words.format(rows="$2")
        self.words: Final = (
            f"WITH changed AS ({changed}), written AS ({written} WHERE given.{column} IN (SELECT id FROM changed))"  # noqa: S608
            " SELECT id FROM changed"
        )

    def many(
        self, connection: Connection, rows: Sequence[tuple[Mapping[str, Any], Mapping[str, Any] | None]]
    ) -> Collection[int]:
        """Change these, and write what is new with each that was changed; returns the ids of the changed.

        None is changed where a constraint is broken.
        """
        changes = list(as_json([{name: row[name] for name in self.update.columns} for row, _ in rows]))
        new = list(as_json(self.into.whole([each for _, each in rows if each is not None]))) or ["[]"]
        if len(rows) > 1 and (len(changes) > 1 or len(new) > 1):
            half = len(rows) // 2
            return {*self.many(connection, rows[:half]), *self.many(connection, rows[half:])}
        driver = queueing(connection)
        driver.later("SAVEPOINT noted")
        try:
            return {int(number) for (number,) in say(connection, self.words, changes[0], new[0])}
        except IntegrityError:
            if not driver.last_failed:  # what was queued before
                raise
        say(connection, "ROLLBACK TO SAVEPOINT noted")
        return ()


def rows_of(table: str) -> str:
    """The rows of a JSON text, with the columns of this table (PostgreSQL)."""
    return f"json_populate_recordset(CAST(NULL AS {table}), CAST({{rows}} AS json))"


def as_json(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The rows as JSON arrays, none of them much larger than LARGE."""
    parts: list[bytes] = []
    size = 0
    for row in rows:
        parts.append(orjson.dumps(row, default=as_bytea))
        size += len(parts[-1])
        if size > LARGE:
            yield f"[{b','.join(parts).decode()}]"
            parts, size = [], 0
    if parts:
        yield f"[{b','.join(parts).decode()}]"


def as_bytea(value: object) -> str:
    """Bytes as PostgreSQL reads them from text."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError(type(value).__name__)
