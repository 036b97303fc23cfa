"""What changed in a hook, in words: the fields of a revision before and after, a secret only as «replaced», never its
value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from hookrow.clock import from_ms
from hookrow.hook.dates import show
from hookrow.hook.form import FIELD, PERIOD_TITLE
from hookrow.hook.modes import Seconds
from hookrow.records import Revision
from hookrow.words import ACTIONS
from hookrow_tui.presenters.columns import steady, steady_lines
from hookrow_tui.presenters.styled import Line
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook

__all__ = ["back_to", "changed_codes", "detail", "label_of", "summary", "tried", "when"]

NAMES: Mapping[str, Say] = {
    "signing_secret_old": Say("Signing secret before the rotation"),
    "paused_by": Say("Pause"),
    "paused_reason": Say("Reason of the pause"),
    "deleted_at": Say("Deleted"),
    "candidate": Say("Candidate"),
}
TIMES = ("paused_at",)
"""Said by the revision's own time already."""
KEPT = ("custom_header", "paused_by", "paused_reason", "paused_at", "deleted_at", "candidate")
"""What a rollback leaves as it is, besides secrets (docs/security.md: a header's name goes with its value)."""
FOLD = 60
"""Characters from which on a value stands on a line of its own."""


def label_of(code: str) -> str:
    """A field's name as people know it; that of the period's ends is whole, since it stands alone here."""
    if code == "custom_header_value":
        code = "custom_header"
    if code in ("valid_from", "valid_until"):
        label = str(FIELD[code].label)
        return label if " " in label else f"{PERIOD_TITLE} {label}"
    return str(FIELD[code].label) if code in FIELD else str(NAMES.get(code, code))


def when(ms: int, zone: tzinfo) -> str:
    """The moment of a change, to the minute."""
    return f"{from_ms(ms).astimezone(zone):%d.%m.%Y %H:%M}"


def is_secret_mark(value: Any) -> bool:
    """Whether this is what a revision keeps of a secret."""
    return isinstance(value, Mapping) and "set" in value


def changes_between(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[tuple[str, Any, Any]]:
    """Field, before, after."""
    old, new = before or {}, after or {}
    return [
        (code, old.get(code), new.get(code))
        for code in dict.fromkeys([*old, *new])
        if code not in TIMES and (old.get(code) != new.get(code) or secret_replaced(new.get(code)))
    ]


def secret_replaced(value: Any) -> bool:
    """Whether a secret was replaced by another: «set» stands on both sides then."""
    return is_secret_mark(value) and bool(value.get("changed"))


def changed_codes(revisions: Iterable[Revision]) -> list[str]:
    """The form's fields that these revisions changed."""
    codes: dict[str, None] = {}
    for revision in revisions:
        for code, _, _ in changes_between(revision.before, revision.after):
            codes["custom_header" if code == "custom_header_value" else code] = None
    return [code for code in codes if code in FIELD]


def summary(revision: Revision) -> str:
    """One revision in a few words: what was done, to which fields."""
    done = str(ACTIONS.get(revision.action, revision.action))
    if revision.before is None or revision.action not in ("edit", "rollback", "import"):
        return done
    names = dict.fromkeys(label_of(code) for code, _, _ in changes_between(revision.before, revision.after))
    return f"{done}: {', '.join(names)}" if names else done


def text(code: str, value: Any, zone: tzinfo) -> str:
    """A value as the form shows it."""
    if value in (None, ""):
        return "—"
    if isinstance(value, bool):
        return str(Say("yes") if value else Say("no"))
    if code in ("valid_from", "valid_until", "deleted_at"):
        at = datetime.fromisoformat(str(value))
        return show(at.replace(second=0, microsecond=0) if code == "deleted_at" else at, zone)
    if code == "timeout":
        return str(Say("{n} s", n=Seconds(float(value))))
    if code == "on_failure":
        return str(dict(FIELD[code].choices).get(value, value))
    if code == "candidate":
        return "; ".join(f"{label_of(name)}: {short(name, each, zone)}" for name, each in value.items())
    if code == "paused_by":
        return str(Say("by a person") if value == "person" else Say("by Hookrow itself"))
    return str(value)


def short(code: str, value: Any, zone: tzinfo) -> str:
    """A value in a line, a secret as whether it is set."""
    if is_secret_mark(value):
        return str(Say("set") if value["set"] else Say("removed"))
    told = steady(" ".join(text(code, value, zone).split()))
    return told if len(told) <= FOLD else f"{told[: FOLD - 1]}…"


def tried(hook: Hook, zone: tzinfo) -> list[str]:
    """What a hook's candidate changes, a line a field."""
    found = {} if hook.candidate is None else hook.candidate.shown
    lines = []
    for code, new in found.items():
        mark, old = is_secret_mark(new), getattr(hook, code)
        change = short(code, new, zone) if mark else f"{short(code, old, zone)} → {short(code, new, zone)}"
        lines.append(f"{label_of(code)}: {change}")
    return lines


def secrets_change(old: Any, new: Any) -> Say:
    """What happened to a secret."""
    if secret_replaced(new):
        return Say("replaced; the value is not shown") if is_secret_mark(old) and old["set"] else Say("set")
    return Say("set") if is_secret_mark(new) and new["set"] else Say("removed")


def field_lines(code: str, old: Any, new: Any, zone: tzinfo) -> list[Line]:
    """One field that changed."""
    name = label_of(code)
    if is_secret_mark(old) or is_secret_mark(new):
        return [((f"{name}: ", "key"), (str(secrets_change(old, new)), "veto"))]
    before, after = text(code, old, zone), text(code, new, zone)
    if "\n" in before + after:
        lines: list[Line] = [((f"{name}:", "key"),)]
        roles = {"+": "add", "-": "gone", " ": "quiet"}
        differences = difflib.ndiff(steady_lines(before), steady_lines(after))
        return [*lines, *(((f"  {each}", roles[each[0]]),) for each in differences if each[0] in roles)]
    before, after = steady(before), steady(after)
    if len(name) + len(before) + len(after) < FOLD:
        return [((f"{name}: ", "key"), (before, "gone"), (" → ", ""), (after, "add"))]
    return [((f"{name}:", "key"),), ((f"  - {before}", "gone"),), ((f"  + {after}", "add"),)]


def detail(revision: Revision, zone: tzinfo) -> list[Line]:
    """Everything that one revision changed; of a new hook what it began with."""
    lines: list[Line] = []
    for code, old, new in changes_between(revision.before, revision.after):
        if revision.before is None:
            empty = not new["set"] if is_secret_mark(new) else new in (None, "", False)
            if not empty:
                shown = str(Say("set")) if is_secret_mark(new) else steady(" ".join(text(code, new, zone).split()))
                lines.append(((f"{label_of(code)}: ", "key"), (shown, "")))
        else:
            lines += field_lines(code, old, new, zone)
    return lines or [((str(Say("Nothing that the form shows was changed.")), "quiet"),)]


def back_to(then: Revision, newest: Revision, zone: tzinfo) -> list[Line]:
    """What a rollback to a revision would change of the hook as it is now."""
    lines: list[Line] = []
    for code, old, new in changes_between(newest.after, then.after):
        if code not in KEPT and not is_secret_mark(old) and not is_secret_mark(new):
            lines += field_lines(code, old, new, zone)
    return lines
