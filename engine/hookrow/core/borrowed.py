"""Django's connection, lent to SQLAlchemy for some statements: its transaction, its thread, and never its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

__all__ = ["borrowed", "is_django"]


class Lent:
    """A driver's connection whose transaction belongs to Django: nobody else commits it, rolls it back or closes it."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def commit(self) -> None:
        """Not ours to do."""

    rollback = close = commit


def is_django(given: object) -> bool:
    """Whether this is `django.db.connection`, or one of `django.db.connections`: known by what it can do."""
    return all(hasattr(given, name) for name in ("vendor", "ensure_connection", "validate_thread_sharing", "alias"))


@contextmanager
def borrowed(database: Database, given: Any) -> Iterator[Connection]:
    """SQLAlchemy's view of a Django connection to a database of the same kind.

    Raises:
        django.db.DatabaseError: another thread than the connection's own.
        django.core.exceptions.SynchronousOnlyOperation: on a running event loop.
    """
    given.validate_thread_sharing()
    given.ensure_connection()
    # Our own engine's dialect knows this database already: a new one would ask first, and then roll back.
    dialect = database.engine("read").dialect
    pool = NullPool(lambda: Lent(given.connection), dialect=dialect, reset_on_return=None)
    with Engine(pool, dialect, database.address).connect() as connection:
        yield connection
