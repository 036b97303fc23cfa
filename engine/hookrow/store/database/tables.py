"""The models' tables, for statements of SQLAlchemy Core."""

from __future__ import annotations

from sqlalchemy import Table

from hookrow.hook.model import AttemptRow, DeliveryRow, FiringRow

__all__ = ["ATTEMPTS", "DELIVERIES", "FIRINGS"]

FIRINGS: Table = FiringRow.__table__  # type: ignore[attr-defined]
DELIVERIES: Table = DeliveryRow.__table__  # type: ignore[attr-defined]
ATTEMPTS: Table = AttemptRow.__table__  # type: ignore[attr-defined]
