"""`engine.log.statistics()`: how often each hook was called, how often that failed, and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from hookrow.clock import DAY_MS, HOUR_MS, WEEK_MS
from hookrow.ids import firing_id, id_at, ms_of
from hookrow.lang import Text
from hookrow.payload import JsonObject
from hookrow.records import rfc3339
from hookrow.store.log.figures import AT_LEAST, Calls, HookCall, calls_of

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime
    from hookrow.hook.candidate import HookCandidate
    from hookrow.hook.stored import StoredHook
    from hookrow.store.database.plain import Ask

__all__ = [
    "CandidateFigures",
    "Figures",
    "HookStatistics",
    "ShadowFigures",
    "candidate_figures",
    "shadow_figures",
    "statistics",
]

COMPARED = """
SELECT firing_id, compared, would = 'fail', ms FROM main.delivery
WHERE hook_id = :hook AND firing_id >= :first AND hook_revision >= :revision AND compared IS NOT NULL
ORDER BY firing_id DESC LIMIT :most
"""
DIFFERING = """
SELECT f.uid FROM main.delivery AS d JOIN main.firing AS f ON f.id = d.firing_id
WHERE d.firing_id >= :first AND d.compared <> 'same' AND d.hook_id = :hook AND d.hook_revision >= :revision
ORDER BY d.firing_id DESC LIMIT :most
"""
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


def shape(figures: ShadowFigures | CandidateFigures) -> JsonObject:
    """Figures as `--json` prints them."""
    shown = {each.name: getattr(figures, each.name) for each in fields(figures)}
    return shown | {"since": rfc3339(shown.pop("since_ms")), "firings": list(figures.firings)}


def percentile_told(p95_ms: int | None) -> int | str:
    return "—" if p95_ms is None else p95_ms


@dataclass(frozen=True, slots=True)
class ShadowFigures:
    """What a hook in shadow was asked since a moment, and what its answers would have done.

    `p95_ms` is the time in milliseconds that 95 in 100 of them did not exceed; `since_ms` from when on all are in, in
    milliseconds since 1970.
    """

    asked: int
    """Requests whose end is known."""
    refusals: int
    """Vetoes, and with `stop` the failures, too: so many operations would have been refused."""
    vetoes: int
    changes: int
    failures: int
    p95_ms: int | None
    since_ms: int
    capped: bool
    """Only the newest deliveries were looked at: there are more."""
    firings: tuple[str, ...] = ()
    """The newest firings that would have been refused; where they were asked for."""

    @classmethod
    def of(cls, seen: Calls, since_ms: int, on_failure: str) -> ShadowFigures | None:
        """The figures of what was asked in shadow; None where nothing was."""
        known = [call for call in seen.since(since_ms).calls if call.would is not None]
        if not known:
            return None
        count = Counter(call.would for call in known)
        return cls(
            asked=len(known),
            refusals=count["veto"] + (count["fail"] if on_failure == "stop" else 0),
            vetoes=count["veto"],
            changes=count["change"],
            failures=count["fail"],
            p95_ms=percentile(sorted(call.ms for call in known if call.ms is not None), 95),
            since_ms=max(since_ms, seen.seen_ms),
            capped=seen.seen_ms > since_ms,
        )

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return shape(self)

    def brief(self) -> str:
        """The same beside a hook's state."""
        more = "+" if self.capped else ""
        return str(Text("shadow: asked {n}, would refuse {r}", n=f"{self.asked}{more}", r=self.refusals))

    def told(self) -> Text:
        """The same in a sentence."""
        return Text(
            "In shadow, last 7 days: asked {asked}, would refuse {refusals}, failed {failures}, p95 {p95} ms",
            asked=self.asked,
            refusals=self.refusals,
            failures=self.failures,
            p95=percentile_told(self.p95_ms),
        )


@dataclass(frozen=True, slots=True)
class CandidateFigures:
    """How a hook's candidate compares with it, since it was tried, 7 days at most.

    `p95_ms` is the time in milliseconds that 95 in 100 of its requests did not exceed; `since_ms` from when on all are
    in, in milliseconds since 1970.
    """

    compared: int
    """Firings on which at least one of the two was asked, and of which the end is known."""
    differ: int
    """In so many of them the candidate would have decided otherwise."""
    decisions: int
    """One refused, the other did not."""
    refusals: int
    """Both refused, with another status or code."""
    data: int
    """Neither refused, and they left the payload another."""
    failures: int
    """The candidate failed, whatever came of it."""
    p95_ms: int | None
    since_ms: int
    capped: bool
    """Only the newest deliveries were looked at: there are more."""
    firings: tuple[str, ...] = ()
    """The newest firings in which they differ; where they were asked for."""

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return shape(self)

    def brief(self) -> str:
        """The same beside a hook's state."""
        more = "+" if self.capped else ""
        return str(Text("candidate: differ in {n} of {all}", n=self.differ, all=f"{self.compared}{more}"))

    def told(self) -> Text:
        """The same in a sentence."""
        return Text(
            "Hook and candidate, last 7 days: differ in {n} of {all}, candidate failed {failures}, p95 {p95} ms",
            n=self.differ,
            all=self.compared,
            failures=self.failures,
            p95=percentile_told(self.p95_ms),
        )


