"""The rows of the list of hooks: a widget that draws its lines itself; its cursor stands on a hook, not on a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from hookrow_tui.hook_rows import Row, line
from hookrow_tui.look import Glyphs

__all__ = ["HookTable"]


class HookTable(ScrollView, can_focus=True):
    """Rows with a cursor. Posts `Moved` whenever the cursor stands on another hook, or its row changed."""

    DEFAULT_CSS = """
    HookTable { height: 1fr; overflow-x: hidden; scrollbar-size: 1 1; background: $background; }
    HookTable > .table--cursor { background: $cursor; color: $cursor-text; text-style: bold; }
    HookTable > .table--quiet { color: $quiet; }
    HookTable > .table--bad { color: $warning; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--cursor", "table--quiet", "table--bad"}
    BINDINGS: ClassVar[list[Any]] = [
        ("up,k", "move(-1)", ""),
        ("down,j", "move(1)", ""),
        ("pageup", "page(-1)", ""),
        ("pagedown", "page(1)", ""),
        ("home", "end(0)", ""),
        ("end", "end(-1)", ""),
    ]

    @dataclass
    class Moved(Message):
        """The cursor stands here; None when there are no rows."""

        row: Row | None

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.rows: list[Row] = []
        self.place = 0

    @property
    def row(self) -> Row | None:
        """The row under the cursor."""
        return self.rows[self.place] if self.rows else None

    def show(self, rows: list[Row], hook_id: int | None = None) -> None:
        """Draw these rows; the cursor stays on its hook, or goes to the one named."""
        wanted = hook_id if hook_id is not None else self.row.hook.id if self.row else None
        self.rows = rows
        places = [place for place, each in enumerate(rows) if each.hook.id == wanted]
        self.place = places[0] if places else min(self.place, max(0, len(rows) - 1))
        self.virtual_size = Size(self.size.width, len(rows))
        self.reveal()
        self.refresh()
        self.post_message(self.Moved(self.row))

    def reveal(self) -> None:
        self.scroll_to_region(Region(0, self.place, 1, 1), animate=False, force=True)

    def go(self, place: int) -> None:
        """Put the cursor on a row by its place."""
        place = max(0, min(place, len(self.rows) - 1))
        if self.rows and place != self.place:
            self.place = place
            self.reveal()
            self.refresh()
            self.post_message(self.Moved(self.row))

    def action_move(self, step: int) -> None:
        self.go(self.place + step)

    def action_page(self, step: int) -> None:
        self.go(self.place + step * max(1, self.size.height - 1))

    def action_end(self, place: int) -> None:
        self.go(place if place >= 0 else len(self.rows) - 1)

    def on_click(self, event: events.Click) -> None:
        self.go(event.y + self.scroll_offset.y)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.rows))
        self.reveal()

    def render_line(self, y: int) -> Strip:
        place = y + self.scroll_offset.y
        width = self.size.width
        if place >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        row = self.rows[place]
        if place == self.place:
            name = "table--cursor"
        elif row.hook.state != "on":
            name = "table--quiet"
        elif row.failing:
            name = "table--bad"
        else:
            name = ""
        style = self.get_component_rich_style(name) if name else self.rich_style
        text = line(row, self.app.size.width, self.glyphs)
        return Strip([Segment(text, style)]).adjust_cell_length(width, style).simplify()
