"""A pane of lines that scrolls: the detail of what the log's cursor stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.styled import Line

__all__ = ["Pane"]


class Pane(Widget, can_focus=True):
    """Lines, already as wide as the pane; only those that changed are drawn anew."""

    DEFAULT_CSS = """
    Pane { background: $background; padding: 0 0 0 1; }
    Pane > .pane--key { color: $primary; }
    Pane > .pane--string { color: $success; }
    Pane > .pane--number { color: $accent; }
    Pane > .pane--good, Pane > .pane--add { color: $success; }
    Pane > .pane--bad, Pane > .pane--gone { color: $error; }
    Pane > .pane--veto { color: $warning; }
    Pane > .pane--quiet { color: $quiet; }
    Pane > .pane--head { text-style: bold; }
    Pane > .pane--thumb { color: $primary; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *("pane--key", "pane--string", "pane--number", "pane--good", "pane--add", "pane--bad", "pane--gone"),
        *("pane--veto", "pane--quiet", "pane--head", "pane--thumb"),
    }
    BINDINGS: ClassVar[list[Any]] = [
        ("up,k", "scroll(-1)", ""),
        ("down,j", "scroll(1)", ""),
        ("pageup", "page(-1)", ""),
        ("pagedown,space", "page(1)", ""),
        ("home", "edge(0)", ""),
        ("end", "edge(1)", ""),
        ("plus,equals_sign", "more", ""),
    ]

    @dataclass
    class More(Message):
        """More of the body is wanted."""

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:
        super().__init__(id=id)
        self.glyphs = glyphs
        self.content: Sequence[Line] = ()
        self.at = 0

    @property
    def columns(self) -> int:
        """Columns for text: one is left for the thumb."""
        return max(2, self.size.width - 1)

    def show(self, lines: Sequence[Line], *, top: bool) -> None:
        """Draw these lines from now on, from the first one or from where the person has scrolled to."""
        before = self.window()
        self.content = lines
        self.at = 0 if top else min(self.at, self.last)
        self.redraw(before)

    def window(self) -> list[Line]:
        """The lines in sight."""
        return list(self.content[self.at : self.at + self.size.height])

    @property
    def last(self) -> int:
        """The furthest that one can scroll."""
        return max(0, len(self.content) - self.size.height)

    def redraw(self, before: list[Line]) -> None:
        height = self.size.height
        empty: list[Line] = [()] * height
        old, new = [*before, *empty], [*self.window(), *empty]
        left = self.gutter.left
        dirty = [Region(left, y + self.gutter.top, self.size.width, 1) for y in range(height) if old[y] != new[y]]
        dirty += [Region(left + self.size.width - 1, self.gutter.top, 1, height)] if self.last else []
        if dirty:
            self.refresh(*dirty)

    def go(self, at: int) -> None:
        before = self.window()
        self.at = max(0, min(at, self.last))
        self.redraw(before)

    def action_scroll(self, lines: int) -> None:
        self.go(self.at + lines)

    def action_page(self, direction: int) -> None:
        self.go(self.at + direction * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        self.go(self.last if end else 0)

    def action_more(self) -> None:
        self.post_message(self.More())

    def on_mouse_scroll_down(self) -> None:
        self.action_scroll(3)

    def on_mouse_scroll_up(self) -> None:
        self.action_scroll(-3)

    def style_of(self, role: str, base: Style) -> Style:
        name = f"pane--{role}"
        return self.get_component_rich_style(name) if name in self.COMPONENT_CLASSES else base

    def render_line(self, y: int) -> Strip:
        base, width = self.rich_style, self.size.width
        place = self.at + y
        line = self.content[place] if place < len(self.content) else ()
        strip = Strip([Segment(text, self.style_of(role, base)) for text, role in line])
        strip = strip.adjust_cell_length(width - 1, base)
        here = bool(self.last) and y == round(self.at / self.last * (self.size.height - 1))
        thumb = Segment(self.glyphs.thumb, self.style_of("thumb", base)) if here else Segment(" ", base)
        return Strip([*strip, thumb], width).simplify()