@dataclass(frozen=True, slots=True)
class HookStatistics:
    """A hook's last 24 hours and last 7 days."""

    day: Figures
    week: Figures
    hours: tuple[tuple[int, int], ...] = ()
    """Calls and errors in each of the last 24 hours, the oldest first."""
    shadow: ShadowFigures | None = None
    """What was asked in shadow in the last 7 days; None where nothing was."""
    candidate: CandidateFigures | None = None
    """How its candidate compares with it; None where there is none, or nothing was compared yet."""

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        shadow = None if self.shadow is None else self.shadow.as_json()
        candidate = None if self.candidate is None else self.candidate.as_json()
        return {"day": self.day.as_json(), "week": self.week.as_json(), "shadow": shadow, "candidate": candidate}


def percentile(times: Sequence[int], share: int) -> int | None:
    """The nearest rank of a sorted sequence: the least of them that `share` per cent don't exceed."""
    return times[-(-len(times) * share // 100) - 1] if times else None


def statistics(runtime: Runtime) -> dict[int, HookStatistics]:
    """Figures of every hook that is not deleted, by its id.

    Some 50,000 deliveries are looked at, the newest ones of each hook: a hook that has more says so (`capped`) and from
    when on its figures count (`since_ms`).
    """
    now_ms = runtime.database.clock.now_ms()
    hooks = [hook for hook in runtime.config().hooks.values() if not hook.deleted]
    most = max(IN_ALL // max(len(hooks), 1), AT_LEAST)
    found = {}
    with runtime.database.asking() as ask:
        for hook in hooks:
            calls = calls_of(ask, hook.id, now_ms - WEEK_MS, most)
            shadow = calls_of(ask, hook.id, now_ms - WEEK_MS, most, shadow=True) if hook.shadow else None
            found[hook.id] = HookStatistics(
                Figures.of(calls, now_ms - DAY_MS),
                Figures.of(calls, now_ms - WEEK_MS),
                hours_of(calls, now_ms),
                None if shadow is None else ShadowFigures.of(shadow, now_ms - WEEK_MS, hook.on_failure),
                candidate_of(ask, hook, now_ms, most),
            )
    return found


REFUSED = """
SELECT f.uid FROM main.delivery AS d JOIN main.firing AS f ON f.id = d.firing_id
WHERE d.hook_id = :hook AND d.firing_id >= :first AND d.against IS NULL
    AND (d.would = 'veto' OR (d.would = 'fail' AND :stops))
ORDER BY d.firing_id DESC LIMIT :most
"""


def shadow_figures(runtime: Runtime, hook: StoredHook, *, firings: int = 20) -> ShadowFigures | None:
    """What a hook was asked in shadow in the last 7 days, and the newest firings that it would have refused.

    None where it was asked nothing.
    """
    since_ms = runtime.database.clock.now_ms() - WEEK_MS
    with runtime.database.asking() as ask:
        found = ShadowFigures.of(calls_of(ask, hook.id, since_ms, IN_ALL, shadow=True), since_ms, hook.on_failure)
        if found is None:
            return None
        stops = hook.on_failure == "stop"
        rows = ask(REFUSED, {"hook": hook.id, "first": id_at(since_ms), "stops": stops, "most": firings})
    return replace(found, firings=tuple(firing_id(uid) for (uid,) in rows))


def candidate_of(ask: Ask, hook: StoredHook, now_ms: int, most: int) -> CandidateFigures | None:
    """How a hook's candidate compares with it; None where there is none, or nothing was compared yet."""
    if hook.tried is None:
        return None
    rows = ask(COMPARED, {**since(hook.tried, now_ms), "hook": hook.id, "most": most})
    if not rows:
        return None
    count = Counter(word for _, word, _, _ in rows)
    return CandidateFigures(
        compared=len(rows),
        differ=len(rows) - count["same"],
        decisions=count["decision"],
        refusals=count["refusal"],
        data=count["data"],
        failures=sum(bool(failed) for _, _, failed, _ in rows),
        p95_ms=percentile(sorted(ms for _, _, _, ms in rows if ms is not None), 95),
        since_ms=ms_of(rows[-1][0]) if len(rows) == most else max(hook.tried.at_ms, now_ms - WEEK_MS),
        capped=len(rows) == most,
    )


def since(tried: HookCandidate, now_ms: int) -> dict[str, int]:
    """Where in the log a candidate's deliveries begin: another one's before it have an earlier revision."""
    # An hour more: the clock of the machine that wrote that moment may not be the database's.
    return {"first": id_at(max(now_ms - WEEK_MS, tried.at_ms - HOUR_MS)), "revision": tried.revision}


def candidate_figures(runtime: Runtime, hook: StoredHook, *, firings: int = 20) -> CandidateFigures | None:
    """How a hook's candidate compares with it, and the newest firings in which they differ.

    None where it has none, or nothing was compared yet.
    """
    now_ms = runtime.database.clock.now_ms()
    with runtime.database.asking() as ask:
        found = candidate_of(ask, hook, now_ms, IN_ALL)
        if found is None or hook.tried is None:
            return None
        rows = ask(DIFFERING, {**since(hook.tried, now_ms), "hook": hook.id, "most": firings})
    return replace(found, firings=tuple(firing_id(uid) for (uid,) in rows))


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
