"""The log on the screen: a widget that draws the lines of its window and nothing else; its cursor stands on an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.log.list import LogList, WindowLine
from hookrow_tui.presenters.log.rows import LogRow, line

__all__ = ["LogView"]

WHEEL = 3
"""Lines that a turn of the wheel moves the cursor."""


class LogView(Widget, can_focus=True):
    """The window over the log. Posts `Highlighted` when the cursor is on another line, `Wanted` for what to read."""

    DEFAULT_CSS = """
    LogView { height: 1fr; background: $background; }
    LogView > .log--cursor { background: $cursor; color: $cursor-text; text-style: bold; }
    .-mono LogView > .log--cursor { text-style: reverse; }
    LogView > .log--good { color: $success; }
    LogView > .log--bad { color: $error; }
    LogView > .log--veto { color: $warning; }
    LogView > .log--quiet { color: $quiet; }
    LogView > .log--event { text-style: bold; }
    LogView > .log--thumb { color: $primary; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *("log--cursor", "log--good", "log--bad", "log--veto", "log--quiet", "log--event", "log--thumb")
    }
    BINDINGS: ClassVar[list[Any]] = [
        ("up,k", "move(-1)", ""),
        ("down,j", "move(1)", ""),
        ("pageup", "page(-1)", ""),
        ("pagedown", "page(1)", ""),
        ("home", "home", ""),
        ("enter", "enter", ""),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor stands on this line; None if there is none, or while it is being read."""

        row: LogRow | None

    @dataclass
    class Wanted(Message):
        """These firings are in or near the window and have to be read."""

        ids: list[int]

    @dataclass
    class Entered(Message):
        """Enter on a line."""

    @dataclass
    class Scrolled(Message):
        """The person moved: whether the log is followed, and how many rows are new, may have changed."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.rows = LogList()
        self.lines: list[WindowLine] = []
        self.thumb = 0
        self.highlighted: LogRow | None = None
        self.empty = ""
        """What the first line says while there are no rows."""

    @property
    def row(self) -> LogRow | None:
        """The line under the cursor."""
        return self.rows.row(self.rows.cursor)

    def say(self, empty: str) -> None:
        """What stands there while there are no rows."""
        if empty != self.empty:
            self.empty = empty
            self.refresh(Region(0, 0, self.size.width, 1))

    def draw(self) -> None:
        """Bring the screen up to date with `rows`: only lines that differ are drawn."""
        height, width = self.size.height, self.size.width
        if not height:
            return
        lines = self.rows.shown(height)
        thumb = self.rows.thumb(height)
        empty = [None] * height
        before, after = [*self.lines, *empty], [*lines, *empty]
        dirty = [y for y in range(height) if before[y] != after[y]]
        if thumb != self.thumb:
            dirty += [self.thumb, thumb]
        self.lines, self.thumb = lines, thumb
        if dirty:
            self.refresh(*(Region(0, y, width, 1) for y in set(dirty) if y < height))
        wanted = self.rows.wanted(height)
        if wanted:
            self.post_message(self.Wanted(wanted))
        row = self.row
        if row != self.highlighted:
            self.highlighted = row
            self.post_message(self.Highlighted(row))

    def on_resize(self) -> None:
        self.rows.reveal(self.size.height)
        self.lines = []
        self.draw()
        self.refresh()

    def moved(self) -> None:
        """The person moved the cursor."""
        self.draw()
        self.post_message(self.Scrolled())

    def action_move(self, lines: int) -> None:
        self.rows.move(lines, self.size.height)
        self.moved()

    def action_page(self, direction: int) -> None:
        self.action_move(direction * max(1, self.size.height - 1))

    def action_home(self) -> None:
        self.rows.home()
        self.moved()

    def action_enter(self) -> None:
        self.post_message(self.Entered())

    def on_click(self, event: events.Click) -> None:
        if event.y < len(self.lines):
            self.rows.go(self.lines[event.y].place, self.size.height)
            self.moved()

    def on_mouse_scroll_down(self) -> None:
        self.action_move(WHEEL)

    def on_mouse_scroll_up(self) -> None:
        self.action_move(-WHEEL)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if y >= len(self.lines):
            said = "" if self.lines or y else self.empty
            return Strip([Segment(said, base)]).adjust_cell_length(width, base)
        shown = self.lines[y]
        row = shown.row
        if row is None:
            text, sign, rest = " " * 13, self.glyphs.more[:1], " " * (width - 15)
        else:
            text, sign, rest = line(row, width - 1, self.glyphs.more)
        if shown.marked:
            text = text[:-1] + "*"
        if shown.cursor:
            style = self.get_component_rich_style("log--cursor")
            strip = [Segment(text + sign + rest, style)]
        else:
            name = row.kind if row is not None else "quiet"
            colour = base if name == "wait" else self.get_component_rich_style(f"log--{name}")
            words = base if name in ("good", "wait") else colour
            if row is not None and row.place == 0:
                event = self.get_component_rich_style("log--event")
                words = words + event.from_color() if words is not base else event
            strip = [Segment(text, base), Segment(sign, colour), Segment(rest, words)]
        here = self.glyphs.thumb if y == self.thumb and len(self.rows.ids) > len(self.lines) else " "
        strip.append(Segment(here, self.get_component_rich_style("log--thumb") if here != " " else base))
        return Strip(strip).adjust_cell_length(width, base).simplify()
