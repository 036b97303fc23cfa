"""`engine.log.statistics()`: how often each hook was called, how often that failed, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookrow.clock import DAY_MS, HOUR_MS, WEEK_MS
from hookrow.payload import JsonObject
from hookrow.records import rfc3339
from hookrow.store.log.figures import AT_LEAST, Calls, HookCall, calls_of

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["Figures", "HookStatistics", "statistics"]

IN_ALL = 50_000
"""Deliveries that are looked at for all hooks together: 0.3 to 0.7 s, measured on three million rows; however long the
log is."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a hook did in a stretch of time: calls and errors as `store.log.figures` counts them.

    p50 and p95 are the times, in milliseconds, that half and 95 in 100 of the calls did not exceed, each by its last
    request (nearest rank, failed calls included); None where no request left.
    """

    calls: int
    errors: int
    p50_ms: int | None
    p95_ms: int | None
    since_ms: int
    """From when on all calls are in: the begin of the day or week, or later where the hook has too many to look at."""
    capped: bool
    """Only the newest deliveries were looked at: there are more calls than these."""

    @classmethod
    def of(cls, seen: Calls, since_ms: int) -> Figures:
        """The figures of the calls from a moment on."""
        calls = seen.since(since_ms)
        times = sorted(call.ms for call in calls.calls if call.ms is not None)
        return cls(
            len(calls.calls),
            calls.errors,
            percentile(times, 50),
            percentile(times, 95),
            max(since_ms, seen.seen_ms),
            seen.seen_ms > since_ms,
        )

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "calls": self.calls,
            "errors": self.errors,
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "since": rfc3339(self.since_ms),
            "capped": self.capped,
        }


@dataclass(frozen=True, slots=True)
class HookStatistics:
    """A hook's last 24 hours and last 7 days."""

    day: Figures
    week: Figures
    hours: tuple[tuple[int, int], ...] = ()
    """Calls and errors in each of the last 24 hours, the oldest first."""

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {"day": self.day.as_json(), "week": self.week.as_json()}


def percentile(times: Sequence[int], share: int) -> int | None:
    """The nearest rank of a sorted sequence: the least of them that `share` per cent don't exceed."""
    return times[-(-len(times) * share // 100) - 1] if times else None


def statistics(runtime: Runtime) -> dict[int, HookStatistics]:
    """Figures of every hook that is not deleted, by its id.

    Some 50,000 deliveries are looked at, the newest ones of each hook: a hook that has more says so (`capped`) and from
    when on its figures count (`since_ms`).
    """
    now_ms = runtime.database.clock.now_ms()
    hooks = [hook.id for hook in runtime.config().hooks.values() if not hook.deleted]
    most = max(IN_ALL // max(len(hooks), 1), AT_LEAST)
    with runtime.database.asking() as ask:
        seen = {hook: calls_of(ask, hook, now_ms - WEEK_MS, most) for hook in hooks}
    return {
        hook: HookStatistics(
            Figures.of(calls, now_ms - DAY_MS), Figures.of(calls, now_ms - WEEK_MS), hours_of(calls, now_ms)
        )
        for hook, calls in seen.items()
    }


def in_steps(calls: Calls, since_ms: int, step_ms: int, count: int) -> list[list[HookCall]]:
    """The calls since a moment in so many equal steps, the oldest step first."""
    steps: list[list[HookCall]] = [[] for _ in range(count)]
    for call in calls.since(since_ms).calls:
        steps[min((call.at_ms - since_ms) // step_ms, count - 1)].append(call)
    return steps


def hours_of(calls: Calls, now_ms: int) -> tuple[tuple[int, int], ...]:
    """Calls and errors in each of the last 24 hours, the oldest first."""
    hours = in_steps(calls, now_ms - DAY_MS, HOUR_MS, 24)
    return tuple((len(hour), sum(call.failed is True for call in hour)) for hour in hours)
