"""A hook rehearsed before it is saved: recorded firings taken through it, without a single request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from hookrow.errors import InvalidTemplate
from hookrow.hook.local_time import LocalTime
from hookrow.hook.modes import WAITING
from hookrow.hook.together import Timing, events_together, longest, timing_of
from hookrow.lang import Text
from hookrow.payload import Json, JsonObject, diff, dumps, pointer_parts, put, redo, subject_of
from hookrow.records import Firing, LogFilter, rfc3339
from hookrow.store.log.finding import ids
from hookrow.store.log.reading import by_ids
from hookrow.template.compiled import Body, Condition, prepare

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from hookrow.core.runtime import Runtime
    from hookrow.hook.model import Hook
    from hookrow.hook.stored import StoredHook
    from hookrow.store.configuration.cache import Config

__all__ = ["MOST", "Candidate", "Rehearsal", "RehearsedBody", "RehearsedFailure", "rehearse"]

MOST = 10_000
"""Firings that are tried, unless it is said otherwise: the newest."""
CHUNK = 200
"""Firings that are held at a time."""
SAMPLES, CHANGES = 3, 5
"""Bodies that are shown as they differ, and how many differences of each."""
STAND_INS: tuple[Json, ...] = (None, "x", 1)
"""What is put in the place of a private value: where the outcome depends on which, the log can't tell it."""
EARLIER_RESULT = "webhook.result"
LAST = 1 << 62
"""Above every id: a hook that is not saved yet runs after those of its position."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A hook as it would be: what of it decides whether it is called, and with what body."""

    key: str
    id: int | None
    event: str
    position: int
    condition: str
    body: str
    waits: bool
    timing: Timing | None = None
    """For how long an operation may wait for it; None where that is not asked."""

    @classmethod
    def of(cls, hook: Hook | StoredHook) -> Candidate:
        """Of a hook, saved or not."""
        return cls(
            hook.key,
            hook.id,
            hook.event,
            MOST if hook.position is None else hook.position,
            hook.condition,
            hook.body,
            hook.mode in WAITING,
            timing_of(hook, idle=not hook.active),
        )


@dataclass(frozen=True, slots=True)
class RowTime:
    """Seconds that an operation may wait for all of an event's blocking hooks, before and after a change of them."""

    event: str
    before: float
    after: float

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {"event": self.event, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class RehearsedFailure:
    """Why bodies or conditions would fail, on how many firings, and the newest of them."""

    error: str
    """`condition_error` or `template_error`."""
    reason: str
    count: int
    firing: str
    subject: str = ""
    """What that firing's payload is about, such as `order A-10492`; empty where it does not say."""

    @property
    def where(self) -> str:
        """The firing as people find it."""
        return ", ".join(filter(None, (self.subject, self.firing)))

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "error": self.error,
            "reason": self.reason,
            "count": self.count,
            "firing": self.firing,
            "subject": self.subject,
        }


@dataclass(frozen=True, slots=True)
class RehearsedBody:
    """How the body of one firing would differ: (JSON Pointer, before, after)."""

    firing: str
    changes: Sequence[tuple[str, Json, Json]]

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {"firing": self.firing, "changes": [list(change) for change in self.changes]}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What would become of recorded firings with a hook as it is to be, beside the hook as it is.

    `since_ms`: when the oldest of them was fired, in milliseconds since 1970.
    """

    key: str
    firings: int
    """Tried: the newest that were meant."""
    called: int
    """So many the hook would be asked or told of."""
    newly_called: int
    newly_left_out: int
    failed: int
    """On so many its condition or its body would fail."""
    newly_failed: int
    unknowable: int
    """What would become of so many is decided by a private value, which the log does not hold."""
    bodies_differ: int
    row: RowTime
    """How long the whole row may take, of its blocking hooks."""
    failures: tuple[RehearsedFailure, ...] = ()
    bodies: tuple[RehearsedBody, ...] = ()
    since_ms: int | None = None

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "key": self.key,
            "firings": self.firings,
            "since": rfc3339(self.since_ms),
            "called": self.called,
            "newly_called": self.newly_called,
            "newly_left_out": self.newly_left_out,
            "failed": self.failed,
            "newly_failed": self.newly_failed,
            "unknowable": self.unknowable,
            "bodies_differ": self.bodies_differ,
            "row": self.row.as_json(),
            "failures": [each.as_json() for each in self.failures],
            "bodies": [each.as_json() for each in self.bodies],
        }

    def told(self) -> Iterator[Text]:
        """What must be known before it is saved: each reason for which it would fail."""
        for each in self.failures:
            yield Text(
                "On the last {n} firings, {failed} would fail: {reason} ({where})",
                n=self.firings,
                failed=each.count,
                reason=each.reason,
                where=each.where,
            )


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a hook would do with one firing: called with a body, skipped, failed, or what the log can't tell."""

    act: Literal["call", "skip", "fail", "unknown"]
    body: str | None = None
    error: str = ""
    reason: str = ""


SKIPPED = Foreseen("skip")


