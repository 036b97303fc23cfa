"""The first schema."""

from __future__ import annotations

from pathlib import Path

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables, indexes and triggers, as each database spells them."""
    dialect = op.get_bind().dialect.name
    script = Path(__file__).with_name(f"0001.{dialect}.sql").read_text("utf-8")
    for statement in script.split("-- next\n"):
        op.get_bind().exec_driver_sql(statement.strip())
