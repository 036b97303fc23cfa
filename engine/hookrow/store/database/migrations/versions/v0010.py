"""The trace that a firing belongs to, so that a request of an hour later belongs to it as well."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """One column, which touches no row."""
    op.add_column("firing", sa.Column("traceparent", sa.String(length=55)))
