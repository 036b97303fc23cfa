"""Opening a database: looked at first, made where it is missing, migrated where it is older, left alone where newer."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, insert, text
from sqlalchemy.exc import DBAPIError

from hookrow.clock import Clock
from hookrow.errors import DatabaseReadOnly, NoDatabase, StorageError
from hookrow.lang import Text, detect
from hookrow.store.configuration.zones import machine_zone
from hookrow.store.database import readonly, reserve
from hookrow.store.database.address import PG_SCHEMA, Login
from hookrow.store.database.database import Database
from hookrow.store.database.failures import translate, unshared
from hookrow.store.database.locks import SLACK, Until, insist
from hookrow.store.database.migrations import HEAD
from hookrow.store.database.moments import agree
from hookrow.store.database.places import misplaced
from hookrow.store.database.schema import VERSION, VERSION_TABLE, VERSIONS, indexes, too_new, triggers, version_of
from hookrow.store.database.standing import refuse_damaged
from hookrow.store.database.tables import METADATA, SETTINGS, VERSION_NUMBER

__all__ = ["open_database"]

log: Final = logging.getLogger("hookrow")


def open_database(
    url: str | URL, *, clock: Clock | None = None, create: bool = True, login: Login | None = None
) -> Database:
    """Open the database at an SQLAlchemy URL (`sqlite:///hooks.db`, `postgresql+psycopg://…`), made or migrated first.

    Raises:
        NoDatabase: it does not exist and `create` is false, it holds no Hookrow tables and can't get them, or the
            URL names no file (SQLite in memory: each connection would see another database).
        SchemaTooNew: a newer Hookrow made it; it is left untouched.
        DatabaseDamaged: it is no database.
    """
    database = Database(url, clock=clock, login=login)
    try:
        prepare(database, create=create)
        if (unsafe := misplaced(database.path)) is not None:
            log.warning("%s", unsafe)
        if database.path is not None and not database.read_only:
            reserve.keep(database.path)
            know_clock(database)
        if database.path is None:
            database.read_only = database.may_only_read()
    except BaseException:
        database.disconnect()
        raise
    return database


def prepare(database: Database, *, create: bool) -> None:
    """Make the database usable, or refuse it untouched. Raises as `open_database` says."""
    found = look(database, create)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise too_new(found)
    if database.read_only:
        raise DatabaseReadOnly(Text("the database needs an upgrade, and this user has no right to write"))
    if found is None and not create:
        raise NoDatabase(
            Text(
                "{path} is not a Hookrow database: give another file, or create one with hookrow init",
                path=database.path or database.url,
            )
        )
    with Until(None):  # as long as another process takes that does the same, and a large log
        if found is None:
            make(database)
        else:
            # Imported only here: alembic costs 100–200 ms.
            from hookrow.store.database.migrations.run import upgrade

            upgrade(database)


def know_clock(database: Database) -> None:
    """Learn what leases are reckoned by (SQLite): the wall's clock where nobody said it and it can't be written."""
    with suppress(StorageError):
        with database.read() as connection:
            known = database.clock.boot is None or database.clock.learn(connection)
        if not known:
            with database.write(SLACK) as connection:
                agree(connection, database.clock)


def look(database: Database, create: bool) -> str | None:
    """The version found, by a connection that can't write. Raises as `open_database` says."""
    path = database.path
    if path is not None:
        if not os.path.exists(path):  # also where this user may not look
            if not create:
                raise NoDatabase(Text("there is no database {path}; create one with hookrow init", path=path))
            return None
        if path.is_dir():
            raise cannot_make(path, os.strerror(errno.EISDIR))
        if not os.access(path, os.R_OK):
            reason = f"{os.strerror(errno.EACCES)}: {path}"
            raise StorageError(Text("the database reports: {reason}", reason=reason))
        refuse_damaged(path)
        return None if path.stat().st_size == 0 else look_into_file(database)
    with database.read() as connection:
        refuse_encoding(connection)
        return version_of(connection)


def refuse_encoding(connection: Connection) -> None:
    """A server's database that can't hold every character would fail at the first of those that it lacks.

    Raises:
        NoDatabase
    """
    driver: Any = connection.connection.driver_connection
    found = driver.info.parameter_status("server_encoding")
    if found not in (None, "UTF8"):  # a pooler need not say
        raise NoDatabase(
            Text(
                "the database's encoding is {found}, which lacks characters; create one with CREATE DATABASE NAME "
                "ENCODING 'UTF8' TEMPLATE template0",
                found=found,
            )
        )


def look_into_file(database: Database) -> str | None:
    """Ask an SQLite file for its version without the right to change a byte of it."""
    assert database.path is not None
    plain: sqlite3.Connection | None = None
    try:
        if database.read_only:
            plain = readonly.connect(database.path)
        else:
            plain = sqlite3.connect(f"{database.path.as_uri()}?mode=ro", uri=True, timeout=5.0)
        row = plain.execute(str(VERSION)).fetchone()
        return str(row[0]) if row else None
    except sqlite3.Error as error:
        if "no such table" in str(error):
            return None
        raise translate(DBAPIError(None, None, error), database.path) from None
    finally:
        if plain is not None:
            plain.close()