def rehearse(
    runtime: Runtime,
    hook: Candidate,
    wanted: LogFilter | None = None,
    *,
    limit: int = MOST,
    progress: Callable[[int, int], object] | None = None,
) -> Rehearsal:
    """Take recorded firings of the hook's event through it as it is to be, and as it is saved. Blocks.

    Each is judged on the payload as the hooks before it left it then, at the time that it had then. Only a blocking
    hook is shown private values; an earlier result is known where it stayed the firing's.

    Args:
        wanted: which firings; its event is the hook's.
        limit: how many at most, the newest.
        progress: called now and then with how many are done, and of how many.

    Raises:
        EventNotFound: no such event.
        InvalidTemplate: the body or the condition can't be compiled.
    """
    config = runtime.config()
    runtime.event(config, hook.event)
    for source, kind in ((hook.condition, Condition), (hook.body, Body)):
        if source:
            kind.compile(source)
    stored = None if hook.id is None else config.hooks.get(hook.id)
    before = None if stored is None or stored.event != hook.event else Candidate.of(stored)
    tally, zone, size = Tally(), runtime.zone(), runtime.number(config, "payload_limit")
    with runtime.database.read() as connection:
        chosen = ids(connection, replace(wanted or LogFilter(), event=hook.event), limit=limit)
    for start in range(0, len(chosen), CHUNK):
        if progress is not None:
            progress(start, len(chosen))
        with runtime.database.read() as connection:
            firings = by_ids(connection, config, chosen[start : start + CHUNK])
        for firing in firings:
            tally.take(firing, *(judged(each, firing, zone, size) for each in (before, hook)))
    if progress is not None:
        progress(len(chosen), len(chosen))
    return tally.rehearsal(hook.key, row_time(config, hook))


def row_time(config: Config, hook: Candidate) -> RowTime:
    """How long an operation may wait for the event's hooks, as they are and with this one as it is to be."""
    now = [(each.position, each.id, timing_of(each, idle=not each.active)) for each in config.rows.get(hook.event, ())]
    then = [turn for turn in now if turn[1] != hook.id]
    if hook.timing is not None:
        then.append((hook.position, hook.id or LAST, hook.timing._replace(position=hook.position)))
    together = hook.event in events_together(config.settings)
    before, after = (longest([timing for _, _, timing in sorted(turns)], together) for turns in (now, then))
    return RowTime(hook.event, round(before, 3), round(after, 3))


def judged(hook: Candidate | None, firing: Firing, zone: ZoneInfo, limit: int) -> Foreseen:
    """What a hook would do with a recorded firing; nothing where there is none."""
    if hook is None:
        return SKIPPED
    place, data = (hook.position, hook.id or LAST), firing.payload
    for each in firing.deliveries:
        if each.changes and not each.shadow and (each.position, each.hook.id) < place:
            data = redo(data, each.changes)
    webhook = {"id": firing.id, "type": firing.event, "timestamp": rfc3339(firing.at_ms)}
    if firing.has_result:
        webhook["result"] = firing.result
    moment = LocalTime(firing.at_ms, zone)
    found = judge(hook, data, webhook, moment, limit)
    if hook.waits and firing.hidden:
        for value in STAND_INS[1:]:
            other = data
            for pointer in firing.hidden:
                other = put(other, pointer_parts(pointer), value)
            if judge(hook, other, webhook, moment, limit).act != found.act:
                return Foreseen("unknown")
    return found


def judge(
    hook: Candidate, data: Mapping[str, Any], webhook: Mapping[str, Any], moment: LocalTime, limit: int
) -> Foreseen:
    """What a hook would do with this payload."""
    view = prepare(data, moment=moment)
    try:
        if hook.condition and not Condition.compile(hook.condition).test(view, webhook):
            return SKIPPED
        body = Body.compile(hook.body).render(view, webhook, limit=limit) if hook.body else dumps(data)
    except InvalidTemplate as error:
        if EARLIER_RESULT in str(error.reason) and "result" not in webhook:
            return Foreseen("unknown")
        return Foreseen("fail", error=error.code, reason=str(error.problems[0].text))
    return Foreseen("call", body)


class Tally:
    """What is counted while firings go through."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.failures: dict[tuple[str, str], list[Any]] = {}
        self.bodies: list[RehearsedBody] = []
        self.since_ms: int | None = None

    def take(self, firing: Firing, was: Foreseen, now: Foreseen) -> None:
        """Count one; they come newest first."""
        self.since_ms = firing.at_ms
        self.count["firings"] += 1
        self.count[now.act] += 1
        if "unknown" in (was.act, now.act):
            return
        self.count["newly_called"] += now.act == "call" and was.act == "skip"
        self.count["newly_left_out"] += now.act == "skip" and was.act == "call"
        if now.act == "fail":
            self.count["newly_failed"] += was.act != "fail"
            self.failures.setdefault((now.error, now.reason), [0, firing.id, subject_of(firing.payload)])[0] += 1
        if now.act == was.act == "call" and now.body != was.body:
            changes = diff(json.loads(was.body or "null"), json.loads(now.body or "null"))
            self.count["bodies_differ"] += bool(changes)
            if changes and len(self.bodies) < SAMPLES:
                self.bodies.append(RehearsedBody(firing.id, changes[:CHANGES]))

    def rehearsal(self, key: str, row: RowTime) -> Rehearsal:
        """All of it, the most frequent failure first."""
        failures = [RehearsedFailure(*why, *found) for why, found in self.failures.items()]
        count = self.count
        return Rehearsal(
            key=key,
            firings=count["firings"],
            called=count["call"],
            newly_called=count["newly_called"],
            newly_left_out=count["newly_left_out"],
            failed=count["fail"],
            newly_failed=count["newly_failed"],
            unknowable=count["unknown"],
            bodies_differ=count["bodies_differ"],
            row=row,
            failures=tuple(sorted(failures, key=lambda each: -each.count)),
            bodies=tuple(self.bodies),
            since_ms=self.since_ms,
        )
