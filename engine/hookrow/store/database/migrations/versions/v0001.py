"""The first schema that was released to anybody: what is older than migrations."""

from __future__ import annotations

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: a new database is made by the models, and an older one than this does not exist."""
