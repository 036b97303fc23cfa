"""What is known of one firing or delivery, as lines: request, response, times, row. Pure.

All that came from outside goes through `hookrow_tui.presenters.columns`: it neither steers the terminal nor shifts a
column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Literal

from hookrow.clock import from_ms
from hookrow.hook.modes import WAITING
from hookrow.lang import quoted
from hookrow.records import Attempt, Delivery, Firing, Revision
from hookrow.words import ERRORS, taken_over, word
from hookrow_tui.presenters.body import FIRST, ShownBody, kibibytes, read_body
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.glyphs import UNICODE, Glyphs
from hookrow_tui.presenters.log.rows import ATTEMPTS, outcome_text, rows_of
from hookrow_tui.presenters.log.unsent import why_unsent
from hookrow_tui.presenters.log.waterfall import bar, changed, diff
from hookrow_tui.presenters.spans import span
from hookrow_tui.presenters.styled import Line, plain
from hookrow_tui.words import Say

__all__ = ["TABS", "Detail", "Tab", "clipboard_text", "lines_of", "tab_title", "whole_tab"]

Tab = Literal["1", "2", "3", "4"]
TABS: Mapping[Tab, Say] = {"1": Say("Request"), "2": Say("Response"), "3": Say("Times"), "4": Say("Chain")}
PHASES: Mapping[str, Say] = {
    "name": Say("name look-up"),
    "connect": Say("connecting"),
    "tls": Say("TLS"),
    "send": Say("sending"),
    "wait": Say("waiting"),
    "read": Say("reading"),
}
ORIGINS: Mapping[str, Say] = {"worker": Say("by the worker"), "redeliver": Say("by a person")}


@dataclass(frozen=True, slots=True)
class Detail:
    """One line of the log with all that belongs to it; `attempts` by the deliveries' public ids; of a delivery that
    made no request the hook's `history`."""

    firing: Firing
    delivery: Delivery | None = None
    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    history: Sequence[Revision] = ()
    zone: tzinfo = UTC
    now_ms: int = 0
    glyphs: Glyphs = UNICODE

    @property
    def tries(self) -> Sequence[Attempt]:
        """The attempts of the delivery, the first one first."""
        return self.attempts.get(self.delivery.id, ()) if self.delivery else ()

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.tries[-1] if self.tries else None


def lines_of(tab: Tab, detail: Detail, width: int, limit: int = FIRST) -> list[Line]:
    """The lines of a tab for a pane of this width; of a body at most `limit` bytes."""
    if tab == "1":
        return request(detail, limit)
    if tab == "2":
        return response(detail, limit)
    return times(detail, width) if tab == "3" else row_of_hooks(detail, width)


def tab_title(tab: Tab, detail: Detail | None) -> str:
    """The tab's title, with its figures: `2 Response · 200 · 312 ms`."""
    parts = [f"{tab} {TABS[tab]}"]
    if detail is not None and tab == "2" and detail.delivery is not None:
        if detail.delivery.status is not None:
            parts.append(str(detail.delivery.status))
        if detail.delivery.ms is not None:
            parts.append(str(Say("{n} ms", n=detail.delivery.ms)))
    if detail is not None and tab == "4" and detail.firing.ms is not None:
        parts.append(str(Say("{n} ms", n=detail.firing.ms)))
    return " · ".join(parts)


def words(text: object, role: str = "") -> Line:
    return ((str(text), role),)


def header(name: str, value: str) -> Line:
    return (f"{steady(name)}: ", "key"), (steady(value), "")


def full_time(ms: int, detail: Detail) -> str:
    moment = from_ms(ms).astimezone(detail.zone)
    return f"{moment:%d.%m.%Y %H:%M:%S}.{moment.microsecond // 1000:03}"


def body_lines(body: ShownBody) -> list[Line]:
    lines = list(body.lines)
    if body.note is not None:
        lines.insert(0, words(body.note, "quiet"))
    if body.left:
        more = Say("… {size} more: + shows them, v the whole, w writes a file", size=kibibytes(body.left))
        lines.append(words(more, "head"))
    return lines


