"""PostgreSQL: the trigger that tells of edits names the schema of what it writes, whatever `search_path` says."""

from __future__ import annotations

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """The function's body alone; the triggers keep calling it."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE OR REPLACE FUNCTION hookrow.raise_config_version() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "UPDATE hookrow.config_version SET n = n + 1 WHERE id = 1; PERFORM pg_notify('hookrow_config', ''); "
            "RETURN NULL; END $$"
        )
