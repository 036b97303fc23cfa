"""A firing in the making: what is the same for every hook of the row, each hook's share of it, who may send these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from hookrow.core.arrival import PLAIN, Arrival
from hookrow.delivery.comparing import Compared
from hookrow.delivery.states import Would, births
from hookrow.events import Event
from hookrow.hook.stored import StoredHook
from hookrow.ids import delivery_id, firing_id
from hookrow.lang import Language, Text
from hookrow.payload import dumps, storable
from hookrow.reasons.reason import Reason, keep
from hookrow.records import Delivery
from hookrow.store.log.thawed import QuickDelivery
from hookrow.store.outbox.breaker import Note

if TYPE_CHECKING:
    from hookrow.store.outbox.writing import NewDelivery, Written

__all__ = [
    "LONGEST_KEY",
    "NOT_ENQUEUED",
    "DeliveryDraft",
    "FiringContext",
    "Handover",
    "bear",
    "bear_blocked",
]

UTC = ZoneInfo("UTC")
NOT_ENQUEUED = "not_enqueued"
LONGEST_KEY = 300
"""Characters of a key, of idempotency or of order: PostgreSQL's indexes take no long texts."""


@dataclass(slots=True)
class FiringContext:
    """The firing as a whole: what is the same for every hook of the row."""

    uid: str
    event: Event
    at_ms: int
    deadline: float
    payload_limit: int
    replay_of: str | None = None
    asked_by: str | None = None
    url: str | None = None
    """A replay's `--to`: where every request goes instead."""
    with_auth: bool = False
    in_background: bool = False
    """Fired inside the caller's transaction: blocking hooks are sent after its commit as well."""
    arrival: Arrival = PLAIN
    language: Language = "en"
    """In which the caller's client is told of a refusal (the setting `language`)."""
    zone: ZoneInfo = UTC
    """Whose clocks `now` in bodies and conditions goes by (the setting `timezone`)."""
    together: bool = False
    """Neighbouring gates of one position are asked at the same time (the setting `together:EVENT`)."""

    @property
    def before(self) -> bool:
        return self.event.moment == "before"


@dataclass(slots=True)
class DeliveryDraft:
    """One hook's delivery in the making. `act` is what is still to be done: `call`, `queue`, `park`, or nothing."""

    hook: StoredHook
    seq: int
    act: str | None = None
    state: str = "skipped"
    error: str | None = None
    detail: Text | str | None = None
    skipped: str | None = None
    status: int | None = None
    ms: int | None = None
    body: str | None = None
    """As it is kept: private values are null."""
    sends: str | None = field(default=None, repr=False)
    """As a blocking hook receives it."""
    changes: Sequence[tuple[str, Any, Any]] = ()
    order_key: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    note: Note | None = None
    """What the attempt at the hook's own URL says of its receiver, for the breaker."""
    gone: bool = False
    """The receiver said 410."""
    shadow: int | None = None
    """Asked in shadow, in so many milliseconds at most."""
    shown: str | None = field(default=None, repr=False)
    """The payload (JSON) as it was kept when a hook in shadow had its turn."""
    would: Would | None = None
    made: dict[str, Any] | None = field(default=None, repr=False)
    """The payload as a hook that has a candidate changed it, as it is kept."""
    against: str | None = None
    """Asked as a candidate: what its hook did (`Against`)."""
    compared: Compared | None = None
    leased: bool = False
    """Its row is written as leased to this process's worker, which is handed it after the commit."""

    @property
    def background(self) -> bool:
        return self.act in ("queue", "park")

    @property
    def undecided(self) -> bool:
        """Its turn has not ended: it is to be called or queued still, or was interrupted in it."""
        return self.act is not None or (self.state == "skipped" and self.skipped is None)

    def values(self, now_ms: int) -> dict[str, Any]:
        """The delivery's columns, but for the ids and, in background, what `births` says."""
        return {
            "seq": self.seq,
            "hook_id": self.hook.id,
            "hook_revision": self.hook.revision,
            "position": self.hook.position,
            "mode": self.hook.mode,
            "state": self.state,
            "error": self.error,
            "detail": None if self.detail is None else keep(self.detail),
            "skipped": self.skipped,
            "status": self.status,
            "ms": self.ms,
            "attempts": len(self.attempts),
            "body": self.body,
            "changes": dumps([list(change) for change in self.changes]) if self.changes else None,
            "order_key": self.order_key,
            "first_ms": self.attempts[0]["at_ms"] if self.attempts else None,
            "done_ms": None if self.background else now_ms,
            "shadow": self.shadow,
            "would": self.would,
            "against": self.against,
            "compared": self.compared,
        }

    def record(self, context: FiringContext, *, deferred: bool, row_id: int) -> Delivery:
        """The delivery as the firing's caller sees it."""
        state, skipped = self.state, self.skipped
        if self.background and deferred:
            state, skipped = "cancelled", NOT_ENQUEUED
        elif self.background:
            state = "parked" if self.act == "park" else "queued"
        return QuickDelivery(
            id=delivery_id(context.uid, self.seq),
            firing_id=firing_id(context.uid),
            hook=self.hook.ref,
            seq=self.seq,
            position=self.hook.position,
            mode=self.hook.mode,
            state=state,
            at_ms=context.at_ms,
            error=self.error,
            detail=None if self.detail is None else storable(str(self.detail)),
            reason=self.detail if isinstance(self.detail, Reason) else None,
            skipped=skipped,
            status=self.status,
            ms=self.ms,
            attempts=len(self.attempts),
            changes=tuple(self.changes),
            body=self.body,
            order_key=self.order_key,
            shadow=self.shadow is not None,
            would=self.would,
            candidate=self.against is not None,
            compared=self.compared,
            row_id=row_id,
        )


