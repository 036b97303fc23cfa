"""The log's filter by what a delivery in shadow would have done: an index over those that were in shadow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """An index that holds nothing of a delivery that counts: writing one costs what it did."""
    known = sa.text("would IS NOT NULL")
    op.create_index(
        "delivery_would", "delivery", ["would", "hook_id", "firing_id"], sqlite_where=known, postgresql_where=known
    )
