"""Candidates: changed fields of a hook, tried in shadow beside its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Three columns, which touch no row, and an index over the few deliveries of candidates that differ."""
    op.add_column("hook", sa.Column("candidate", sa.Text()))
    op.add_column("delivery", sa.Column("against", sa.Text()))
    op.add_column("delivery", sa.Column("compared", sa.String(length=8)))
    some = sa.text("compared <> 'same'")
    op.create_index("delivery_differs", "delivery", ["firing_id"], sqlite_where=some, postgresql_where=some)
