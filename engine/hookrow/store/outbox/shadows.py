"""What hooks in shadow saw: the payload as it stood at their turn, which no row holds."""

from __future__ import annotations

import json

from sqlalchemy import Connection, bindparam, select

from hookrow.payload import dumps, redo
from hookrow.store.database.tables import DELIVERIES

__all__ = ["shown"]

CHANGED_BEFORE = (
    select(DELIVERIES.c.changes)
    .where(
        DELIVERIES.c.firing_id == bindparam("firing"),
        DELIVERIES.c.seq < bindparam("seq"),
        DELIVERIES.c.changes.is_not(None),
        DELIVERIES.c.shadow.is_(None),
    )
    .order_by(DELIVERIES.c.seq)
)


def shown(connection: Connection, payload: str | None, firing: int, seq: int) -> str:
    """The payload (JSON) as the hooks before this place of the firing had left it."""
    data = json.loads(payload or "{}")
    for earlier in connection.execute(CHANGED_BEFORE, {"firing": firing, "seq": seq}).scalars():
        data = redo(data, json.loads(earlier))
    return dumps(data)
