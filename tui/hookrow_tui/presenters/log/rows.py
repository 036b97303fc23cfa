"""The lines of the log: a firing, then its deliveries, each in one line of fixed columns. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING

from rich.cells import cell_len

from hookrow.clock import from_ms
from hookrow.lang import quoted
from hookrow.words import CANDIDATE, ERRORS, OUTCOMES, SKIPS, WOULD, Word, firing_word, word
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Delivery, Firing

__all__ = [
    "ATTEMPTS",
    "LogRow",
    "clock",
    "dotted",
    "failing",
    "in_trouble",
    "line",
    "milliseconds",
    "outcome_text",
    "rows_of",
]

ATTEMPTS = 10
"""Automatic attempts of a delivery (docs/contributing/state_machine.md): the first one and nine retries."""

TROUBLE = frozenset({"failed", "retrying", "dead"})
"""Outcomes of a delivery that somebody should look at."""

LONGEST = 200
"""Characters kept of a text from outside: no screen is wider."""
WORDS = 22
RIGHT = 3 + 1 + WORDS + 8
"""Columns at the right that don't grow with the screen: status, words, milliseconds."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """One line of the log. `ref` is the firing's or the delivery's public id; `kind` says how it is coloured."""

    firing: int
    place: int
    """0 for the firing, then its deliveries from 1."""
    ref: str
    time: str
    glyph: str
    name: str
    status: str
    words: str
    ms: str
    kind: str
    failing: bool


def failing(delivery: Delivery) -> bool:
    """Whether this delivery needs somebody's eyes."""
    return delivery.outcome in TROUBLE and not delivery.shadow


def in_trouble(firing: Firing) -> bool:
    """Whether the firing failed, or one of its deliveries did."""
    return firing.outcome == "failed" or any(failing(each) for each in firing.deliveries)


def clock(ms: int, zone: tzinfo, today_ms: int) -> str:
    """The time of day in twelve columns; on another day than today's the date and the time to the minute."""
    moment, today = from_ms(ms).astimezone(zone), from_ms(today_ms).astimezone(zone)
    if moment.date() == today.date():
        return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
    if moment.year == today.year:
        return f"{moment:%d.%m} {moment:%H:%M} "
    return f"{moment:%d.%m.%Y}  "


def dotted(pointer: str) -> str:
    """A JSON Pointer as people say it: `/order/sum` is `order.sum`."""
    return pointer.lstrip("/").replace("/", ".").replace("~1", "/").replace("~0", "~") or "."


def rows_of(firing: Firing, *, zone: tzinfo, today_ms: int, glyphs: Glyphs) -> tuple[LogRow, ...]:
    """The lines of one firing."""
    trouble = in_trouble(firing)
    words = firing_word(firing.outcome, firing.moment, failing=trouble)
    name = firing.event if firing.replay_of is None else str(Say("replay: {event}", event=firing.event))
    first = LogRow(
        firing=firing.row_id,
        place=0,
        ref=firing.id,
        time=clock(firing.at_ms, zone, today_ms),
        glyph=glyphs.sign(words.sign),
        name=steady(f"{glyphs.again} {name}" if firing.replayed else name),
        status="",
        words=str(words),
        ms=milliseconds(firing.ms),
        kind=words.role,
        failing=trouble,
    )
    return first, *(row_of(firing, each, zone, today_ms, glyphs) for each in firing.deliveries)


def row_of(firing: Firing, delivery: Delivery, zone: tzinfo, today_ms: int, glyphs: Glyphs) -> LogRow:
    told = OUTCOMES.get(delivery.outcome) or Word(delivery.outcome, delivery.outcome)
    if delivery.would is not None:
        told = WOULD.get(delivery.would, told)
    return LogRow(
        firing=firing.row_id,
        place=delivery.seq,
        ref=delivery.id,
        time=clock(delivery.at_ms, zone, today_ms),
        glyph=glyphs.sign(told.sign),
        name=f"{delivery.seq:>3} {steady(delivery.hook.name[:LONGEST])}",
        status="—" if delivery.status is None else str(delivery.status),
        words=steady(outcome_text(firing, delivery)[:LONGEST]),
        ms=milliseconds(delivery.ms),
        kind=told.role,
        failing=failing(delivery),
    )


def milliseconds(ms: int | None) -> str:
    """A duration, '' where none was measured."""
    return "" if ms is None else str(Say("{n} ms", n=ms))


def outcome_text(firing: Firing, delivery: Delivery) -> str:
    """What came of a delivery, in a few words beside its status."""
    outcome = delivery.outcome
    said = word(OUTCOMES, outcome)
    reason = word(ERRORS, delivery.error)
    if delivery.candidate:
        return candidate_text(delivery)
    if delivery.would is not None:
        return str(Say("shadow: would {what}", what=word(WOULD, delivery.would)))
    if outcome == "changed" and delivery.changes:
        first, *others = (dotted(pointer) for pointer, _, _ in delivery.changes)
        return str(Say("changed: {what}", what=f"{first} +{len(others)}" if others else first))
    if outcome in ("vetoed", "refused"):
        ours = firing.veto is not None and firing.veto.hook.id == delivery.hook.id
        message = firing.veto.message if ours and firing.veto is not None else delivery.detail
        return quoted(message) if message else said
    if outcome == "skipped":
        return word(SKIPS, delivery.skipped) or said
    if outcome == "retrying":
        tried = str(Say("attempt {n}/{all}", n=delivery.attempts, all=ATTEMPTS))
        if not reason or delivery.status is not None:
            return tried
        forms = (f"{reason}, {tried}", f"{reason}, {delivery.attempts}/{ATTEMPTS}")
        return next((form for form in forms if cell_len(form) <= WORDS), tried)
    if outcome == "dead":
        told = f"{said}: {reason}"
        return told if reason and cell_len(told) <= WORDS else said
    if outcome == "failed":
        return reason or said
    return said


def candidate_text(delivery: Delivery) -> str:
    """What a candidate would have done; where its hook did otherwise, that comes first."""
    what = word(WOULD, delivery.would) or word(SKIPS, delivery.skipped)
    if not what:
        return str(CANDIDATE)
    if delivery.compared in (None, "same"):
        return str(Say("candidate: {what}", what=what))
    return str(Say("differs: {what}", what=what))


def line(row: LogRow, width: int, more: str = "…") -> tuple[str, str, str]:
    """The row in exactly `width` columns, in three pieces: time, sign, and the rest."""
    name = fit(row.name, max(8, width - 15 - RIGHT), more=more)
    words = fit(row.words, WORDS, more=more)
    rest = f" {name}{fit(row.status, 3, right=True)} {words}{fit(row.ms, 8, right=True)}"
    return fit(row.time, 12) + " ", fit(row.glyph, 1), fit(rest, width - 14, more=more)
