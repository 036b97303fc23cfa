"""Which firings were fired anew is asked for every page of the log: an index over the few that are replays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """An index that holds nothing of a firing that is no replay: writing one costs what it did."""
    replays = sa.text("replay_of IS NOT NULL")
    op.create_index("firing_replays", "firing", ["replay_of"], sqlite_where=replays, postgresql_where=replays)
