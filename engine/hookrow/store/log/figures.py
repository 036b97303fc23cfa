"""How hooks fare: one rule for every face, made of what became of their shares of firings (docs/reference/outcomes.md).

A call is a share that was not skipped or cancelled, counted at its firing's time, however many requests it took. It is
an error where it `failed` or is `dead`, and, so far, where it is unfinished and its last attempt failed. What went to
another address alone (`--to`) counts nowhere. What was asked in shadow is counted apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from hookrow.clock import DAY_MS
from hookrow.delivery.states import UNFINISHED
from hookrow.ids import id_at, ms_of
from hookrow.store.database.plain import FLAG, NUMBER, TEXT, Ask, reading, sound

__all__ = ["AT_LEAST", "AWAY", "Calls", "HookFigures", "calls_of", "failing_now", "last_day"]

GLANCE = 10_000
"""Deliveries that are looked at for all hooks together, for figures that are asked again and again."""
AT_LEAST = 200
"""Deliveries of one hook that are looked at, however many hooks there are: enough for a p95."""
LAST_FEW = 5
"""A hook fails where so many calls in a row did, its newest ones within a day; or all, where there are 2 to 4."""
FIRST_LOOK = 16
"""Deliveries of a hook that mostly tell whether it fails."""

NO_CALLS = frozenset({"skipped", "cancelled", "dropped"})
ERRORS = frozenset({"failed", "dead"})

AWAY = """
COALESCE((SELECT min(CASE WHEN elsewhere THEN 1 ELSE 0 END) FROM main.attempt WHERE delivery_id = d.id) = 1, false)
"""
"""Whether a delivery `d` went to another address alone."""

# The newest deliveries of a hook come out of an index; each costs a look into its row and into the attempts.
SHARES = f"""
SELECT firing_id, state, error, status, ms, would, shadow IS NOT NULL, against IS NOT NULL,
    CASE WHEN state IN ({", ".join(map(repr, sorted(NO_CALLS)))}) THEN false
        ELSE {AWAY} END
FROM main.delivery AS d WHERE hook_id = :hook AND firing_id >= :first ORDER BY firing_id DESC LIMIT :most
"""  # noqa: S608 - states, words of our own
HOLD = {"firing_id": NUMBER, "state": TEXT, "error": TEXT, "status": NUMBER, "ms": NUMBER}
HOLD |= {"would": TEXT, "shadow": FLAG, "candidate": FLAG, "elsewhere": FLAG}
"""The columns of `SHARES`."""


@dataclass(frozen=True, slots=True)
class HookCall:
    """One call. `failed` is None as long as nothing is known of it."""

    at_ms: int
    failed: bool | None
    error: str | None
    status: int | None
    ms: int | None
    would: str | None = None
    """Of one in shadow: what its answer would have done."""


@dataclass(frozen=True, slots=True)
class Calls:
    """A hook's calls since a moment, the newest first, of a busy hook the newest alone."""

    calls: Sequence[HookCall]
    seen_ms: int
    """From when on none is missing; 0 where all were looked at."""

    @property
    def errors(self) -> int:
        return sum(call.failed is True for call in self.calls)

    def since(self, at_ms: int) -> Calls:
        """Those from a later moment on."""
        return Calls([call for call in self.calls if call.at_ms >= at_ms], self.seen_ms)

    @property
    def known(self) -> Sequence[HookCall]:
        """Those of which something is known."""
        return [call for call in self.calls if call.failed is not None]

    @property
    def failed_in_a_row(self) -> Sequence[HookCall]:
        """The newest ones, up to the first that did not fail."""
        return list(takewhile(lambda call: call.failed, self.known))

    @property
    def failing(self) -> Sequence[HookCall]:
        """The calls that failed in a row, the newest first, where that is what the hook does every time; else none."""
        row = self.failed_in_a_row
        return row if len(row) >= LAST_FEW or 2 <= len(row) == len(self.known) else ()


@dataclass(frozen=True, slots=True)
class HookFigures:
    """A hook's last 24 hours: calls, failed ones, and its newest call. Of a busy hook only the newest are counted.

    `last_ms` is how long that call took, in milliseconds; moments are in milliseconds since 1970.
    """

    calls: int
    errors: int
    last_status: int | None
    last_error: str | None
    last_ms: int | None
    last_at_ms: int | None
    failing: int = 0
    """How many calls failed in a row up to now, where all of the last five did, or of the only two to four."""
    failing_since_ms: int | None = None
    """When the first of these was fired."""


def failed(state: str, error: str | None) -> bool | None:
    """Whether a call failed, so far; None where nothing is known yet."""
    if state in UNFINISHED:
        return True if error is not None else None
    return state in ERRORS


def calls_of(ask: Ask, hook: int, since_ms: int, most: int, *, shadow: bool = False) -> Calls:
    """The calls of a hook's newest `most` deliveries: those for real, or those in shadow."""
    rows = ask(SHARES, {"hook": hook, "first": id_at(since_ms), "most": most})
    with reading("delivery"):
        sound(HOLD, rows)
    found = [
        HookCall(ms_of(firing), failed(state, error), error, status, ms, would)
        for firing, state, error, status, ms, would, in_shadow, tried, away in rows
        if state not in NO_CALLS and not away and not tried and bool(in_shadow) is shadow
    ]
    return Calls(found, ms_of(rows[-1][0]) if len(rows) == most else 0)


def last_day(ask: Ask, hooks: Sequence[int], now_ms: int) -> dict[int, HookFigures]:
    """The last 24 hours and the newest call of those of these hooks that were called, by id."""
    most = max(GLANCE // max(len(hooks), 1), AT_LEAST)
    found = {}
    for hook in hooks:
        day = calls_of(ask, hook, now_ms - DAY_MS, most)
        if day.calls:
            newest = next((call for call in day.calls if call.failed is not None), day.calls[0])
            failing = day.failing
            found[hook] = HookFigures(
                calls=len(day.calls),
                errors=day.errors,
                last_status=newest.status,
                last_error=newest.error,
                last_ms=newest.ms,
                last_at_ms=newest.at_ms,
                failing=len(failing),
                failing_since_ms=failing[-1].at_ms if failing else None,
            )
    return found


def failing_now(ask: Ask, hooks: Sequence[int], now_ms: int) -> list[int]:
    """The ids of those of these hooks that `last_day` would call failing, by few of their deliveries."""
    most = max(GLANCE // max(len(hooks), 1), AT_LEAST)
    since_ms = now_ms - DAY_MS

    def fails(hook: int) -> bool:
        few = calls_of(ask, hook, since_ms, FIRST_LOOK)
        row = few.failed_in_a_row
        if len(row) >= LAST_FEW or len(row) < len(few.known) or not few.seen_ms:
            return bool(few.failing)
        return bool(calls_of(ask, hook, since_ms, most).failing)

    return [hook for hook in hooks if fails(hook)]
