"""The lists of words are held by the code alone, so that a new word needs no table made anew.

What has a new meaning from here on: `detail`, `warnings`, a failure's `veto.message` and `paused_reason` hold reasons
as code and values. Texts that were written before stay as they are.
"""

from __future__ import annotations

import os
import re

from alembic import op
from sqlalchemy import Connection, text

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"

WORD_LISTS = (
    ("hook", "hook_on_failure"),
    ("hook", "hook_paused_by"),
    ("firing", "firing_outcome"),
    ("delivery", "delivery_state"),
    ("delivery", "delivery_mode"),
    ("attempt", "attempt_origin"),
)


def upgrade() -> None:
    """Take the CHECKs of words out of the log's tables and the hooks'; the language is that of this process."""
    connection = op.get_bind()
    locale = next(filter(None, map(os.environ.get, ("HOOKROW_LANG", "LC_ALL", "LC_MESSAGES", "LANG"))), "")
    language = "ru" if locale.lower().startswith("ru") else "en"
    connection.execute(text("INSERT INTO setting (name, value) VALUES ('language', :said)"), {"said": language})
    if connection.dialect.name == "sqlite":
        without_checks(connection)
    else:
        for table, check in WORD_LISTS:
            op.drop_constraint(check, table, type_="check")


def without_checks(connection: Connection) -> None:
    """Take them out of the tables' own text, where SQLite keeps them.

    No row is touched: a log of gigabytes takes no longer, and AUTOINCREMENT, indexes and triggers stay. It is the way
    that SQLite documents for constraints (lang_altertable.html, 7).
    """
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    tables: dict[str, str] = {row.name: row.sql for row in found}
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    try:
        for table, check in WORD_LISTS:
            written = rf",\s*CONSTRAINT {check} CHECK \((?:[^()]|\([^()]*\))*\)"
            tables[table], taken = re.subn(written, "", tables[table])
            if taken != 1:
                raise LookupError(f"{taken} constraints {check} in the table {table}")
            connection.execute(
                text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = :name"),
                {"sql": tables[table], "name": table},
            )
        connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    finally:
        connection.exec_driver_sql("PRAGMA writable_schema=RESET")  # this connection, too, reads the tables anew