def bear(
    background: Sequence[tuple[DeliveryDraft, NewDelivery]],
    now_ms: int,
    lease_now: int,
    owner: str | None,
    *,
    in_transaction: bool,
) -> None:
    """How background rows are born that wait for no order key; `owner` is whose worker the first is handed to.

    In the caller's transaction a worker's claim parks them: who writes one as parked keeps its hook as it is
    (PostgreSQL), which must not last until their commit.
    """
    parked: list[bool] = []
    leases: list[float] = []
    for draft, _ in background:
        parked.append(draft.act == "park" and not in_transaction)
        leases.append(draft.hook.timeout)
    born = births(parked, now_ms, lease=None if owner is None else leases, lease_now=lease_now)
    for (draft, delivery), birth in zip(background, born, strict=True):
        draft.leased = birth.state == "leased"
        delivery.values |= {
            "state": birth.state,
            "due_ms": birth.due_ms,
            "released_ms": birth.released_ms,
            "lease_ms": birth.lease_ms,
            "owner": owner if draft.leased else None,
            "fence": int(draft.leased),
        }


def bear_blocked(background: Sequence[tuple[DeliveryDraft, NewDelivery]], now_ms: int, *, in_transaction: bool) -> None:
    """The same of those whose turns are given afterwards.

    In the caller's transaction the first is due and a worker's claim gives the turns: a look at order keys locks them
    all (PostgreSQL), which must not last until their commit.
    """
    due_ms = now_ms if in_transaction else None
    for draft, delivery in background:
        if draft.act == "park" and not in_transaction:
            delivery.values |= {"state": "parked", "due_ms": now_ms}
        else:
            delivery.values |= {"state": "blocked", "due_ms": due_ms}
            due_ms = None


class Handover(Protocol):
    """What `fire()` knows of whoever sends.

    Where it `takes_over`, rows are born leased to this process; after the commit they are handed over in memory.
    """

    @property
    def takes_over(self) -> bool: ...

    def handed_over(
        self,
        context: FiringContext,
        drafts: Sequence[DeliveryDraft],
        deliveries: Sequence[NewDelivery],
        written: Written,
        *,
        whole: bool,
    ) -> None:
        """`whole`: nothing more is written of the firing."""

    def reset(self) -> None: ...
