"""The turn in a firing of a thousand hooks: an index over the deliveries that wait for those before them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """An index that holds nothing of a delivery that goes at once: a firing with one hook is written as before."""
    waiting = sa.text("state = 'blocked'")
    op.create_index(
        "delivery_blocked", "delivery", ["firing_id", "seq"], sqlite_where=waiting, postgresql_where=waiting
    )