def request(detail: Detail, limit: int) -> list[Line]:
    """What was sent: the newest attempt's request; of a firing what it was fired with."""
    firing, delivery, last = detail.firing, detail.delivery, detail.last
    lines: list[Line] = []
    if delivery is None:
        lines.append((("fire ", "head"), (steady(firing.event), "head")))
        lines.append(header("id", firing.id))
        lines.append(header(str(Say("at")), full_time(firing.at_ms, detail)))
        if firing.replay_of:
            lines.append(header(str(Say("original")), firing.replay_of))
        if firing.asked_by:
            lines.append(header(str(Say("started by")), firing.asked_by))
    elif last is None:
        lines.append(words(outcome_text(firing, delivery) or Say("not sent yet"), "head"))
        lines.append(header("webhook-id", delivery.id))
        if delivery.detail:
            lines.append(words(steady(delivery.detail), "bad"))
        lines += why_unsent(firing, delivery, detail.history, detail.zone)
    else:
        lines.append((("POST ", "head"), (steady(last.url), "head")))
        if last.elsewhere:
            lines.append(words(Say("not to the hook's URL: nothing else changes"), "quiet"))
        lines += [header(name, value) for name, value in last.request_headers]
    if firing.hidden:
        shown = ", ".join(steady(pointer) for pointer in firing.hidden)
        lines.append(words(Say("private fields, not stored: {fields}", fields=shown), "veto"))
    body, headers = sent_body(detail)
    if body is None:
        lines.append(words(Say("the body was not stored"), "quiet"))
    else:
        lines += [(), *body_lines(read_body(body, headers, limit))]
    return lines


def sent_body(detail: Detail) -> tuple[bytes | None, Sequence[tuple[str, str]]]:
    """The bytes of the request's body, and the headers that say what they are."""
    if detail.delivery is None:
        return json.dumps(detail.firing.payload, ensure_ascii=False).encode("utf-8", "replace"), ()
    last = detail.last
    text = last.request_body if last is not None and last.request_body is not None else detail.delivery.body
    headers = last.request_headers if last is not None else ()
    return (None if text is None else text.encode("utf-8", "replace")), headers


def response(detail: Detail, limit: int) -> list[Line]:
    """What came back; of a firing its verdict and what its hooks made of the payload."""
    firing, delivery, last = detail.firing, detail.delivery, detail.last
    if delivery is None:
        return [*verdict(detail), *outcome(firing)]
    lines: list[Line] = []
    if last is None:
        return [words(outcome_text(firing, delivery) or Say("no response yet"), "quiet")]
    if last.status is not None:
        good = 200 <= last.status < 300
        lines.append(words(f"{last.status} {reason(last.status)}".rstrip(), "good" if good else "bad"))
    if last.error is not None:
        lines.append(words(word(ERRORS, last.error), "bad"))
    if last.detail:
        lines.append(words(steady(last.detail), "bad"))
    lines += [header(name, value) for name, value in last.response_headers]
    if delivery.changes:
        lines += [(), *diff(delivery.changes)]
    lines += [words(steady(str(warning)), "veto") for warning in delivery.warnings]
    lines += reply_lines(delivery, last, limit)
    return lines


def reply_lines(delivery: Delivery, last: Attempt, limit: int) -> list[Line]:
    """The body of a response, or why there is none."""
    if delivery.mode == "forget":
        return [words(Say("Mode forget: the response is not stored."), "quiet")]
    kept = last.response_body
    if kept is None:
        if last.status is None:
            return []
        if delivery.withholds(last):
            length = kibibytes(last.response_length or 0)
            return [
                words(Say("{length}, not stored: they may repeat private values or a secret", length=length), "veto")
            ]
        text = (
            Say("the body is stored only for a veto or a failure")
            if delivery.mode in WAITING
            else Say("no body is stored")
        )
        return [words(text, "quiet")]
    lines: list[Line] = [()]
    if last.response_length is not None and last.response_length > len(kept):
        cut = Say("{kept} of {length} are stored", kept=kibibytes(len(kept)), length=kibibytes(last.response_length))
        lines.append(words(cut, "veto"))
    if not kept:
        return [words(Say("empty body"), "quiet")]
    return lines + body_lines(read_body(kept, last.response_headers, limit))


