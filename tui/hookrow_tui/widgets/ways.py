"""A choice of one among a few labels: `(*)` before the chosen one, a bar before it while it has the focus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, ClassVar

from rich.text import Text as Styled
from textual import events
from textual.message import Message
from textual.widget import Widget

from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.glyphs import Glyphs

__all__ = ["Ways"]

BEFORE = 6
"""Columns before a label: the bar and the brackets."""


class Ways(Widget, can_focus=True):
    """Up and down choose."""

    DEFAULT_CSS = "Ways { height: auto; width: 1fr; }"
    BINDINGS: ClassVar[list[Any]] = [
        ("up,k", "move(-1)", ""),
        ("down,j", "move(1)", ""),
        ("space", "move(1)", ""),
        ("enter", "screen.focus_next", ""),
    ]

    @dataclass
    class Changed(Message):
        """Another line was chosen."""

        code: str

    def __init__(self, items: Sequence[tuple[str, str]], glyphs: Glyphs, *, id: str) -> None:
        super().__init__(id=id)
        self.items = list(items)
        self.glyphs = glyphs
        self.place = 0

    @property
    def code(self) -> str:
        """The chosen line's code."""
        return self.items[self.place][0]

    def lines(self, width: int) -> Iterator[tuple[int, str]]:
        """What is drawn, line by line: whose line it is, and its text. A label without room goes on below itself."""
        for place, (_, label) in enumerate(self.items):
            here = place == self.place
            bar = self.glyphs.focus if here and self.has_focus else " "
            sign = f" {bar}({'*' if here else ' '}) "
            for piece in wrap(steady(label), max(1, width - BEFORE)):
                yield place, sign + piece
                sign = " " * BEFORE

    def get_content_height(self, container: Any, viewport: Any, width: int) -> int:
        return len(list(self.lines(width)))

    def choose(self, code: str) -> None:
        """Choose by code, if it is offered."""
        places = [place for place, (each, _) in enumerate(self.items) if each == code]
        if places and places[0] != self.place:
            self.place = places[0]
            self.refresh()
            self.post_message(self.Changed(code))

    def render(self) -> Styled:
        drawn = (Styled(text, "bold" if place == self.place else "") for place, text in self.lines(self.size.width))
        return Styled("\n").join(drawn)

    def action_move(self, step: int) -> None:
        self.choose(self.items[(self.place + step) % len(self.items)][0])

    def on_click(self, event: events.Click) -> None:
        places = [place for place, _ in self.lines(self.size.width)]
        if event.y < len(places):
            self.choose(self.items[places[event.y]][0])
