"""The schema: its version, asked for at each start by one SELECT, and what models can't say of it: triggers."""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, String, Table, select
from sqlalchemy.exc import DBAPIError

from hookrow.errors import NoDatabase, SchemaTooNew
from hookrow.lang import Text
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.failures import translate
from hookrow.store.database.migrations import HEAD

__all__ = ["VERSION", "VERSIONS", "VERSION_TABLE", "too_new", "triggers", "version_of"]

VERSION_TABLE = "hookrow_version"
"""Not alembic's default: a host's own migrations may live in the same database."""
VERSIONS = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
VERSION = select(VERSIONS.c.version_num)
CONFIGURED = ("hook", "event", "setting")
"""The tables whose every change raises `config_version`."""


def triggers(dialect: str) -> list[str]:
    """The statements that make `config_version` rise by itself, whoever changes a hook, an event or a setting."""
    ours = f"{PG_SCHEMA}." if dialect == "postgresql" else ""
    raised = f"UPDATE {ours}config_version SET n = n + 1 WHERE id = 1;"  # noqa: S608 - two names of our own
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_{verb.lower()}_raises AFTER {verb} ON {table} BEGIN {raised} END"
            for table in CONFIGURED
            for verb in ("INSERT", "UPDATE", "DELETE")
        ]
    function = (
        f"CREATE FUNCTION {ours}raise_config_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"{raised} PERFORM pg_notify('hookrow_config', ''); RETURN NULL; END $$"
    )
    return [
        function,
        *(
            f"CREATE TRIGGER {table}_raises AFTER INSERT OR UPDATE OR DELETE ON {ours}{table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {ours}raise_config_version()"
            for table in CONFIGURED
        ),
        f"CREATE SEQUENCE {ours}row_number",
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
