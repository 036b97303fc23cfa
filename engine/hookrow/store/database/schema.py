"""The schema: its version, asked for at each start by one SELECT, and what a new one has beside tables."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, select
from sqlalchemy.exc import DBAPIError

from hookrow.errors import NoDatabase, SchemaTooNew
from hookrow.lang import Text
from hookrow.store.database.address import PG_SCHEMA
from hookrow.store.database.failures import translate
from hookrow.store.database.migrations import HEAD

__all__ = ["VERSION", "VERSIONS", "VERSION_TABLE", "indexes", "too_new", "triggers", "version_of"]

VERSION_TABLE = "hookrow_version"
"""Not alembic's default: a host's own migrations may live in the same database."""
VERSIONS = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))
VERSION = select(VERSIONS.c.version_num)
# As text: SQLAlchemy's own partial indexes load PostgreSQL's dialect into every process, 2 MB. A partial index is used
# only by a query that repeats its term letter for letter.
INDEXES: Final = (
    'UNIQUE hook_key ON hook ("key") WHERE deleted_ms IS NULL',
    "ix_hook_event ON hook (event)",
    "UNIQUE hook_revision_number ON hook_revision (hook_id, revision)",
    "hook_revision_event ON hook_revision (event, hook_id)",
    "hook_revision_engine ON hook_revision (at_ms) WHERE who = 'hookrow'",
    "UNIQUE firing_uid ON firing (uid)",
    "firing_event ON firing (event, outcome, id)",
    "firing_refused ON firing (outcome, id) WHERE outcome <> 'allowed'",
    "firing_late ON firing (at_ms) WHERE id / 1048576 - at_ms > 60000",
    "firing_deep ON firing (at_ms) WHERE depth >= 3",
    "firing_replays ON firing (replay_of) WHERE replay_of IS NOT NULL",
    "firing_idempotency ON firing (event, idempotency_key, id) WHERE idempotency_key IS NOT NULL",
    "UNIQUE delivery_row ON delivery (firing_id, seq)",
    "delivery_hook ON delivery (hook_id, firing_id)",
    # Each kind of delivery by itself, so that conditions that never met are not looked for among the rows of one.
    "delivery_kind ON delivery (hook_id, state, coalesce(status, 0), firing_id)",
    "delivery_due ON delivery (hook_id, due_ms) WHERE state IN ('blocked', 'queued', 'retrying')",
    "delivery_blocked ON delivery (firing_id, seq) WHERE state = 'blocked'",
    "delivery_leased ON delivery (lease_ms) WHERE state = 'leased'",
    "delivery_notable ON delivery (state, firing_id) WHERE state NOT IN ('ok', 'sent', 'skipped')",
    "delivery_usual ON delivery (state, firing_id) WHERE state IN ('ok', 'sent', 'skipped')",
    "delivery_status ON delivery (status, firing_id) WHERE status IS NOT NULL",
    "delivery_differs ON delivery (firing_id) WHERE compared <> 'same'",
    "delivery_would ON delivery (would, hook_id, firing_id) WHERE would IS NOT NULL",
    "delivery_reason ON delivery (coalesce(skipped, error), hook_id, firing_id)"
    " WHERE coalesce(skipped, error) IS NOT NULL",
    "delivery_order ON delivery (hook_id, order_key, id)"
    " WHERE order_key IS NOT NULL AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked')",
    "attempt_delivery ON attempt (delivery_id, number)",
    "attempt_failed ON attempt (at_ms) WHERE error IS NOT NULL",
)
VACUUMED = ("firing", "delivery", "attempt")
"""The tables from which a purge takes as many rows as come: PostgreSQL frees their place after a twentieth of them,
where its default is a fifth (docs/postgresql.md, many rows)."""
CONFIGURED = ("hook", "event", "setting")
"""The tables whose every change raises `config_version`."""


def indexes(dialect: str) -> list[str]:
    """The statements that make the indexes of a new database."""
    on = f" ON {PG_SCHEMA}." if dialect == "postgresql" else " ON "
    said = [each.replace(" ON ", on, 1) for each in INDEXES]
    return [
        f"CREATE UNIQUE INDEX {each.removeprefix('UNIQUE ')}" if each.startswith("UNIQUE ") else f"CREATE INDEX {each}"
        for each in said
    ]


def triggers(dialect: str) -> list[str]:
    """The statements that make `config_version` rise by itself, whoever changes a hook, an event or a setting.

    On PostgreSQL also the sequence of row numbers, and when the log's tables are vacuumed.
    """
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
        *(f"ALTER TABLE {ours}{table} SET (autovacuum_vacuum_scale_factor = 0.05)" for table in VACUUMED),
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
