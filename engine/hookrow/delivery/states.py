"""What becomes of a delivery, and of a hook's breaker, when something happens. Pure: `now_ms`, `jitter` are passed in.

`decide` is the only place that knows the transitions. `docs/contributing/state_machine.md` shows them as a table, and
a test holds the two together. `turn` says which row of a firing is released; `Breaker` how long a failing hook rests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

__all__ = [
    "CLOSED",
    "DELIVERY_STATES",
    "FAILED",
    "FINISHED",
    "LEASE_MARGIN",
    "LONGEST_LEASE",
    "LONGEST_REST",
    "MOST_ATTEMPTS",
    "PENDING",
    "RETRIES",
    "STEP",
    "UNFINISHED",
    "AttemptOutcome",
    "Birth",
    "Breaker",
    "Cause",
    "Change",
    "Happening",
    "HookStanding",
    "Kind",
    "RowPlace",
    "Standing",
    "Turn",
    "Would",
    "after_attempt",
    "births",
    "decide",
    "delay_ms",
    "hook_standing",
    "longest_pauses",
    "turn",
    "would",
]

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

RETRIES: tuple[int, ...] = (
    *(5 * SECOND, 5 * MINUTE, 30 * MINUTE),
    *(2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
"""Milliseconds between the end of an attempt and the next one (docs/contributing/state_machine.md)."""
MOST_ATTEMPTS = len(RETRIES) + 1
"""Automatic attempts of a delivery; then it is dead."""
JITTER = 0.2
LONGEST_WISH = 24 * HOUR
"""Milliseconds: a longer `Retry-After` is cut to this."""
STEP = 1 * SECOND
"""Milliseconds after a row's release at which the next row goes, whatever became of it."""
LEASE_MARGIN = 5 * SECOND
"""Milliseconds that a lease outlasts the hook's timeout."""
LONGEST_LEASE = 30 * SECOND + LEASE_MARGIN
"""Milliseconds: no lease reaches further ahead than this, unless the clock was set back."""

PENDING = ("blocked", "queued", "retrying")
"""Waiting for a worker."""
UNLEASED = (*PENDING, "parked")
"""Waiting for a worker or for their hook."""
UNFINISHED = ("blocked", "queued", "leased", "retrying", "parked")
"""Will be sent, now or later."""
FINISHED = ("ok", "sent", "dead", "cancelled", "dropped", "changed", "vetoed", "refused", "failed", "skipped")
DELIVERY_STATES = (*UNFINISHED, *FINISHED)

HookStanding = Literal["on", "held", "deleted"]
"""`held`: paused or switched off."""
Kind = Literal["ok", "sent", "changed", "refused", "vetoed", "failed", "gone", "void"]
"""What came of an attempt; `gone`: 410; `void`: none was made, since nobody wants to know the answer any more. A
blocking hook that is sent in background (docs/firing.md, the caller's own transaction) may also answer `changed`, or
`refused`: its «no» to what has already happened; one in shadow `vetoed`."""
ANSWERED: tuple[Kind, ...] = ("ok", "sent", "changed", "refused")
FAILED: tuple[Kind, ...] = ("failed", "gone")
Would = Literal["allow", "veto", "change", "fail"]
Cause = Literal[
    "released",
    "claimed",
    "probed",
    "answered",
    "given_back",
    "lease_lapsed",
    "hook_paused",
    "hook_resumed",
    "hook_deleted",
    "hook_restored",
    "redelivered",
    "dropped",
]


