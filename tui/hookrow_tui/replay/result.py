"""What a replay or redelivery came to, beside what was recorded; or what would be sent. As lines, pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from itertools import zip_longest
from textwrap import wrap as fill
from typing import TYPE_CHECKING, Any

from hookrow.lang import quoted
from hookrow.records import Attempt, Delivery
from hookrow.results import curl_line
from hookrow.words import ERRORS, REASONS, time_told, word
from hookrow_tui.presenters.body import read_body
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.log.rows import dotted, milliseconds, rows_of
from hookrow_tui.presenters.log.waterfall import value_text
from hookrow_tui.presenters.styled import Line, wrap
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Redelivered, Replayed, Request

__all__ = ["plan_lines", "redelivered_lines", "replayed_lines", "request_lines"]

LABEL, COLUMN, NOW = 22, 23, 24
"""Columns of a figure's name, of what was recorded, and of what it is now: with the sign between the two they fit into
the pane of a screen of 80."""


def words(text: object, role: str = "") -> Line:
    return ((str(text), role),)


def row(label: str, before: str, after: str, role: str = "") -> Iterator[Line]:
    """One figure, recorded and now, each in its column; what differs is marked with a sign, not only with a colour."""
    differs = before != after
    columns = [label], cells(before, COLUMN - 1), ["≠" if differs else "="], cells(after, NOW)
    for name, was, sign, now in zip_longest(*columns, fillvalue=""):
        yield (
            (fit(name, LABEL - 1) + " ", "key"),
            (fit(was, COLUMN), "gone" if differs else ""),
            (fit(sign, 2), "head"),
            (now, role or ("add" if differs else "")),
        )


def cells(text: str, width: int) -> list[str]:
    """The text in lines of at most so many columns, broken at blanks if it can be."""
    return ["".join(piece for piece, _ in line) for part in fill(text, width) for line in wrap(((part, ""),), width)]


def replayed_lines(done: Replayed, glyphs: Glyphs) -> list[Line]:
    """The new firing beside the recorded one: verdict, times, each hook, and what was changed."""
    old, new = done.recorded, done.firing
    if new is None:
        return plan_lines(done.plan)
    before, after = (
        rows_of(replace(each, replay_of=None), zone=UTC, today_ms=each.at_ms, glyphs=glyphs) for each in (old, new)
    )
    lines = [
        words(f"{old.id} {glyphs.arrow} {new.id}", "head"),
        *row("", str(Say("recorded")), str(Say("now"))),
        *row(str(Say("verdict")), before[0].words, after[0].words, after[0].kind),
        *row(str(Say("time")), before[0].ms, after[0].ms),
        (),
    ]
    earlier = {each.hook.id: (each, line) for each, line in zip(old.deliveries, before[1:], strict=True)}
    for delivery, line in zip(new.deliveries, after[1:], strict=True):
        was = earlier.pop(delivery.hook.id, None)
        lines += row(
            steady(delivery.hook.name), summary_of(*was) if was else "—", summary_of(delivery, line), line.kind
        )
        if delivery.detail:
            lines.append(words(f"  {steady(delivery.detail)}", "quiet"))
        lines += changes_compared(was[0].changes if was else (), delivery.changes)
    for each, line in earlier.values():
        lines += row(steady(each.hook.name), summary_of(each, line), "—")
    if done.now is not None:
        lines += [(), words(Say("Time as of this replay: {now}", now=time_told(done.now)), "quiet")]
    if new.veto is not None:
        lines += [(), words(f"{new.veto.status} {quoted(steady(new.veto.message))}", "veto")]
    return lines


def summary_of(delivery: Delivery, line: Any) -> str:
    """A delivery in a few words: status or outcome, and its time."""
    what = str(delivery.status) if delivery.status is not None else line.words or delivery.outcome
    return f"{line.glyph} {what} {line.ms}".rstrip()


def changes_compared(old: Sequence[tuple[str, Any, Any]], new: Sequence[tuple[str, Any, Any]]) -> list[Line]:
    """The changes that a hook makes no more, those that stayed, and those that are new, as a diff."""
    before = {pointer: value_text(after) for pointer, _, after in old}
    after = {pointer: value_text(value) for pointer, _, value in new}
    lines: list[Line] = []
    for pointer in dict.fromkeys([*before, *after]):
        name = steady(dotted(pointer))
        if before.get(pointer) == after.get(pointer):
            lines.append(words(f"    {name}: {after[pointer]}"))
            continue
        if pointer in before:
            lines.append(words(f"  - {name}: {before[pointer]}", "gone"))
        if pointer in after:
            lines.append(words(f"  + {name}: {after[pointer]}", "add"))
    return lines


def redelivered_lines(done: Sequence[Redelivered], recorded: Mapping[str, Sequence[Attempt]]) -> list[Line]:
    """What each delivery that was sent again came to, beside the newest of its `recorded` attempts, by public id."""
    if not done:
        return [words(Say("It has no failed delivery to send again."))]
    lines: list[Line] = []
    for each in done:
        lines.append(words(f"{steady(each.delivery.hook.name)} · {each.delivery.id}", "head"))
        if each.request is not None:
            lines += request_lines(each.request)
        now, before = each.attempt, next(reversed(recorded.get(each.delivery.id, ())), None)
        if now is not None:
            lines += row("", str(Say("recorded")), str(Say("now")))
            lines += row(str(Say("response")), result_of(before), result_of(now), "good" if each.ok else "bad")
            lines += row(str(Say("time")), milliseconds(before.ms if before else None), milliseconds(now.ms))
            lines += row(str(Say("attempt")), str(before.number) if before else "—", str(now.number))
            if now.elsewhere:
                lines.append(words(Say("not to the hook's URL: nothing else changes"), "quiet"))
            if now.detail:
                lines.append(words(steady(now.detail), "bad"))
            if now.response_body:
                lines += [(), *read_body(now.response_body, now.response_headers).lines]
        lines.append(())
    return lines


def result_of(attempt: Attempt | None) -> str:
    """Status or error of an attempt."""
    if attempt is None:
        return "—"
    if attempt.error is not None and attempt.status is None:
        return word(ERRORS, attempt.error)
    return str(attempt.status or Say("sent"))


def plan_lines(plan: Sequence[Any]) -> list[Line]:
    """What each hook would do, with its request; nothing was sent."""
    lines: list[Line] = [words(Say("Nothing was sent."), "head")]
    if not plan:
        lines.append(words(Say("No hook of this event would run.")))
    for step in plan:
        lines += [(), words(f"{step.position} {steady(step.hook.name)} · {ACTS.get(step.act, step.act)}", "head")]
        if step.reason:
            lines.append(words(word(REASONS, step.reason), "veto"))
        if step.detail:
            lines.append(words(steady(step.detail), "quiet"))
        if step.now is not None:
            lines.append(words(str(time_told(step.now)), "quiet"))
        if step.request is not None:
            lines += request_lines(step.request)
    return lines


def request_lines(request: Request) -> list[Line]:
    """A request that did not leave, and the command that would send it: secrets are variables of the shell in it."""
    headers: list[Line] = [((f"{steady(name)}: ", "key"), (steady(value), "")) for name, value in request.headers]
    body = read_body(request.body.encode("utf-8", "replace"), request.headers).lines
    return [
        words(f"{request.method} {steady(request.url)}", "head"),
        *headers,
        (),
        *body,
        (),
        words(steady(curl_line(request))),
    ]


ACTS = {
    "call": Say("would be called"),
    "queue": Say("would be queued"),
    "park": Say("would be parked"),
    "skip": Say("would be skipped"),
    "fail": Say("would fail"),
}
