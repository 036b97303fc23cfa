"""Retention: finished firings go by age, then by size, a few hundred at a time (DESIGN 8).

A firing goes whole, with its deliveries and attempts, and only if all of it is finished: what is pending, dead, or
still running stays, however old.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, exists, func, literal_column, or_, select

from hookrow.store.database import Database
from hookrow.store.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["BATCH", "Purged", "purge", "purge_batch", "size"]

BATCH = 200
"""Firings in one transaction; with their deliveries and attempts it stays short, so that no `fire()` waits for it."""
KEPT = ("blocked", "queued", "leased", "retrying", "parked", "dead")
"""States whose firing is never purged."""
SAMPLE = 1000
"""Rows by whose average the size of all is told."""

held = exists(
    select(literal_column("1")).where(
        DELIVERIES.c.firing_id == FIRINGS.c.id,
        or_(DELIVERIES.c.state.in_(KEPT), DELIVERIES.c.lease_ms.is_not(None)),
    )
)
"""A delivery of it is unfinished, dead, or being sent again by hand."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What went: `firings`, and their size in `bytes` as `size` counts them."""

    firings: int
    bytes: int


def purge_batch(
    connection: Connection, *, before_ms: int | None, now_ms: int, limit: int = BATCH, after: int = 0
) -> tuple[int, int, int]:
    """Delete the oldest firings that may go, in the caller's transaction.

    Args:
        before_ms: only those fired before this moment; None: of any age.
        after: only row ids above this one: those below were looked at.

    Returns:
        How many went, their bytes, and the row id to go on after; 0 when there are no more.
    """
    # A firing whose hooks are still waited for has no outcome: it is left alone until its deadline is long past.
    finished = or_(FIRINGS.c.outcome.is_not(None), FIRINGS.c.deadline_ms < now_ms - 3_600_000)
    wanted = select(FIRINGS.c.id).where(FIRINGS.c.id > after, ~held, finished)
    if before_ms is not None:
        wanted = wanted.where(FIRINGS.c.at_ms < before_ms, FIRINGS.c.id < before_ms << 20)
    ids = list(connection.execute(wanted.order_by(FIRINGS.c.id).limit(limit)).scalars())
    if not ids:
        return 0, 0, 0
    gone = bytes_of(connection, ids)
    deliveries = select(DELIVERIES.c.id).where(DELIVERIES.c.firing_id.in_(ids))
    connection.execute(delete(ATTEMPTS).where(ATTEMPTS.c.delivery_id.in_(deliveries)))
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.firing_id.in_(ids)))
    connection.execute(delete(FIRINGS).where(FIRINGS.c.id.in_(ids)))
    return len(ids), gone, ids[-1]


def bytes_of(connection: Connection, ids: list[int]) -> int:
    """The bytes of these firings' long columns, their deliveries' and attempts', and 300 for each row's rest."""
    length = func.length
    none: ColumnElement[int] = literal_column("0")
    firing = 300 + length(FIRINGS.c.payload) + func.coalesce(length(FIRINGS.c.data), none)
    body = 300 + func.coalesce(length(DELIVERIES.c.body), none)
    reply = (
        300
        + func.coalesce(length(ATTEMPTS.c.response_body), none)
        + func.coalesce(length(ATTEMPTS.c.request_headers), none)
        + func.coalesce(length(ATTEMPTS.c.response_headers), none)
    )
    deliveries = select(DELIVERIES.c.id).where(DELIVERIES.c.firing_id.in_(ids))
    total = 0
    for statement in (
        select(func.sum(firing)).where(FIRINGS.c.id.in_(ids)),
        select(func.sum(body)).where(DELIVERIES.c.firing_id.in_(ids)),
        select(func.sum(reply)).where(ATTEMPTS.c.delivery_id.in_(deliveries)),
    ):
        total += int(connection.execute(statement).scalar() or 0)
    return total


def size(database: Database) -> int:
    """About how many bytes the log takes: on SQLite the file's used pages, else the three tables."""
    with database.read() as connection:
        if database.dialect == "sqlite":
            pages, free, page = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_count", "freelist_count", "page_size")
            )
            return (pages - free) * page
        names = ("firing", "delivery", "attempt")
        return sum(int(connection.execute(select(func.pg_total_relation_size(name))).scalar_one()) for name in names)


def purge(
    database: Database,
    *,
    days: float,
    most_bytes: int,
    now_ms: int,
    progress: Callable[[int], None] | None = None,
) -> Purged:
    """Delete what is older than `days`, then the oldest until the log takes at most `most_bytes`.

    Each batch is a transaction of its own through the writer, so firings go on in between. What was deleted is free for
    new rows at once; the file itself does not shrink.

    Raises:
        StorageError: a batch could not be committed; those before it are gone.
    """
    firings = gone = 0
    before_ms: int | None = now_ms - round(days * 86_400_000)
    over: int | None = None
    after = 0
    while True:
        here, since = after, before_ms
        count, size_gone, after = database.writer.write(
            lambda connection, here=here, since=since: purge_batch(  # type: ignore[misc]
                connection, before_ms=since, now_ms=now_ms, after=here
            )
        )
        firings, gone = firings + count, gone + size_gone
        if over is not None:
            over -= size_gone
        if progress is not None:
            progress(firings)
        if count == 0 and before_ms is not None:
            before_ms, over = None, size(database) - most_bytes
        elif count == 0:
            return Purged(firings, gone)
        if over is not None and over <= 0:
            return Purged(firings, gone)
