"""The schema: made at first, asked for at each start by one SELECT, migrated when older, left alone when newer."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from hookrow.errors import DatabaseReadOnly, NoDatabase, SchemaTooNew, StorageError
from hookrow.hook import model as models
from hookrow.lang import Text, detect
from hookrow.store.database import readonly
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.failures import translate
from hookrow.store.database.locks import insist
from hookrow.store.database.migrations import HEAD

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

__all__ = ["HEAD", "TABLES", "prepare", "triggers", "version_of"]

VERSION_TABLE = "hookrow_version"
"""Not alembic's default: a host's own migrations may live in the same database."""
VERSIONS = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
VERSION = select(VERSIONS.c.version_num)
TABLES = tuple(
    table
    for table in SQLModel.metadata.sorted_tables
    if table.name in {value.__tablename__ for value in vars(models).values() if hasattr(value, "__table__")}
)
SETTINGS = models.Setting.__table__  # type: ignore[attr-defined]
CONFIGURED = ("hook", "event", "setting")
"""The tables whose every change raises `config_version`."""


def triggers(dialect: str) -> list[str]:
    """The statements that make `config_version` rise by itself, whoever changes a hook, an event or a setting."""
    raised = "UPDATE config_version SET n = n + 1 WHERE id = 1;"
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_{verb.lower()}_raises AFTER {verb} ON {table} BEGIN {raised} END"
            for table in CONFIGURED
            for verb in ("INSERT", "UPDATE", "DELETE")
        ]
    function = (
        "CREATE FUNCTION raise_config_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{raised} PERFORM pg_notify('hookrow_config', ''); RETURN NULL; END $$"
    )
    return [
        function,
        *(
            f"CREATE TRIGGER {table}_raises AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION raise_config_version()"
            for table in CONFIGURED
        ),
        "CREATE SEQUENCE row_number",
    ]


def version_of(connection: Connection) -> str | None:
    """The schema's version; None where Hookrow has no tables yet."""
    try:
        return connection.execute(VERSION).scalar()
    except DBAPIError as error:
        if isinstance(translate(error), NoDatabase):
            return None
        raise


def too_new(found: str) -> SchemaTooNew:
    """The refusal of a schema that this Hookrow does not know."""
    return SchemaTooNew(
        Text(
            "the database has schema {found}, made by a newer Hookrow; this one knows {known}: upgrade Hookrow",
            found=found,
            known=HEAD,
        )
    )


def prepare(database: Database, *, create: bool) -> None:
    """Make the database usable, or refuse it untouched. Raises as `Database` says."""
    found = look(database, create)
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise too_new(found)
    if database.read_only:
        raise DatabaseReadOnly(Text("the database needs an upgrade, which this user may not write"))
    if found is None and not create:
        raise NoDatabase(
            Text(
                "{path} is no Hookrow database: name another file; «hookrow init» makes a new one",
                path=database.path or database.url,
            )
        )
    if found is None:
        make(database)
    else:
        # Imported only here: alembic costs 100–200 ms.
        from hookrow.store.database.migrations.run import upgrade

        upgrade(database)


def look(database: Database, create: bool) -> str | None:
    """The version found, by a connection that can't write."""
    path = database.path
    if path is not None:
        if not os.path.exists(path):  # also where this user may not look
            if not create:
                raise NoDatabase(Text("there is no database {path}; make one with «hookrow init»", path=path))
            return None
        if path.is_dir():
            raise cannot_make(path, os.strerror(errno.EISDIR))
        if not os.access(path, os.R_OK):
            reason = f"{os.strerror(errno.EACCES)}: {path}"
            raise StorageError(Text("the database could not do it: {reason}", reason=reason))
        return None if path.stat().st_size == 0 else look_into_file(database)
    with database.read() as connection:
        return version_of(connection)


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
        raise translate(DBAPIError(None, None, error)) from None
    finally:
        if plain is not None:
            plain.close()


def cannot_make(path: Path, reason: str) -> NoDatabase:
    return NoDatabase(Text("can't make the database {path}: {reason}", path=path, reason=reason))


def make(database: Database) -> None:
    """Make all tables. Several processes may start at once: who comes second finds them made."""
    if database.path is not None:
        # Made before SQLite does, so that it is never readable by others, whatever the umask.
        try:
            os.close(os.open(database.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            fresh = True
        except FileExistsError:
            fresh = database.path.stat().st_size == 0
        except OSError as error:
            raise cannot_make(database.path, error.strerror or "") from None
        enter_wal(database)
        if fresh:
            database.restrict()
    else:
        make_pg_schema(database)
    with database.write() as connection:
        if database.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('hookrow schema'))"))
        if version_of_safely(connection, database) is not None:
            return
        SQLModel.metadata.create_all(connection, tables=list(TABLES), checkfirst=False)
        for statement in triggers(database.dialect):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO config_version (id, n) VALUES (1, 1)")
        for name, value in (("timezone", machine_zone()), ("language", detect())):
            connection.execute(insert(SETTINGS).values(name=name, value=value))
        VERSIONS.create(connection)
        connection.execute(insert(VERSIONS).values(version_num=HEAD))
    database.restrict()


def machine_zone() -> str:
    """The name of the machine's time zone: TZ, else where /etc/localtime leads, else UTC (DESIGN 8)."""
    named = os.environ.get("TZ", "").removeprefix(":") or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    try:
        return ZoneInfo(named.removeprefix("posix/")).key if named else "UTC"
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "UTC"


def version_of_safely(connection: Connection, database: Database) -> str | None:
    """As `version_of`, where a missing table must not spoil the transaction (PostgreSQL)."""
    if database.dialect == "postgresql":
        exists = connection.execute(text("SELECT to_regclass(:name)"), {"name": VERSION_TABLE}).scalar()
        if exists is None:
            return None
    return version_of(connection)


def enter_wal(database: Database) -> None:
    """WAL is kept in the file: set once. It needs a moment in which nobody reads or writes."""
    assert database.path is not None
    plain = sqlite3.connect(database.path, timeout=0, isolation_level=None)
    try:
        insist(plain, "PRAGMA journal_mode=WAL")
    except sqlite3.Error as error:
        raise translate(DBAPIError(None, None, error)) from None
    finally:
        plain.close()


def make_pg_schema(database: Database) -> None:
    """Our own schema inside the host's PostgreSQL database."""
    with database.write() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('hookrow schema'))"))
        # Asked before: CREATE needs a right that a user to whom the schema was given may not have.
        if connection.execute(text("SELECT to_regnamespace(:name)"), {"name": PG_SCHEMA}).scalar() is None:
            connection.exec_driver_sql(f"CREATE SCHEMA {PG_SCHEMA}")
