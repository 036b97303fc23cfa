"""How many hooks the call of a firing came through, and the few firings that came through three and more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """One column with a constant default, which touches no row, and an index that is empty at first."""
    op.add_column("firing", sa.Column("depth", sa.Integer(), nullable=False, server_default=sa.text("0")))
    deep = sa.text("depth >= 3")
    op.create_index("firing_deep", "firing", ["at_ms"], sqlite_where=deep, postgresql_where=deep)
