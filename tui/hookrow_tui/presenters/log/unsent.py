"""Why a delivery made no request, in words: who switched the hook off or paused it, its period, its condition then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from hookrow.hook.dates import show
from hookrow.records import Delivery, Firing, Revision
from hookrow_tui.presenters.changes import when
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.styled import Line
from hookrow_tui.words import Say

__all__ = ["asks_history", "why_unsent"]


def asks_history(delivery: Delivery) -> bool:
    """Whether the hook's history tells why nothing was sent."""
    return delivery.skipped in ("inactive", "not_yet_valid", "expired", "condition_false") or is_held_back(delivery)


def is_held_back(delivery: Delivery) -> bool:
    """Whether a pause, or the hook being off, holds it back or made it fail."""
    return delivery.error == "paused" or delivery.state == "parked"


def why_unsent(firing: Firing, delivery: Delivery, history: Sequence[Revision], zone: tzinfo) -> list[Line]:
    """The reason with its particulars; nothing where the outcome's own words say all.

    Args:
        history: the hook's revisions, newest first.
    """
    known = [each for each in history if each.at_ms <= (delivery.done_ms or firing.at_ms)] or list(history[-1:])
    then = (known[0].after or {}) if known else {}
    sentences = reasons(firing, delivery, known, then, zone)
    return [((steady(str(sentence)), ""),) for sentence in sentences]


def reasons(
    firing: Firing, delivery: Delivery, known: Sequence[Revision], then: dict[str, Any], zone: tzinfo
) -> list[object]:
    skipped = delivery.skipped
    if skipped == "after_veto" and firing.veto is not None:
        veto = firing.veto
        return [
            Say(
                'Hook "{hook}" earlier in the chain stopped the operation: "{message}"',
                hook=veto.hook.name,
                message=veto.message,
            )
        ]
    if skipped == "inactive" or (is_held_back(delivery) and then.get("active") is False):
        found = last_change_to(known, "active", False)
        return [] if found is None else [Say("Switched off by {who}, {when}.", **who_and_when(found, zone))]
    if is_held_back(delivery):
        return paused(known, then, zone)
    if skipped == "not_yet_valid" and then.get("valid_from"):
        return [Say("Its period began at {when}.", when=moment(then["valid_from"], zone))]
    if skipped == "expired" and then.get("valid_until"):
        return [Say("Its period ended at {when}.", when=moment(then["valid_until"], zone))]
    if skipped == "condition_false" and then.get("condition"):
        text = Say("Its condition was false on the data that reached the hook:")
        return [text, f"  {' '.join(str(then['condition']).split())}"]
    return []


def paused(known: Sequence[Revision], then: dict[str, Any], zone: tzinfo) -> list[object]:
    """Who paused it, when and why."""
    found = next((each for each in known if (each.after or {}).get("paused_by") and not had_pause(each)), None)
    lines: list[object] = [] if found is None else [Say("Paused by {who}, {when}.", **who_and_when(found, zone))]
    reason = then.get("paused_reason")
    return [*lines, Say("paused: {reason}", reason=reason)] if reason else lines


def had_pause(revision: Revision) -> bool:
    return bool((revision.before or {}).get("paused_by"))


def last_change_to(known: Sequence[Revision], code: str, value: object) -> Revision | None:
    """The newest revision that gave a field this value."""
    return next(
        (
            each
            for each in known
            if (each.after or {}).get(code) == value and (each.before is None or each.before.get(code) != value)
        ),
        None,
    )


def who_and_when(revision: Revision, zone: tzinfo) -> dict[str, str]:
    return {"who": revision.who, "when": when(revision.at_ms, zone)}


def moment(text: object, zone: tzinfo) -> str:
    return show(datetime.fromisoformat(str(text)), zone)
