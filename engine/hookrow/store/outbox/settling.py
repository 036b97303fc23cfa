"""What came of attempts, written under the fence of their lease: the attempt, the state, and all that follows.

In one transaction: the next row of the firing is released, the next of the order key becomes due, the breaker takes
note, a receiver that is gone pauses its hook. Many results are written together (`Writer`, `Many`).
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Final, Literal, Protocol

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from hookrow.delivery.comparing import Against, compare
from hookrow.delivery.states import AttemptOutcome, Change, Happening, Kind, decide, would
from hookrow.lang import Text
from hookrow.payload import dumps
from hookrow.reasons.reason import keep
from hookrow.store.database.prepared import PreparedIn, queueing, savepoint
from hookrow.store.database.rows import allocate
from hookrow.store.database.tables import DELIVERIES
from hookrow.store.outbox.batches import Insert, Noted, Update
from hookrow.store.outbox.breaker import Moved, Note, note, pause_gone
from hookrow.store.outbox.claims import WITH_HOOK, Claimed, lease, standing
from hookrow.store.outbox.parking import catch_up, keep_hooks
from hookrow.store.outbox.release import give_on, is_held
from hookrow.store.outbox.writing import INSERT_ATTEMPT

__all__ = ["ResultLike", "Settle", "Settled"]

log: Final = logging.getLogger("hookrow")


class Kinded(Protocol):
    """An answer, of which its kind is asked: `ok`, `changed`, `refused`, `sent` or `failed`."""

    @property
    def kind(self) -> str: ...


class ResultLike(Protocol):
    """What came of an attempt, as `attempt.perform` gives it.

    `error`: a word of `hookrow.words`. `gone`: 410. `retry_after`: seconds. `countable`: it counts for the breaker.
    `values`: the columns of the attempt's row; empty where no request was made.
    """

    @property
    def answer(self) -> Kinded: ...
    @property
    def error(self) -> str | None: ...
    @property
    def detail(self) -> Text | str | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def ms(self) -> int | None: ...
    @property
    def countable(self) -> bool: ...
    @property
    def retry_after(self) -> float | None: ...
    @property
    def gone(self) -> bool: ...
    @property
    def values(self) -> dict[str, Any]: ...


@dataclass(slots=True)
class Settled:
    """What a result led to.

    `accepted` is false where the lease had been lost: nothing was written. `state` is the delivery's now. `due`: other
    rows are due now because of it. `paused` and `resumed`: the engine did so to the hook. `gap`: the attempt itself
    could not be logged. `attempts`: how many automatic ones the delivery has had. `again_ms`: when the next one is due.
    `next`: the rows of the same firing whose turn has come by it, leased to the same owner.
    """

    accepted: bool
    state: str
    due: bool = False
    dead: bool = False
    paused: Literal["gone", "breaker"] | None = None
    resumed: bool = False
    gap: bool = False
    attempts: int = 0
    again_ms: int | None = None
    next: tuple[Claimed, ...] = ()

    @property
    def simple(self) -> bool:
        """Nothing follows from it but `next`."""
        return self.accepted and not (self.due or self.dead or self.paused or self.resumed)


OUTCOME: Final = {
    **{
        name: f"given.{name}" for name in ("state", "attempts", "error", "detail", "status", "ms", "skipped", "done_ms")
    },
    "due_ms": "coalesce(given.due_ms, kept.due_ms)",
    "first_ms": "coalesce(kept.first_ms, given.first_ms)",
    "owner": "NULL",
    "lease_ms": "NULL",
}
"""What a delivery's columns become by a result."""
UPDATE = Update(DELIVERIES, ("id", "fence"), OUTCOME)
NO_FAILURES = "NOT EXISTS (SELECT 1 FROM main.breaker WHERE breaker.hook_id = kept.hook_id AND breaker.failures > 0)"
UPDATE_LEASED = Update(DELIVERIES, ("id", "fence"), OUTCOME, "kept.state = 'leased'", NO_FAILURES)
WOULD = Update(DELIVERIES, ("id", "fence"), {name: f"given.{name}" for name in ("would", "changes", "compared")})
FREE_LEASE = Update(DELIVERIES, ("id", "fence"), {"owner": "NULL", "lease_ms": "NULL"})
NOW_STANDING = PreparedIn(
    lambda rows: WITH_HOOK.where(DELIVERIES.c.id.in_(rows)).order_by(DELIVERIES.c.id).with_for_update(of=DELIVERIES)
)


def is_parked(change: Change | None) -> bool:
    return change is not None and change.state == "parked"


def goes_with_its_hook(change: Change | None) -> bool:
    return change is not None and change.reason == "hook_deleted"


@cache
def noted_with(attempts: Insert) -> Noted:
    """What arrived, each with its attempt's row, in one statement."""
    return Noted(UPDATE_LEASED, attempts, "delivery_id")


