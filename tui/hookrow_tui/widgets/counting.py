"""Something that is done many times in a thread while a box counts how far it is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from hookrow_tui.presenters.hook_rows import number
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import HookEngine

__all__ = ["CountingScreen"]

BAR = 40
"""Columns of the bar that shows how far it is."""


class CountingScreen(Dialog[None]):
    """Does something at once, in a thread, with a count; Escape stops it, then closes."""

    HEADING: ClassVar[Say]
    BINDINGS: ClassVar[list[Any]] = [("escape,enter", "stop", "")]

    def __init__(self) -> None:
        super().__init__()
        self.halt = threading.Event()
        self.ended = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = str(self.HEADING)
            box.border_subtitle = str(Say("Esc stops"))
            yield Static(id="count")

    def on_mount(self) -> None:  # besides Dialog's: Textual calls both
        if self.hookrow.engine is not None:
            self.run_act(self.hookrow.engine)

    @work(thread=True)
    def run_act(self, engine: HookEngine) -> None:
        self.act(engine)

    def act(self, engine: HookEngine) -> None:
        """Do it until it is done or `halt` is set; how far it is goes into messages."""
        raise NotImplementedError

    def bar(self, done: int, whole: int) -> str:
        """How far it is, in one line."""
        filled = BAR * done // max(1, whole)
        return f"{self.hookrow.look.glyphs.bar * filled}{'.' * (BAR - filled)} {number(done)} / {number(whole)}"

    def on_unmount(self) -> None:
        self.halt.set()

    def action_stop(self) -> None:
        if self.ended:
            self.dismiss(None)
        else:
            self.halt.set()
