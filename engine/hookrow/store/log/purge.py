"""Retention: finished firings go by age, then by size, a few hundred rows at a time (docs/reference/settings.md).

A firing goes whole, with its deliveries and attempts, and only if all of it is finished: what is pending, dead, or
still running stays, however old. What may go is looked for by a reader; the write lock is held for the deletion alone.

By age go also the revisions that say no more than that the engine itself paused or resumed a hook: a receiver that
fails on and on makes a thousand a day.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)

from hookrow.clock import DAY_MS, MOST_DAYS
from hookrow.errors import DiskFull
from hookrow.ids import id_at
from hookrow.store.configuration.revisions import ENGINE, REVISIONS
from hookrow.store.database import reserve
from hookrow.store.database.database import Database
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS
from hookrow.store.log.finding import words
from hookrow.store.outbox.writing import IDEMPOTENCY_MS

__all__ = ["BATCH", "Purged", "Purging", "kept_bytes", "purge", "size"]

BATCH = 200
"""Firings in one transaction, at most."""
BATCH_ROWS = 500
"""Rows in one transaction, unless a single firing has more: a `fire()` meanwhile waits for so many at the longest."""
GENTLE_ROWS = 80
"""The same on PostgreSQL where nobody waits for the purge: its server works on it beside the callers' statements, and
so their 99th percentile is what it is without (docs/postgresql.md)."""
PAUSE = 0.01
"""Seconds between two batches, so that other processes get the lock."""
KEPT = ("blocked", "queued", "leased", "retrying", "parked", "dead")
"""States whose firing is never purged."""
FINISHED_LATE_MS = 3_600_000
"""A firing without an outcome, or cancelled, is left alone until its deadline is so long past: its hooks may still be
waited for, by a process that was taken for dead."""
DEFERRED_MS = DAY_MS
"""What `fire(defer=True)` keeps back may be enqueued for so long, whatever retention says."""
SAMPLE = 1000
"""The newest firings, by whose average the size of all is told on PostgreSQL."""

# The second term is that of the index `delivery_notable`, which is used only where a query repeats it.
held_firings: Final = select(DELIVERIES.c.firing_id).where(
    DELIVERIES.c.state.in_(KEPT), DELIVERIES.c.state.not_in(("ok", "sent", "skipped"))
)
its_delivery: Final = DELIVERIES.c.firing_id == FIRINGS.c.id
WITH_ATTEMPTS: Final = ATTEMPTS.join(DELIVERIES, DELIVERIES.c.id == ATTEMPTS.c.delivery_id)
LONG: Final[Mapping[Table, tuple[Column[Any], ...]]] = {
    FIRINGS: (FIRINGS.c.payload, FIRINGS.c.data),
    DELIVERIES: (DELIVERIES.c.body,),
    ATTEMPTS: (ATTEMPTS.c.response_body, ATTEMPTS.c.request_headers, ATTEMPTS.c.response_headers),
}
"""The columns that make a row large."""

later: Final = REVISIONS.alias("later")
OWN_PAUSES = select(REVISIONS.c.id).where(
    REVISIONS.c.who == literal_column(f"'{ENGINE}'"),  # the term of the index `hook_revision_engine`
    exists(
        select(literal_column("1")).where(
            later.c.hook_id == REVISIONS.c.hook_id, later.c.revision > REVISIONS.c.revision
        )
    ),
)
"""What the engine itself did, which is to pause and to resume hooks; but for a hook's newest revision."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What went: `firings`, and their size in `bytes`, those of the long columns and 300 for the rest of each row."""

    firings: int
    bytes: int


