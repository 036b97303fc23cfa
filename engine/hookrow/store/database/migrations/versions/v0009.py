"""Hooks in shadow: asked in background, for what their answers would have done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Three columns, which touch no row."""
    op.add_column("hook", sa.Column("shadow", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("delivery", sa.Column("shadow", sa.Integer()))
    op.add_column("delivery", sa.Column("would", sa.String(length=6)))
