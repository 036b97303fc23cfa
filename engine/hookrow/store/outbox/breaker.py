"""The breaker of a hook: a receiver that fails again and again is left alone for a while, visibly.

Open means that the hook is paused by `breaker`: its deliveries are parked. One probe at a time, over all processes,
finds out whether the receiver is back. `states.after_attempt` decides; here it is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, exists, or_, select, update

from hookrow.delivery.states import CLOSED, FIRST_REST, OPENS_AFTER, STEP, Breaker, after_attempt
from hookrow.reasons.reason import Reason, keep
from hookrow.store.configuration.revisions import ENGINE, Author, revise
from hookrow.store.database.prepared import Prepared, PreparedIn, Upsert
from hookrow.store.outbox.parking import BREAKERS, HOOKS, park, unpark
from hookrow.store.outbox.release import lock_keys

__all__ = ["Moved", "Note", "note", "pause_gone", "put_off", "reopen", "reopen_closed", "take_probe", "try_again"]


# Rows are never deleted; one with no failures is a closed breaker. A process on PostgreSQL that waits for a row finds
# none if another deletes it meanwhile: it would take an opened breaker for closed, and write over it.
ROW = Prepared(
    Upsert(BREAKERS, "hook_id", ["hook_id"]).values(  # which locks the row that is there
        hook_id=bindparam("hook"), failures=0, wait_ms=0
    )
)
COUNTED = PreparedIn(
    lambda hooks: select(BREAKERS.c.hook_id).where(BREAKERS.c.hook_id.in_(hooks), BREAKERS.c.failures > 0)
)
"""Of these hooks those whose failures are counted; others' successes don't wait for one another."""
OF_HOOKS = PreparedIn(
    lambda hooks: (
        select(BREAKERS)
        .where(BREAKERS.c.hook_id.in_(hooks), BREAKERS.c.failures > 0)
        .order_by(BREAKERS.c.hook_id)
        .with_for_update()
    )
)
WRITE = Prepared(
    update(BREAKERS)
    .where(BREAKERS.c.hook_id == bindparam("hook"))
    .values({name: bindparam(f"new_{name}") for name in ("failures", "since_ms", "wait_ms", "probe_ms")})
)
PAUSED = select(HOOKS.c.id).where(HOOKS.c.paused_by == "breaker")
OPEN = exists(select(1).where(BREAKERS.c.hook_id == HOOKS.c.id, BREAKERS.c.probe_ms.is_not(None)))


@dataclass(slots=True)
class Note:
    """What an attempt at the hook's own URL said of its receiver.

    `answered`: it gave a status. `reason` is shown to people where the breaker opens, as `timeout` or `bad_status 503`.
    """

    hook: int
    success: bool
    countable: bool = False
    answered: bool = False
    probe: bool = False
    reason: str = ""


@dataclass(slots=True)
class Moved:
    """The hooks that were paused and resumed by the engine."""

    paused: set[int] = field(default_factory=set)
    resumed: set[int] = field(default_factory=set)

    def forget(self, hook: int) -> None:
        """What happened to the hook was told to somebody."""
        self.paused.discard(hook)
        self.resumed.discard(hook)


def note(connection: Connection, notes: Sequence[Note], now_ms: int, lease_now: int | None = None) -> Moved:
    """Take attempts into account, in their order. Costs one look-up where nothing fails.

    Args:
        lease_now: the moment by the clock of leases (`StorageClock`), if that is another: breakers go by it.
    """
    moved = Moved()
    if not notes:
        return moved
    hooks = sorted({each.hook for each in notes})
    failing = {each.hook for each in notes if each.countable and not each.success}
    if not failing and not COUNTED.all(connection, hooks):
        return moved
    lock_keys(connection)  # a commit may come here more than once, each time with other hooks
    if failing:
        ROW.many(connection, [{"hook": hook} for hook in sorted(failing)])
    rows = OF_HOOKS.all(connection, hooks)
    before = {row.hook_id: breaker_from(row) for row in rows}
    after, reasons = dict(before), {}
    for each in notes:
        after[each.hook] = after_attempt(
            after.get(each.hook, CLOSED),
            now_ms if lease_now is None else lease_now,
            success=each.success,
            countable=each.countable,
            answered=each.answered,
            probe=each.probe,
        )
        reasons[each.hook] = each.reason
    for hook, breaker in after.items():
        old = before.get(hook, CLOSED)
        if breaker == old:
            continue
        write(connection, hook, breaker)
        if breaker.is_open and not old.is_open:
            reason = Reason("paused_breaker", error=reasons[hook] or "—")
            if pause(connection, hook, "breaker", reason, now_ms):
                moved.paused.add(hook)
        elif old.is_open and not breaker.is_open and resume(connection, hook, now_ms):
            moved.resumed.add(hook)
    return moved


def write(connection: Connection, hook: int, breaker: Breaker) -> None:
    values = {
        "new_failures": breaker.failures,
        "new_since_ms": breaker.since_ms,
        "new_wait_ms": breaker.wait_ms,
        "new_probe_ms": breaker.probe_ms,
    }
    WRITE.run(connection, {"hook": hook, **values})


def pause(connection: Connection, hook: int, by: str, reason: Reason, now_ms: int) -> bool:
    """Pause a hook that nobody has paused (410 also takes over from the breaker), and park what waits."""
    free: ColumnElement[bool] = HOOKS.c.paused_by.is_(None)
    if by == "gone":
        free = or_(free, HOOKS.c.paused_by == "breaker")
    values = {"paused_by": by, "paused_reason": keep(reason), "paused_ms": now_ms}
    if not revised(connection, values, "pause", now_ms, HOOKS.c.id == hook, HOOKS.c.deleted_ms.is_(None), free):
        return False
    park(connection, hook, now_ms)
    return True


def revised(
    connection: Connection, values: Mapping[str, Any], action: str, now_ms: int, *conditions: ColumnElement[bool]
) -> bool:
    """Change the hook for which all of this is true, with a revision by the engine itself; False if there is none."""
    row = connection.execute(select(HOOKS).where(*conditions).with_for_update(key_share=True)).first()
    if row is None:
        return False
    revise(connection, dict(row._mapping), values, Author(ENGINE, now_ms), action)
    return True


def pause_gone(connection: Connection, hook: int, now_ms: int) -> bool:
    """The receiver said 410: pause its hook until a person resumes it; False if it was paused by a person already."""
    return pause(connection, hook, "gone", Reason("paused_gone"), now_ms)


def resume(connection: Connection, hook: int, now_ms: int) -> bool:
    values = {"paused_by": None, "paused_reason": None, "paused_ms": None}
    if not revised(connection, values, "resume", now_ms, HOOKS.c.id == hook, HOOKS.c.paused_by == "breaker"):
        return False
    unpark(connection, hook, now_ms)
    return True


def reopen(connection: Connection, hooks: Collection[int]) -> None:
    """See that hooks which the breaker has paused are probed, at once where their breaker is closed.

    It was closed while a person had the hook paused or resumed, and their undo brings the breaker's pause back.
    """
    lock_keys(connection)  # a late success may be closing it just now
    for hook in sorted(hooks):
        ROW.run(connection, {"hook": hook})
        closed = (BREAKERS.c.hook_id == hook, BREAKERS.c.probe_ms.is_(None), BREAKERS.c.hook_id.in_(PAUSED))
        opened = {"failures": OPENS_AFTER, "wait_ms": FIRST_REST, "probe_ms": 0}
        connection.execute(update(BREAKERS).where(*closed).values(opened))


def reopen_closed(connection: Connection) -> None:
    """As `reopen`, wherever it is needed."""
    if found := connection.execute(PAUSED.where(~OPEN)).scalars().all():
        reopen(connection, found)


def take_probe(connection: Connection, hook: int, timeout: float, lease_now: int) -> bool:
    """Whether the caller's attempt may be the probe; only one process gets it."""
    breaker = to_probe(connection, hook, lease_now)
    if breaker is not None:
        write(connection, hook, breaker.probing(lease_now, timeout))
    return breaker is not None


