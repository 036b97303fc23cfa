"""The log's filter by a reason, an error or why something was not sent, reads the deliveries that have it alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """An index that holds nothing of a delivery that arrived: writing one costs what it did."""
    reason = sa.text("coalesce(skipped, error)")
    some = sa.text("coalesce(skipped, error) IS NOT NULL")
    op.create_index(
        "delivery_reason", "delivery", [reason, "hook_id", "firing_id"], sqlite_where=some, postgresql_where=some
    )
