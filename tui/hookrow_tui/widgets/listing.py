"""Rows with a cursor, one line each: the hooks, a hook's history. The cursor stands on a row, wherever that goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

__all__ = ["Listing"]

RowT = TypeVar("RowT")


class Listing(ScrollView, Generic[RowT], can_focus=True):
    """Posts `Moved` whenever the cursor stands on another row, or its row changed. A subclass says what a row looks
    like (`line`) and by what it is known (`ident`)."""

    DEFAULT_CSS = """
    Listing { height: 1fr; overflow-x: hidden; scrollbar-size: 1 1; background: $background; }
    Listing > .table--cursor { background: $cursor; color: $cursor-text; text-style: bold; }
    Listing > .table--quiet { color: $quiet; }
    Listing > .table--bad { color: $warning; }
    Listing > .table--marked { color: $accent; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--cursor", "table--quiet", "table--bad", "table--marked"}
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

        row: Any

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[RowT] = []
        self.place = 0
        self.empty = ""
        """What the first line says while there are no rows."""

    def line(self, row: RowT) -> tuple[str, str]:
        """A row as text, and how it is coloured: `quiet`, `bad`, `marked` or ''."""
        raise NotImplementedError

    def ident(self, row: RowT) -> object:
        """What the row is known by when the list is read again."""
        raise NotImplementedError

    @property
    def row(self) -> RowT | None:
        """The row under the cursor."""
        return self.rows[self.place] if self.rows else None

    def show(self, rows: list[RowT], ident: object = None) -> None:
        """Draw these rows; the cursor stays on its row, or goes to the one named."""
        wanted = ident
        if wanted is None and self.row is not None:
            wanted = self.ident(self.row)
        self.rows = rows
        places = [place for place, each in enumerate(rows) if self.ident(each) == wanted]
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
            said = "" if self.rows or place else self.empty
            return Strip([Segment(said, self.rich_style)]).adjust_cell_length(width, self.rich_style)
        text, kind = self.line(self.rows[place])
        if place == self.place:
            kind = "cursor"
        style = self.get_component_rich_style(f"table--{kind}") if kind else self.rich_style
        return Strip([Segment(text, style)]).adjust_cell_length(width, style).simplify()
