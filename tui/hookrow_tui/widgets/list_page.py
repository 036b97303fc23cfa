"""A list above, and below it a pane about what its cursor stands on: the shape of a hook's history and of «why»."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.styled import wrap
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.widgets.listing import Listing
from hookrow_tui.widgets.page import Page, TextLine, Title
from hookrow_tui.widgets.pane import Pane
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow_tui.presenters.styled import Line as Words

__all__ = ["ListPage"]

Result = TypeVar("Result")
READING = Say(" Reading…")


class ListPage(Page[Result]):
    """A page with a list. A subclass names columns and title, and says what the pane tells `about` a row."""

    DEFAULT_CSS = """
    ListPage #columns { color: $quiet; text-style: bold; }
    ListPage #lower { dock: bottom; height: 50%; margin-bottom: 1; }
    ListPage #rule { color: $panel; }
    ListPage Pane { height: 1fr; }
    ListPage #notice { display: none; background: $banner; color: $banner-text; text-style: bold; }
    .-mono ListPage #notice { text-style: bold reverse; }
    """

    def __init__(self, listing: Listing[Any], *, zone: tzinfo) -> None:
        super().__init__()
        self.listing = listing
        self.zone = zone
        self.described: Any = None
        """The row that the pane tells of."""

    def columns(self) -> str:
        """The line above the list."""
        raise NotImplementedError

    def heading(self) -> str:
        """Where one is."""
        raise NotImplementedError

    def about(self, row: Any) -> Iterable[Words]:
        """What the pane says of a row."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield Title()
        yield TextLine(id="columns")
        yield self.listing
        with Vertical(id="lower"):
            yield TextLine(id="notice")
            yield TextLine(id="rule")
            yield Pane(self.hookrow.look.glyphs, id="about")
        yield KeyBar(*self.GROUPS)

    def on_mount(self) -> None:
        self.query_one("#columns", TextLine).show(self.columns())
        self.listing.empty = str(READING)
        self.listing.focus()
        self.entitle("")
        self.read()

    def read(self, *, background: bool = False) -> None:
        """Read what is listed."""
        raise NotImplementedError

    def moved(self) -> None:
        self.read(background=True)

    def entitle(self, standing: str) -> None:
        """Draw the title with this at its right."""
        self.query_one(Title).show(f" {self.heading()}", f"{standing} " if standing else "")

    def notice(self, text: str) -> None:
        line = self.query_one("#notice", TextLine)
        line.display = bool(text)
        line.show(f" {steady(text)}")
        self.listing.empty = ""
        self.listing.refresh()

    @on(Listing.Moved)
    def describe(self) -> None:
        row, pane = self.listing.row, self.query_one(Pane)
        lines = [] if row is None else self.about(row)
        other, self.described = row != self.described, row  # the list is read again whenever somebody commits
        pane.show([piece for line in lines for piece in wrap(line, pane.columns)], top=other)

    def on_resize(self, event: Any) -> None:  # besides Page's: Textual calls both
        self.query_one("#rule", TextLine).show(self.hookrow.look.glyphs.rule * event.size.width)
        self.call_after_refresh(self.describe)

    def action_pane(self) -> None:
        """Tab: from the list to what is said of the chosen row, and back."""
        (self.query_one(Pane) if self.listing.has_focus else self.listing).focus()

    def action_back(self) -> None:
        if self.query_one(Pane).has_focus:
            self.listing.focus()
        else:
            self.dismiss(None)
