"""What happened in a few words and colours: outcomes, deeds, times. The words themselves stand in `hookrow.words`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from hookrow.cli.show.layout import Cell
from hookrow.clock import from_ms
from hookrow.lang import Text, quoted
from hookrow.words import ERRORS, HEARD, OUTCOMES, SIGNS, SKIPS, Role, Word, firing_word, taken_over, word, would_told

if TYPE_CHECKING:
    from hookrow.hook.model import Hook
    from hookrow.records import Delivery, Firing

__all__ = [
    "SOON",
    "clock_time",
    "colour",
    "compact",
    "deed",
    "glyph",
    "milliseconds",
    "named",
    "outcome_cell",
    "span",
    "validity",
    "verdict_cell",
]

COLOURS: dict[Role, str | None] = {"good": "green", "veto": "red", "bad": "red", "wait": "yellow", "quiet": None}
LONG = 60
SOON = timedelta(days=7)
"""A period that ends within this time is said to."""


def named(hook: Hook) -> str:
    """A hook in a sentence: its id and its name."""
    return f"{hook.id} {quoted(hook.name)}"


def colour(words: Mapping[str, Word], code: str) -> str | None:
    """The colour of a word, where it has one."""
    return COLOURS[words[code].role] if code in words else None


def glyph(outcome: str) -> Cell:
    """One character for an outcome, beside its word."""
    known = OUTCOMES.get(outcome)
    return Cell(SIGNS["quiet"]) if known is None else Cell(SIGNS[known.sign], COLOURS[known.role])


def outcome_cell(outcome: str | None) -> Cell:
    """A delivery's outcome as a table's cell."""
    code = outcome or "running"
    return Cell(word(OUTCOMES, code), colour(OUTCOMES, code))


def verdict_cell(firing: Firing) -> Cell:
    """What came of a firing, as a table's cell."""
    said = firing_word(firing.outcome, firing.moment, failing=any(each.failed for each in firing.deliveries))
    return Cell(str(said), COLOURS[said.role])


def clock_time(ms: int, zone: tzinfo) -> str:
    """A moment of the log in the settings' time zone, to the millisecond."""
    local: datetime = from_ms(ms).astimezone(zone)
    return f"{local:%d.%m.%Y %H:%M:%S}.{ms % 1000:03}"


def milliseconds(ms: int | None) -> str:
    """A duration; nothing where nothing was measured."""
    return "" if ms is None else str(Text("{ms} ms", ms=ms))


def span(time: timedelta) -> Text:
    """A stretch of time in its largest unit, rounded down: a minute, hours, days."""
    minutes = int(time.total_seconds() // 60)
    if minutes < 60:
        return Text("{n} min", n=max(minutes, 1))
    return Text("{n} h", n=minutes // 60) if minutes < 48 * 60 else Text("{n} d", n=minutes // 1440)


def validity(hook: Hook, now: datetime) -> str:
    """How a hook's period stands where that matters: it waits for it, it is over, or soon will be."""
    if hook.state == "not_yet_valid" and hook.valid_from is not None:
        return str(Text("starts in {time}", time=span(hook.valid_from - now)))
    if hook.valid_until is None:
        return ""
    if hook.state == "expired":
        return str(Text("{time} ago", time=span(now - hook.valid_until)))
    if hook.active and hook.valid_until - now <= SOON:
        return str(Text("ends in {time}", time=span(hook.valid_until - now)))
    return ""


def compact(value: Any) -> str:
    """A JSON value in a few characters, for a change or a result within a line."""
    from hookrow.cli.show.output import to_json

    text = to_json(value)
    return text if len(text) <= LONG else text[: LONG - 1] + "…"


def deed(delivery: Delivery, firing: Firing) -> str:
    """What a hook did, in a few words: what it changed, answered, refused, or why it did not run."""
    unsure = delivery.takeovers and delivery.outcome not in HEARD
    shadow = ""
    if delivery.candidate or (delivery.shadow and not delivery.skipped):
        shadow = would_told(delivery.would, candidate=delivery.candidate, compared=delivery.compared)
    return "; ".join(
        filter(None, [shadow, deed_in_full(delivery, firing), str(taken_over(delivery.takeovers)) if unsure else ""])
    )


def deed_in_full(delivery: Delivery, firing: Firing) -> str:
    from hookrow.results import gives_result  # help needs no records

    if delivery.skipped:
        return ": ".join(filter(None, [word(SKIPS, delivery.skipped), delivery.detail]))
    if delivery.error:
        shown = word(ERRORS, delivery.error)
        return f"{shown}: {delivery.detail}" if delivery.detail else shown
    if delivery.changes:
        return "; ".join(f"{path}: {compact(old)} → {compact(new)}" for path, old, new in delivery.changes)
    if delivery.outcome in ("vetoed", "refused"):
        return quoted(delivery.detail) if delivery.detail else ""
    if firing.has_result and gives_result(delivery, firing):
        return str(Text("result: {value}", value=compact(firing.public_result)))
    return delivery.detail or ""
