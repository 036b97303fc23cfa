"""Writing through the caller's own connection, so that hooks are sent after its commit and vanish with its rollback."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Dialect, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from hookrow.errors import TransactionMisuse, WrongDatabase
from hookrow.lang import Text
from hookrow.store.database.address import IN_OURS, PG_PLACE
from hookrow.store.database.failures import translate
from hookrow.store.database.locks import FIRE, LOCK, limits

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

__all__ = ["borrowed", "is_async", "is_django", "run_async", "run_sync"]

T = TypeVar("T")
THEIRS = "current_setting('lock_timeout'), current_setting('statement_timeout')"
RESTORE = text("SELECT set_config('lock_timeout', :lock, true), set_config('statement_timeout', :statement, true)")
NO_TRANSACTION = Text("connection= needs an open transaction; this connection is in autocommit mode")


def is_async(given: Any) -> bool:
    """Whether this is SQLAlchemy's AsyncConnection or AsyncSession."""
    return hasattr(given, "run_sync") and inspect.iscoroutinefunction(given.run_sync)


def is_session(given: Any) -> bool:
    """Whether this is SQLAlchemy's Session. Nobody has one who has not imported the ORM."""
    orm = sys.modules.get("sqlalchemy.orm")
    return orm is not None and isinstance(given, orm.Session)


def run_sync(database: Database, given: Any, job: Callable[[Connection], T]) -> T:
    """Run a job inside the caller's transaction, in the caller's thread.

    Raises:
        TransactionMisuse: this is no connection or session of SQLAlchemy or Django, or it has no open transaction.
        WrongDatabase: it does not reach the engine's own tables.
        StorageError: it could not be written; the caller's transaction is to be rolled back.
    """
    if is_django(given):
        if given.vendor != database.dialect:
            raise wrong_database(database)
        given.validate_thread_sharing()
        given.ensure_connection()
        # Our own engine's dialect knows this database already: a new one would ask first, and then roll back.
        with borrowed(database, given.connection, database.engine("read").dialect) as connection:
            return run_here(database, connection, job)
    if is_session(given):
        given = given.connection()
    if not isinstance(given, Connection):
        kind = type(given).__name__
        raise TransactionMisuse(
            Text(
                "connection= takes a connection or session of SQLAlchemy or Django's connection, not {kind}", kind=kind
            )
        )
    if given.dialect.name != database.dialect:
        raise wrong_database(database)
    if database.dialect == "sqlite":
        return run_here(database, given, job)
    # As its own first statement would: SQLAlchemy ends only what it has begun, and hears nothing of what is borrowed.
    begun = None if given.in_transaction() else given.begin()
    try:
        with borrowed(database, given.connection.dbapi_connection, given.dialect) as connection:
            return run_here(database, connection, job)
    except TransactionMisuse:  # each of its statements commits by itself
        if begun is not None:
            begun.rollback()
        raise


def run_here(database: Database, given: Connection, job: Callable[[Connection], T]) -> T:
    """Run a job in this connection's transaction. Raises TransactionMisuse, WrongDatabase, StorageError."""
    try:
        check_database(database, given)
        if database.dialect == "sqlite":
            # Take the write lock before reading: a read transaction can't always become a writing one.
            given.exec_driver_sql("UPDATE config_version SET n = n WHERE id = 0")
            if not given.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                raise TransactionMisuse(NO_TRANSACTION)
            return job(given)
        with limited(given):
            return job(given)
    except DBAPIError as error:
        raise translate(error) from None


@contextmanager
def limited(connection: Connection) -> Iterator[None]:
    """In the caller's PostgreSQL transaction: our statements wait as long as ours do elsewhere, and theirs as before.

    Raises:
        TransactionMisuse: there is no transaction: two statements of one have the same `now()`.
    """
    then = connection.exec_driver_sql("SELECT now()::text").scalar_one()
    # In this order: what they were is read before it is set.
    theirs = connection.exec_driver_sql(f"SELECT now()::text, {THEIRS}, {limits(LOCK, FIRE)}").one()
    if theirs[0] != then:
        raise TransactionMisuse(NO_TRANSACTION)
    try:
        yield
    except DBAPIError:
        raise  # the transaction is aborted: nothing more can be said in it, and its end takes the limits back
    except BaseException:
        restore(connection, theirs)
        raise
    else:
        restore(connection, theirs)


def restore(connection: Connection, theirs: Any) -> None:
    connection.execute(RESTORE, {"lock": theirs[1], "statement": theirs[2]})


async def run_async(database: Database, given: Any, job: Callable[[Connection], T]) -> T:
    """`run_sync` for SQLAlchemy's async connections and sessions; sync ones are taken as well."""
    if not is_async(given):
        return run_sync(database, given, job)
    result: T = await given.run_sync(lambda inner: run_sync(database, inner, job))
    return result


def wrong_database(database: Database) -> WrongDatabase:
    return WrongDatabase(Text("the connection does not reach the engine's database {url}", url=database.url))


def check_database(database: Database, connection: Connection) -> None:
    """The caller's connection must see the very tables that the engine's worker reads."""
    wrong = wrong_database(database)
    if database.dialect == "sqlite":
        files = [row[2] for row in connection.exec_driver_sql("PRAGMA database_list") if row[1] == "main"]
        if database.path is None or not files or not files[0] or not database.path.samefile(files[0]):
            raise wrong
        return
    found = connection.exec_driver_sql(PG_PLACE).scalar()
    if found != database.place:
        # Asked anew only now: a restarted server has another place than the one that is known.
        with database.read() as own:
            database.place = own.exec_driver_sql(PG_PLACE).scalar_one()
        if found != database.place:
            raise wrong


class Lent:
    """A driver's connection whose transaction is its owner's: nobody else commits it, rolls it back or closes it."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def commit(self) -> None:
        """Not ours to do."""

    rollback: Final = commit
    close: Final = commit


def is_django(given: object) -> bool:
    """Whether this is `django.db.connection`, or one of `django.db.connections`: known by what it can do."""
    return all(hasattr(given, name) for name in ("vendor", "ensure_connection", "validate_thread_sharing", "alias"))


@contextmanager
def borrowed(database: Database, driver: Any, dialect: Dialect) -> Iterator[Connection]:
    """SQLAlchemy's view of a driver's connection to a database of the same kind, in which our tables have our schema.

    What the owner's own view of it says stays as it is: its options, its `search_path`, what listens to its statements.
    """
    pool = NullPool(lambda: Lent(driver), dialect=dialect, reset_on_return=None)
    ours = {"schema_translate_map": IN_OURS} if database.dialect == "postgresql" else {}
    with Engine(pool, dialect, database.address, execution_options=ours).connect() as connection:
        yield connection