def no_room(hook: int) -> int:
    return 0


def compared(claimed: Claimed, result: ResultLike) -> str | None:
    """Whether a candidate would have decided as its hook did; None of what is no candidate's."""
    if claimed.against is None:
        return None
    against = Against.read(claimed.against)
    return compare(against.effect, against.answering(result.answer, result.error))


def said(result: ResultLike) -> Text | str | None:
    """What is kept of a shadow's answer in words: why it failed, or what it would have refused with."""
    veto = getattr(result.answer, "veto", None)
    return result.detail if veto is None else veto.message or None


@dataclass(slots=True)
class Settle:
    """A job for the writer: one result. `jitter` (-1 … 1) spreads the retry; `now_ms` is the attempt's end.

    A worker that has room for more gives its `owner` and how many rows of a hook it has `room` for: rows that come
    after this one in the firing are leased to it at once, which saves each of them a claim. It is asked in the
    writer's thread.

    For a lease taken by hand (`outbox.lease_for_redelivery`) set `by_hand`: only a success moves the delivery, and with
    `elsewhere` (`--to`) nothing does (docs/replay.md).
    """

    claimed: Claimed
    result: ResultLike
    now_ms: int
    jitter: float = 0.0
    by_hand: bool = False
    elsewhere: bool = False
    owner: str = ""
    room: Callable[[int], int] = no_room
    lease_now: int | None = None
    """The moment by the clock of leases (`StorageClock`), if that is another."""
    began: float = 0.0
    """The same moment by the monotonic clock, for whoever holds what is leased by it."""

    many: ClassVar[bool] = True

    def __call__(self, connection: Connection) -> Settled:
        return self.run_many(connection, [self])[0]

    @classmethod
    def run_many(cls, connection: Connection, jobs: Sequence[Settle]) -> list[Settled]:
        """Write all results; runs again from the start without harm if the transaction is rolled back."""
        return Batch(connection, max(job.now_ms for job in jobs), max(job.held_now for job in jobs)).settle(jobs)

    @property
    def held_now(self) -> int:
        return self.now_ms if self.lease_now is None else self.lease_now

    @property
    def plain(self) -> bool:
        """It has arrived, and nothing but its own row changes by it and whose turn it is, as far as this job knows."""
        claimed = self.claimed
        return (
            claimed.order_key is None
            and claimed.shadow is None
            and self.result.answer.kind in ("ok", "sent")
            and not (self.by_hand or self.elsewhere or claimed.probe or self.result.gone)
        )

    @property
    def kind(self) -> Kind:
        """The kind that `states.decide` knows."""
        return "gone" if self.result.gone else self.result.answer.kind  # type: ignore[return-value]

    @property
    def note(self) -> Note:
        """What the breaker is told."""
        result = self.result
        reason = f"{result.error or ''} {result.status or ''}".strip()
        success = self.kind not in ("failed", "gone")
        claimed = self.claimed
        return Note(
            hook=claimed.hook_id,
            success=success,
            countable=result.countable,
            answered=result.status is not None,
            probe=claimed.probe,
            reason=reason,
        )


