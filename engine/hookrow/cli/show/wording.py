"""The contract's code words as people read them: outcomes, errors, reasons, states and modes, with their colours."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from hookrow.cli.show.layout import Cell
from hookrow.clock import from_ms
from hookrow.lang import Text, quoted

if TYPE_CHECKING:
    from hookrow.records import Delivery, Firing

if TYPE_CHECKING:
    from hookrow.hook.model import Hook

__all__ = [
    "COLOURS",
    "ERRORS",
    "MODES",
    "OUTCOMES",
    "SKIPS",
    "SOON",
    "STATES",
    "clock_time",
    "compact",
    "deed",
    "glyph",
    "milliseconds",
    "outcome_cell",
    "span",
    "validity",
    "word",
]

OUTCOMES: dict[str, Text] = {
    "running": Text("running"),
    "allowed": Text("allowed"),
    "vetoed": Text("vetoed"),
    "failed": Text("failed"),
    "cancelled": Text("cancelled"),
    "ok": Text("accepted"),
    "changed": Text("changed the data"),
    "refused": Text("refusal noted"),
    "sent": Text("sent"),
    "queued": Text("queued"),
    "retrying": Text("will be repeated"),
    "parked": Text("held back"),
    "dead": Text("given up"),
    "skipped": Text("skipped"),
}
ERRORS: dict[str, Text] = {
    "timeout": Text("timeout"),
    "connect_error": Text("no connection"),
    "tls_error": Text("TLS error"),
    "name_error": Text("host name not found"),
    "blocked_address": Text("address not allowed"),
    "bad_status": Text("bad status"),
    "redirect": Text("redirect"),
    "reply_too_large": Text("reply too large"),
    "bad_reply": Text("reply not understood"),
    "template_error": Text("body template failed"),
    "condition_error": Text("condition failed"),
    "deadline": Text("no time left"),
    "paused": Text("hook paused"),
    "key_error": Text("secret can't be opened"),
    "unseen_body": Text("hooks can't see the call's body"),
    "loop": Text("hooks go round in a circle"),
}
SKIPS: dict[str, Text] = {
    "inactive": Text("switched off"),
    "not_yet_valid": Text("period has not begun"),
    "expired": Text("period is over"),
    "condition_false": Text("condition not met"),
    "after_veto": Text("stands after a veto"),
    "not_enqueued": Text("never enqueued"),
    "hook_deleted": Text("hook removed"),
    "loop": Text("hooks go round in a circle"),
}
STATES: dict[str, Text] = {
    "off": Text("off"),
    "expired": Text("expired"),
    "not_yet_valid": Text("not yet valid"),
    "paused": Text("paused"),
    "on": Text("on"),
}
MODES: dict[str, Text] = {
    "forget": Text("fire and forget"),
    "notify": Text("notify"),
    "record": Text("keep the response"),
    "gate": Text("ask permission"),
    "transform": Text("ask and change"),
}
COLOURS = {
    **dict.fromkeys(("allowed", "ok", "changed", "sent", "on"), "green"),
    **dict.fromkeys(("vetoed", "failed", "dead", "refused"), "red"),
    **dict.fromkeys(("queued", "retrying", "parked", "paused", "expired"), "yellow"),
}
GLYPHS = {
    **dict.fromkeys(("allowed", "ok", "sent"), "✓"),
    "changed": "±",
    **dict.fromkeys(("vetoed", "refused"), "⊘"),
    **dict.fromkeys(("failed", "dead"), "✗"),
    **dict.fromkeys(("queued", "retrying", "parked"), "→"),
}
LONG = 60
SOON = timedelta(days=7)
"""A period that ends within this time is said to."""


def word(words: dict[str, Text], code: str | None) -> str:
    """The word for a code; a code that this version does not know stands for itself."""
    return "" if code is None else str(words.get(code, code))


def glyph(outcome: str) -> Cell:
    """One character for an outcome, beside its word."""
    return Cell(GLYPHS.get(outcome, "·"), COLOURS.get(outcome))


def outcome_cell(outcome: str | None) -> Cell:
    """An outcome as a table's cell."""
    code = outcome or "running"
    return Cell(word(OUTCOMES, code), COLOURS.get(code))


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
    if delivery.skipped:
        return ": ".join(filter(None, [word(SKIPS, delivery.skipped), delivery.detail]))
    if delivery.error:
        shown = word(ERRORS, delivery.error)
        return f"{shown}: {delivery.detail}" if delivery.detail else shown
    if delivery.changes:
        return "; ".join(f"{path}: {compact(old)} → {compact(new)}" for path, old, new in delivery.changes)
    if delivery.outcome in ("vetoed", "refused"):
        return quoted(delivery.detail) if delivery.detail else ""
    if firing.has_result and answered(delivery, firing):
        return str(Text("result: {value}", value=compact(firing.result)))
    return delivery.detail or ""


def answered(delivery: Delivery, firing: Firing) -> bool:
    """Whether this is the hook whose result stands: the last one that could give any."""
    able = [each for each in firing.deliveries if each.mode == "transform" and each.outcome in ("ok", "changed")]
    return bool(able) and able[-1] is delivery
