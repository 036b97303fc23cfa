"""A line whose last word is completed while it is typed: the rest stands behind the cursor, Tab or → writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from textual import events
from textual.widgets import Input

__all__ = ["Completing"]


class Completing(Input):
    """Down and up go through what else it may become.

    Args:
        complete: what the whole line may become, the likeliest first; each begins with what is typed.
    """

    BINDINGS: ClassVar[list[Any]] = [("down", "other(1)", ""), ("up", "other(-1)", "")]

    def __init__(self, complete: Callable[[str], Sequence[str]], **more: Any) -> None:
        self.complete = complete
        self.offers: Sequence[str] = ()
        self.place = 0
        super().__init__(compact=True, select_on_focus=False, **more)
        self.cursor_blink = False

    def watch_value(self, value: str) -> None:  # besides Input's own, which forgets what it suggested
        self.offers = [each for each in self.complete(value) if each.startswith(value) and len(each) > len(value)]
        self.place = 0
        self._suggestion = self.offers[0] if self.offers else ""

    def action_other(self, step: int) -> None:
        """Show another one of what the line may become."""
        if self.offers and self.cursor_at_end:
            self.place = (self.place + step) % len(self.offers)
            self._suggestion = self.offers[self.place]

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "tab":  # it never leaves the line: what is typed next would be taken for commands
            event.stop()
            event.prevent_default()
            if self.cursor_at_end and len(self._suggestion) > len(self.value):
                self.action_cursor_right()
