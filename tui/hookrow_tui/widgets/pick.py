"""Choosing one of many by typing a part of its name: an event of the catalogue, a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from rich.text import Text as Styled
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Static

from hookrow_tui.actions import Group
from hookrow_tui.presenters.columns import steady
from hookrow_tui.widgets.dialogs import box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.words import NO_MATCH

__all__ = ["Pick", "matching"]

Item = tuple[str, str]
"""A code, and the line that is shown for it."""


def matching(items: Sequence[Item], typed: str) -> list[Item]:
    """The items whose line holds all typed words, in either case."""
    words = typed.lower().split()
    return [item for item in items if all(word in item[1].lower() for word in words)]


class MatchList(Widget):
    """The items that match, one a line, with a cursor that is also a sign."""

    DEFAULT_CSS = """
    MatchList { height: 12; width: 1fr; }
    MatchList > .found--cursor { background: $cursor; color: $cursor-text; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"found--cursor"}

    class Clicked(Message):
        """A line was chosen by the mouse."""

    def __init__(self, items: Sequence[Item], place: int) -> None:
        super().__init__()
        self.items = list(items)
        self.place = place

    def show(self, items: Sequence[Item]) -> None:
        self.items, self.place = list(items), 0
        self.refresh()

    def move(self, step: int) -> None:
        self.place = max(0, min(self.place + step, len(self.items) - 1))
        self.refresh()

    @property
    def first(self) -> int:
        """The item on the first line."""
        return max(0, self.place - self.size.height + 1)

    def on_click(self, event: events.Click) -> None:
        if self.first + event.y < len(self.items):
            self.place = self.first + event.y
            self.post_message(self.Clicked())

    def render_line(self, y: int) -> Strip:
        place = y + self.first
        if place >= len(self.items):
            said = "" if self.items or y else f"  {NO_MATCH}"
            return Strip([Segment(said, self.rich_style)]).adjust_cell_length(self.size.width, self.rich_style)
        here = place == self.place
        style = self.get_component_rich_style("found--cursor") if here else self.rich_style
        text = f"{'>' if here else ' '} {steady(self.items[place][1])}"
        return Strip([Segment(text, style)]).adjust_cell_length(self.size.width, style)


class Pick(Dialog[str]):
    """A box with a line to type in and the items that match; Enter gives the code of the marked one.

    Args:
        chosen: the code that is marked at the beginning.
        typed: what stands in the line already.
        notes: lines about each code, shown below the list for the marked one.
    """

    GROUPS: ClassVar[tuple[Group, ...]] = ("pick",)
    DEFAULT_CSS = box_css("Pick", 76) + (
        "Pick Input { padding: 0 2; } Pick #note { width: 100%; height: auto; padding: 0 2; color: $quiet; }"
    )
    BINDINGS: ClassVar[list[Any]] = [
        ("escape", "dismiss(None)", ""),
        ("up", "move(-1)", ""),
        ("down", "move(1)", ""),
        ("pageup", "move(-11)", ""),
        ("pagedown", "move(11)", ""),
    ]

    def __init__(
        self,
        title: str,
        items: Sequence[Item],
        *,
        chosen: str = "",
        typed: str = "",
        notes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.notes = notes or {}
        self.heading = title
        self.items = list(items)
        self.chosen = chosen
        self.typed = typed

    def compose(self) -> ComposeResult:
        place = next((place for place, (code, _) in enumerate(self.items) if code == self.chosen), 0)
        with Vertical() as box:
            box.border_title = self.heading
            field = Input(self.typed, compact=True, select_on_focus=False)
            field.cursor_blink = False
            yield field
            yield MatchList(self.items, place)
            if self.notes:
                note = Static(id="note")
                note.styles.height = max(map(len, self.notes.values())) + 1
                yield note

    def on_mount(self) -> None:
        self.explain()

    def explain(self) -> None:
        """Say what is known of the marked item."""
        if self.notes:
            found = self.query_one(MatchList)
            code = found.items[found.place][0] if found.items else ""
            self.query_one("#note", Static).update(Styled("\n".join(self.notes.get(code, ()))))

    def action_move(self, step: int) -> None:
        self.query_one(MatchList).move(step)
        self.explain()

    @on(Input.Changed)
    def narrow(self, message: Input.Changed) -> None:
        if message.value:
            self.query_one(MatchList).show(matching(self.items, message.value))
        elif len(self.query_one(MatchList).items) != len(self.items):
            self.query_one(MatchList).show(self.items)
        self.explain()

    @on(Input.Submitted)
    @on(MatchList.Clicked)
    def take(self) -> None:
        found = self.query_one(MatchList)
        if found.items:
            self.dismiss(found.items[found.place][0])
