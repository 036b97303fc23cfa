"""The end of a firing whose caller was interrupted: recorded once, whatever of it was committed before."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from hookrow.store.database.notify import announce
from hookrow.store.database.tables import DELIVERIES, FIRINGS
from hookrow.store.outbox.claims import WITH_HOOK, unlease
from hookrow.store.outbox.writing import Rows

__all__ = ["Ending"]


@dataclass(frozen=True, slots=True)
class Ending:
    """A job: write what lacks of a firing, and give back the rows that were leased to a worker which never got them.

    A commit may have ended, or waited in the writer's queue, while its caller was interrupted; so what is there is
    asked of the database. Jobs that were queued before have been run by then. Run again, it writes nothing.

    Args:
        lacking: the rows that end the firing, given its row's id (None: it is not there) and how many of its
            deliveries are; None where there is nothing to write.
        unheard: the places of deliveries that were to be born leased to this process, of which it was not told that
            they are committed.
    """

    uid: str
    owner: str
    now_ms: int
    unheard: Collection[int]
    lacking: Callable[[int | None, int], Rows | None]

    def __call__(self, connection: Connection) -> None:
        found = connection.execute(select(FIRINGS.c.id, FIRINGS.c.outcome).where(FIRINGS.c.uid == self.uid)).first()
        there = 0
        if found is not None:
            of_it = DELIVERIES.c.firing_id == found.id
            there = connection.execute(select(func.count()).where(of_it)).scalar_one()
            held = WITH_HOOK.where(of_it, DELIVERIES.c.seq.in_(self.unheard), DELIVERIES.c.owner == self.owner)
            held = held.where(DELIVERIES.c.state == "leased", DELIVERIES.c.fence == 1)
            unlease(connection, connection.execute(held).all(), "given_back", self.now_ms)
            announce(connection)
        if found is None or found.outcome is None:
            rows = self.lacking(None if found is None else found.id, there)
            if rows is not None:
                rows(connection)
