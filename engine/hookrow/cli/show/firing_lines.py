"""A firing as people read it: a line for itself, a line for each hook of its row; and everything about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import paint, put, put_table, to_json
from hookrow.cli.show.wording import clock_time, deed, glyph, milliseconds, outcome_cell, verdict_cell
from hookrow.lang import Text
from hookrow.safetext import visible, visible_lines
from hookrow.words import ERRORS, MODES, taken_over, word

if TYPE_CHECKING:
    from hookrow.records import Attempt, Delivery, Firing

__all__ = [
    "put_attempts",
    "put_body",
    "put_firing",
    "put_firings",
    "put_headers",
    "put_payload",
    "put_row",
    "put_verdict",
]

KEPT = 2000
"""Characters of a body that `show` prints; all of it is in --json."""


def put_firings(firings: Iterable[Firing], zone: tzinfo) -> None:
    """Lines of the log."""
    for firing in firings:
        verdict = verdict_cell(firing)
        head = f"{clock_time(firing.at_ms, zone)}  {firing.event}"
        said = paint(verdict.text, verdict.colour)
        put(
            "  ".join(
                part for part in (visible(head), said, milliseconds(firing.ms), paint(firing.id, dim=True)) if part
            )
        )
        put_row(firing)
        if firing.outcome == "cancelled":
            put_warnings(firing)


def put_row(firing: Firing) -> None:
    """The hooks of a firing in their order: position, name, mode, outcome, status, time, deed."""
    put_table(
        [
            Column(),
            Column(),
            Column(right=True),
            Column(shrink=True),
            Column(),
            Column(),
            Column(),
            Column(right=True),
            Column(shrink=True),
        ],
        [row_line(delivery, firing) for delivery in firing.deliveries],
    )


def row_line(delivery: Delivery, firing: Firing) -> Sequence[str | Cell]:
    """A hook's line under its firing."""
    return (
        " ",
        glyph(delivery.outcome),
        str(delivery.position),
        delivery.hook.name,
        Cell(word(MODES, delivery.mode), dim=True),
        outcome_cell(delivery.outcome),
        "" if delivery.status is None else str(delivery.status),
        milliseconds(delivery.ms),
        deed(delivery, firing),
    )


def put_verdict(firing: Firing) -> None:
    """What the firing means to whoever fired it."""
    verdict = verdict_cell(firing)
    said = paint(verdict.text, verdict.colour, bold=True)
    put(f"{firing.event}  {said}  {milliseconds(firing.ms)}  {firing.id}")
    put_row(firing)
    if firing.veto is not None:
        put(
            Text(
                'Vetoed by "{hook}": {message}',
                hook=visible(firing.veto.hook.name),
                message=visible(firing.veto.message),
            )
        )
    if firing.has_result:
        put(Text("Result: {value}", value=to_json(firing.public_result)))
    put_warnings(firing)


def put_warnings(firing: Firing) -> None:
    for warning in firing.warnings:
        put(Text("Warning: {text}", text=visible(warning)))


def put_firing(firing: Firing, zone: tzinfo) -> None:
    """Everything about a firing but its attempts."""
    put(f"{clock_time(firing.at_ms, zone)}")
    put_verdict(firing)
    if firing.depth:
        put(Text("Its call came through {n} hooks (hook-depth).", n=firing.depth))
    if firing.traceparent:
        put(Text("Trace: {id}", id=visible(firing.traceparent[3:35])))
    if firing.replay_of:
        put(Text("Replay of {id}; started by: {who}", id=firing.replay_of, who=visible(firing.asked_by or "—")))
    if firing.hidden:
        put(
            Text(
                "Private fields, seen by blocking hooks only and not stored: {fields}",
                fields=visible(", ".join(firing.hidden)),
            )
        )
    put_payload(str(Text("Payload")), firing.payload)
    if firing.data != firing.payload:
        put_payload(str(Text("Data as the hooks left it")), firing.data)


def put_payload(title: str, value: object) -> None:
    """A JSON value under a title."""
    put(f"\n{paint(title, dim=True)}\n{to_json(value, indent=2)}")


def put_attempts(delivery: Delivery, attempts: Sequence[Attempt], zone: tzinfo, *, replies: bool = True) -> None:
    """What was sent to a hook and what it answered, request by request; without `replies` not what they hold."""
    put(f"\n{paint(f'{delivery.position} {delivery.hook.name}', bold=True)}  {delivery.id}")
    if delivery.takeovers:
        put(visible(str(taken_over(delivery.takeovers))))
    for each in attempts:
        said = str(each.status) if each.status is not None else ""
        failed = ": ".join(filter(None, (word(ERRORS, each.error), each.error and each.detail)))
        line = [str(Text("attempt {n}", n=each.number)), clock_time(each.at_ms, zone), f"POST {each.url}", said, failed]
        took = "" if each.error == "interrupted" and not each.ms else took_of(each)  # nobody knows how long that took
        put("  ".join(visible(part) for part in (*line, took) if part))
        if each.asked_by:
            put(Text("  started by: {who}", who=visible(each.asked_by)))
        put_headers(">", each.request_headers)
        put_body(">", each.request_body)
        put_headers("<", each.response_headers)
        if delivery.withholds(each):
            put(Text("  … {n} bytes, not stored: they may repeat private values or a secret", n=each.response_length))
        if each.response_body and not replies:
            put(Text("  … {n} bytes, not shown", n=len(each.response_body)))
            continue
        put_body(
            "<",
            None if each.response_body is None else each.response_body.decode("utf-8", "replace"),
            each.response_length,
        )


def took_of(attempt: Attempt) -> str:
    """How long it took, and of how long at most."""
    limit = attempt.times.get("limit")
    took = milliseconds(attempt.ms)
    return took if limit is None else str(Text("{took} of {limit} s", took=took, limit=f"{limit / 1000:g}"))


def put_headers(mark: str, headers: Sequence[tuple[str, str]]) -> None:
    """Headers as they were recorded: secrets are masked there."""
    for name, value in headers:
        put(f"  {paint(mark, dim=True)} {visible(name)}: {visible(value)}")


def put_body(mark: str, body: str | None, length: int | None = None) -> None:
    """A body's beginning, and how long it was."""
    if not body:
        return
    for line in visible_lines(body[:KEPT]).split("\n"):
        put(f"  {paint(mark, dim=True)} {line}")
    if length is not None and length > len(body.encode("utf-8", "replace")):
        put(Text("  … {n} bytes in all; the log kept the beginning", n=length))
    elif len(body) > KEPT:
        put(Text("  … {n} characters more: --json has all of them", n=len(body) - KEPT))