class Purging:
    """One purge on its way: first what is older than `days`, then the oldest until all fits into `most_bytes`.

    Firings come first, the engine's own pauses of hooks (by age alone) last.

    `step` deletes one batch, in a transaction of its own through the writer, so that firings go on in between. What was
    deleted is free for new rows at once; the file itself does not shrink. A full disk costs the reserve.
    """

    def __init__(
        self,
        database: Database,
        *,
        days: float,
        most_bytes: int,
        now_ms: int,
        lease_now: int | None = None,
        gentle: bool = False,
    ) -> None:
        """`lease_now`: the moment by the clock of leases (`StorageClock`), if that is another. `gentle`: as retention
        does it, see `GENTLE_ROWS`."""
        self.database = database
        self.rows: Final = GENTLE_ROWS if gentle and database.dialect != "sqlite" else BATCH_ROWS
        self.most_bytes = most_bytes
        self.now_ms = now_ms
        self.lease_now: Final = now_ms if lease_now is None else lease_now
        self.oldest_ms: Final = now_ms - round(min(days, MOST_DAYS) * DAY_MS)
        self.before_ms: int | None = self.oldest_ms
        """What was fired before may go; None in the second part, where all may."""
        self.over: int = 0
        self.kept: int = 0
        """In the second part: bytes too many, and those that are never purged and don't count for the limit."""
        self.after: int = 0
        self.done: bool = False
        """No firing is left that may go."""
        self.tight: bool = False
        """The disk was full: what a batch wrote to the WAL is given back before the next."""
        self.firings: int = 0
        self.bytes: int = 0

    def step(self) -> bool:
        """Delete one batch; whether there may be more. Writes nothing where nothing is to go.

        Raises:
            StorageError: the batch could not be committed; those before it are gone.
        """
        return self.step_firings() or self.step_pauses()

    def step_firings(self) -> bool:
        """As `step`, of firings."""
        if self.done:
            return False
        sizes = self.candidates()
        if not sizes and self.before_ms is not None:
            self.before_ms, self.after = None, 0
            self.over = size(self.database) - self.most_bytes
            if self.over > 0:
                self.kept = kept_bytes(self.database)
                self.over -= self.kept
            self.done = self.over <= 0
            return not self.done
        if not sizes:
            self.done = True
            return False
        tried, gone = self.delete(list(sizes), purge_batch)
        self.after = tried[-1]
        self.firings += len(gone)
        self.bytes += (freed := sum(sizes[number] for number in gone))
        if self.before_ms is not None:
            return True
        if self.database.dialect == "sqlite":
            self.over = size(self.database) - self.kept - self.most_bytes
        else:
            self.over -= freed
        self.done = self.over <= 0  # nor after the pauses
        return not self.done

    def candidates(self) -> dict[int, int]:
        """The oldest firings that may go, as many as make a batch and no more than are too many; with their bytes."""
        values = {"after": self.after, "most": self.rows * BATCH // BATCH_ROWS, **moments(self.now_ms, self.lease_now)}
        if self.before_ms is not None:
            values |= {"before_ms": self.before_ms, "before": id_at(self.before_ms)}
        look = statements(self.database.dialect == "sqlite").looks[self.before_ms is not None]
        with self.database.read() as connection:
            found = look.all(connection, values)
        fit = sum(up_to <= self.rows for up_to in accumulate(count for _, count, _ in found))
        found = found[: max(fit, 1)]
        if self.before_ms is None:
            found = found[: 1 + sum(up_to < self.over for up_to in accumulate(size for *_, size in found))]
        return {number: int(size) for number, _, size in found}

    def step_pauses(self) -> bool:
        """As `step`, of the revisions that say that the engine paused or resumed a hook."""
        old = OWN_PAUSES.where(REVISIONS.c.at_ms < self.oldest_ms).order_by(REVISIONS.c.at_ms).limit(BATCH)
        with self.database.read() as connection:
            found = list(connection.execute(old).scalars())
        if found:
            self.delete(found, purge_pauses)
        return len(found) == BATCH

    def delete(self, found: list[int], batch: Callable[..., list[int]]) -> tuple[list[int], list[int]]:
        """Delete these (ids); which were tried, and which of them are gone.

        On a full disk give up the reserve, then try ever fewer; empty the WAL each time.
        """
        while True:
            try:
                gone = self.database.writer.write(
                    partial(batch, found=found, now_ms=self.now_ms, lease_now=self.lease_now)
                )
            except DiskFull:
                self.tight = True
                if self.database.path is None or not reserve.release(self.database.path):
                    if len(found) == 1:
                        raise
                    found = found[: len(found) // 2]
                self.database.checkpoint()
                continue
            if self.tight:
                self.database.checkpoint()
            return found, gone


def moments(now_ms: int, lease_now: int) -> dict[str, int]:
    """The values of `unheld`."""
    return {
        "lease_now": lease_now,
        "ended_before_ms": now_ms - FINISHED_LATE_MS,
        "kept_back_since_ms": now_ms - DEFERRED_MS,
        "keyed_since_ms": now_ms - IDEMPOTENCY_MS,
        "keyed_since": id_at(lease_now - IDEMPOTENCY_MS),
    }


def unheld() -> ColumnElement[bool]:
    """A firing may go.

    None of its deliveries is unfinished, dead, or being sent again by hand; none of its hooks is waited for any more,
    its host no longer thinks about what it keeps back, and its idempotency key counts no more, by the clock of whoever
    asks (`writing.running`).
    """
    sent_by_hand = DELIVERIES.c.lease_ms > bindparam("lease_now")
    its: Select[Any] = select(literal_column("1")).where(
        its_delivery, or_(DELIVERIES.c.state.in_(words(*KEPT)), sent_by_hand)
    )
    held = exists(its.offset(literal_column("0")))  # else PostgreSQL may join it to all deliveries for a batch's sake
    kept_back = and_(FIRINGS.c.deferred, FIRINGS.c.at_ms > bindparam("kept_back_since_ms"))
    ended = or_(FIRINGS.c.outcome != "cancelled", FIRINGS.c.deadline_ms < bindparam("ended_before_ms"))
    lately = or_(FIRINGS.c.at_ms > bindparam("keyed_since_ms"), FIRINGS.c.id > bindparam("keyed_since"))
    keyed = and_(FIRINGS.c.idempotency_key.is_not(None), lately)
    return and_(~held, ended, not_(kept_back), not_(keyed))


class Statements:
    """What a batch is asked and deleted with, made once: to make it anew took longer than to run it."""

    def __init__(self, sqlite: bool) -> None:
        def of_all(value: Callable[[Table], ColumnElement[int]]) -> ColumnElement[int]:
            parts = ((DELIVERIES, DELIVERIES), (WITH_ATTEMPTS, ATTEMPTS))
            theirs = (select(value(table)).select_from(source).where(its_delivery) for source, table in parts)
            return sum((each.scalar_subquery() for each in theirs), literal_column("0"))

        def among(column: Column[int]) -> ColumnElement[bool]:
            # They go as one value: some hundred parameters cost more than deleting what they name.
            if sqlite:
                return column.in_(select(func.json_each(bindparam("ids", type_=Text)).table_valued("value").c.value))
            return column == any_(cast(func.translate(bindparam("ids", type_=Text), "[]", "{}"), ARRAY(BigInteger)))

        rows = of_all(lambda _: func.count()) + 1
        size = of_all(lambda table: func.coalesce(func.sum(octets(table, sqlite)), literal_column("0")))
        look = select(FIRINGS.c.id, rows, octets(FIRINGS, sqlite) + size)
        look = look.where(FIRINGS.c.id > bindparam("after"), unheld()).order_by(FIRINGS.c.id).limit(bindparam("most"))
        by_age = FIRINGS.c.at_ms < bindparam("before_ms"), FIRINGS.c.id < bindparam("before")
        self.looks: Final = Prepared(look), Prepared(look.where(*by_age))
        """The oldest firings that may go, with their rows and bytes: all of them; by age."""
        theirs = select(DELIVERIES.c.id).where(among(DELIVERIES.c.firing_id))
        self.lock: Final = Prepared(theirs.order_by(DELIVERIES.c.id).with_for_update())
        self.unheld: Final = Prepared(select(FIRINGS.c.id).where(among(FIRINGS.c.id), unheld()))
        self.deletes: Final = (
            Prepared(delete(ATTEMPTS).where(ATTEMPTS.c.delivery_id.in_(theirs))),
            Prepared(delete(DELIVERIES).where(among(DELIVERIES.c.firing_id))),
            Prepared(delete(FIRINGS).where(among(FIRINGS.c.id))),
        )
        self.pauses: Final = Prepared(delete(REVISIONS).where(among(REVISIONS.c.id)))


statements: Final = cache(Statements)


def purge_batch(connection: Connection, found: Sequence[int], now_ms: int, lease_now: int) -> list[int]:
    """Delete those of these firings that may go still, in the caller's transaction; which they were."""
    sqlite = connection.dialect.name == "sqlite"
    ours, these = statements(sqlite), {"ids": json.dumps(found)}
    if not sqlite:  # where nobody else is kept from a row that was only looked at
        ours.lock.all(connection, these)
    ids = [number for (number,) in ours.unheld.all(connection, {**these, **moments(now_ms, lease_now)})]
    for each in ours.deletes:
        each.run(connection, {"ids": json.dumps(ids)})
    return ids


def purge_pauses(connection: Connection, found: Sequence[int], now_ms: int, lease_now: int) -> list[int]:
    """Delete these revisions, in the caller's transaction. They were not the newest; no other has become so since."""
    statements(connection.dialect.name == "sqlite").pauses.run(connection, {"ids": json.dumps(found)})
    return list(found)


def octets(table: Table, sqlite: bool) -> ColumnElement[int]:
    """The bytes of a row: of its long columns, and 300 for the rest of it."""

    def of(column: Column[Any]) -> ColumnElement[int]:
        # `length` of a text counts characters; SQLite's octet_length came with 3.43.
        counted = func.length(cast(column, LargeBinary)) if sqlite else func.octet_length(column)
        return func.coalesce(counted, literal_column("0"))

    return sum(map(of, LONG[table]), literal_column("300"))


def sizes_of(connection: Connection, firings: Sequence[int] | Select[Any]) -> Select[Any]:
    """The statement that gives each of these firings' ids and bytes, its deliveries' and attempts' included."""
    sqlite = connection.dialect.name == "sqlite"
    parts = (
        (FIRINGS, FIRINGS, FIRINGS.c.id),
        (DELIVERIES, DELIVERIES, DELIVERIES.c.firing_id),
        (WITH_ATTEMPTS, ATTEMPTS, DELIVERIES.c.firing_id),
    )
    rows = union_all(
        *(
            select(number.label("id"), octets(table, sqlite).label("bytes"))
            .select_from(source)
            .where(number.in_(firings))
            for source, table, number in parts
        )
    ).subquery()
    return select(rows.c.id, func.sum(rows.c.bytes).label("bytes")).group_by(rows.c.id)


def size(database: Database) -> int:
    """About how many bytes the log takes: on SQLite the file's used pages.

    On PostgreSQL a table's size says nothing of what a purge left free in it: there it is the number of firings, times
    the average of the newest.
    """
    with database.read(None) as connection:  # it counts a whole log
        if database.dialect == "sqlite":
            pages, free, page = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_count", "freelist_count", "page_size")
            )
            return (pages - free) * page
        newest = list(connection.execute(select(FIRINGS.c.id).order_by(FIRINGS.c.id.desc()).limit(SAMPLE)).scalars())
        count = connection.execute(select(func.count()).select_from(FIRINGS)).scalar_one()
        return total(connection, newest) * count // len(newest) if newest else 0


def kept_bytes(database: Database) -> int:
    """The bytes of the firings that are never purged: pending and dead ones, as `Purged` counts them."""
    with database.read(None) as connection:  # it counts a whole log
        return total(connection, held_firings)


def total(connection: Connection, firings: Sequence[int] | Select[Any]) -> int:
    """The bytes of these firings together."""
    sizes = sizes_of(connection, firings).subquery()
    return int(connection.execute(select(func.sum(sizes.c.bytes))).scalar() or 0)


def purge(
    database: Database,
    *,
    days: float,
    most_bytes: int,
    now_ms: int,
    lease_now: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Purged:
    """Delete what is older than `days`, then the oldest until the log takes at most `most_bytes`; see `Purging`.

    Raises:
        StorageError: a batch could not be committed; those before it are gone.
    """
    purging = Purging(database, days=days, most_bytes=most_bytes, now_ms=now_ms, lease_now=lease_now)
    while purging.step():
        if progress is not None:
            progress(purging.firings)
        time.sleep(PAUSE)
    if progress is not None:
        progress(purging.firings)
    if database.path is not None and purging.tight:
        reserve.keep(database.path)
    return Purged(purging.firings, purging.bytes)
