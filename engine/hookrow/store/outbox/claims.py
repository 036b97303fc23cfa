"""Who may send what: leases on due deliveries, taken, renewed, given back and taken over.

Each may run again from the start if the transaction was rolled back. A lease lies on the row, with the owner's id and a
fence that every claim raises; `store.settling` records results under that fence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Connection,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    literal_column,
    select,
    union,
    update,
)

from hookrow.delivery.comparing import Against
from hookrow.delivery.states import LEASE_MARGIN, Cause, Happening, HookStanding, Standing, decide
from hookrow.hook.modes import WAITING
from hookrow.store.database.notify import announce
from hookrow.store.database.prepared import Prepared, PreparedIn
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS
from hookrow.store.outbox.batches import Update
from hookrow.store.outbox.breaker import put_off, take_probe, try_again
from hookrow.store.outbox.due import BUSY, LEASE_NOW, NOW, leased, next_due
from hookrow.store.outbox.parking import BREAKERS, HOOKS, cancel, catch_up, chunks, hook_now, park
from hookrow.store.outbox.probes import OF_ROW, parked_heads
from hookrow.store.outbox.release import EARLIER, advance, give_on, held_back, keys_locked, pending, unheld_at
from hookrow.store.outbox.shadows import shown

__all__ = [
    "LAPSED",
    "TAKEN_OVER",
    "WITH_HOOK",
    "Claimed",
    "Taken",
    "claim",
    "claim_firings",
    "give_back",
    "lease",
    "lease_ms",
    "load",
    "renew",
    "standing",
    "unlease",
]

MOST_LAPSED = 500
"""Lapsed leases taken back in one transaction."""
unheld: Final = unheld_at(LEASE_NOW)


@dataclass(slots=True)
class Claimed:
    """A delivery that this process may send, with all that an attempt needs.

    `fire()` makes it itself for a row that it wrote as `leased` (`owner` its engine's id, `fence` 1, `lease_ms` as
    `states.births` says) and hands it to `Worker.take` right after its commit: `attempts` 0, `number` 1.

    `attempts` counts the automatic ones so far; `number` is that of the attempt now made, redeliveries counted too.
    `payload` (JSON) is there for blocking hooks that are sent in background. `probe`: it tries an open breaker.
    `state` is another than `leased` where a person redelivers it.
    """

    row_id: int
    firing_id: int
    uid: str
    seq: int
    event: str
    occurred_ms: int
    hook_id: int
    hook_revision: int
    mode: str
    body: str | None
    fence: int
    lease_ms: int
    attempts: int = 0
    number: int = 1
    first_ms: int | None = None
    order_key: str | None = None
    replay_of: str | None = None
    depth: int = 0
    traceparent: str | None = None
    payload: str | None = None
    state: str = "leased"
    probe: bool = False
    takeovers: int = 0
    error: str | None = None
    """Of the attempt before this one."""
    last: bool = False
    """Its firing is written whole and no row comes after it: its result gives nobody a turn."""
    shadow: int | None = None
    """Asked in shadow, in so many milliseconds at most."""
    against: str | None = None
    """Asked as its hook's candidate: what the hook itself did (`delivery.comparing`)."""


@dataclass(slots=True)
class Taken:
    """What a claim brought.

    `more`: rows are due that no slot was free for. `next_ms`: when something is due next, lapses, or may be probed.
    `resumed`: hooks whose breaker was tried without a probe. `recovered`: how many lapsed leases were taken back.
    """

    rows: list[Claimed] = field(default_factory=list)
    more: bool = False
    next_ms: int | None = None
    resumed: list[int] = field(default_factory=list)
    recovered: int = 0
    interrupted: Sequence[Any] = ()
    """Of these the attempts that were recorded as interrupted: (claimed, made, settled)."""


