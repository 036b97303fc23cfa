"""Finding and replacing in the body: two lines below it, in the place of the hint."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.widgets.text_area import Selection

from hookrow_tui.form.body import Body
from hookrow_tui.words import Say, SayPlural

__all__ = ["SeekBar"]


class SeekBar(Widget):
    """Enter above goes to the next place, Enter below replaces it and goes on, F8 replaces all, Escape closes.

    Args:
        body: the text that is gone through.
    """

    DEFAULT_CSS = """
    SeekBar { dock: bottom; height: 2; margin-bottom: 1; }
    SeekBar Horizontal { height: 1; }
    SeekBar .seek--label { width: 12; padding: 0 1; }
    SeekBar Input { width: 1fr; }
    SeekBar #told { width: 30; color: $quiet; text-align: right; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        ("escape", "close", ""),
        ("f7", "next", ""),
        ("f8", "all", ""),
        ("up,down,tab,shift+tab", "other", ""),
    ]

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(str(Say("Find")), classes="seek--label")
            yield Input(self.chosen(), id="wanted", compact=True)
            yield Static(id="told")
        with Horizontal():
            yield Static(str(Say("Replace")), classes="seek--label")
            yield Input(id="instead", compact=True)
            yield Static(str(Say("Enter · F8 all · Esc")), classes="seek--label", id="keys")

    def on_mount(self) -> None:
        for field in self.query(Input):
            field.cursor_blink = False
        self.query_one("#keys").styles.width = 30
        self.query_one("#wanted", Input).focus()
        self.screen.query_one("#hint").display = False

    def chosen(self) -> str:
        """What is selected in the body, if it is a part of one line."""
        return self.body.selected_text if "\n" not in self.body.selected_text else ""

    @property
    def pattern(self) -> re.Pattern[str] | None:
        """What is looked for, in either case; None where nothing is typed."""
        wanted = self.query_one("#wanted", Input).value
        return re.compile(re.escape(wanted), re.IGNORECASE) if wanted else None

    def tell(self, text: object) -> None:
        self.query_one("#told", Static).update(str(text))

    @on(Input.Submitted, "#wanted")
    def submitted(self, message: Input.Submitted) -> None:
        message.stop()  # the form would go to its next field
        self.action_next()

    def action_next(self) -> None:
        """To the next place behind the cursor, from the end back to the beginning."""
        pattern, text = self.pattern, self.body.text
        if pattern is None:
            return
        places = [found.span() for found in pattern.finditer(text)]
        at = self.body.offset_of(max(self.body.selection))
        where = next((place for place in places if place[0] >= at), places[0] if places else None)
        if where is None:
            self.tell(Say("not found"))
            return
        self.body.selection = Selection(*map(self.body.location_of, where))
        self.tell(Say("{n} of {all}", n=places.index(where) + 1, all=len(places)))

    @on(Input.Submitted, "#instead")
    def replace_this(self, message: Input.Submitted) -> None:
        """Replace what is selected, if it is what is looked for; then to the next place."""
        message.stop()
        pattern, body = self.pattern, self.body
        if pattern is not None and not body.read_only and pattern.fullmatch(body.selected_text):
            body.history.checkpoint()
            instead = self.query_one("#instead", Input).value
            result = body.replace(instead, *body.selection, maintain_selection_offset=False)
            body.selection = Selection.cursor(result.end_location)
        self.action_next()

    def action_all(self) -> None:
        """Replace every place, in one step of undo."""
        pattern, body = self.pattern, self.body
        if pattern is None or body.read_only:
            return
        instead = self.query_one("#instead", Input).value
        text, count = pattern.subn(lambda _: instead, body.text)
        if count:
            body.history.checkpoint()
            body.replace(text, (0, 0), body.document.end, maintain_selection_offset=False)
            body.history.checkpoint()
        self.tell(SayPlural("{n} replaced", "{n} replaced", count))

    def action_other(self) -> None:
        """To the other of the two lines."""
        wanted, instead = self.query_one("#wanted", Input), self.query_one("#instead", Input)
        (wanted if instead.has_focus else instead).focus()

    def action_close(self) -> None:
        self.screen.query_one("#hint").display = True
        self.body.focus()
        self.remove()