@dataclass(frozen=True, slots=True)
class Standing:
    """What `decide` knows of a delivery.

    `attempts` are the automatic ones. `released`: its turn in the row has come once. `hook` is the hook as it stands in
    the same transaction. `reason`: why a cancelled row was cancelled. `shadow`: nobody obeys the answer, so that it is
    asked once.
    """

    state: str
    attempts: int = 0
    released: bool = True
    hook: HookStanding = "on"
    reason: str | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What came of an attempt: its kind, the error's word, and how many seconds the receiver asks to be left alone.

    `final`: nothing more is to be tried.
    """

    kind: Kind
    error: str | None = None
    retry_after: float | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens to a delivery. `answered` and `redelivered` carry the answer."""

    cause: Cause
    answer: AttemptOutcome | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the delivery.

    `due_ms` is set where the row becomes due at a new moment, else the old one stands. `attempts` is the new count.
    `turn`: the next row of the firing may have its turn now, so `turn` must be asked. `reason` is kept as `skipped`.
    """

    state: str
    due_ms: int | None = None
    attempts: int = 0
    turn: bool = False
    reason: str | None = None

    @property
    def finished(self) -> bool:
        """Nothing will be sent by itself any more: the next row of the same order key may go."""
        return self.state in FINISHED


def would(kind: str) -> Would:
    """What an answer of this kind would have done, had the hook not been in shadow."""
    found: dict[str, Would] = {"ok": "allow", "changed": "change", "vetoed": "veto", "refused": "veto"}
    return found.get(kind, "fail")


def delay_ms(attempts: int, jitter: float, retry_after: float | None = None) -> int:
    """Milliseconds to the next attempt, after `attempts` of them.

    Args:
        jitter: -1 … 1, the place inside the ± 20 %.
        retry_after: seconds; obeyed if later than the schedule, up to 24 h.
    """
    planned = round(RETRIES[min(attempts, len(RETRIES)) - 1] * (1 + JITTER * jitter))
    if retry_after is None or not retry_after > 0:
        return planned
    return max(planned, round(min(retry_after * SECOND, LONGEST_WISH)))


def longest_pauses() -> dict[int, int]:
    """The longest that a delivery waits for its next attempt by the schedule, in ms, by its attempts so far."""
    return {attempts: delay_ms(attempts, 1.0) for attempts in range(1, MOST_ATTEMPTS)}


def decide(delivery: Standing, happening: Happening, now_ms: int, jitter: float = 0.0) -> Change | None:
    """The change that a happening makes; None where it makes none.

    Args:
        jitter: -1 … 1, for the time of a retry.
    """
    state, cause = delivery.state, happening.cause
    if state == "leased":
        return decide_leased(delivery, happening, now_ms, jitter)
    match cause:
        case "released" if state == "blocked":
            return Change("queued", now_ms, delivery.attempts, turn=True)
        case "claimed" if state in PENDING:
            return Change("leased", attempts=delivery.attempts, turn=not delivery.released)
        case "probed" if state == "parked":
            return Change("leased", attempts=delivery.attempts)
        case "hook_paused" if state in PENDING:
            return Change("parked", attempts=delivery.attempts, turn=True)
        case "hook_resumed" if state == "parked":
            return returning(delivery, now_ms)
        case "hook_deleted" if state in UNLEASED:
            return Change("cancelled", attempts=delivery.attempts, turn=True, reason="hook_deleted")
        case "hook_restored" if state == "cancelled" and delivery.reason == "hook_deleted":
            return returning(delivery, now_ms)
        case "redelivered" if state in (*UNLEASED, "dead") or (state == "cancelled" and delivery.reason == "restored"):
            answer = happening.answer
            if answer is not None and answer.kind in ANSWERED:
                return Change("ok" if delivery.shadow else answer.kind, attempts=delivery.attempts, turn=True)
        case "dropped" if state == "dead":
            return Change("dropped", attempts=delivery.attempts)
        case _:
            pass
    return None


def decide_leased(delivery: Standing, happening: Happening, now_ms: int, jitter: float) -> Change | None:
    """As `decide`, for a row that a worker holds: nobody else's happenings move it."""
    if happening.cause in ("given_back", "lease_lapsed"):
        return returning(delivery, now_ms)
    if happening.cause != "answered" or happening.answer is None:
        return None
    answer = happening.answer
    attempts = delivery.attempts + 1
    if answer.kind == "void":
        return Change("cancelled", attempts=delivery.attempts, turn=True, reason="no_candidate")
    if delivery.shadow:
        return Change("failed" if answer.kind in FAILED else "ok", attempts=attempts, turn=True)
    if answer.kind in ANSWERED:
        return Change(answer.kind, attempts=attempts, turn=True)
    if answer.error == "template_error":
        # No request was made, and none ever could be from this payload.
        return Change("dead", attempts=delivery.attempts, turn=True)
    if attempts >= MOST_ATTEMPTS or answer.final:
        return Change("dead", attempts=attempts, turn=True)
    due = now_ms + delay_ms(attempts, jitter, answer.retry_after)
    if delivery.hook == "deleted":
        return Change("cancelled", due, attempts, turn=True, reason="hook_deleted")
    if delivery.hook == "held" or answer.kind == "gone":
        return Change("parked", due, attempts, turn=True)
    return Change("retrying", due, attempts, turn=True)


def returning(delivery: Standing, now_ms: int) -> Change:
    """Back to where the row waits, by what its hook is now: given back, taken over, resumed, restored."""
    if delivery.hook == "deleted":
        return Change("cancelled", attempts=delivery.attempts, turn=True, reason="hook_deleted")
    if delivery.hook == "held":
        return Change("parked", attempts=delivery.attempts, turn=True)
    held = delivery.state == "leased"
    if delivery.attempts:
        # A parked or cancelled row keeps the time of its retry.
        return Change("retrying", now_ms if held else None, delivery.attempts)
    if not delivery.released and not held:
        return Change("blocked", now_ms + STEP, turn=True)
    return Change("queued", now_ms)


def hook_standing(active: bool, paused: bool, deleted: bool) -> HookStanding:
    """What a hook's flags mean for its deliveries. Its period is no matter here: that was judged at `fire()`."""
    if deleted:
        return "deleted"
    return "on" if active and not paused else "held"


