"""Bring an older database to the schema that this Hookrow knows."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hookrow.errors import DatabaseDamaged
from hookrow.lang import Text
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.backup import back_up
from hookrow.store.database.failures import translate
from hookrow.store.database.migrations import HEAD, SCRIPTS
from hookrow.store.database.schema import too_new, triggers, version_of

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

__all__ = ["upgrade"]

log: Final = logging.getLogger("hookrow")


def upgrade(database: Database, *, scripts: Path = SCRIPTS, target: str = HEAD) -> Path | None:
    """Migrate to `target`, after a backup of an SQLite file; gives the backup's path, None where none was made.

    Several processes may start at once: SQLite's write lock, PostgreSQL's advisory lock let one migrate, and the others
    find it done. So the backup, too, is made under the lock: it never shows a half-way or a newer schema.

    Raises:
        SchemaTooNew: a newer Hookrow has migrated it meanwhile.
        DatabaseDamaged: after the migration a foreign key points nowhere; nothing was changed.
        StorageError: the database could not do it; nothing was changed.
    """
    kept = None
    config = Config()
    config.set_main_option("script_location", str(scripts))
    try:
        with database.process_lock, database.engine("write").connect() as connection:
            # A batch migration makes a table anew; with foreign keys on, that would null its children's.
            foreign_keys(connection, "OFF")
            try:
                with connection.begin():
                    if database.dialect == "postgresql":
                        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('hookrow schema'))"))
                        # The versions name no schema, as Alembic's operations don't: here, for this transaction alone.
                        connection.exec_driver_sql(f"SET LOCAL search_path = {PG_SCHEMA}")
                    found = version_of(connection)
                    if found == target:
                        return None
                    if found is not None and found > target:  # a newer Hookrow was faster
                        raise too_new(found)
                    if database.path is not None:
                        kept = database.path.with_name(f"{database.path.name}.schema-{found}")
                        for cut_short in kept.parent.glob(f".{kept.name}.*.part*"):
                            cut_short.unlink(missing_ok=True)  # the lock is held: whose copy this was is dead
                        back_up(database, kept, replace=True)
                        log.info("schema %s: kept a copy in %s, upgrading to %s", found, kept, target)
                    config.attributes["connection"] = connection
                    command.upgrade(config, target)
                    restore_triggers(connection)
                    if database.dialect == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                        raise DatabaseDamaged(
                            Text("the upgrade was undone: rows of {path} point nowhere", path=database.path)
                        )
            finally:
                foreign_keys(connection, "ON")
    except DBAPIError as error:
        raise translate(error) from None
    return kept


def restore_triggers(connection: Connection) -> None:
    """A table that SQLite made anew has lost its triggers, and with them the hook cache its way to hear of edits."""
    if connection.dialect.name == "sqlite":
        kept = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars())
        for statement in triggers("sqlite"):
            if statement.split()[2] not in kept:
                connection.exec_driver_sql(statement)


def foreign_keys(connection: Connection, state: str) -> None:
    """Switch SQLite's foreign keys, outside any transaction: inside one the pragma does nothing."""
    raw = connection.connection.driver_connection
    if isinstance(raw, sqlite3.Connection):
        raw.execute(f"PRAGMA foreign_keys={state}")
