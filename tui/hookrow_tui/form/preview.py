"""What a body becomes and how a condition fares, tried on recorded payloads while it is typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hookrow.errors import HookrowError, InvalidTemplate
from hookrow.records import Firing, LogFilter
from hookrow.words import firing_word
from hookrow_tui.presenters.changes import when
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.failures import sentence
from hookrow_tui.presenters.log.rows import in_trouble
from hookrow_tui.presenters.reasons import matching
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import HookEngine

__all__ = ["TRIED", "Sample", "firings_of", "sample_of", "try_text", "with_place"]

TRIED = ("url", "body", "condition")
"""The fields that can be tried."""
RECENT = 50
"""Firings that are offered to try a body on."""
NEWEST = ""
"""In the place of a firing's id: the newest one, else the event's sample."""


@dataclass(frozen=True)
class Sample:
    """The payload that a body is tried on, and a line that says which it is. `ref` is the chosen firing's id, '' for
    the newest one."""

    event: str
    payload: Mapping[str, Any]
    told: str
    ref: str = NEWEST


def try_text(engine: HookEngine, code: str, event: str, text: str, sample: Sample | None) -> tuple[str, bool | None]:
    """What came of it in one sentence, and whether it is good; None where it is neither good nor bad.

    Raises:
        InvalidTemplate, EventNotFound
    """
    if code == "url":
        return str(engine.hooks.refused_address(text) or ""), False
    if code == "body":
        return engine.hooks.preview(event, text, None if sample is None else sample.payload), True
    matches = engine.condition_matches(event, text)
    tried = True if matches.newest else None
    return matching(matches), False if matches.failed else tried


def with_place(error: HookrowError) -> str:
    """What is wrong, with line and column where they are known; a condition has one line."""
    if not isinstance(error, InvalidTemplate) or error.line is None:
        return sentence(error)
    if error.column is None:
        return sentence(error)
    if error.code == "condition_error" and error.line == 1:
        return str(Say("column {column}: {reason}", column=error.column, reason=error.reason))
    return str(Say("line {line}, column {column}: {reason}", line=error.line, column=error.column, reason=error.reason))


def sample_of(engine: HookEngine, event: str, ref: str = NEWEST) -> Sample:
    """The payload of a firing, of the newest one, or the event's sample.

    Raises:
        FiringNotFound, EventNotFound
    """
    newest = None if ref else next(iter(engine.log.page(LogFilter(event=event), limit=1)), None)
    firing = engine.log.get(ref) if ref else newest
    payload = firing.payload if ref and firing is not None else engine.hooks.example(event)
    told = str(SAMPLE) if firing is None else data_of(firing, when(firing.at_ms, engine.settings.zone()))
    return Sample(event, payload or {}, told, ref)


def firings_of(engine: HookEngine, event: str) -> list[tuple[str, str]]:
    """The last firings of an event, the newest first: id, and a line about each."""
    zone = engine.settings.zone()
    lines = []
    for firing in engine.log.page(LogFilter(event=event), limit=RECENT):
        came = firing_word(firing.outcome, firing.moment, failing=in_trouble(firing))
        lines.append((firing.id, f"{when(firing.at_ms, zone)}  {came}  {firing.id}"))
    return lines


SAMPLE = Say("The event's sample: nothing is recorded yet")


def data_of(firing: Firing, moment: str) -> str:
    """On which payload, and what of it is private."""
    told = str(Say("Data of {when}", when=moment))
    if firing.hidden:
        fields = ", ".join(steady(pointer) for pointer in firing.hidden)
        told += " · " + str(Say("private, null here: {fields}", fields=fields))
    return told
