"""`engine.log.overview()`: all hooks together over the last hour, day and week, in steps, for plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookrow.clock import DAY_MS, HOUR_MS, WEEK_MS
from hookrow.core.insight.statistics import IN_ALL, Figures, in_steps, percentile
from hookrow.payload import JsonObject
from hookrow.store.log import glance
from hookrow.store.log.figures import AT_LEAST, Calls, HookCall, calls_of

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["Overview", "Step", "Stretch", "overview"]

STEPS = {"hour": (HOUR_MS, 12), "day": (DAY_MS, 24), "week": (WEEK_MS, 28)}
"""How long each stretch is, and in how many steps it is told."""


@dataclass(frozen=True, slots=True)
class Step:
    """What happened in one step of a stretch; the times, in milliseconds, are None where no request left."""

    calls: int
    errors: int
    p50_ms: int | None
    p95_ms: int | None

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {"calls": self.calls, "errors": self.errors, "p50_ms": self.p50_ms, "p95_ms": self.p95_ms}


@dataclass(frozen=True, slots=True)
class Stretch:
    """The last hour, day or week: its figures and its steps, oldest first; in milliseconds, `since_ms` since 1970."""

    figures: Figures
    since_ms: int
    step_ms: int
    steps: tuple[Step, ...]

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {**self.figures.as_json(), "step_ms": self.step_ms, "steps": [each.as_json() for each in self.steps]}


@dataclass(frozen=True, slots=True)
class Overview:
    """All hooks together; what waits in the queue, and since when the oldest is due, in milliseconds since 1970."""

    hour: Stretch
    day: Stretch
    week: Stretch
    at_ms: int
    queue: int
    oldest_due_ms: int | None

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "hour": self.hour.as_json(),
            "day": self.day.as_json(),
            "week": self.week.as_json(),
            "queue": self.queue,
            "oldest_due_ms": self.oldest_due_ms,
        }


def overview(runtime: Runtime) -> Overview:
    """The figures of all hooks that are not deleted, by the rule of `store.log.figures`.

    As many deliveries are looked at as for `statistics`, the newest ones of each hook; where a hook has more, the
    figures say so (`capped`) and from when on they count (`since_ms`).
    """
    now_ms = runtime.database.clock.now_ms()
    hooks = [hook for hook in runtime.config_now().hooks.values() if not hook.deleted]
    most = max(IN_ALL // max(len(hooks), 1), AT_LEAST)
    with runtime.database.asking() as ask:
        seen = [calls_of(ask, hook.id, now_ms - WEEK_MS, most) for hook in hooks]
        summary = glance.summary(ask, hooks, now_ms)
    together = sorted((call for each in seen for call in each.calls), key=lambda call: -call.at_ms)
    whole = Calls(together, max((each.seen_ms for each in seen), default=0))
    told = {name: stretch(whole, now_ms, *shape) for name, shape in STEPS.items()}
    return Overview(**told, at_ms=now_ms, queue=summary.queue, oldest_due_ms=summary.oldest_due_ms)


def stretch(calls: Calls, now_ms: int, length_ms: int, count: int) -> Stretch:
    """The newest calls, in so many equal steps up to now."""
    since_ms, step_ms = now_ms - length_ms, length_ms // count
    steps = in_steps(calls, since_ms, step_ms, count)
    return Stretch(Figures.of(calls, since_ms), since_ms, step_ms, tuple(map(step, steps)))


def step(calls: Sequence[HookCall]) -> Step:
    times = sorted(call.ms for call in calls if call.ms is not None)
    failed = sum(call.failed is True for call in calls)
    return Step(len(calls), failed, percentile(times, 50), percentile(times, 95))