def reason(status: int) -> str:
    """The status in HTTP's own words."""
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def verdict(detail: Detail) -> list[Line]:
    """How a firing ended."""
    firing = detail.firing
    row = rows_of(firing, zone=detail.zone, today_ms=firing.at_ms, glyphs=detail.glyphs)[0]
    lines: list[Line] = [((f"{row.glyph} {row.words}", row.kind), (f"  {row.ms}", ""))]
    veto = firing.veto
    if veto is not None:
        lines.append(words(f"{steady(veto.hook.name)}: {quoted(steady(veto.message))}", "veto"))
        lines.append(words(f"{veto.status} {steady(veto.code)}".rstrip(), "veto"))
        lines += [words(f"  {steady(json.dumps(fault, ensure_ascii=False))}", "veto") for fault in veto.errors]
    if firing.deferred:
        lines.append(words(Say("fired with defer=True and never enqueued"), "quiet"))
    return lines


def outcome(firing: Firing) -> list[Line]:
    """What the hooks made of it: warnings, the result, the payload as they left it."""
    lines: list[Line] = [words(steady(str(warning)), "veto") for warning in firing.warnings]
    if firing.has_result:
        lines += [(), words(Say("result"), "head"), *json_body(firing.result)]
    if firing.data != firing.payload:
        lines += [(), words(Say("data"), "head"), *json_body(firing.data)]
    return lines


