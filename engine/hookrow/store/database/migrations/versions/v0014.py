"""PostgreSQL's vacuum of the log: after a twentieth of its rows, where the server's default is a fifth."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """A setting of three tables; what an administrator has set there before stays as it is."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("firing", "delivery", "attempt"):
        options = sa.text("SELECT reloptions::text FROM pg_class WHERE oid = to_regclass(:named)")
        found = op.get_bind().execute(options.bindparams(named=f"hookrow.{table}")).scalar()
        if "autovacuum_vacuum_scale_factor" not in (found or ""):
            op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.05)")
