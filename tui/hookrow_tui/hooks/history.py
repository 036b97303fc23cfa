"""The history of one hook: who changed what, when, from where; and the way back to any of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from hookrow.errors import ChangedMeanwhile, HookrowError
from hookrow.records import Revision
from hookrow_tui.actions import Group, bindings
from hookrow_tui.presenters.changes import back_to, detail, summary, when
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.failures import needs_secrets
from hookrow_tui.presenters.styled import Line, plain
from hookrow_tui.widgets.dialogs import ask, ask_about_secrets
from hookrow_tui.widgets.list_page import ListPage
from hookrow_tui.widgets.listing import Listing
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


class HistoryScreen(ListPage[int]):
    """The revisions of a hook and what the chosen one changed. It gives the hook's id where a rollback was made."""

    GROUPS: ClassVar[tuple[Group, ...]] = ("history",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("history")]

    def __init__(self, hook: Hook, *, zone: tzinfo) -> None:
        super().__init__(Revisions(zone), zone=zone)
        self.hook = hook

    def columns(self) -> str:
        revision, time, who, what = Say("No."), Say("When"), Say("Who, from where"), Say("What")
        return f"{fit(str(revision), 5, right=True)}  {fit(str(time), TIME)}  {fit(str(who), WHO)}  {what}"

    def heading(self) -> str:
        return f"{HISTORY} › {steady(self.hook.name)}"

    def about(self, row: Revision) -> Iterable[Line]:
        return detail(row, self.zone)

    def read(self, *, background: bool = False) -> None:
        number = self.hook.id
        self.hookrow.ask(self, lambda engine: engine.hooks.history(number or 0), self.take, background=background)

    def take(self, revisions: list[Revision]) -> None:
        if revisions != self.listing.rows:
            self.entitle(str(SayPlural("{n} change", "{n} changes", len(revisions))))
            self.listing.show(revisions)

    # What can be done

    def action_rollback(self) -> None:
        """Ask, showing what it would change; then make the hook what it was after the chosen revision."""
        rows, row = self.listing.rows, self.listing.row
        if row is None:
            return
        if not self.hookrow.writable():
            return
        lines = back_to(row, rows[0], self.zone)
        if row is rows[0] or not lines:
            self.hookrow.notice(str(Say("The hook is the same now: there is nothing to restore.")))
            return
        shown = [plain([line]) for line in lines[:MOST]]
        if len(lines) > MOST:
            shown.append(str(Say("… and more: {n} lines", n=len(lines) - MOST)))
        sentences = [*shown, "", Say("Secrets don't change. The rollback becomes a new revision.")]
        title = Say("Restore revision {n} of {when}?", n=row.revision, when=when(row.at_ms, self.zone))
        restore = partial(self.roll_back, row, rows[0].revision)
        ask(self, title, sentences, [("no", Say("No"), None), ("yes", Say("Restore"), restore)])

    def roll_back(self, row: Revision, newest: int, keep_secrets: bool = False) -> None:
        number = self.hook.id or 0

        def refused(error: HookrowError) -> None:
            if needs_secrets(error):
                text = Say(
                    "That revision has a URL of another origin. The secrets that the hook has now would be sent to it."
                )
                ask_about_secrets(self, text, lambda: self.roll_back(row, newest, keep_secrets=True))
            else:
                self.refused(error)

        self.hookrow.ask(
            self,
            lambda engine: engine.hooks.rollback(number, row.revision, current=newest, keep_secrets=keep_secrets),
            self.rolled_back,
            refused,
        )

    def rolled_back(self, hook: Hook) -> None:
        self.dismiss(hook.id)

    def refused(self, error: HookrowError) -> None:
        if isinstance(error, ChangedMeanwhile):
            self.hookrow.notice(str(Say("Somebody just changed the hook: look at it again.")))
            self.read()
        else:
            self.hookrow.notice(str(error))