def json_body(value: object) -> list[Line]:
    return read_body(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")).lines


def times(detail: Detail, width: int) -> list[Line]:
    """How long each part took, every attempt, and when the next one comes; of a firing its row of hooks."""
    if detail.delivery is None:
        return row_of_hooks(detail, width)
    lines: list[Line] = []
    delivery, last = detail.delivery, detail.last
    if last is not None:
        lines += phases(last, width, detail.glyphs)
    if delivery.due_ms is not None and delivery.outcome in ("queued", "retrying"):
        left = max(0, delivery.due_ms - detail.now_ms) // 1000
        when = full_time(delivery.due_ms, detail)
        lines += [(), words(Say("next attempt at {when}, in {span}", when=when, span=span(left)), "head")]
    if detail.tries:
        lines.append(())
    for each in reversed(detail.tries):
        lines += attempt_lines(each, detail)
    return lines or [words(Say("not sent yet"), "quiet")]


def phases(attempt: Attempt, width: int, glyphs: Glyphs) -> list[Line]:
    """The phases of one exchange, one under the other."""
    known = [(name, attempt.times[name]) for name in PHASES if name in attempt.times]
    whole = max(sum(ms for _, ms in known), 0.001)
    label = max((len(str(PHASES[name])) for name, _ in known), default=0) + 1
    lines: list[Line] = []
    start = 0.0
    for name, ms in known:
        text = str(Say("{n} ms", n=f"{ms:.0f}"))
        drawn = bar(start, ms, whole, width - label - 10, glyphs) if width > label + 14 else ""
        lines.append(((fit(str(PHASES[name]), label), ""), (f"{text:>9} ", ""), (drawn.rstrip(), "good")))
        start += ms
    return lines


def attempt_title(number: int, detail: Detail) -> Say:
    """Which attempt it was; of how many only where more follow by themselves."""
    waited = detail.delivery is not None and detail.delivery.mode in WAITING
    return Say("attempt {n}", n=number) if waited else Say("attempt {n}/{all}", n=number, all=ATTEMPTS)


def duration_text(attempt: Attempt) -> Say:
    """How long it took, and of how long at most."""
    limit = attempt.times.get("limit")
    return (
        Say("{n} ms", n=attempt.ms)
        if limit is None
        else Say("{n} ms of {limit} s", n=attempt.ms, limit=f"{limit / 1000:g}")
    )


def attempt_lines(attempt: Attempt, detail: Detail) -> list[Line]:
    """One attempt in a line, and what went wrong in another."""
    outcome = str(attempt.status or "") if attempt.error is None else word(ERRORS, attempt.error)
    if attempt.error is not None and attempt.status is not None:
        outcome = f"{attempt.status} {outcome}"
    parts = [
        str(attempt_title(attempt.number, detail)),
        full_time(attempt.at_ms, detail),
        outcome,
        str(duration_text(attempt)),
        *([str(ORIGINS[attempt.origin])] if attempt.origin in ORIGINS else []),
        *([steady(attempt.asked_by)] if attempt.asked_by else []),
        *([steady(attempt.address)] if attempt.address else []),
    ]
    lines = [words(" · ".join(part for part in parts if part), "bad" if attempt.error else "good")]
    if attempt.elsewhere:
        lines.append(words(f"  {detail.glyphs.arrow} {steady(attempt.url)}", "quiet"))
    if attempt.detail:
        lines.append(words(f"  {steady(attempt.detail)}", "quiet"))
    return lines


def row_of_hooks(detail: Detail, width: int) -> list[Line]:
    """The row of hooks: when each ran, how long, what came of it and what it changed."""
    firing, glyphs = detail.firing, detail.glyphs
    lines: list[Line] = [
        words(f"{steady(firing.event)} · {full_time(firing.at_ms, detail)[11:]}", "head"),
        *verdict(detail),
        (),
    ]
    rows = rows_of(firing, zone=detail.zone, today_ms=firing.at_ms, glyphs=glyphs)[1:]
    starts = {each.id: start_ms(firing, each, detail) for each in firing.deliveries}
    whole = max([firing.ms or 0, 1, *(starts[each.id] + (each.ms or 0) for each in firing.deliveries if waited(each))])
    for delivery, row in zip(firing.deliveries, rows, strict=True):
        mine = detail.delivery is not None and delivery.id == detail.delivery.id
        status = "" if delivery.status is None else f" {delivery.status}"
        name = fit(
            f"{delivery.position:>2} {steady(delivery.hook.name)}", max(12, min(width - 8, 36)), more=glyphs.more
        )
        lines.append(((name, "head" if mine else ""), (f" {row.glyph}{status}", row.kind)))
        if delivery.ms is not None and waited(delivery):
            drawn = bar(starts[delivery.id], delivery.ms, whole, max(8, min(width - 14, 60)), glyphs)
            lines.append((("   ", ""), (drawn, "good"), (f" {row.ms}", "")))
        elif row.words:
            tried = f" · {row.ms}" if row.ms else ""
            lines.append(words(f"   {row.words}{tried}", "quiet" if row.kind != "bad" else "bad"))
        cut_off = delivery.outcome == "cancelled" and delivery.ms is not None
        if (row.kind in ("bad", "veto") or cut_off) and row.words and waited(delivery):
            lines.append(words(f"   {row.words}", row.kind))
        if delivery.takeovers:
            lines.append(words(f"   {taken_over(delivery.takeovers)}", "bad"))
        lines += [(("   ", ""), *line) for line in changed(delivery.changes, glyphs)]
    after = outcome(firing)
    return [*lines, (), *after] if after else lines


def waited(delivery: Delivery) -> bool:
    """Whether the operation waited for it."""
    return delivery.mode in WAITING and not delivery.shadow


def start_ms(firing: Firing, delivery: Delivery, detail: Detail) -> float:
    """Milliseconds from the firing to the delivery's first attempt."""
    tries = detail.attempts.get(delivery.id, ())
    return max(0, (tries[0].at_ms if tries else delivery.at_ms) - firing.at_ms)


def whole_tab(tab: Tab, detail: Detail) -> bytes:
    """The tab without any limit, as bytes: for the request and the response as HTTP would show them, body unchanged."""
    last = detail.last
    if tab == "1":
        body, _ = sent_body(detail)
        head = [f"POST {last.url}", *(f"{name}: {value}" for name, value in last.request_headers)] if last else []
        return "\n".join([*head, "", ""] if head else []).encode("utf-8", "replace") + (body or b"")
    if tab == "2" and last is not None:
        head = [f"{last.status or ''} {reason(last.status or 0)}".strip() or str(last.error)]
        head += [f"{name}: {value}" for name, value in last.response_headers]
        return "\n".join([*head, "", ""]).encode("utf-8", "replace") + (last.response_body or b"")
    return (plain(lines_of(tab, detail, 100)) + "\n").encode("utf-8", "replace")


def clipboard_text(tab: Tab, detail: Detail) -> str:
    """What is worth having on a clipboard: the body where there is one, else the tab's text."""
    if tab == "1":
        body = sent_body(detail)[0]
        if body is not None:
            return body.decode("utf-8", "replace")
    if tab == "2" and detail.last is not None and detail.last.response_body:
        return detail.last.response_body.decode("utf-8", "replace")
    return plain(lines_of(tab, detail, 100))
