"""Writing the log: a firing with its deliveries and attempts, many firings with one statement a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, text, update

from hookrow.errors import IdempotencyConflict
from hookrow.ids import id_at
from hookrow.lang import Text
from hookrow.payload import dumps
from hookrow.reasons.reason import Reason, kept_value
from hookrow.store.database.notify import announce
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.rows import allocate
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS, REVISIONS
from hookrow.store.outbox.batches import Insert, Update, insert
from hookrow.store.outbox.breaker import Moved, Note, note, pause_gone
from hookrow.store.outbox.parking import catch_up
from hookrow.store.outbox.release import admit

__all__ = [
    "ATTEMPTS",
    "DELIVERIES",
    "FIRINGS",
    "LATE_MS",
    "Begin",
    "NewDelivery",
    "Rows",
    "Written",
    "end_interrupted",
    "release_deferred",
    "running",
]


IDEMPOTENCY_MS = 10 * 60 * 1000
"""How long an idempotency key is remembered (docs/firing.md)."""
LATE_MS = 1000
"""After its deadline a running firing is waited for so long; then its process is taken for dead (docs/firing.md)."""


INSERT_FIRING, INSERT_DELIVERY, INSERT_ATTEMPT = Insert(FIRINGS), Insert(DELIVERIES), Insert(ATTEMPTS)
FIRING_BY_UID = Prepared(select(FIRINGS.c.id).where(FIRINGS.c.uid == bindparam("its")))
DELIVERY_BY_PLACE = Prepared(
    select(DELIVERIES.c.id).where(DELIVERIES.c.firing_id == bindparam("its"), DELIVERIES.c.seq == bindparam("place"))
)
FINISHED = ("outcome", "data", "result", "veto", "warnings", "ms", "deferred", "hidden", "payload")
FINISH_FIRING = Update(FIRINGS, ("id",), {name: f"given.{name}" for name in FINISHED})


@dataclass(slots=True)
class NewDelivery:
    """A delivery's columns without its ids, and its attempts."""

    values: dict[str, Any]
    attempts: Sequence[dict[str, Any]] = ()


@dataclass(slots=True)
class Written:
    """The row ids that a job got."""

    firing: int
    deliveries: tuple[int, ...]
    moved: Moved | None = None
    """The hooks that its blocking hooks' attempts paused or resumed."""


