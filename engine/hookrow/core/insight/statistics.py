"""`engine.log.statistics()`: how often each hook was called, how often that failed, and how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hookrow.records import rfc3339
from hookrow.store.database.plain import Ask
from hookrow.store.log.glance import AT_LEAST, CALLS, DAY_MS, OLDEST_SEEN, RETRIED_MS

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["Figures", "HookStatistics", "statistics"]

WEEK_MS = 7 * DAY_MS
IN_ALL = 50_000
"""Deliveries that are looked at for all hooks together: 0.3 to 0.7 s, measured on three million rows; however long the
log is."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a hook did in a stretch of time. A call is one HTTP request to the hook's own URL, retries included.

    p50 and p95 are the times, in milliseconds, that half and 95 in 100 of the calls did not exceed (nearest rank,
    failed calls included); None without calls.
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
    def of(cls, calls: Sequence[tuple[int, bool]], since_ms: int, capped: bool) -> Figures:
        """The figures of calls given as (milliseconds, failed)."""
        times = sorted(ms for ms, _ in calls)
        return cls(
            len(calls),
            sum(failed for _, failed in calls),
            percentile(times, 50),
            percentile(times, 95),
            since_ms,
            capped,
        )

    def as_json(self) -> dict[str, Any]:
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

    def as_json(self) -> dict[str, Any]:
        """The shape that `--json` prints."""
        return {"day": self.day.as_json(), "week": self.week.as_json()}


def percentile(times: Sequence[int], share: int) -> int | None:
    """The nearest rank of a sorted sequence: the least of them that `share` per cent don't exceed."""
    return times[-(-len(times) * share // 100) - 1] if times else None


def statistics(runtime: Runtime) -> dict[int, HookStatistics]:
    """Figures of every hook that is not deleted, by its id.

    Some 50,000 deliveries are looked at, the newest ones of each hook: a hook that has more says so (`capped`) and from
    when on its figures count (`since_ms`). Redeliveries by hand of what was fired more than 11 days ago, and
    requests to another address (`--to`), don't count.
    """
    now_ms = runtime.clock.now_ms()
    hooks = [hook.id for hook in runtime.config().hooks.values() if not hook.deleted]
    most = max(IN_ALL // max(len(hooks), 1), AT_LEAST)
    with runtime.database.asking() as ask:
        return {hook: of_hook(ask, hook, now_ms, most) for hook in hooks}


def of_hook(ask: Ask, hook: int, now_ms: int, most: int) -> HookStatistics:
    """The figures of a hook's newest `most` deliveries."""
    day_ms, week_ms = now_ms - DAY_MS, now_ms - WEEK_MS
    asked = {"hook": hook, "first": (week_ms - RETRIED_MS) << 20}
    rows = ask(CALLS, {**asked, "most": most, "since": week_ms})
    oldest = next((seen for (seen,) in ask(OLDEST_SEEN, {**asked, "last": most - 1})), None)
    # Ids are moments: what was fired before the oldest delivery seen may be missing.
    seen_ms = 0 if oldest is None else oldest >> 20
    return HookStatistics(figures(rows, day_ms, seen_ms), figures(rows, week_ms, seen_ms))


def figures(rows: Sequence[Any], since_ms: int, seen_ms: int) -> Figures:
    calls = [(ms, failed) for at_ms, ms, failed, _ in rows if at_ms >= since_ms]
    return Figures.of(calls, max(since_ms, seen_ms), seen_ms > since_ms)
