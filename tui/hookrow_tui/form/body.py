"""The body's editor: colours, indents, names completed while they are typed, a paste as one step of undo."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text as Styled
from textual import events
from textual.geometry import Offset
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from hookrow_tui.form.fields import Edited
from hookrow_tui.presenters.body_lexer import CursorPlace, Token, place_at, tokens
from hookrow_tui.presenters.form.body_names import INDENT, Name, completions_of, with_name
from hookrow_tui.terminal.mended import SteadyCursor

__all__ = ["Body"]

OFFERED = 40
"""Names that are told of while one is typed, at most."""


class Body(SteadyCursor, TextArea):
    """The body's template, with line numbers. Tab leaves it, unless a name can be completed.

    `names` are those of the payload that it is tried on; `offers` what the name under the cursor may become.
    """

    DEFAULT_CSS = """
    Body > .body--key { color: $primary; }
    Body > .body--text { color: $success; }
    Body > .body--tag { color: $accent; }
    Body > .body--comment { color: $quiet; }
    Body > .text-area--suggestion { color: $quiet; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"body--key", "body--text", "body--tag", "body--comment"}
    # Textual's own F6 and F7 select; here they are the form's.
    BINDINGS: ClassVar[list[Any]] = [("f6", "screen.zoom", ""), ("f7", "screen.seek", "")]

    def __init__(self, code: str, text: str) -> None:
        self.names: Sequence[Name] = ()
        self.offers: list[Name] = []
        self.pieces: list[Token] = []
        self.coloured: dict[int, list[tuple[int, int, str]]] = {}
        super().__init__(
            text, show_line_numbers=True, compact=True, soft_wrap=False, tab_behavior="focus", classes="field"
        )
        self.code = code
        self.cursor_blink = False
        self.highlight_cursor_line = False

    def on_mount(self) -> None:
        self.update_suggestion()

    def forbid(self) -> None:
        """It can be read and scrolled, not changed."""
        self.read_only = True

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        self.post_message(Edited(self.code, self.text))

    # Where the cursor is

    @property
    def at(self) -> int:
        """The cursor as an offset of the text."""
        return self.offset_of(self.cursor_location)

    def offset_of(self, location: tuple[int, int]) -> int:
        """A place of the text as an offset."""
        row, column = location
        return sum(len(line) + 1 for line in self.document.lines[:row]) + column

    def location_of(self, offset: int) -> tuple[int, int]:
        """An offset of the text as a place."""
        before = self.text[:offset]
        return before.count("\n"), offset - before.rfind("\n") - 1

    def place(self) -> CursorPlace:
        """What kind of place the cursor is at."""
        return place_at(self.text, self.at, self.pieces)

    def go(self, line: int, column: int) -> None:
        """Put the cursor there, counted from 1; as near as the text allows."""
        row = max(0, min(line - 1, self.document.line_count - 1))
        self.move_cursor((row, max(0, min(column - 1, len(self.document.get_line(row))))))

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Bring the cursor into sight. Textual 8.2.8 asks for it while an undo has taken the cursor's line away and not
        yet moved the cursor, and raises; it asks once more when it has."""
        try:
            return super().scroll_cursor_visible(center, animate)
        except ValueError:
            return Offset()

    # Colours

    def update_suggestion(self) -> None:  # Textual calls it after every change of the text
        self.pieces = tokens(self.text)
        self.colour()
        self.offer()

    def colour(self) -> None:
        """Which columns of which lines have a colour."""
        starts = [0]
        for line in self.document.lines:
            starts.append(starts[-1] + len(line) + 1)
        coloured: dict[int, list[tuple[int, int, str]]] = {}
        for token in self.pieces:
            name = f"body--{token.kind}"
            if name not in self.COMPONENT_CLASSES:
                continue
            row = bisect_right(starts, token.start) - 1
            while row < len(starts) - 1 and starts[row] < token.end:
                first, last = max(token.start, starts[row]), min(token.end, starts[row + 1] - 1)
                coloured.setdefault(row, []).append((first - starts[row], last - starts[row], name))
                row += 1
        self.coloured = coloured

    def get_line(self, line_index: int) -> Styled:
        line = super().get_line(line_index)
        for start, end, name in self.coloured.get(line_index, ()):
            line.stylize(self.get_component_rich_style(name, partial=True), start, end)
        return line

    # Names

    def know(self, names: Sequence[Name]) -> None:
        """These names can be completed from now on."""
        self.names = names
        self.offer()

    def offer(self) -> None:
        """Look what the name that is being typed may become; the rest of the first one is shown behind the cursor."""
        self.offers = []
        rest = ""
        if self.names and self.selection.is_empty and not self.read_only:
            row, column = self.cursor_location
            place = self.place()
            following = self.document.get_line(row)[column : column + 1]
            if place.kind == "tag" and place.typed and not (following.isalnum() or following == "_"):
                self.offers = completions_of(self.names, place.typed)[:OFFERED]
                first = self.offers[0].path if self.offers else ""
                rest = first[len(place.typed) :] if first.startswith(place.typed) else ""
        self.suggestion = rest

    def _watch_selection(self, previous_selection: Selection, selection: Selection) -> None:
        super()._watch_selection(previous_selection, selection)
        if previous_selection.end != selection.end and self.is_mounted:
            self.offer()

    def insert_name(self, name: Name) -> None:
        """Put a name in where the cursor is, as that place needs it; one step of undo."""
        if self.read_only:
            return
        done = with_name(self.text, self.at, name)
        self.history.checkpoint()
        self.replace(
            done.text, self.location_of(done.start), self.location_of(done.end), maintain_selection_offset=False
        )
        self.history.checkpoint()
        self.move_cursor(self.location_of(done.start + len(done.text) - done.back))

    # Keys

    async def _on_key(self, event: events.Key) -> None:
        if self.read_only:
            return
        typed = {"enter": self.new_line, "tab": self.complete}.get(event.key)
        done = typed() if typed is not None else event.character in ("}", "]") and self.close_bracket(event.character)
        if done:
            event.stop()
            event.prevent_default()

    def complete(self) -> bool:
        """Put the first name that is offered in the place of what is typed of it."""
        typed = self.place().typed
        if not self.offers or not typed:
            return False
        row, column = self.cursor_location
        self.replace(self.offers[0].path, (row, column - len(typed)), (row, column), maintain_selection_offset=False)
        return True

    def new_line(self) -> bool:
        """A new line with the indent of this one, one step further inside an object or list that opens here."""
        start, end = sorted(self.selection)
        before, after = self.document.get_line(start[0])[: start[1]], self.document.get_line(end[0])[end[1] :]
        indent = before[: len(before) - len(before.lstrip(" "))]
        opens = before.rstrip()[-1:] in ("{", "[") and not before.rstrip().endswith("{{")
        text = "\n" + indent + (INDENT if opens else "")
        closes = opens and after.lstrip()[:1] in ("}", "]") and not after.lstrip().startswith("}}")
        self.replace(text + (f"\n{indent}" if closes else ""), start, end, maintain_selection_offset=False)
        self.move_cursor((start[0] + 1, len(text) - 1))
        return True

    def close_bracket(self, sign: str) -> bool:
        """A bracket that is alone on its line stands one step further out."""
        (row, column), end = sorted(self.selection)
        before = self.document.get_line(row)[:column]
        if before.strip() or len(before) < len(INDENT) or (row, column) != end or self.place().kind == "tag":
            return False
        self.replace(before[: -len(INDENT)] + sign, (row, 0), end, maintain_selection_offset=False)
        self.move_cursor((row, column - len(INDENT) + 1))
        return True

    async def _on_paste(self, event: events.Paste) -> None:
        """All of it at once, in one step of undo; its line ends are ours."""
        event.stop()
        event.prevent_default()
        if not self.read_only:
            text = event.text.replace("\r\n", "\n").replace("\r", "\n")
            self.history.checkpoint()
            result = self.replace(text, *self.selection, maintain_selection_offset=False)
            self.history.checkpoint()
            self.move_cursor(result.end_location)
