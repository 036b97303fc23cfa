"""What every screen shares: a title line, a notice where something is wrong, a focus that repaints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from rich.text import Text as Styled
from textual import events
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from hookrow.safetext import covered
from hookrow_tui.actions import Group, box_bindings
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow.glance import Glance
    from hookrow_tui.host import Host

__all__ = ["SEEN", "SMALLEST", "Dialog", "HookrowScreen", "Page", "TextLine", "Title"]

SMALLEST = (80, 20)
"""Columns and rows that the screens are drawn for."""
SEEN = 4.0
"""Seconds that a sentence stands at least, if nobody presses a key: a busy database is read again at once."""

THROWN_AWAY = Say("Typed too early: not taken.")
"""What was typed ahead went nowhere."""

Result = TypeVar("Result")


class TextLine(Widget):
    """One line of text of ours, cut to the width with a sign.

    Style names are variables of the theme (`quiet`, `error`, …) or Rich styles.
    """

    DEFAULT_CSS = "TextLine { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.left = Styled()
        self.right = Styled()

    def show(self, left: Styled | str, right: Styled | str = "") -> None:
        """Draw this from now on."""
        left = Styled(covered(left)) if isinstance(left, str) else left
        right = Styled(covered(right)) if isinstance(right, str) else right
        if (left, right) != (self.left, self.right):
            self.left, self.right = left, right
            self.refresh()

    def render(self) -> Styled:
        width = self.size.width
        right = self.cut(self.right, width)
        left = self.cut(self.left, max(0, width - right.cell_len - 1) if right else width)
        line = Styled(no_wrap=True, overflow="crop", end="")
        line.append_text(left)
        if right:
            line.pad_right(width - right.cell_len - left.cell_len)
            line.append_text(right)
        return line

    def cut(self, text: Styled, room: int) -> Styled:
        """A copy in so many columns; what is left out is shown to be: a figure that ends too soon is another figure."""
        text = text.copy()
        if text.cell_len > room:
            more = cast("Host", self.app).look.glyphs.more[:room]
            text.truncate(room - len(more), overflow="crop")
            text.append(more)
        return text


class Title(TextLine):
    """The first line: where one is, and on the right how things stand."""

    DEFAULT_CSS = "Title { dock: top; background: $panel; text-style: bold; }"


class TooSmall(Widget):
    """Covers a screen that would not fit."""

    DEFAULT_CSS = "TooSmall { layer: cover; dock: top; width: 100%; height: 100%; background: $background; }"

    def render(self) -> Styled:
        width, height = SMALLEST
        return Styled(
            str(
                Say(
                    "This window is {columns}×{rows}; the screens need {width}×{height}. Enlarge it: nothing is lost.",
                    columns=self.app.size.width,
                    rows=self.app.size.height,
                    width=width,
                    height=height,
                )
            )
        )


class HookrowScreen(Screen[Result]):
    """What pages and dialogues have in common. `GROUPS` are the groups of actions of its key bar and its help."""

    GROUPS: ClassVar[tuple[Group, ...]] = ()
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)  # Textual's own would repaint the whole screen

    @property
    def hookrow(self) -> Host:
        """The app, as what a page may ask of it."""
        return cast("Host", self.app)

    def notice(self, text: str) -> None:
        """Show a sentence that the person must see: what failed and why; '' takes it away. Pages show it in a place
        of their own."""
        if text:
            self.notify(covered(text), markup=False, severity="warning", timeout=8)

    def holds(self, event: events.Event | None) -> bool:
        """Whether this input waits for something that opens; None: whether any does. See `terminal.typeahead`."""
        return False

    def held(self) -> None:
        """Input waits: the page may say for what."""

    def thrown_away(self) -> None:
        """What was typed ahead was not taken."""
        self.notify(str(THROWN_AWAY), markup=False, timeout=4)

    def moved(self) -> None:
        """Something was committed to the database, by us or by another process: read again what is shown."""


class Page(HookrowScreen[Result]):
    """A full screen."""

    DEFAULT_CSS = "Page { layers: base cover; overflow: hidden; }"
    laid_out: Size | None = None

    def glanced(self, glance: Glance) -> None:
        """What could be read before the engine is there."""

    def pressed(self) -> None:
        """A key was pressed: what was said before it has been seen."""

    def on_resize(self, event: events.Resize) -> None:
        if event.size == self.laid_out:  # at the start Textual tells a size three times, and would lay out thrice
            event.prevent_default()
            return
        self.laid_out = event.size
        small = event.size.width < SMALLEST[0] or event.size.height < SMALLEST[1]
        covers = self.query(TooSmall)
        if small and not covers:
            self.mount(TooSmall())
        elif small:
            covers.refresh()
        elif covers:
            covers.remove()


class Dialog(ModalScreen[Result], HookrowScreen[Result]):  # in this order: of the first base Textual takes the style
    """A box over a page. Escape closes it with None.

    `GUARDED` are those that confirm something: they take keys only once they can have been read.
    """

    GROUPS: ClassVar[tuple[Group, ...]] = ("dialog",)
    GUARDED: ClassVar[bool] = False
    DEFAULT_CSS = "Dialog > KeyBar { dock: bottom; }"
    BINDINGS: ClassVar[list[Any]] = [("escape", "dismiss(None)", ""), *box_bindings()]

    def on_mount(self) -> None:  # besides its own: Textual calls both
        self.mount(KeyBar(*self.GROUPS))

    def on_screen_resume(self) -> None:
        if self.GUARDED:
            self.hookrow.ahead.guard(self)
