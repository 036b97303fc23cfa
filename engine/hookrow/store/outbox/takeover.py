"""What a dead process held: taken over, and recorded as far as anything is known of it.

The first time nothing is known: a request may have left or not, and the row goes at once. From then on the row is
claimed only for a request that begins at once, and its claim says so (`begun_ms`); where that lease lapses too, an
attempt `interrupted` is recorded, and the schedule spaces the next one. A delivery that takes every process down is
`dead` after five such attempts in a row (docs/contributing/state_machine.md).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from hookrow.errors import DeliveryNotFound, NotRedeliverable
from hookrow.hook.checks import public_url
from hookrow.lang import Text
from hookrow.reasons.reason import Reason, keep
from hookrow.store.database.notify import announce
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, HOOKS
from hookrow.store.outbox import claims
from hookrow.store.outbox.claims import LAPSED, TAKEN_OVER, WITH_HOOK, Claimed, Taken, lease_ms, load, renew, unlease
from hookrow.store.outbox.release import is_held
from hookrow.store.outbox.settling import FREE_LEASE, Settle, Settled

__all__ = ["INTERRUPTED", "MOST_INTERRUPTED", "Lost", "claim", "lease_for_redelivery", "let_go", "recover", "take_over"]

INTERRUPTED = "interrupted"
MOST_INTERRUPTED = 5
"""Attempts in a row during which the process died: then the delivery is what kills it."""
LAST_ERRORS = (
    select(ATTEMPTS.c.error)
    .where(ATTEMPTS.c.delivery_id == bindparam("row"), ~ATTEMPTS.c.elsewhere)
    .order_by(ATTEMPTS.c.number.desc(), ATTEMPTS.c.id.desc())
    .limit(MOST_INTERRUPTED)
)


@dataclass(frozen=True, slots=True)
class Failed:
    """An answer that never came."""

    kind: str = "failed"


@dataclass(frozen=True, slots=True)
class Lost:
    """What came of an attempt whose process died, as `attempt.perform` gives results."""

    values: dict[str, Any]
    detail: Reason
    final: bool
    answer: Failed = field(default_factory=Failed)
    error: str = INTERRUPTED
    status: None = None
    ms: None = None
    countable: bool = False
    retry_after: None = None
    gone: bool = False


def recover(
    connection: Connection,
    now_ms: int,
    lease_now: int | None = None,
    owner: str = "",
    in_hand: Collection[tuple[int, int]] = (),
) -> tuple[int, list[tuple[Claimed, Lost, Settled]]]:
    """Take back what a dead process held: its lease has lapsed.

    Args:
        in_hand: rows (id, fence) that this process, the `owner`, sends or whose results it still has to record: it
            lives, and nobody else has taken them. They are held on.

    Returns:
        How many rows; and the attempts that were recorded as interrupted, with what they led to.
    """
    held_now = now_ms if lease_now is None else lease_now
    rows = LAPSED.all(connection, {"lease_now": held_now})
    mine = {row.id: row.fence for row in rows if (row.id, row.fence) in in_hand}
    if mine:
        renew(connection, owner=owner, fences=mine, lease_now=held_now)
        rows = [row for row in rows if row.id not in mine]
    return len(rows), take_over(connection, rows, now_ms, lease_now)


def take_over(
    connection: Connection, rows: Sequence[Any], now_ms: int, lease_now: int | None = None
) -> list[tuple[Claimed, Lost, Settled]]:
    """Take these rows, whose leases have lapsed, from whoever held them."""
    unknown = [row for row in rows if row.begun_ms is None]
    if unknown:
        TAKEN_OVER.many(connection, [{"id": row.id, "fence": row.fence} for row in unknown])
        unlease(connection, unknown, "lease_lapsed", now_ms)
    begun = [row for row in rows if row.begun_ms is not None]
    if not begun:
        return []
    claimed = load(connection, [row.id for row in begun], set())
    results = [lost(connection, row) for row in begun]
    jobs = [
        Settle(c, m, now_ms, random.uniform(-1, 1), lease_now=lease_now) for c, m in zip(claimed, results, strict=True)
    ]
    return list(zip(claimed, results, Settle.run_many(connection, jobs), strict=True))


def lost(connection: Connection, row: Any) -> Lost:
    """The attempt that the row's last claim began."""
    errors = connection.execute(LAST_ERRORS, {"row": row.id}).scalars()
    before = sum(1 for _ in takewhile(lambda error: error == INTERRUPTED, errors))
    url = connection.execute(select(HOOKS.c.url).where(HOOKS.c.id == row.hook_id)).scalar_one()
    detail = Reason("interrupted")
    values = {"at_ms": row.begun_ms, "url": public_url(url), "error": INTERRUPTED, "detail": keep(detail), "ms": 0}
    return Lost(values, detail, final=before + 1 >= MOST_INTERRUPTED)


