"""Statements of the hot paths: built and compiled once, and run on SQLite's own cursor.

Most commits hold one firing or one result, and running a Core statement through SQLAlchemy takes ten times as long as
SQLite needs for it. So what every commit does is compiled once, and its text goes straight to the driver. On other
databases, where the way to the server decides, it is run as any statement.
"""

from __future__ import annotations

import collections
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, Insert, Table, bindparam
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.compiler import compiles

__all__ = ["Prepared", "PreparedIn", "Upsert", "driver_noted", "queueing", "savepoint", "say", "sqlite_driver"]

NO_VALUES: Mapping[str, Any] = {}
KEPT_DRIVER = "hookrow_driver"
"""Where a connection has the driver's beneath it, if that was noted: each statement asks for it."""
MOST_IDS = 512
"""Ids in one statement; more are asked for in parts."""


class Upsert(Insert):
    """Rows inserted, or these columns of the row that has the key set to the new values. Both databases spell it alike.

    The construct that SQLAlchemy has for it stands in one dialect or the other: PostgreSQL's costs a process on SQLite
    2 MB and a twentieth of its start.
    """

    inherit_cache: bool | None = False

    def __init__(self, table: Table, key: str, columns: Sequence[str]) -> None:
        super().__init__(table)
        self.key = key
        self.overwritten: tuple[str, ...] = tuple(columns)


@compiles(Upsert)
def upserted(statement: Upsert, compiler: Any, **how: Any) -> str:
    """The statement's text."""
    quoted = compiler.preparer.quote
    sets = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in statement.overwritten)
    return f"{compiler.visit_insert(statement, **how)} ON CONFLICT ({quoted(statement.key)}) DO UPDATE SET {sets}"


