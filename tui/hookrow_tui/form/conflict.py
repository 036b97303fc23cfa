"""Two people edited one hook: both sides, field by field, and a choice for each where they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, ClassVar

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from hookrow.records import Revision
from hookrow_tui.actions import Group
from hookrow_tui.presenters.changes import label_of, summary, when
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.form.state import SECRETS, Merged, Value
from hookrow_tui.widgets.dialogs import Choices, box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.words import Say

__all__ = ["ConflictScreen"]

REVISIONS = 3
"""Revisions that are named, the newest."""


def in_one_line(value: Value) -> str:
    """A field's value in one line."""
    if isinstance(value, bool):
        return str(Say("yes") if value else Say("no"))
    return steady(" ".join((value or "").split())) or "—"


def secret_sides(code: str, mine: Value, since: Sequence[Revision]) -> tuple[str, str]:
    """What both did to a secret: never its value."""
    stored = "custom_header_value" if code == "custom_header" else code
    newest = since[0].after or {}
    who = next((each.who for each in since if each.before is not None and touches_secret(each, stored)), since[0].who)
    theirs = (
        Say("replaced by {who}", who=who) if newest.get(stored, {}).get("set") else Say("removed by {who}", who=who)
    )
    return str(Say("replaced by a new one") if mine else Say("removed")), str(theirs)


def touches_secret(revision: Revision, code: str) -> bool:
    """Whether this revision replaced, set or removed a secret."""
    old, new = (revision.before or {}).get(code), (revision.after or {}).get(code, {})
    return old != new or bool(new.get("changed"))


class Sides(Widget, can_focus=True):
    """Three lines a field: its name, mine, theirs; Space takes the other side, Enter goes on to the answers.

    Args:
        sides: by field, what is shown of mine and of theirs.
    """

    DEFAULT_CSS = """
    Sides { width: 1fr; height: auto; max-height: 14; }
    Sides > .sides--cursor { background: $cursor; color: $cursor-text; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"sides--cursor"}
    BINDINGS: ClassVar[list[Any]] = [
        ("up,k", "move(-1)", ""),
        ("down,j", "move(1)", ""),
        ("space,left,right", "swap", ""),
        ("enter", "screen.focus_next", ""),
    ]

    def __init__(self, sides: Mapping[str, tuple[str, str]]) -> None:
        super().__init__()
        self.sides, self.codes = sides, list(sides)
        self.taken = dict.fromkeys(sides, False)
        self.place = 0

    def get_content_height(self, container: Any, viewport: Any, width: int) -> int:
        return len(self.codes) * 3

    def action_move(self, step: int) -> None:
        self.place = max(0, min(self.place + step, len(self.codes) - 1))
        self.refresh()

    def action_swap(self) -> None:
        code = self.codes[self.place]
        self.taken[code] = not self.taken[code]
        self.refresh()

    def render_line(self, y: int) -> Strip:
        rows = max(1, self.size.height // 3)
        number = y // 3 + max(0, self.place - rows + 1)
        width = self.size.width
        if number >= len(self.codes):
            return Strip.blank(width, self.rich_style)
        code, part = self.codes[number], y % 3
        style = self.rich_style
        if part == 0:
            text = f" {label_of(code)}"
        else:
            theirs = part == 2
            side = Say("current") if theirs else Say("mine")
            mark = "(*)" if self.taken[code] == theirs else "( )"
            text = f"   {mark} {fit(str(side), 8)} {self.sides[code][theirs]}"
            if number == self.place and self.has_focus and self.taken[code] == theirs:
                style = self.get_component_rich_style("sides--cursor")
        return Strip([Segment(fit(text, width), style)])


class ConflictScreen(Dialog[dict[str, Value]]):
    """Gives what to write for the fields in conflict, or None to go back to the form with everything as it was.

    Args:
        draft: mine was kept by a session that was cut off; it goes into the form and not yet into the database.
    """

    GUARDED = True
    GROUPS: ClassVar[tuple[Group, ...]] = ("conflict",)
    DEFAULT_CSS = box_css("ConflictScreen", 76) + "ConflictScreen Static { height: auto; padding: 0 0 1 0; }"

    def __init__(
        self,
        mine: Mapping[str, Value],
        theirs: Mapping[str, Value],
        merged: Merged,
        since: Sequence[Revision],
        zone: tzinfo,
        *,
        draft: bool = False,
    ) -> None:
        super().__init__()
        self.draft = draft
        self.mine, self.theirs, self.merged, self.since, self.zone = mine, theirs, merged, since, zone

    def sides(self) -> dict[str, tuple[str, str]]:
        """What is shown of both sides, by field."""
        return {
            code: secret_sides(code, self.mine[code], self.since)
            if code in SECRETS
            else (in_one_line(self.mine[code]), in_one_line(self.theirs[code]))
            for code in self.merged.conflicts
        }

    def compose(self) -> ComposeResult:
        lines: list[object] = [
            Say("Since this draft was kept, somebody changed this hook:")
            if self.draft
            else Say("While you were editing, somebody changed this hook:")
        ]
        lines += [
            f"  {when(each.at_ms, self.zone)}  {steady(each.who)}  {steady(summary(each))}"
            for each in self.since[:REVISIONS]
        ]
        if self.merged.theirs_only:
            names = ", ".join(label_of(code) for code in self.merged.theirs_only)
            lines.append(Say("Changed only in the database, and taken over: {names}.", names=names))
        if self.merged.conflicts:
            lines.append(Say("Changed by you and by somebody else. Space takes the other value:"))
        with Vertical() as box:
            box.border_title = str(Say("Changed by somebody else"))
            yield Static("\n".join(map(str, lines)), markup=False)
            if self.merged.conflicts:
                yield Sides(self.sides())
            save, back = (
                (Say("Open the draft"), Say("Decide later")) if self.draft else (Say("Save"), Say("Keep editing"))
            )
            yield Choices([("save", str(save)), ("back", str(back))])

    @on(Choices.Chosen)
    def answer(self, message: Choices.Chosen) -> None:
        if message.code != "save":
            self.dismiss(None)
            return
        taken: dict[str, Value] = {}
        for sides in self.query(Sides):
            taken = {code: (self.theirs if theirs else self.mine)[code] for code, theirs in sides.taken.items()}
        self.dismiss(taken)
