"""Three sides of a hook: the file, the revision that the file was exported from, and the database of today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hookrow.hook.fields import SECRETS
from hookrow.hookfile.reading import Entry, Sheet
from hookrow.lang import Text
from hookrow.records import Revision, as_of

__all__ = ["merged"]


def merged(
    sheet: Sheet, entry: Entry, history: Sequence[Revision], current: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """What the file itself changed since its revision; what both sides changed differently is a fault of the sheet.

    Args:
        history: the hook's revisions, newest first.
        current: the fields as the database has them.
        values: the file's fields that differ from those.
    """
    revision = as_of(history, entry.revision or 0)
    then = None if revision is None else revision.after
    if then is None:
        sheet.refuse(entry.line, f"{entry.key}.revision", Text("The hook has no such revision."))
        return {}
    mine: dict[str, Any] = {}
    for code, value in values.items():
        if code in SECRETS:
            if value is not None or (then.get(code) or {}).get("set"):
                mine[code] = value
            continue
        base, today = then.get(code), plain(current[code])
        if plain(value) == base:
            continue  # only the others changed it
        if today != base:
            who = next((each.who for each in history if code in {name for name, _, _ in each.changes()}), "—")
            text = Text(
                "Changed by {who} in the meantime: it was {base}, the file says {mine}, the database {theirs}.",
                who=who,
                base=base,
                mine=plain(value),
                theirs=today,
            )
            sheet.refuse(entry.values[code].line if code in entry.values else entry.line, f"{entry.key}.{code}", text)
        mine[code] = value
    if "event" in mine and "position" in values:
        mine.setdefault("position", current["position"])  # else it would go behind the new event's last
    return mine


def plain(value: Any) -> Any:
    """As revisions keep it."""
    return value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else value
