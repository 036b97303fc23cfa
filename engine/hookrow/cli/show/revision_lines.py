"""A hook's history as people read it: what was done, by whom, and the fields that changed under the form's labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from hookrow.cli.show.wording import compact
from hookrow.clock import from_ms
from hookrow.hook.dates import show
from hookrow.hook.form import FIELD, PERIOD_TITLE
from hookrow.hook.modes import Seconds
from hookrow.lang import Text
from hookrow.safetext import visible
from hookrow.words import ACTIONS

if TYPE_CHECKING:
    from hookrow.hook.model import Hook
    from hookrow.records import Revision

__all__ = ["candidate_changes", "change_lines", "revision_lines"]

NAMES: Mapping[str, Text] = {
    "signing_secret_old": Text("Signing secret before the rotation"),
    "paused_reason": Text("Reason of the pause"),
    "custom_header_value": Text("Value of the custom header"),
    "candidate": Text("Candidate"),
}
UNSAID = frozenset({"paused_by", "paused_at", "deleted_at"})
"""What the action and the revision's own time say already."""
MOMENTS = ("valid_from", "valid_until")


def revision_lines(revision: Revision, zone: tzinfo) -> Iterator[str]:
    """One revision: a line for itself and one for each field that changed. No code, no empty value."""
    when = f"{from_ms(revision.at_ms).astimezone(zone):%d.%m.%Y %H:%M}"
    done = str(ACTIONS.get(revision.action, revision.action))
    yield f"{revision.revision:>4}  {when}  {visible(revision.who)}  {visible(done)}"
    if revision.before is None:
        return
    yield from change_lines(revision.changes(), zone)


def change_lines(changes: Iterable[tuple[str, Any, Any]], zone: tzinfo) -> Iterator[str]:
    """A line for each field that changed: (code, before, after)."""
    for code, old, new in changes:
        if code in UNSAID:
            continue
        before, after = value_of(code, old, zone), value_of(code, new, zone)
        shown = f"{before} → {after}" if before and after else after or f"{before} → —"
        yield visible(f"      {label_of(code)}: {shown}")


def candidate_changes(hook: Hook) -> list[tuple[str, Any, Any]]:
    """What a hook's candidate changes: (code, before, after), of a secret whether it is set."""
    if hook.candidate is None:
        return []
    return [
        (code, {"set": getattr(hook, code) is not None} if isinstance(new, Mapping) else getattr(hook, code), new)
        for code, new in hook.candidate.shown.items()
    ]


def label_of(code: str) -> str:
    """A field by its label; the ends of the period by the period's name too, since they stand alone here."""
    if code in FIELD:
        label = str(FIELD[code].label)
        return label if code not in MOMENTS or " " in label else f"{PERIOD_TITLE} {label}"
    return str(NAMES.get(code, code))


def value_of(code: str, value: Any, zone: tzinfo) -> str:
    """A value as the form shows it; nothing where there is none; of a secret only whether it is set."""
    if value in (None, ""):
        return ""
    if isinstance(value, Mapping) and "set" in value:
        return str(Text("set") if value["set"] else Text("not set"))
    if code == "candidate":
        return "; ".join(f"{label_of(name)}: {value_of(name, each, zone) or '—'}" for name, each in value.items())
    if isinstance(value, bool):
        return str(Text("yes") if value else Text("no"))
    if code in MOMENTS:
        return show(datetime.fromisoformat(str(value)), zone)
    if code == "timeout":
        return str(Seconds(float(value)))
    if code == "on_failure":
        return str(dict(FIELD[code].choices).get(value, value))
    return compact(value) if not isinstance(value, str) else " ".join(value.split())
