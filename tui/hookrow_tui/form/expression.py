"""The line of a condition: names of the payload are completed while they are typed."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from hookrow_tui.form.fields import Line
from hookrow_tui.presenters.body_lexer import PATH
from hookrow_tui.presenters.form.body_names import Name, completions_of

__all__ = ["Expression"]


class Expression(Line):
    """`names` are those of the payload that it is tried on; `offers` what the name at the end may become."""

    def __init__(self, code: str, value: str) -> None:
        self.names: Sequence[Name] = ()
        self.offers: list[Name] = []
        super().__init__(code, value)

    def know(self, names: Sequence[Name]) -> None:
        """These names can be completed from now on."""
        self.names = names
        self.offer()

    def watch_value(self) -> None:  # besides Input's own, which forgets what it suggested
        self.offer()

    def offer(self) -> None:
        """Look what the name at the end may become; the rest of the first one is shown behind the cursor."""
        found = PATH.search(self.value)
        typed = found[0] if found else ""
        self.offers = completions_of(self.names, typed) if typed else []
        begins = typed and self.offers and self.offers[0].path.startswith(typed)
        self._suggestion = self.value + self.offers[0].path[len(typed) :] if begins else ""

    async def _on_key(self, event: events.Key) -> None:
        found = PATH.search(self.value)
        if event.key == "tab" and self.cursor_at_end and self.offers and found:
            event.stop()
            event.prevent_default()
            self.value = self.value[: found.start()] + self.offers[0].path
            self.cursor_position = len(self.value)
