"""Databases of one test each: an SQLite file, or a PostgreSQL database copied from one that has Hookrow's tables."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from hookrow.store.database.address import address_of, for_driver
from hookrow.store.database.failures import translate
from hookrow.store.database.opening import open_database
from hookrow.system.fileurl import file_url
from hookrow.testing.engine import folder

__all__ = ["copied", "prepared", "sqlite"]


@contextmanager
def sqlite() -> Iterator[str]:
    """An SQLite file's URL, in memory where the machine has such a place; gone after the block."""
    with folder() as place:
        yield file_url(f"{place}/hooks.db")


@contextmanager
def prepared(server: str) -> Iterator[str]:
    """The name of a new database on this server in which Hookrow's tables are made; gone after the block.

    Raises:
        NoDatabase: it is no URL of a database.
        StorageError: it can't be reached, or no database may be made there.
    """
    with new(server, "template0") as made:
        open_database(made).close()
        yield str(made.database)


@contextmanager
def copied(server: str, template: str) -> Iterator[str]:
    """The URL of a new database on this server, a copy of that one; gone after the block, whoever is connected."""
    with new(server, template) as made:
        yield made.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def new(server: str, template: str) -> Iterator[URL]:
    """A new database on this server. Raises as `prepared`."""
    address = address_of(server)
    name = f"hookrow_test_{secrets.token_hex(6)}"
    run(address, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield address.set(database=name)
    finally:
        run(address, f"DROP DATABASE {name} WITH (FORCE)")


def run(address: URL, statement: str) -> None:
    """A statement outside of a transaction."""
    engine = create_engine(for_driver(address), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
    except DBAPIError as error:
        raise translate(error) from None
