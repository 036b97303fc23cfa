"""Three sides of an edit that came too late: the revision that was edited, what was to be written, what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hookrow.cli.read.hook_values import hook_json
from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import put_json, put_table, say, to_json
from hookrow.hook.fields import FIELDS, HEADER_VALUE, Field, Unfit
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow.hook.model import Hook
    from hookrow.records import Revision

__all__ = ["put_conflict"]


def put_conflict(
    mine: Mapping[str, Any], revision: int, current: Hook, history: Sequence[Revision], *, as_json: bool
) -> None:
    """Field by field what differs since that revision, and who changed it; the way to go on.

    Args:
        mine: the fields that this command line names.
        history: the hook's revisions, newest first.
    """
    from hookrow.records import as_of  # help needs no records

    base_revision = as_of(history, revision)
    if base_revision is None:
        return  # no such revision: there is nothing to compare with
    then = base_revision.after or {}
    now = hook_json(current)
    rows: list[dict[str, Any]] = []
    for field in FIELDS:
        named = field.code in mine or (field.code == "custom_header" and HEADER_VALUE in mine)
        base = value_then(then, field.code)
        changed_by = [each.who for each in history if each.revision > revision and changes_field(each, field.code)]
        if named or changed_by:
            written = plain(field, mine.get(field.code)) if named else base
            sides = {"base": base, "mine": written, "theirs": now[field.code]}
            rows.append({"field": field.code, **sides, "by": changed_by[0] if changed_by else None})
    if as_json:
        put_json({"conflict": rows, "revision": current.revision})
        return
    titles = (Text("Field"), Text("Revision {n}", n=revision), Text("Yours"), Text("Now"), Text("By"))
    put_table(
        [Column(str(title), shrink=place in (1, 2, 3)) for place, title in enumerate(titles)],
        [line(row) for row in rows],
    )
    say(
        Text(
            "Nothing was saved: somebody changed the hook. To save your values anyway, add --revision {n}",
            n=current.revision,
        )
    )


def line(row: Mapping[str, Any]) -> Sequence[str | Cell]:
    """A field's line: in red where both sides changed it differently."""
    both = row["by"] is not None and row["mine"] not in (row["base"], row["theirs"])
    shown = [value if isinstance(value, str) else to_json(value) for value in (row["base"], row["mine"], row["theirs"])]
    return (Cell(row["field"], "red" if both else None), *shown, row["by"] or "")


def changes_field(revision: Revision, code: str) -> bool:
    codes = {name for name, _, _ in revision.changes()}
    return code in codes or (code == "custom_header" and HEADER_VALUE in codes)


def value_then(then: Mapping[str, Any], code: str) -> Any:
    """A field as the revision has it, in the shape of `--json`."""
    if code == "custom_header":
        return {"name": then.get(code), "set": bool((then.get(HEADER_VALUE) or {}).get("set"))}
    value = then.get(code)
    return {"set": value["set"]} if isinstance(value, dict) else value


def plain(field: Field, value: Any) -> Any:
    """What was to be written, in the shape of `--json`; of a secret only whether there is one."""
    if field.secret:
        return {"set": value is not None}
    try:
        value = field.read(value)[0]
    except Unfit:  # shown as it was typed: only what is written is judged
        return value
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
