"""What stands beside the body while it is written: the names of the payload, or what the body becomes on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events
from textual.message import Message

from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.form.body_names import Name
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.widgets.listing import Listing
from hookrow_tui.widgets.page import TextLine
from hookrow_tui.widgets.pane import Pane
from hookrow_tui.words import NO_MATCH

__all__ = ["AsideHead", "Names", "SentBody"]


class AsideHead(TextLine):
    """The line above it: which payload this is."""

    DEFAULT_CSS = "AsideHead { color: $quiet; text-style: bold; }"
    code = "aside_head"


class Names(Listing[Name]):
    """The names, one a line, with a look at the value. Enter puts one into the body; letters narrow the list, Backspace
    widens it again; Escape goes back to the body."""

    BINDINGS: ClassVar[list[Any]] = [
        ("up", "move(-1)", ""),
        ("down", "move(1)", ""),
        ("enter", "take", ""),
        ("backspace", "widen", ""),
        ("escape", "leave", ""),
    ]
    code = "names"

    @dataclass
    class Taken(Message):
        """This name is to be put into the body."""

        name: Name

    @dataclass
    class Left(Message):
        """Back to the body."""

    @dataclass
    class Narrowed(Message):
        """Only names with this in them are shown."""

        typed: str

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.every: Sequence[Name] = ()
        self.typed = ""

    def know(self, names: Sequence[Name]) -> None:
        """Show these names."""
        self.every = names
        self.narrow(self.typed)

    def narrow(self, typed: str) -> None:
        """Show those that hold what was typed."""
        self.typed = typed
        lower = typed.lower()
        self.empty = f" {NO_MATCH}" if self.every else ""
        self.show([name for name in self.every if lower in name.path.lower()])
        self.post_message(self.Narrowed(typed))

    def ident(self, row: Name) -> object:
        return row.path

    def line(self, row: Name) -> tuple[str, str]:
        room = max(8, self.size.width - 4)
        path = steady(row.path)
        shown = row.shown()
        if len(path) + 2 + len(shown) > room:
            shown = shown if room - len(path) > 6 else ""
        text = fit(path, min(len(path), room)) + (f"  {fit(shown, max(0, room - len(path) - 2))}" if shown else "")
        return f"{self.glyphs.side} {text.rstrip()}", ""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character.isprintable()

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character:
            event.stop()
            self.narrow(self.typed + event.character)

    def action_widen(self) -> None:
        self.narrow(self.typed[:-1])

    def action_take(self) -> None:
        if self.row is not None:
            self.post_message(self.Taken(self.row))

    def action_leave(self) -> None:
        if self.typed:
            self.narrow("")
        else:
            self.post_message(self.Left())

    def on_click(self, event: events.Click) -> None:
        super().on_click(event)
        self.action_take()


class SentBody(Pane):
    """The body as it would leave. Enter chooses the firing whose payload it is made of; Escape goes back."""

    BINDINGS: ClassVar[list[Any]] = [("enter", "choose", ""), ("escape", "leave", "")]
    code = "sent"

    @dataclass
    class Choosing(Message):
        """Another firing is wanted."""

    def action_choose(self) -> None:
        self.post_message(self.Choosing())

    def action_leave(self) -> None:
        self.post_message(Names.Left())
