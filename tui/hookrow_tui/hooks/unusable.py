"""What stands in the place of the list where the database can't be used: the reason, and the keys that still work."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text as Styled
from textual.app import ComposeResult
from textual.widgets import Static

from hookrow.safetext import covered
from hookrow_tui.actions import Group, bindings
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.widgets.page import Page, Title
from hookrow_tui.words import Say

__all__ = ["UnusablePage"]

OPENING = Say("opening…")
TITLE = Say("The database can't be used")


class UnusablePage(Page[None]):
    """Says why; tries again by a key.

    Args:
        database: as it may be shown.
        reason: what is wrong and what to do, in one or more sentences.
    """

    GROUPS: ClassVar[tuple[Group, ...]] = ("unusable",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("unusable")]
    DEFAULT_CSS = "UnusablePage Static { padding: 1 2; height: auto; }"

    def __init__(self, database: str, reason: str) -> None:
        super().__init__()
        self.database = database
        self.reason = reason

    def compose(self) -> ComposeResult:
        yield Title()
        yield Static(id="reason")
        yield KeyBar(*self.GROUPS)

    def on_mount(self) -> None:
        self.notice(self.reason)

    def notice(self, text: str) -> None:
        self.query_one(Title).show(f" {TITLE}")
        said = Styled(f"{covered(self.database)}\n\n", "bold").append(covered(text), "not bold")
        self.query_one("#reason", Static).update(said)

    def action_again(self) -> None:
        """Open it once more."""
        self.query_one(Title).show(f" {TITLE}", f"{OPENING} ")
        self.hookrow.try_again()
