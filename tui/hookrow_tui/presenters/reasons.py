"""Why a hook would run or not, and what it did last time, in words: the lines of the screen «Why». Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from hookrow.hook.dates import show
from hookrow.hook.modes import WAITING, Seconds
from hookrow.records import Firing
from hookrow.words import CANDIDATE, ERRORS, SKIPS, time_told, word
from hookrow_tui.presenters.banner import stops
from hookrow_tui.presenters.body import read_body
from hookrow_tui.presenters.changes import when
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.log.rows import milliseconds, outcome_text
from hookrow_tui.presenters.styled import Line
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import ConditionMatches, Hook

__all__ = ["Reason", "act_sentence", "lines_of", "matching"]

NOW, CONDITION, LAST_TIME, REQUEST = Say("Now"), Say("Condition"), Say("Last time"), Say("Request")


@dataclass(frozen=True, slots=True)
class Reason:
    """One hook of an event: what it would do with the last payload, how its condition fares, what it did last."""

    hook: Hook
    step: Any
    """The engine's plan for it (`Explained`)."""
    matches: ConditionMatches | None = None
    last: Firing | None = None
    moment: str = "before"
    hidden: Sequence[str] = field(default=())
    """Pointers of the payload whose values are null here."""

    @property
    def stops(self) -> bool:
        """Whether its failure refuses the operation."""
        return stops(self.hook) and self.moment == "before"


def act_sentence(reason: Reason) -> str:
    """What the hook would do now, in one sentence."""
    step = reason.step
    if step.act == "call":
        limit = Seconds(reason.hook.timeout)
        if step.together is not None:
            return str(Say("asked together, the operation waits up to {limit} s", limit=limit))
        return str(Say("is called, the operation waits up to {limit} s", limit=limit))
    if step.act == "queue" and reason.hook.mode in WAITING:
        return str(Say("is asked in shadow: its response decides nothing"))
    if step.act == "queue":
        return str(Say("is sent in the background"))
    if step.act == "park":
        return str(Say("is parked: it is paused"))
    if step.act == "skip":
        return str(Say("is not called: {reason}", reason=word(SKIPS, step.reason)))
    why = word(ERRORS, step.reason)
    if reason.stops:
        return str(Say("fails, the operation is stopped: {reason}", reason=why))
    return str(Say("fails: {reason}", reason=why))


def matching(matches: ConditionMatches) -> str:
    """How a condition fares on the last recorded payloads, and what of it is false on the newest one."""
    if not matches.total:
        return str(Say("no firing is recorded yet to try the condition on"))
    parts = [str(Say("matches {matched} of the last {total}", matched=matches.matched, total=matches.total))]
    if matches.unmet:
        parts.append(str(Say("on the newest is false: {parts}", parts=" · ".join(matches.unmet))))
    if matches.failed:
        parts.append(str(Say("can't be evaluated on {n}: {error}", n=matches.failed, error=matches.error)))
    return "; ".join(parts)


def lines_of(reason: Reason, zone: tzinfo) -> list[Line]:
    """All that is known of the hook under the cursor."""
    return [*now_sentence(reason, zone), (), *last_time(reason, zone), *request(reason)]


def now_sentence(reason: Reason, zone: tzinfo) -> list[Line]:
    """What would happen if the event came now, and why."""
    hook, step = reason.hook, reason.step
    its = step.candidate
    kind = {"call": "good", "queue": "good", "fail": "bad"}.get(step.act, "veto")
    lines: list[Line] = [((f"{NOW}: ", "head"), (act_sentence(reason), kind))]
    if step.detail and step.act != "park" and step.reason not in ("expired", "not_yet_valid", "paused"):
        lines.append(((f"  {steady(step.detail)}", kind),))
    if step.reason == "not_yet_valid" and hook.valid_from is not None:
        lines.append(said(Say("valid from {when}", when=show(hook.valid_from, zone))))
    if step.reason == "expired" and hook.valid_until is not None:
        lines.append(said(Say("valid until {when}", when=show(hook.valid_until, zone))))
    if step.reason == "paused" or step.act == "park":
        lines.append(said(Say("paused: {reason}", reason=steady(hook.paused_reason or "—"))))
        if hook.paused_at is not None:
            lines.append(
                said(Say("paused since {when}", when=show(hook.paused_at.replace(second=0, microsecond=0), zone)))
            )
    if hook.condition:
        lines.append((("  ", ""), (f"{CONDITION}: ", "key"), (steady(" ".join(hook.condition.split())), "")))
    if step.now is not None:
        lines.append(((f"  {time_told(step.now)}", "quiet"),))
    if its is not None:
        said_of_it = act_sentence(replace(reason, step=its))
        what = f"{said_of_it}: {steady(its.detail)}" if its.detail else said_of_it
        lines.append(
            (("  ", ""), (f"{str(CANDIDATE).capitalize()}: ", "key"), (what, "bad" if its.act == "fail" else ""))
        )
    if reason.matches is not None:
        lines.append(((f"  {steady(matching(reason.matches))}", "quiet"),))
    return lines


def said(text: Say) -> Line:
    return ((f"  {text}", ""),)


def last_time(reason: Reason, zone: tzinfo) -> list[Line]:
    """The hook's newest delivery in the log."""
    firing = reason.last
    share = None
    if firing is not None:
        share = next((each for each in firing.deliveries if each.hook.id == reason.hook.id), None)
    if firing is None or share is None:
        return [((f"{LAST_TIME}: ", "head"), (str(Say("the log has no record of it")), "quiet"))]
    parts = [str(share.status or ""), outcome_text(firing, share), milliseconds(share.ms)]
    text = " · ".join(steady(part) for part in parts if part)
    lines: list[Line] = [((f"{LAST_TIME} {when(firing.at_ms, zone)}: ", "head"), (text, ""))]
    if share.detail:
        lines.append(((f"  {steady(share.detail)}", "quiet"),))
    return lines


def request(reason: Reason) -> list[Line]:
    """The request that would leave; secrets are masked, private values null."""
    sent = reason.step.request
    if sent is None:
        return []
    lines: list[Line] = [(), ((f"{REQUEST}: ", "head"), (steady(f"{sent.method} {sent.url}"), ""))]
    if reason.hidden:
        pointers = ", ".join(steady(pointer) for pointer in reason.hidden)
        hidden = Say("private fields, null here: {fields}", fields=pointers)
        lines.append(((f"  {hidden}", "veto"),))
    return [*lines, *read_body(sent.body.encode("utf-8", "replace")).lines]
