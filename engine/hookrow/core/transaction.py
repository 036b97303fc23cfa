"""Writing through the caller's own connection, so that hooks go out with his commit and vanish with his rollback."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from hookrow.errors import TransactionMisuse, WrongDatabase
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow.store.database import Database

__all__ = ["is_async", "run_async", "run_sync"]

T = TypeVar("T")


def is_async(given: Any) -> bool:
    """Whether this is SQLAlchemy's AsyncConnection or AsyncSession."""
    return hasattr(given, "run_sync") and inspect.iscoroutinefunction(given.run_sync)


def run_sync(database: Database, given: Any, job: Callable[[Connection], T]) -> T:
    """Run a job inside the caller's transaction, in the caller's thread.

    Raises:
        TransactionMisuse: this is no SQLAlchemy connection or session.
        WrongDatabase: it does not reach the engine's own tables.
    """
    if isinstance(given, Session):
        given = given.connection()
    if not isinstance(given, Connection):
        raise TransactionMisuse(
            Text("connection= takes a SQLAlchemy connection or session, not {kind}", kind=type(given).__name__)
        )
    check_database(database, given)
    if database.dialect == "sqlite":
        # Take the write lock before reading: a read transaction can't always become a writing one.
        given.exec_driver_sql("UPDATE config_version SET n = n WHERE id = 0")
    return job(given)


async def run_async(database: Database, given: Any, job: Callable[[Connection], T]) -> T:
    """`run_sync` for SQLAlchemy's async connections and sessions; sync ones are taken as well."""
    if not is_async(given):
        return run_sync(database, given, job)
    result: T = await given.run_sync(lambda inner: run_sync(database, inner, job))
    return result


def check_database(database: Database, connection: Connection) -> None:
    """The caller's connection must see the very tables that the engine's worker reads."""
    wrong = WrongDatabase(Text("the connection does not reach the engine's database {url}", url=database.url))
    if connection.dialect.name != database.dialect:
        raise wrong
    if database.dialect == "sqlite":
        files = [row[2] for row in connection.exec_driver_sql("PRAGMA database_list") if row[1] == "main"]
        if database.path is None or not files or not files[0] or not database.path.samefile(files[0]):
            raise wrong
        return
    where = text(
        "SELECT current_database() || '/' || coalesce(inet_server_port(), 0) || '/' || pg_postmaster_start_time()"
    )
    with database.read() as own:
        if own.execute(where).scalar() != connection.execute(where).scalar():
            raise wrong