class Batch:
    """The results of one transaction."""

    def __init__(self, connection: Connection, now_ms: int, lease_now: int) -> None:
        self.connection = connection
        self.now_ms = now_ms
        self.lease_now = lease_now
        self.updates: list[dict[str, Any]] = []
        self.let_go: list[dict[str, Any]] = []
        self.would: list[dict[str, Any]] = []
        self.firings: set[int] = set()
        self.keys: dict[tuple[int, str | None], int] = {}

    def settle(self, jobs: Sequence[Settle]) -> list[Settled]:
        """Write them: first the plain ones, as most are; then the turns are given that follow from any."""
        settled = self.settle_plain(jobs)
        rest = [number for number in range(len(jobs)) if number not in settled]
        if rest:
            settled.update(zip(rest, self.settle_others([jobs[number] for number in rest]), strict=True))
        if self.firings or self.keys:
            self.give_turns({number: jobs[number] for number, each in settled.items() if each.accepted}, settled)
        return [settled[number] for number in range(len(jobs))]

    def give_turns(self, jobs: Mapping[int, Settle], settled: Mapping[int, Settled]) -> None:
        """What has become due by these results: leased to those who have room for it, else a claim finds it."""
        due, freed = give_on(self.connection, self.firings, self.keys, self.now_ms)
        taken = self.take_next(due, jobs)
        left = len(due) > sum(len(rows) for rows in taken.values())
        for number, job in jobs.items():
            settled[number].next = tuple(taken.get(number, ()))
            settled[number].due |= freed or (left and job.claimed.firing_id in self.firings)

    def settle_plain(self, jobs: Sequence[Settle]) -> dict[int, Settled]:
        """Write the successes that change nothing but their own row and whose turn it is, with one statement; by the
        jobs' numbers.

        What is no longer leased as it was is left to `settle_others`. So are all results of a hook of which one is not
        plain, or whose failures are counted: the breaker takes them in their order.
        """
        plain: dict[int, int] = {}
        others: set[int] = set()
        for number, job in enumerate(jobs):
            if job.plain:
                plain.setdefault(job.claimed.row_id, number)
            else:
                others.add(job.claimed.hook_id)
        chosen = {n: jobs[n] for _, n in sorted(plain.items()) if jobs[n].claimed.hook_id not in others}
        if not chosen:
            return {}
        arrived = [self.arrived(job) for job in chosen.values()]
        gaps: set[int] = set()
        if queueing(self.connection) is None:
            changed = UPDATE_LEASED.many(self.connection, arrived)
            gaps = self.write_attempts({n: job for n, job in chosen.items() if job.claimed.row_id in changed})
        else:
            noted = self.attempts(chosen)
            rows = zip(arrived, map(noted.get, chosen), strict=True)
            changed = noted_with(INSERT_ATTEMPT).many(self.connection, list(rows))
        written = {number: job for number, job in chosen.items() if job.claimed.row_id in changed}
        self.firings.update(job.claimed.firing_id for job in written.values() if not job.claimed.last)
        return {
            number: Settled(True, job.result.answer.kind, gap=number in gaps, attempts=job.claimed.attempts + 1)
            for number, job in written.items()
        }

    def arrived(self, job: Settle) -> dict[str, Any]:
        """The columns of a delivery that has arrived, as `change` has them."""
        claimed, kind = job.claimed, job.result.answer.kind
        return self.columns(job, claimed.row_id, claimed.fence, Change(kind, attempts=claimed.attempts + 1))

    def settle_others(self, jobs: Sequence[Settle]) -> list[Settled]:
        found = NOW_STANDING.all(self.connection, sorted({job.claimed.row_id for job in jobs}))
        rows: dict[int, Any] = {row.id: row for row in found}
        accepted: dict[int, Settle] = {}
        current: dict[int, Any] = {}
        for number, job in enumerate(jobs):
            # Taken out: a second result under the same lease is as good as none.
            row = rows.pop(job.claimed.row_id, None)
            if row is not None and row.fence == job.claimed.fence and (row.state == "leased" or job.by_hand):
                accepted[number], current[number] = job, row
            elif row is not None:
                rows[row.id] = row
        # Their results may be parked or cancelled, and the hook comes before what breakers and turns are locked by.
        keep_hooks(self.connection, {row.hook_id for row in current.values() if standing(row).hook != "on"})
        gaps = self.write_attempts(accepted)
        moved, gone = self.take_note(list(accepted.values()))
        changes = {
            number: self.change(job, current[number], paused={*moved.paused, *gone}, resumed=moved.resumed)
            for number, job in accepted.items()
        }
        if self.updates:
            UPDATE.many(self.connection, self.updates)
        if self.would:
            WOULD.many(self.connection, self.would)
        if self.let_go:
            FREE_LEASE.many(self.connection, self.let_go)
        # On PostgreSQL a hook may have been resumed, or restored, while these rows were still leased to somebody.
        parked = {current[n].hook_id for n, each in changes.items() if is_parked(each)}
        cancelled = {current[n].hook_id for n, each in changes.items() if goes_with_its_hook(each)}
        catch_up(self.connection, parked, self.now_ms, cancelled=cancelled)
        settled: list[Settled] = []
        for number, job in enumerate(jobs):
            if number not in accepted:
                settled.append(Settled(False, job.claimed.state))
                continue
            change, hook = changes[number], job.claimed.hook_id
            paused: Literal["gone", "breaker"] | None = "breaker" if hook in moved.paused else None
            settled.append(
                Settled(
                    accepted=True,
                    state=job.claimed.state if change is None else change.state,
                    due=hook in moved.resumed,
                    dead=change is not None and change.state == "dead",
                    paused="gone" if hook in gone else paused,
                    resumed=hook in moved.resumed,
                    gap=number in gaps,
                    attempts=job.claimed.attempts if change is None else change.attempts,
                    again_ms=change.due_ms if change is not None and change.state == "retrying" else None,
                )
            )
            # Told once, by the first result of the hook.
            gone.discard(hook)
            moved.forget(hook)
        return settled

    def take_next(self, due: Sequence[int], jobs: Mapping[int, Settle]) -> dict[int, list[Claimed]]:
        """Lease the rows that have become due to the owners of the jobs that made them so, by the jobs' numbers."""
        taking = {job.claimed.firing_id: number for number, job in jobs.items() if job.owner}
        taken: defaultdict[int, list[Claimed]] = defaultdict(list)
        if not due or not taking:
            return taken
        rows: defaultdict[int, list[Any]] = defaultdict(list)
        chosen: Counter[int] = Counter()
        for row in NOW_STANDING.all(self.connection, due):
            found = taking.get(row.firing_id)
            if found is None or row.state != "queued":  # on PostgreSQL another's claim may have come first
                continue
            if row.takeovers or is_held(
                row, self.lease_now
            ):  # it begins at once or not; somebody is sending it by hand
                continue
            if standing(row).hook == "on" and chosen[row.hook_id] < jobs[found].room(row.hook_id):
                chosen[row.hook_id] += 1
                rows[found].append(row)
        for number, theirs in rows.items():
            timeouts = {row.hook_id: row.timeout for row in theirs}
            owner = jobs[number].owner
            taken[number] = lease(
                self.connection, theirs, owner, self.now_ms, timeouts, set(), len(theirs), self.lease_now
            )
        return taken

    def write_attempts(self, jobs: Mapping[int, Settle]) -> set[int]:
        """Log the requests; gives the jobs whose row could not be written. A gap must not cause a second request."""
        rows = self.attempts(jobs)
        if self.inserted(list(rows.values())):
            return set()
        gaps = {number for number, row in rows.items() if not self.inserted([row])}
        log.error("%d attempts could not be logged; their deliveries are settled all the same", len(gaps))
        return gaps

    def attempts(self, jobs: Mapping[int, Settle]) -> dict[int, dict[str, Any]]:
        """The rows of their requests."""
        logged = {number: job for number, job in jobs.items() if job.result.values}
        _, _, ids = allocate(self.connection, self.now_ms, attempts=len(logged))
        return {
            number: {
                **job.result.values,
                "id": next(ids),
                "delivery_id": job.claimed.row_id,
                "number": job.claimed.number,
                "origin": "redeliver" if job.by_hand else "worker",
                "elsewhere": job.elsewhere,
            }
            for number, job in logged.items()
        }

    def inserted(self, rows: list[dict[str, Any]]) -> bool:
        if not rows:
            return True
        try:
            with savepoint(self.connection):
                INSERT_ATTEMPT.many(self.connection, rows)
        except IntegrityError:
            return False
        return True

    def take_note(self, jobs: Sequence[Settle]) -> tuple[Moved, set[int]]:
        """Breakers and receivers that are gone; before the deliveries, since a hook that is paused parks them."""
        here = [job for job in jobs if not job.elsewhere and job.claimed.shadow is None]
        moved = note(self.connection, [job.note for job in here if job.kind != "gone"], self.now_ms, self.lease_now)
        gone = {
            hook
            for hook in sorted({job.claimed.hook_id for job in here if job.kind == "gone"})
            if pause_gone(self.connection, hook, self.now_ms)
        }
        return moved, gone

    def change(self, job: Settle, row: Any, *, paused: set[int], resumed: set[int]) -> Change | None:
        """Decide one delivery's change, and queue its writing. The row was read before its hook moved."""
        result, claimed = job.result, job.claimed
        stands = standing(row)
        if row.hook_id in paused and stands.hook == "on":
            stands = replace(stands, hook="held")
        elif row.hook_id in resumed and row.active and stands.hook == "held":
            stands = replace(stands, hook="on")
        answer = AttemptOutcome(job.kind, result.error, result.retry_after, final=getattr(result, "final", False))
        happening = Happening("redelivered" if job.by_hand else "answered", answer)
        change = None if job.elsewhere else decide(stands, happening, job.now_ms, job.jitter)
        if change is None:
            self.let_go.append({"id": row.id, "fence": row.fence})
            return None
        self.updates.append(self.columns(job, row.id, row.fence, change))
        if row.shadow is not None and result.answer.kind != "void":
            changes = getattr(result.answer, "changes", ())
            self.would.append(
                {
                    "id": row.id,
                    "fence": row.fence,
                    "would": would(result.answer.kind),
                    "changes": dumps([list(each) for each in changes]) if changes else None,
                    "compared": compared(claimed, result),
                }
            )
        if change.turn and not claimed.last:
            self.firings.add(claimed.firing_id)
        if change.finished:
            self.keys[row.hook_id, row.order_key] = row.id
        return change

    def columns(self, job: Settle, row: int, fence: int, change: Change) -> dict[str, Any]:
        """What the delivery's columns become."""
        result = job.result
        return {
            "id": row,
            "fence": fence,
            "state": change.state,
            "due_ms": change.due_ms,
            "attempts": change.attempts,
            "error": result.error,
            "detail": keep(result.detail if job.claimed.shadow is None else said(result)),
            "status": result.status,
            "ms": result.ms,
            "skipped": change.reason,
            "first_ms": result.values.get("at_ms", job.now_ms),
            "done_ms": job.now_ms if change.finished else None,
        }