CONCERNED = union(
    select(BUSY.c.hook).where(BUSY.c.hook.is_not(None)),
    select(BREAKERS.c.hook_id).where(BREAKERS.c.probe_ms.is_not(None)),
).subquery("concerned")
HOOKS_NOW = Prepared(
    select(
        *(HOOKS.c[name] for name in ("id", "timeout", "active", "paused_by", "deleted_ms")),
        BREAKERS.c.probe_ms,
        select(func.min(DELIVERIES.c.due_ms))
        .where(DELIVERIES.c.hook_id == CONCERNED.c.hook, pending)
        .scalar_subquery()
        .label("due_ms"),
    )
    .join_from(CONCERNED, HOOKS, HOOKS.c.id == CONCERNED.c.hook)
    .join(BREAKERS, BREAKERS.c.hook_id == HOOKS.c.id, isouter=True)
)
OF_HOOK = tuple(HOOKS.c[name] for name in ("active", "paused_by", "deleted_ms", "timeout"))
WITH_HOOK = select(*OF_ROW, *OF_HOOK).join_from(DELIVERIES, HOOKS, HOOKS.c.id == DELIVERIES.c.hook_id)
STANDING_STILL = (
    select(HOOKS.c.id, *OF_HOOK)
    .where(HOOKS.c.id.in_(bindparam("hooks", expanding=True)))
    .with_for_update(read=True, skip_locked=True)
)
"""Those of these hooks that nobody is changing, and from now on nobody does."""
CANDIDATES = Prepared(
    select(*OF_ROW)
    .where(DELIVERIES.c.hook_id == bindparam("hook"), pending, DELIVERIES.c.due_ms <= NOW, unheld)
    .order_by(DELIVERIES.c.due_ms, DELIVERIES.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
LAPSED = Prepared(
    WITH_HOOK.where(leased, DELIVERIES.c.lease_ms < LEASE_NOW)
    .order_by(DELIVERIES.c.lease_ms)
    .limit(MOST_LAPSED)
    .with_for_update(skip_locked=True, of=DELIVERIES)
)
LEASE = Update(
    DELIVERIES,
    ("id",),
    {
        **{name: f"given.{name}" for name in ("state", "owner", "lease_ms")},
        "fence": "kept.fence + 1",
        "released_ms": "coalesce(kept.released_ms, given.released_ms)",
        "begun_ms": "CASE WHEN kept.takeovers > 0 THEN given.released_ms END",
    },
)
WAIT_FOR_KEY = (
    update(DELIVERIES)
    .where(DELIVERIES.c.id == bindparam("row"), DELIVERIES.c.state == "blocked")
    .values(state="queued", due_ms=None, released_ms=bindparam("now"))
)
UNLEASE = Update(
    DELIVERIES,
    ("id", "fence"),
    {
        **{name: f"given.{name}" for name in ("state", "skipped", "done_ms")},
        "due_ms": "coalesce(given.due_ms, kept.due_ms)",
        "owner": "NULL",
        "lease_ms": "NULL",
    },
    "kept.state = 'leased'",
)
TAKEN_OVER = Update(DELIVERIES, ("id", "fence"), {"takeovers": "kept.takeovers + 1"})
NUMBER = (
    select(func.count() + 1 + DELIVERIES.c.takeovers).where(ATTEMPTS.c.delivery_id == DELIVERIES.c.id).scalar_subquery()
)
"""Of the next attempt; what may have left unknown to us counts."""
WAITS = DELIVERIES.c.mode.in_([literal_column(f"'{mode}'") for mode in sorted(WAITING)])
LATER = exists(select(1).where(EARLIER.c.firing_id == DELIVERIES.c.firing_id, EARLIER.c.seq > DELIVERIES.c.seq))
LOAD = PreparedIn(
    lambda rows: (
        select(
            DELIVERIES.c.id.label("row_id"),
            *(DELIVERIES.c[name] for name in ("firing_id", "seq", "hook_id", "hook_revision", "mode", "body")),
            *(DELIVERIES.c[name] for name in ("fence", "lease_ms", "attempts", "first_ms", "order_key", "state")),
            *(DELIVERIES.c[name] for name in ("takeovers", "error", "shadow", "against")),
            *(FIRINGS.c[name] for name in ("uid", "event", "replay_of", "depth", "traceparent")),
            FIRINGS.c.at_ms.label("occurred_ms"),
            case((WAITS, FIRINGS.c.payload), else_=None).label("payload"),
            NUMBER.label("number"),
            and_(FIRINGS.c.outcome.is_not(None), ~LATER).label("last"),
        )
        .join_from(DELIVERIES, FIRINGS, FIRINGS.c.id == DELIVERIES.c.firing_id)
        .where(DELIVERIES.c.id.in_(rows))
    )
)
TIMEOUT = cast(HOOKS.c.timeout * 1000, BigInteger)
LONGEST = case((DELIVERIES.c.shadow > TIMEOUT, DELIVERIES.c.shadow), else_=TIMEOUT)  # a candidate's own may be longer
RENEW = (
    update(DELIVERIES)
    .where(
        DELIVERIES.c.id.in_(bindparam("rows", expanding=True)),
        leased,
        DELIVERIES.c.owner == bindparam("its_owner"),
    )
    .values(
        lease_ms=select(LONGEST + LEASE_MARGIN + cast(LEASE_NOW, BigInteger))
        .where(HOOKS.c.id == DELIVERIES.c.hook_id)
        .scalar_subquery()
    )
    .returning(DELIVERIES.c.id, DELIVERIES.c.fence, DELIVERIES.c.lease_ms)
)


def lease_ms(timeout: float, lease_now: int) -> int:
    """Until when a row is held from now on: the hook's timeout (seconds) and 5 s."""
    return lease_now + round(timeout * 1000) + LEASE_MARGIN


def standing(row: Any) -> Standing:
    """What `decide` is to know of a row joined with its hook."""
    released = row.released_ms is not None
    return Standing(row.state, row.attempts, released, hook_now(row), row.skipped, row.shadow is not None)


def concerned(connection: Connection) -> tuple[list[Any], dict[int, HookStanding]]:
    """The hooks that have waiting rows or a breaker to probe, whose row is due first before the others; and how they
    stand."""
    hooks = sorted(HOOKS_NOW.all(connection), key=lambda each: each.due_ms or 0)
    return hooks, {each.id: hook_now(each) for each in hooks}


def claim(
    connection: Connection,
    *,
    owner: str,
    now_ms: int,
    limit: int,
    per_hook: Mapping[int, int],
    otherwise: int,
    lease_now: int | None = None,
    may_begin: Callable[[Sequence[Any]], Iterable[Any]] = list,
) -> Taken:
    """Lease due rows, hooks in turn, so that one hook's thousands don't stand before another's one.

    Args:
        owner: this process's engine; unique, new at each start.
        limit: how many at most.
        per_hook: how many at most of a hook; `otherwise` of one that is not named.
        lease_now: the moment by the clock of leases (`StorageClock`), if that is another.
        may_begin: leaves out rows that may not be held without being sent at once.
    """
    held_now = now_ms if lease_now is None else lease_now
    taken = Taken()
    chosen: list[list[Any]] = []
    probes: set[int] = set()
    timeouts: dict[int, float] = {}
    hooks, standings = concerned(connection)
    # Written by a process that had not seen the change of the hook yet. Before any row is locked, as a change does; and
    # no change is under way: one that takes the other back would not see what becomes of these rows here.
    left, late = 0, [each.id for each in hooks if each.due_ms is not None and standings[each.id] != "on"]
    for each in connection.execute(STANDING_STILL, {"hooks": late}).all() if late else ():
        standings[each.id] = hook_now(each)
        if standings[each.id] != "on":
            leave = cancel if standings[each.id] == "deleted" else park
            left += leave(connection, each.id, now_ms)
    if left:  # what they held up may be another hook's, and due now
        hooks, standings = concerned(connection)
    for hook in hooks:
        stands = standings[hook.id]
        timeouts[hook.id] = hook.timeout
        if stands == "on":
            if hook.due_ms is None or hook.due_ms > now_ms:
                continue
            room = min(per_hook.get(hook.id, otherwise), limit)
            asked = {"hook": hook.id, "now": now_ms, "lease_now": held_now, "most": max(room, 0) + 1}
            due = CANDIDATES.all(connection, asked)
            taken.more |= len(due) > room
            chosen.append(list(due[: max(room, 0)]))
            continue
        breaks = stands == "held" and hook.paused_by == "breaker" and hook.active
        if breaks and hook.probe_ms is not None and hook.probe_ms <= held_now and limit > 0:
            heads = parked_heads(connection, hook.id, now_ms, held_now)
            if heads is None:
                put_off(connection, hook.id, held_now)
            elif not heads:
                if keys_locked(connection) and try_again(connection, hook.id, now_ms, held_now):
                    taken.resumed.append(hook.id)
            elif take_probe(connection, hook.id, hook.timeout, held_now):
                probes.add(heads[0].id)
                chosen.insert(0, [heads[0]])
    found = [row for row in chain.from_iterable(zip_longest(*chosen)) if row is not None]
    rows = list(may_begin(sorted(found, key=lambda row: not row.takeovers)))  # they begin at once, so they come first
    taken.more |= len(rows) > limit or len(rows) < len(found)
    taken.rows = lease(connection, rows, owner, now_ms, timeouts, probes, limit, held_now)
    if not taken.more:
        taken.next_ms = next_due(connection, now_ms, held_now)
    return taken


def claim_firings(
    connection: Connection,
    *,
    owner: str,
    now_ms: int,
    firings: Collection[int],
    limit: int,
    first_only: bool,
    lease_now: int | None = None,
) -> Taken:
    """As `claim`, of these firings alone (their row ids): for a command that sends only what it made itself.

    Args:
        first_only: leave retries to a worker.
    """
    held_now = now_ms if lease_now is None else lease_now
    taken = Taken()
    theirs = [pending, unheld]
    if first_only:
        theirs.append(DELIVERIES.c.attempts == 0)
    rows: list[Any] = []
    for part in chunks(sorted(firings)):
        statement = WITH_HOOK.where(DELIVERIES.c.firing_id.in_(part), *theirs)
        statement = statement.order_by(DELIVERIES.c.firing_id, DELIVERIES.c.seq)
        locking = statement.with_for_update(of=DELIVERIES, skip_locked=True)
        rows += connection.execute(locking, {"lease_now": held_now}).all()
    rows = [row for row in rows if standing(row).hook == "on" and row.due_ms is not None]
    due = [row for row in rows if row.due_ms <= now_ms]
    taken.more = len(due) > limit
    taken.next_ms = min((row.due_ms for row in rows if row.due_ms > now_ms), default=None)
    timeouts = {row.hook_id: row.timeout for row in due}
    taken.rows = lease(connection, due, owner, now_ms, timeouts, set(), limit, held_now)
    return taken


def lease(
    connection: Connection,
    rows: Sequence[Any],
    owner: str,
    now_ms: int,
    timeouts: Mapping[int, float],
    probes: set[int],
    limit: int,
    lease_now: int,
) -> list[Claimed]:
    """Lease the first `limit` of these rows, but for those whose order key holds them back.

    Those that go although rows before them are unfinished are left for the next look where keys are looked at just now.
    """
    if any(row.state == "blocked" for row in rows) and not keys_locked(connection):
        rows = [row for row in rows if row.state != "blocked"]
    leases: dict[int, dict[str, Any]] = {}
    released: set[int] = set()
    held = held_back(connection, [row for row in rows if row.state == "blocked"])
    for row in rows:
        if len(leases) >= limit:
            break
        if row.state == "blocked":
            released.add(row.firing_id)
            if row.id in held:
                connection.execute(WAIT_FOR_KEY, {"row": row.id, "now": now_ms})
                continue
        happening = Happening("probed" if row.id in probes else "claimed")
        change = decide(Standing(row.state, row.attempts, row.released_ms is not None), happening, now_ms)
        assert change is not None
        until = lease_ms(max(timeouts[row.hook_id], (row.shadow or 0) / 1000), lease_now)
        leases[row.id] = {
            "id": row.id,
            "state": change.state,
            "owner": owner,
            "lease_ms": until,
            "released_ms": now_ms,
        }
    if leases:
        LEASE.many(connection, list(leases.values()))
    advance(connection, released, now_ms)
    return load(connection, list(leases), probes)


def load(connection: Connection, ids: Sequence[int], probes: set[int]) -> list[Claimed]:
    """The claimed rows in this order."""
    found = {row.row_id: Claimed(**row._asdict(), probe=row.row_id in probes) for row in LOAD.all(connection, ids)}
    for number, claimed in found.items():
        if claimed.shadow is not None and claimed.mode == "transform":
            place = claimed.seq if claimed.against is None else Against.read(claimed.against).seq
            found[number] = replace(claimed, payload=shown(connection, claimed.payload, claimed.firing_id, place))
    return [found[number] for number in ids]


def unlease(connection: Connection, rows: Sequence[Any], cause: Cause, now_ms: int, later_ms: int = 0) -> None:
    """Let leased rows go back to where they waited, due at once or so much later."""
    changes: list[dict[str, Any]] = []
    firings: set[int] = set()
    keys: dict[tuple[int, str | None], int] = {}
    parked: set[int] = set()
    cancelled: set[int] = set()
    for row in rows:
        change = decide(standing(row), Happening(cause), now_ms)
        assert change is not None
        if change.state == "parked":
            parked.add(row.hook_id)
        elif change.reason == "hook_deleted":
            cancelled.add(row.hook_id)
        changes.append(
            {
                "id": row.id,
                "fence": row.fence,
                "state": change.state,
                "due_ms": None if change.due_ms is None else change.due_ms + later_ms,
                "skipped": change.reason,
                "done_ms": now_ms if change.finished else None,
            }
        )
        if change.turn:
            firings.add(row.firing_id)
            keys[row.hook_id, row.order_key] = row.id
    if changes:
        UNLEASE.many(connection, changes)
        catch_up(connection, parked, now_ms, cancelled=cancelled)
        give_on(connection, firings, keys, now_ms)


def renew(connection: Connection, *, owner: str, fences: Mapping[int, int], lease_now: int) -> dict[int, int]:
    """Hold rows for another lease from now, in one statement; the new `lease_ms` of those that are still held."""
    kept: dict[int, int] = {}
    for part in chunks(list(fences), 10_000):
        for row in connection.execute(RENEW, {"rows": part, "its_owner": owner, "lease_now": lease_now}):
            if fences[row.id] == row.fence:
                kept[row.id] = row.lease_ms
    return kept


def give_back(
    connection: Connection, rows: Sequence[Claimed], now_ms: int, *, begun: bool = False, later_ms: int = 0
) -> int:
    """Let rows go: they are due at once, or parked or cancelled with their hook. Returns how many were held.

    Args:
        later_ms: they are due only then, from `now_ms` on.
        begun: their requests were cut short; whether one reached its receiver is not known.
    """
    fences = {row.row_id: row.fence for row in rows}
    held: list[Any] = []
    for part in chunks(list(fences)):
        found = connection.execute(
            WITH_HOOK.where(DELIVERIES.c.id.in_(part), leased).with_for_update(of=DELIVERIES)
        ).all()
        held += [row for row in found if row.fence == fences[row.id]]
    if held and begun:
        TAKEN_OVER.many(connection, [{"id": row.id, "fence": row.fence} for row in held])
    unlease(connection, held, "given_back", now_ms, later_ms)
    if held:
        announce(connection)  # another worker may send them at once
    return len(held)