def to_probe(connection: Connection, hook: int, lease_now: int) -> Breaker | None:
    """The hook's breaker, locked, where its next probe may go now."""
    # Who has it locked holds it against a claim, which has rows already and doesn't wait.
    locked = select(BREAKERS).where(BREAKERS.c.hook_id == hook).with_for_update(skip_locked=True)
    row = connection.execute(locked).first()
    return None if row is None or row.probe_ms is None or row.probe_ms > lease_now else breaker_from(row)


def breaker_from(row: Any) -> Breaker:
    return Breaker(row.failures, row.since_ms, row.wait_ms, row.probe_ms)


def put_off(connection: Connection, hook: int, lease_now: int) -> None:
    """None of the parked rows may be the probe, since their turn has not come: it will have in a second."""
    overdue = (BREAKERS.c.hook_id == hook, BREAKERS.c.probe_ms <= lease_now)
    connection.execute(update(BREAKERS).where(*overdue).values(probe_ms=lease_now + STEP))


def try_again(connection: Connection, hook: int, now_ms: int, lease_now: int) -> bool:
    """Nothing is parked that could probe: resume the hook; its next countable failure opens the breaker again.

    False where another process was first.
    """
    breaker = to_probe(connection, hook, lease_now)
    if breaker is None or not resume(connection, hook, now_ms):
        return False
    write(connection, hook, breaker.half_open())
    return True