def cannot_make(path: Path, reason: Text | str) -> NoDatabase:
    return NoDatabase(Text("can't make the database {path}: {reason}", path=path, reason=reason))


def make(database: Database) -> None:
    """Make all tables. Several processes may start at once: who comes second finds them made."""
    path = database.path
    if path is None:
        make_pg_schema(database)
        make_tables(database)
        return
    if (unsafe := misplaced(path)) is not None:
        raise cannot_make(path, unsafe)
    # Made before SQLite does, so that it is never readable by others, whatever the umask.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        ours = True
    except FileExistsError:
        ours = False
    except OSError as error:
        raise cannot_make(path, error.strerror or "") from None
    fresh = ours or path.stat().st_size == 0
    try:
        enter_wal(database)
        if fresh:
            database.restrict()
        make_tables(database)
    except BaseException:
        if ours:
            database.disconnect()
            for end in ("-wal", "-shm", "-journal", ""):
                Path(f"{path}{end}").unlink(missing_ok=True)
        raise
    database.restrict()


def make_tables(database: Database) -> None:
    """Everything that a new database holds, in one transaction."""
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('hookrow schema'))"))
        if version_of_safely(connection, database) is not None:
            return
        METADATA.create_all(connection, checkfirst=False)
        for statement in (*indexes(database.dialect), *triggers(database.dialect)):
            connection.exec_driver_sql(statement)
        connection.execute(insert(VERSION_NUMBER).values(id=1, n=1))
        zone, why = machine_zone()
        for name, value in (("timezone", zone), ("language", detect())):
            connection.execute(insert(SETTINGS).values(name=name, value=value))
        VERSIONS.create(connection)
        connection.execute(insert(VERSIONS).values(version_num=HEAD))
    if why is not None:
        log.warning("%s", why)


def version_of_safely(connection: Connection, database: Database) -> str | None:
    """As `version_of`, where a missing table must not spoil the transaction (PostgreSQL)."""
    # Not by to_regclass: a lock just got does not make its answer, of a moment ago, a new one.
    named = {"ours": PG_SCHEMA, "version": VERSION_TABLE}
    if database.dialect == "postgresql" and connection.execute(MADE, named).scalar() is None:
        return None
    return version_of(connection)


def enter_wal(database: Database) -> None:
    """WAL is kept in the file: set once. It needs a moment in which nobody reads or writes."""
    assert database.path is not None
    plain = sqlite3.connect(database.path, timeout=0, isolation_level=None)
    try:
        insist(plain, "PRAGMA journal_mode=WAL")
        (mode,) = plain.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":  # SQLite says no more where its way to files knows no shared memory
            raise unshared(f"journal_mode={mode}")
    except sqlite3.Error as error:
        raise translate(DBAPIError(None, None, error), database.path) from None
    finally:
        plain.close()


def make_pg_schema(database: Database) -> None:
    """Our own schema inside the host's PostgreSQL database.

    Raises:
        NoDatabase: what is there is not ours, or what is ours is elsewhere.
    """
    with database.write() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('hookrow schema'))"))
        if version_of_safely(connection, database) is None:
            refuse_what_is_not_ours(connection)
        # Asked before: CREATE needs a right that a user to whom the schema was given may not have.
        if connection.execute(text("SELECT to_regnamespace(:name)"), {"name": PG_SCHEMA}).scalar() is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {PG_SCHEMA}")


def refuse_what_is_not_ours(connection: Connection) -> None:
    """A second, empty Hookrow beside one that somebody fires at would ask nobody's hooks.

    An older version made its tables in `public` where a pooler took away what it set. And a schema of our name with
    tables that no Hookrow made is somebody else's.

    Raises:
        NoDatabase
    """
    found = connection.execute(OURS_ELSEWHERE, {"version": VERSION_TABLE}).scalar()
    if found is not None:
        raise NoDatabase(
            Text(
                "Hookrow's tables are in the schema {found}, not in {ours}, so nothing was created; ask an "
                "administrator to move them (ALTER TABLE … SET SCHEMA {ours}) or to remove them",
                found=found,
                ours=PG_SCHEMA,
            )
        )
    theirs = connection.execute(IN_OUR_PLACE, {"ours": PG_SCHEMA}).scalar()
    if theirs is not None:
        raise NoDatabase(
            Text(
                "the schema {ours} holds a table {table} that Hookrow did not create, so nothing was created; give "
                "another database",
                ours=PG_SCHEMA,
                table=theirs,
            )
        )


MADE = text("SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = :ours AND tablename = :version")
OURS_ELSEWHERE = text("SELECT min(schemaname) FROM pg_catalog.pg_tables WHERE tablename = :version")
IN_OUR_PLACE = text("SELECT min(tablename) FROM pg_catalog.pg_tables WHERE schemaname = :ours")
