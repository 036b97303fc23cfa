"""The history of one hook: who changed what, when, from where; and the way back to any of it."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from hookrow.errors import ChangedMeanwhile, HookrowError
from hookrow.records import Revision
from hookrow_tui.actions import Group, bindings
from hookrow_tui.changes import back_to, detail, summary, when
from hookrow_tui.columns import fit, steady
from hookrow_tui.dialogs import Question
from hookrow_tui.keybar import KeyBar
from hookrow_tui.listing import Listing
from hookrow_tui.page import Line, Page, Title
from hookrow_tui.pane import Pane
from hookrow_tui.styled import plain, wrap
from hookrow_tui.words import Say, SayPlural

if TYPE_CHECKING:
    from hookrow import Hook

__all__ = ["HistoryScreen"]

HISTORY = Say("History")
TIME, WHO = 16, 20
MOST = 12
"""Lines of a rollback's changes that its question shows."""


class Revisions(Listing[Revision]):
    """The revisions, newest first, one a line."""

    def __init__(self, zone: tzinfo) -> None:
        super().__init__()
        self.zone = zone

    def ident(self, row: Revision) -> object:
        return row.revision

    def line(self, row: Revision) -> tuple[str, str]:
        start = f"{row.revision:>5}  {fit(when(row.at_ms, self.zone), TIME)}  {fit(steady(row.who), WHO)}  "
        return fit(start + steady(summary(row)), self.size.width), ""


class HistoryScreen(Page[int]):
    """The revisions of a hook and what the chosen one changed. It gives the hook's id where a rollback was made."""

    GROUPS: ClassVar[tuple[Group, ...]] = ("history",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("history")]
    DEFAULT_CSS = """
    HistoryScreen #columns { color: $quiet; text-style: bold; }
    HistoryScreen #lower { dock: bottom; height: 50%; margin-bottom: 1; }
    HistoryScreen #rule { color: $panel; }
    HistoryScreen Pane { height: 1fr; }
    HistoryScreen #notice { display: none; background: $warning; color: $background; text-style: bold; }
    .-mono HistoryScreen #notice { text-style: bold reverse; }
    """

    def __init__(self, hook: Hook, *, zone: tzinfo) -> None:
        super().__init__()
        self.hook = hook
        self.zone = zone

    def compose(self) -> ComposeResult:
        yield Title()
        yield Line(id="columns")
        yield Revisions(self.zone)
        with Vertical(id="lower"):
            yield Line(id="notice")
            yield Line(id="rule")
            yield Pane(self.hookrow.look.glyphs, id="changes")
        yield KeyBar("history")

    def on_mount(self) -> None:
        revision, time, who, what = Say("No."), Say("When"), Say("Who, from where"), Say("What")
        self.query_one("#columns", Line).show(
            f"{fit(str(revision), 5, right=True)}  {fit(str(time), TIME)}  {fit(str(who), WHO)}  {what}"
        )
        self.query_one("#rule", Line).show(self.hookrow.look.glyphs.rule * self.app.size.width)
        self.query_one(Title).show(f" {HISTORY} › {steady(self.hook.name)}")
        self.query_one(Revisions).focus()
        self.moved()

    def moved(self) -> None:
        number = self.hook.id
        self.hookrow.ask(self, lambda engine: engine.hooks.history(number or 0), self.take)

    def take(self, revisions: list[Revision]) -> None:
        listing = self.query_one(Revisions)
        if revisions != listing.rows:
            count = SayPlural("{n} change", "{n} changes", len(revisions))
            self.query_one(Title).show(f" {HISTORY} › {steady(self.hook.name)}", f"{count} ")
            listing.show(revisions)

    def notice(self, text: str) -> None:
        line = self.query_one("#notice", Line)
        line.display = bool(text)
        line.show(f" {steady(text)}")

    @on(Listing.Moved)
    def describe(self) -> None:
        row, pane = self.query_one(Revisions).row, self.query_one(Pane)
        lines = [] if row is None else detail(row, self.zone)
        pane.show([piece for line in lines for piece in wrap(line, pane.columns)], top=True)

    def on_resize(self, event: Any) -> None:  # besides Page's: Textual calls both
        self.query_one("#rule", Line).show(self.hookrow.look.glyphs.rule * event.size.width)
        self.call_after_refresh(self.describe)

    # What can be done

    def action_pane(self) -> None:
        """Tab: from the revisions to what the chosen one changed, and back."""
        listing = self.query_one(Revisions)
        (self.query_one(Pane) if listing.has_focus else listing).focus()

    def action_back(self) -> None:
        if self.query_one(Pane).has_focus:
            self.query_one(Revisions).focus()
        else:
            self.dismiss(None)

    def action_rollback(self) -> None:
        """Ask, showing what it would change; then make the hook what it was after the chosen revision."""
        rows, row = self.query_one(Revisions).rows, self.query_one(Revisions).row
        if row is None:
            return
        if not self.hookrow.writable():
            return
        lines = back_to(row, rows[0], self.zone)
        if row is rows[0] or not lines:
            self.notice(str(Say("The hook is as it was then: there is nothing to take back.")))
            return
        shown = [plain([line]) for line in lines[:MOST]]
        if len(lines) > MOST:
            shown.append(str(Say("… and more: {n} lines", n=len(lines) - MOST)))
        sentences = [*shown, "", str(Say("Secrets stay as they are now. A rollback is a revision, too."))]
        title = str(Say("Go back to revision {n} of {when}?", n=row.revision, when=when(row.at_ms, self.zone)))
        answers = [("no", str(Say("No"))), ("yes", str(Say("Go back to it")))]
        newest = rows[0].revision
        question = Question(title, sentences, answers)
        self.app.push_screen(question, lambda answer: self.roll_back(row, newest) if answer == "yes" else None)

    def roll_back(self, row: Revision, newest: int) -> None:
        number = self.hook.id or 0
        self.hookrow.ask(
            self,
            lambda engine: engine.hooks.rollback(number, row.revision, current=newest),
            self.rolled_back,
            self.refused,
        )

    def rolled_back(self, hook: Hook) -> None:
        self.dismiss(hook.id)

    def refused(self, error: HookrowError) -> None:
        if isinstance(error, ChangedMeanwhile):
            self.notice(str(Say("A colleague changed the hook just now: look at it again.")))
            self.moved()
        else:
            self.notice(str(error))