def claim(
    connection: Connection,
    *,
    owner: str,
    now_ms: int,
    limit: int,
    per_hook: Mapping[int, int],
    otherwise: int,
    lease_now: int | None = None,
    recovering: bool = True,
    free: Mapping[int, int] | None = None,
    suspects: int = 1,
    in_hand: Collection[tuple[int, int]] = (),
) -> Taken:
    """Lease due rows; see `claims.claim`.

    Args:
        recovering: take lapsed leases back first; not right after the clock jumped, when living ones look lapsed.
        free: how many requests to a hook may begin at once, where it is known; else `otherwise`.
        suspects: how many rows may be taken whose last attempt was interrupted.
        in_hand: see `recover`.
    """
    recovered, interrupted = recover(connection, now_ms, lease_now, owner, in_hand) if recovering else (0, [])

    def may_begin(rows: Sequence[Any]) -> Iterator[Any]:
        left, room = suspects, {row.hook_id: (free or {}).get(row.hook_id, otherwise) for row in rows if row.takeovers}
        for row in rows:
            if row.takeovers:
                if room[row.hook_id] <= 0 or (row.error == INTERRUPTED and left <= 0):
                    continue
                room[row.hook_id] -= 1
                left -= row.error == INTERRUPTED
            yield row

    taken = claims.claim(
        connection,
        owner=owner,
        now_ms=now_ms,
        lease_now=lease_now,
        limit=limit,
        per_hook=per_hook,
        otherwise=otherwise,
        may_begin=may_begin,
    )
    taken.recovered, taken.interrupted = recovered, interrupted
    return taken


def lease_for_redelivery(
    connection: Connection,
    row_id: int,
    *,
    owner: str,
    now_ms: int,
    lease_now: int | None = None,
    in_hand: Collection[tuple[int, int]] = (),
) -> Claimed:
    """Take a delivery's lease to send it by hand; `number` is that of the attempt to make.

    The delivery keeps its state and its pending retry: if this process dies, the lease lapses and nothing has changed.

    Args:
        in_hand: see `recover`.

    Raises:
        DeliveryNotFound: there is no such row.
        NotRedeliverable: a worker or another person is sending it right now.
    """
    held_now = now_ms if lease_now is None else lease_now
    asked = WITH_HOOK.where(DELIVERIES.c.id == row_id).with_for_update(of=DELIVERIES)
    row = connection.execute(asked).first()
    if row is not None and row.state == "leased" and row.lease_ms < held_now and (row.id, row.fence) not in in_hand:
        # This one alone: a clock that was just set forward makes living leases look lapsed.
        take_over(connection, [row], now_ms, lease_now)
        row = connection.execute(asked).first()
    if row is None:
        raise DeliveryNotFound(Text("there is no delivery {ref}", ref=row_id))
    if row.state == "leased" or is_held(row, held_now):
        raise NotRedeliverable(Text("the delivery is being sent right now; look at its outcome in a moment"))
    connection.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.id == row_id)
        .values(owner=owner, lease_ms=lease_ms(row.timeout, held_now), fence=DELIVERIES.c.fence + 1)
    )
    return load(connection, [row_id], set())[0]


def let_go(connection: Connection, claimed: Claimed) -> None:
    """End the lease of a redelivery of which nothing is recorded: a retry that is due does not wait until it lapses."""
    FREE_LEASE.many(connection, [{"id": claimed.row_id, "fence": claimed.fence}])
    announce(connection)