class Prepared:
    """A Core statement, compiled at its first use. Rows are read by the names of their columns."""

    def __init__(self, statement: Any) -> None:
        self.statement = statement
        self.text: str = ""
        self.constants: dict[str, Any] = {}
        self.in_order: Callable[[Mapping[str, Any]], tuple[Any, ...]] = no_values
        self.row: Callable[[Sequence[Any]], Any] | None = None

    def all(self, connection: Connection, values: Mapping[str, Any] = NO_VALUES) -> Sequence[Any]:
        """The rows of a SELECT, or of what RETURNING says."""
        driver = sqlite_driver(connection)
        if driver is None:
            return connection.execute(self.statement, values).all()
        cursor = self.execute(driver, connection, values)
        found = cursor.fetchall()
        if not found:
            return found
        if self.row is None:
            self.row = row_of([column[0] for column in cursor.description])
        return list(map(self.row, found))

    def scalar(self, connection: Connection, values: Mapping[str, Any] = NO_VALUES) -> Any:
        """The first column of the first row; None where there is no row."""
        rows = self.all(connection, values)
        return rows[0][0] if rows else None

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Run a statement that changes rows; returns how many."""
        driver = sqlite_driver(connection)
        if driver is None:
            return connection.execute(self.statement, values).rowcount
        return self.execute(driver, connection, values).rowcount

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of these, all with the same keys. A server is to have few: there it is a round trip each."""
        driver = sqlite_driver(connection)
        if driver is None:
            for row in rows:  # sent together, the server would wait for the rest of them without any limit
                connection.execute(self.statement, row)
            return
        self.compile(connection)
        given = ({**self.constants, **row} for row in rows) if self.constants else rows
        try:
            driver.executemany(self.text, map(self.in_order, given))
        except sqlite3.Error as error:
            raise wrapped(error) from None

    def execute(self, driver: sqlite3.Connection, connection: Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        self.compile(connection)
        try:
            return driver.execute(self.text, self.in_order({**self.constants, **values}))
        except sqlite3.Error as error:
            raise wrapped(error) from None

    def compile(self, connection: Connection) -> None:
        if self.text:
            return
        made = self.statement.compile(dialect=connection.dialect)
        order = made.positiontup
        self.constants = {name: bind.value for name, bind in made.binds.items() if not bind.required}
        if len(order) == 1:
            self.in_order = lambda values: (values[order[0]],)
        elif order:
            self.in_order = itemgetter(*order)
        self.text = str(made)


class PreparedIn:
    """A statement for some ids: `make` builds it from their bind parameters.

    It is compiled for one, two, four … of them, and what is left over repeats the last id.
    """

    def __init__(self, make: Callable[[Sequence[BindParameter[Any]]], Any]) -> None:
        self.make = make
        self.sizes: dict[int, Prepared] = {}

    def all(self, connection: Connection, ids: Sequence[Any], values: Mapping[str, Any] = NO_VALUES) -> list[Any]:
        """The rows for these ids, in no order between each 512 of them."""
        found: list[Any] = []
        for start in range(0, len(ids), MOST_IDS):
            part = ids[start : start + MOST_IDS]
            size = 1 << (len(part) - 1).bit_length()
            prepared = self.sizes.get(size)
            if prepared is None:
                binds: list[BindParameter[Any]] = [bindparam(f"id_{number}") for number in range(size)]
                prepared = self.sizes[size] = Prepared(self.make(binds))
            filled = [*part, *[part[-1]] * (size - len(part))]
            named = {f"id_{number}": value for number, value in enumerate(filled)}
            found += prepared.all(connection, {**named, **values})
        return found


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """A part of a transaction that a broken constraint undoes alone; any other error undoes the whole."""
    run: Callable[[str], object] = connection.exec_driver_sql
    if (driver := sqlite_driver(connection)) is not None:
        run = driver.execute
    elif queueing(connection) is not None:  # after a rollback of its own, psycopg forgets all that it prepared
        run = partial(say, connection)
    run("SAVEPOINT part")
    try:
        yield
    except IntegrityError:
        run("ROLLBACK TO SAVEPOINT part")
        raise
    run("RELEASE SAVEPOINT part")


def row_of(names: Sequence[str]) -> Callable[[Sequence[Any]], Any]:
    """Makes a row with these names of a tuple; a column without a name gets its number."""
    kind: Any = collections.namedtuple  # its names are known only now, which no type checker can follow
    return kind("Row", names, rename=True)._make  # type: ignore[no-any-return]


def no_values(values: Mapping[str, Any]) -> tuple[Any, ...]:
    return ()


def driver_noted(connection: Connection) -> Connection:
    """For a connection that is never given another one of the driver's."""
    connection.__dict__[KEPT_DRIVER] = connection.connection.driver_connection
    return connection


def sqlite_driver(connection: Connection) -> sqlite3.Connection | None:
    """The driver's connection beneath one of SQLAlchemy's; None where it is another driver than `sqlite3`."""
    driver = connection.__dict__.get(KEPT_DRIVER) or connection.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


def queueing(connection: Connection) -> Any:
    """The driver's connection where it is PostgreSQL's own kind of ours, which queues statements (`server.Server`)."""
    driver: Any = connection.connection.driver_connection
    return driver if hasattr(driver, "later") else None


def say(connection: Connection, words: str, *values: str) -> Sequence[Sequence[Any]]:
    """Run a statement behind those that are queued, in one round trip; gives its rows, as text. For `queueing` ones.

    Raises:
        DBAPIError: IntegrityError where a constraint is broken, by it or by what was queued.
    """
    driver: Any = connection.connection.driver_connection
    try:
        return driver.say(words, *values)  # type: ignore[no-any-return]
    except driver.Error as error:
        gone = driver.closed or driver.broken
        if gone:
            connection.invalidate()
        kind = IntegrityError if isinstance(error, driver.IntegrityError) else DBAPIError
        raise kind(None, None, error, connection_invalidated=gone) from None


def wrapped(error: sqlite3.Error) -> DBAPIError:
    """A driver's error as SQLAlchemy raises it. Without the statement: its values may be payloads and secrets."""
    kind = IntegrityError if isinstance(error, sqlite3.IntegrityError) else DBAPIError
    return kind(None, None, error)
