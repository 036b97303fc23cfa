"""Many rows in one statement: what every firing and result writes, made from the tables' columns.

A statement for each row would let go of the interpreter's lock for each row, and the event loop takes it meanwhile: the
writer's commit is as long as they are many. SQLite is given up to 64 rows of values, PostgreSQL one JSON text, since
its driver adapts each parameter by itself.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Table, text

from hookrow.payload import MIB
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.prepared import sqlite_driver, wrapped

__all__ = ["Insert", "Update"]

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
        ours = f"{PG_SCHEMA}.{table.name}"
        self.on_server: Final = text(f"INSERT INTO {ours} ({names}) SELECT {names} FROM {rows_of(ours)}")  # noqa: S608

    def of_values(self, places: str) -> str:
        return self.head + places

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert them in their order. Raises DBAPIError; IntegrityError where a constraint is broken."""
        self.whole(connection, [{**self.blank, **row} for row in rows])

    def whole(self, connection: Connection, whole: Sequence[Mapping[str, Any]]) -> None:
        """The same of rows that name all columns."""
        if connection.dialect.name == "sqlite":
            for _ in self.on_sqlite(connection, whole):
                pass
            return
        for part in as_json(whole):
            connection.execute(self.on_server, {"rows": part})


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
        self.on_server: Final = text(
            f"UPDATE {ours} AS kept SET {sets} FROM {rows_of(ours)} AS given WHERE {where} RETURNING kept.{keys[0]}"  # noqa: S608
        )

    def of_values(self, places: str) -> str:
        return self.head + places + self.tail

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Collection[int]:
        """Change them; no two may have the same keys. Returns the ids of those that were changed."""
        if connection.dialect.name == "sqlite":
            return {number for result in self.on_sqlite(connection, rows) for (number,) in result.fetchall()}
        named = [{name: row[name] for name in self.columns} for row in rows]
        return {number for part in as_json(named) for (number,) in connection.execute(self.on_server, {"rows": part})}


def rows_of(table: str) -> str:
    """The rows of a JSON text, with the columns of this table (PostgreSQL)."""
    return f"json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json))"


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
