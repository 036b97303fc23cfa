"""What became of a delivery in the hands of processes that died: taken over how often, and a request begun when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Two columns, which touch no row."""
    op.add_column("delivery", sa.Column("takeovers", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("delivery", sa.Column("begun_ms", sa.BigInteger()))
