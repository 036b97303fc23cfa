"""The catalogue of events as it is stored: another process's form offers a service's own events too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select

from hookrow.events import CATALOGUE, Event
from hookrow.lang import Both
from hookrow.store.database.prepared import Upsert

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

from hookrow.store.database.tables import EVENTS

__all__ = ["keep_events", "read_events"]

BESIDE_THE_CODE = [column.name for column in EVENTS.columns if not column.primary_key]
KEEP = Upsert(EVENTS, "code", BESIDE_THE_CODE)


def read_events(connection: Connection) -> dict[str, Event]:
    """All events by their codes, in the order of the catalogue."""
    rows = connection.execute(select(EVENTS).order_by(EVENTS.c.place, EVENTS.c.code))
    return {row.code: event_from(row) for row in rows}


def event_from(row: Row[Any]) -> Event:
    """An event from a row of the stored catalogue."""
    return Event(
        code=row.code,
        title=Both(row.title_en, row.title_ru),
        moment=row.moment,
        methods=tuple(json.loads(row.methods)),
        sample=json.loads(row.sample),
        private=tuple(json.loads(row.private)),
        origin=row.origin,
    )


def values_of(event: Event, place: int) -> dict[str, Any]:
    """The columns of an event's row, without its code."""
    return {
        "title_en": getattr(event.title, "en", str(event.title)),
        "title_ru": getattr(event.title, "ru", str(event.title)),
        "moment": event.moment,
        "methods": json.dumps(event.methods),
        "sample": json.dumps(event.sample, ensure_ascii=False),
        "private": json.dumps(event.private),
        "origin": event.origin,
        "place": place,
    }


def keep_events(database: Database, own: Sequence[Event]) -> bool:
    """Store Hookrow's events and a service's `own`, where they are not there or are others; whether any was.

    Raises:
        StorageError
    """
    wanted = {event.code: values_of(event, place) for place, event in enumerate((*CATALOGUE, *own))}
    with database.read() as connection:
        rows = connection.execute(select(EVENTS).where(EVENTS.c.code.in_(list(wanted))))
        kept = {row.code: {name: getattr(row, name) for name in wanted[row.code]} for row in rows}
    # Places of a service's events differ between services on one database: they are no reason to write.
    changed = {
        code: values
        for code, values in wanted.items()
        if code not in kept or {**values, "place": 0} != {**kept[code], "place": 0}
    }
    if not changed:
        return False

    def job(connection: Connection) -> None:
        # Sorted: two services that start at once with the same events in different orders must not deadlock.
        connection.execute(KEEP, [{"code": code, **changed[code]} for code in sorted(changed)])

    database.writer.write(job)
    return True