@dataclass(slots=True)
class Rows:
    """A job for the writer: rows of one firing. Several of them are written together.

    `firing` holds the columns of a new firing, or, with `firing_id`, those in which one that runs has ended.
    """

    now_ms: int
    firing: Mapping[str, Any] | None = None
    firing_id: int | None = None
    deliveries: Sequence[NewDelivery] = field(default_factory=list)
    admit: bool = False
    """Deliveries were written as blocked: give the turn to those that may go."""
    notes: Sequence[Note] = ()
    """What the attempts of its blocking hooks say of their receivers."""
    gone: Sequence[int] = ()
    """The hooks whose receivers answered 410."""
    lease_now: int | None = None
    """The moment by the clock of leases (`StorageClock`), if that is another than `now_ms`."""

    many: ClassVar[bool] = True

    @property
    def waits(self) -> bool:
        """Its rows wait for any worker: none of them is handed to one in memory."""
        states = {delivery.values["state"] for delivery in self.deliveries}
        return "leased" not in states and not states.isdisjoint(("queued", "blocked"))

    @property
    def proof(self) -> Callable[[Connection], bool] | None:
        """Tells whether these rows are there, where a commit's end is not known; None where nothing new is written."""
        if self.firing_id is None:
            uid = (self.firing or {})["uid"]
            return lambda connection: FIRING_BY_UID.scalar(connection, {"its": uid}) is not None
        if self.deliveries:
            its = {"its": self.firing_id, "place": self.deliveries[0].values["seq"]}
            return lambda connection: DELIVERY_BY_PLACE.scalar(connection, its) is not None
        return None

    def __call__(self, connection: Connection) -> Written:
        return self.run_many(connection, [self])[0]

    @classmethod
    def run_many(cls, connection: Connection, jobs: Sequence[Rows]) -> list[Written]:
        """Write all jobs' rows. Runs again from the start without harm if the transaction is rolled back."""
        now_ms = lease_now = new_firings = new_deliveries = new_attempts = 0
        for job in jobs:
            now_ms = max(now_ms, job.now_ms)
            lease_now = max(lease_now, job.now_ms if job.lease_now is None else job.lease_now)
            new_firings += job.firing_id is None
            for delivery in job.deliveries:
                new_deliveries += 1
                new_attempts += len(delivery.attempts)
        firing_ids, delivery_ids, attempt_ids = allocate(
            connection, now_ms, firings=new_firings, deliveries=new_deliveries, attempts=new_attempts
        )
        firings: list[dict[str, Any]] = []
        finished: list[dict[str, Any]] = []
        deliveries: list[dict[str, Any]] = []
        attempts: list[dict[str, Any]] = []
        written: list[Written] = []
        admitted: list[int] = []
        parked: set[int] = set()
        notes: list[Note] = []
        gone: list[int] = []
        for job in jobs:
            number = job.firing_id if job.firing_id is not None else next(firing_ids)
            if job.firing_id is None:
                firings.append({**(job.firing or {}), "id": number})
            elif job.firing is not None:
                finished.append({"id": number, **{name: job.firing.get(name) for name in FINISHED}})
            ids = []
            for delivery in job.deliveries:
                ids.append(next(delivery_ids))
                deliveries.append({**delivery.values, "id": ids[-1], "firing_id": number})
                if delivery.values["state"] == "parked":
                    parked.add(delivery.values["hook_id"])
                if delivery.attempts:
                    its = {"delivery_id": ids[-1]}
                    attempts += [{**attempt, **its, "id": next(attempt_ids)} for attempt in delivery.attempts]
            written.append(Written(number, tuple(ids)))
            if job.admit:
                admitted.append(number)
            notes += job.notes
            gone += job.gone
        if finished:
            FINISH_FIRING.many(connection, finished)
        insert(connection, (INSERT_FIRING, firings), (INSERT_DELIVERY, deliveries), (INSERT_ATTEMPT, attempts))
        if connection.dialect.name != "sqlite" and any(job.waits for job in jobs):
            announce(connection)
        if parked:
            catch_up(connection, parked, now_ms)
        if admitted:
            admit(connection, admitted, now_ms)
        if notes or gone:
            moved = note(connection, notes, now_ms, lease_now)
            moved.paused |= {hook for hook in gone if pause_gone(connection, hook, now_ms)}
            for job, each in zip(jobs, written, strict=True):
                # Told once, by the first firing of the hook.
                each.moved = Moved()
                for hook in {*job.gone, *(said.hook for said in job.notes)}:
                    each.moved.paused |= moved.paused & {hook}
                    each.moved.resumed |= moved.resumed & {hook}
                    moved.forget(hook)
        return written


def running(connection: Connection, event: str, key: str, now_ms: int) -> Any:
    """The newest firing of an event under an idempotency key that still counts, or None."""
    since = now_ms - IDEMPOTENCY_MS
    # Machines' clocks differ, and only ids are the server's; on SQLite they run on where the clock was set back.
    lately = FIRINGS.c.at_ms > since if connection.dialect.name == "sqlite" else FIRINGS.c.id > id_at(since)
    return connection.execute(
        select(
            FIRINGS.c.id,
            FIRINGS.c.uid,
            FIRINGS.c.outcome,
            FIRINGS.c.payload_hash,
            FIRINGS.c.deadline_ms,
            FIRINGS.c.veto,
        )
        .where(
            FIRINGS.c.event == event,
            FIRINGS.c.idempotency_key == key,
            FIRINGS.c.idempotency_key.is_not(None),
            lately,
        )
        .order_by(FIRINGS.c.id.desc())
        .limit(1)
    ).first()