# -- the order inside a firing -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RowPlace:
    """A delivery as its firing's order sees it. `waits_for_key`: an earlier one of its order key goes first."""

    seq: int
    state: str
    attempts: int = 0
    released_ms: int | None = None
    due_ms: int | None = None
    waits_for_key: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """The first blocked row of a firing: `now`, or at `due_ms` at the latest."""

    seq: int
    now: bool
    due_ms: int


def turn(row: Sequence[RowPlace], now_ms: int) -> Turn | None:
    """Whose turn it is in a firing; None where nothing is blocked. `row` is in the order of `seq`.

    The first blocked row goes when the first attempt of the one before has ended, or that one is parked, cancelled or
    waits for its order key, or one second after that one was released. Blocking hooks' deliveries and those
    that were taken out before their turn (never released) are passed over.
    """
    blocked = next((index for index, place in enumerate(row) if place.state == "blocked"), None)
    if blocked is None:
        return None
    seq = row[blocked].seq
    for before in reversed(row[:blocked]):
        if before.released_ms is None and (before.state == "parked" or before.state in FINISHED):
            continue
        running = before.state in ("queued", "leased") and not before.attempts and not before.waits_for_key
        if running:
            return Turn(seq, False, (now_ms if before.released_ms is None else before.released_ms) + STEP)
        break
    return Turn(seq, True, now_ms)


@dataclass(slots=True)
class Birth:
    """How a new row of the outbox is written."""

    state: Literal["blocked", "queued", "leased", "parked"]
    due_ms: int | None
    released_ms: int | None
    lease_ms: int | None = None


def births(
    held: Sequence[bool], now_ms: int, *, lease: Sequence[float] | None = None, lease_now: int | None = None
) -> list[Birth]:
    """The states of a firing's background rows that are written in one transaction, in their order.

    Only for rows without an order key, none of whose firing were written before: else write all as blocked (parked
    where held) and let `outbox.admit` give the turns.

    Args:
        held: whether the hook is paused, for each row.
        lease: the hooks' timeouts in seconds, where the first row is handed to this process's worker in memory.
        lease_now: the moment by which leases are reckoned, if that is another.
    """
    held_now = now_ms if lease_now is None else lease_now
    born: list[Birth] = []
    sent = 0  # rows that are not parked
    for index, parked in enumerate(held):
        if parked:
            born.append(Birth("parked", None, None))
            continue
        if sent == 0:
            leased = None if lease is None else held_now + round(lease[index] * SECOND) + LEASE_MARGIN
            born.append(Birth("queued" if leased is None else "leased", now_ms, now_ms, leased))
        else:
            born.append(Birth("blocked", now_ms + STEP if sent == 1 else None, None))
        sent += 1
    return born


# -- the breaker ----------------------------------------------------------------------------------

OPENS_AFTER = 10
OPENS_OVER = 1 * MINUTE
FIRST_REST = 30 * SECOND
LONGEST_REST = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a hook's receiver has been lately: failures in a row since `since_ms`; open where `probe_ms` is set.

    `probe_ms` is when the next probe may go; `wait_ms` the rest that was last taken.
    """

    failures: int = 0
    since_ms: int | None = None
    wait_ms: int = 0
    probe_ms: int | None = None

    @property
    def is_open(self) -> bool:
        return self.probe_ms is not None

    def probing(self, now_ms: int, timeout: float) -> Breaker:
        """A probe is taken: the next may go after the rest, and not while this one can still be under way."""
        return replace(self, probe_ms=now_ms + max(self.wait_ms, round(timeout * SECOND) + LEASE_MARGIN + STEP))

    def half_open(self) -> Breaker:
        """Nothing is parked that could be the probe: whatever comes next is it, and one failure opens again."""
        return replace(self, probe_ms=None)


CLOSED = Breaker()


def after_attempt(
    breaker: Breaker, now_ms: int, *, success: bool, countable: bool, answered: bool, probe: bool = False
) -> Breaker:
    """The breaker after an attempt at the hook's own URL.

    Args:
        countable: a failure of these kinds: timeout, connection, name, TLS, 5xx, 429.
        answered: the receiver gave a status: it is there, so its other failures end the row of countable ones.
        probe: the attempt was the probe of an open breaker.
    """
    if success:
        return CLOSED
    if not countable:
        # A refusal of another kind shows that the receiver is there; what never left says nothing of it.
        return CLOSED if answered else breaker
    failures = breaker.failures + 1
    since = now_ms if breaker.since_ms is None else breaker.since_ms
    if breaker.is_open and not probe:
        return breaker
    if breaker.wait_ms:
        rest = min(2 * breaker.wait_ms, LONGEST_REST)
    elif failures >= OPENS_AFTER and now_ms - since >= OPENS_OVER:
        rest = FIRST_REST
    else:
        return Breaker(failures, since)
    return Breaker(failures, since, rest, now_ms + rest)
