"""Schemas of yesterday and tomorrow: the oldest that is upgraded, with data in it, and one that does not exist yet."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, CursorResult, text

from hookrow.store.database.database import Database
from hookrow.store.database.migrations import HEAD, SCRIPTS

__all__ = ["NEXT", "NEXT_VERSION", "in_public", "make_oldest", "ours", "scripts_with", "shape"]

OLDEST = Path(__file__).parent / "store" / "migrated"
"""Databases of commit 0969a07, the first one from which schemas change by migrations, as SQL."""
NEXT = f"{int(HEAD) + 1:04}"
NEXT_VERSION = f'''
"""A schema to come: a column of the hooks, by making their table anew, and one of the log's."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"


def upgrade() -> None:
    anew = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("hook", recreate=anew, table_kwargs={{"sqlite_autoincrement": True}}) as hook:
        hook.add_column(sa.Column("note", sa.Text()))
    op.add_column("delivery", sa.Column("weight", sa.Integer(), nullable=False, server_default=sa.text("0")))
'''


def scripts_with(folder: Path, version: str = NEXT_VERSION) -> Path:
    """The shipped scripts, and one more, in a new folder."""
    scripts = folder / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    (scripts / "versions" / f"v{NEXT}.py").write_text(version)
    return scripts


def make_oldest(where: Path | str) -> str:
    """Fill a new SQLite file, or the empty PostgreSQL database of this URL; gives its URL for an engine."""
    if isinstance(where, Path):
        with closing(sqlite3.connect(where)) as plain:
            plain.execute("PRAGMA journal_mode=WAL")
            plain.executescript((OLDEST / "0001.sqlite.sql").read_text("utf-8"))
        os.chmod(where, 0o600)
        return f"sqlite:///{where}"
    with psycopg.connect(where, autocommit=True) as plain_pg:
        plain_pg.execute((OLDEST / "0001.postgresql.sql").read_text("utf-8"))  # type: ignore[call-overload]
    return where.replace("postgresql://", "postgresql+psycopg://")


def ours(connection: Connection, statement: str, **values: object) -> CursorResult[Any]:
    """What plain SQL gives in which our tables are `main.name`, as SQLite calls them."""
    if connection.dialect.name == "postgresql":
        statement = statement.replace("main.", "hookrow.")
    return connection.execute(text(statement), values)


def in_public(url: str) -> dict[str, str]:
    """What a host connects with whose own tables are in `public`: the databases of the tests have no `search_path`."""
    return {"options": "-csearch_path=public"} if url.startswith("postgresql") else {}


PG_SHAPE = {
    "columns": (
        "SELECT table_name, column_name, data_type, is_nullable, character_maximum_length, column_default"
        " FROM information_schema.columns WHERE table_schema = 'hookrow'"
    ),
    "constraints": (
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'hookrow'::regnamespace"
    ),
    "indexes": "SELECT indexname, pg_get_indexdef(format('%I.%I', schemaname, indexname)::regclass) FROM pg_indexes"
    " WHERE schemaname = 'hookrow'",
    "triggers": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "functions": "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'hookrow'::regnamespace",
    "sequences": "SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'hookrow'",
    "options": "SELECT relname, unnest(reloptions) FROM pg_class WHERE relnamespace = 'hookrow'::regnamespace",
}
SQLITE_SHAPE = {
    "columns": 'SELECT t.name, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_master t,'
    " pragma_table_info(t.name) c WHERE t.type = 'table'",
    "foreign keys": 'SELECT t.name, f."from", f."table", f."to", f.on_update, f.on_delete FROM sqlite_master t,'
    " pragma_foreign_key_list(t.name) f WHERE t.type = 'table'",
    "indexes": 'SELECT t.name, i.name, i."unique", i.partial, x.seqno, x.name, x."desc", x.coll FROM sqlite_master t,'
    " pragma_index_list(t.name) i, pragma_index_xinfo(i.name) x WHERE t.type = 'table'",
    "index texts": "SELECT name, sql FROM sqlite_master WHERE type = 'index'",
    "triggers": "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'",
}
CHECK = re.compile(r"CONSTRAINT (\w+) CHECK \(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)")


def shape(database: Database) -> Mapping[str, set[tuple[object, ...]]]:
    """Everything that the database says of its own shape, as sets: the order of columns is no part of it."""
    found: dict[str, set[tuple[object, ...]]] = {}
    with database.read() as connection:
        for kind, question in (SQLITE_SHAPE if database.dialect == "sqlite" else PG_SHAPE).items():
            found[kind] = {
                tuple(" ".join(part.split()) if isinstance(part, str) else part for part in row)
                for row in connection.execute(text(question.replace("::", "\\:\\:")))
            }
            assert found[kind], kind
        if database.dialect == "sqlite":  # no PRAGMA tells of them
            tables = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
            found["checks"] = {(table, *check) for table, sql in tables for check in CHECK.findall(sql)}
            assert {name for _, name, _ in found["checks"]} > {"hook_name", "event_moment"}
    return found