def end_interrupted(connection: Connection, now_ms: int, *which: ColumnElement[bool]) -> int:
    """Record these firings, all of them without conditions, as cancelled whose process died before they ended.

    Where it lives after all, what it records at its end replaces this.

    Returns:
        How many.
    """
    # Every event that ever had a hook: the index begins with it, and there is none of the outcome alone.
    chosen = which or (FIRINGS.c.event.in_(select(REVISIONS.c.event).distinct()),)
    why = dumps([kept_value(Reason("firing_interrupted"))])
    open_still: ColumnElement[Any] = FIRINGS.c.outcome.is_(None)
    if connection.dialect.name == "sqlite":
        open_still = func.unlikely(open_still)  # where every firing ended alike, its statistics call the index useless
    return connection.execute(
        update(FIRINGS)
        .where(open_still, FIRINGS.c.deadline_ms < now_ms - LATE_MS, *chosen)
        .values(outcome="cancelled", warnings=why)
    ).rowcount


KEY_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:key AS text), 0))")


@dataclass(slots=True)
class Begin:
    """A job: commit a firing as running under its idempotency key, or find the one that has it (docs/firing.md).

    Gives `Written`, or the row found, whose outcome may still be open. A refusal by failure and a cancelled firing are
    not kept for the next caller; nor is one that did not end by its deadline + 1 s, which is recorded as interrupted.

    Raises:
        IdempotencyConflict: the key stands for another payload.
    """

    rows: Rows
    wrote: bool = False

    many: ClassVar[bool] = True

    @property
    def proof(self) -> Callable[[Connection], bool] | None:
        """As `Rows` says; none where an earlier firing was found instead."""
        return self.rows.proof if self.wrote else None

    @property
    def lock(self) -> str:
        """What its key is locked by; no event's code holds a space."""
        firing = self.rows.firing or {}
        return f"{firing['event']} {firing['idempotency_key']}"

    def __call__(self, connection: Connection) -> Any:
        return self.run_many(connection, [self])[0]

    @classmethod
    def run_many(cls, connection: Connection, jobs: Sequence[Begin]) -> list[Any]:
        """On PostgreSQL a key belongs to one transaction at a time: two that don't see each other would both fire."""
        if connection.dialect.name == "postgresql":
            # In one order, so that two processes with the same keys don't wait for each other.
            for key in sorted({job.lock for job in jobs}):
                connection.execute(KEY_LOCK, {"key": key})
        return [job.begin(connection) for job in jobs]

    def begin(self, connection: Connection) -> Any:
        """Write the row, or give that of the earlier call with this key. Raises IdempotencyConflict."""
        firing = self.rows.firing or {}
        self.wrote = False
        found = running(connection, firing["event"], firing["idempotency_key"], self.rows.now_ms)
        if found is not None and found.uid == firing["uid"]:  # an earlier try's commit that arrived after all
            self.wrote = True
            return Written(found.id, ())
        if found is not None:
            if found.payload_hash != firing["payload_hash"]:
                raise IdempotencyConflict(
                    Text('the idempotency key "{key}" was used with another payload', key=firing["idempotency_key"])
                )
            kept = found.outcome in ("allowed", "vetoed")
            alive = found.outcome is None and self.rows.now_ms <= found.deadline_ms + LATE_MS
            if kept or alive:
                return found
            end_interrupted(connection, self.rows.now_ms, FIRINGS.c.id == found.id)
        self.wrote = True
        return self.rows(connection)


def release_deferred(connection: Connection, number: int, now_ms: int) -> bool:
    """Put the deliveries that `fire(defer=True)` kept back into the outbox; False where none are kept back.

    What a hook's pause means for them is judged by the worker's claim, as for every row.
    """
    released = connection.execute(
        update(DELIVERIES)
        .where(
            DELIVERIES.c.firing_id == number, DELIVERIES.c.state == "cancelled", DELIVERIES.c.skipped == "not_enqueued"
        )
        .values(state="blocked", skipped=None, done_ms=None)
        .returning(DELIVERIES.c.id)
    ).scalars()
    first = min(released, default=None)
    # The first is due, the worker's claim gives the turns: here it would lock all order keys until the caller's commit.
    connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == first).values(due_ms=now_ms))
    connection.execute(update(FIRINGS).where(FIRINGS.c.id == number).values(deferred=False))
    announce(connection)
    return first is not None
