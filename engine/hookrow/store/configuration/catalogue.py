"""The catalogue of events as it is stored: another process's form offers a service's own events too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, lru_cache
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
    return event_of(row.code, row.title_en, row.title_ru, row.moment, row.methods, row.sample, row.private, row.origin)


@lru_cache(1024)
def event_of(
    code: str, title_en: str, title_ru: str, moment: Any, methods: str, sample: str, private: str, origin: Any
) -> Event:
    """The same of its columns. They hardly ever change, and are read again after each change of any hook."""
    title = Both(title_en, title_ru)
    asked, kept = tuple(json.loads(methods)), tuple(json.loads(private))
    return Event(code, title, moment, asked, json.loads(sample), kept, origin)


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


@cache
def hookrows_own() -> dict[str, dict[str, Any]]:
    """The rows of Hookrow's events, by their codes."""
    return {event.code: values_of(event, place) for place, event in enumerate(CATALOGUE)}


def keep_events(database: Database, own: Sequence[Event]) -> bool:
    """Store Hookrow's events and a service's `own`, where they are not there or are others; whether any was.

    Raises:
        StorageError
    """
    wanted = hookrows_own() | {event.code: values_of(event, place) for place, event in enumerate(own, len(CATALOGUE))}
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
        for code in sorted(changed):
            connection.execute(KEEP, {"code": code, **changed[code]})

    database.writer.write(job)
    return True
