"""The deleted hooks: when each was deleted, by whom, what it was; Enter brings one back with its secrets and queue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

from hookrow.hook.form import FIELD
from hookrow.hook.modes import WAITING
from hookrow.records import Revision
from hookrow_tui.actions import Group, bindings
from hookrow_tui.presenters.changes import detail, when
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.styled import Line
from hookrow_tui.widgets.dialogs import Answer, ask
from hookrow_tui.widgets.list_page import ListPage
from hookrow_tui.widgets.listing import Listing
from hookrow_tui.words import Say, SayPlural

if TYPE_CHECKING:
    from hookrow import Hook, HookEngine

__all__ = ["DeletedScreen"]

DELETED = Say("Deleted hooks")
NONE = Say(" No hook is deleted.")
TIME, NAME, EVENT = 16, 24, 24


@dataclass(frozen=True)
class DeletedHook:
    """A deleted hook, and the revision that deleted it."""

    hook: Hook
    last: Revision


class DeletedHooks(Listing[DeletedHook]):
    """The deleted hooks, the last one deleted first."""

    def __init__(self, zone: tzinfo) -> None:
        super().__init__()
        self.zone = zone

    def ident(self, row: DeletedHook) -> object:
        return row.hook.id

    def line(self, row: DeletedHook) -> tuple[str, str]:
        start = f" {fit(when(row.last.at_ms, self.zone), TIME)}  {fit(steady(row.hook.name), NAME)}  "
        return fit(f"{start}{fit(steady(row.hook.event), EVENT)}  {steady(row.last.who)}", self.size.width), ""


class DeletedScreen(ListPage[int]):
    """It gives the id of the hook that was brought back."""

    GROUPS: ClassVar[tuple[Group, ...]] = ("deleted",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("deleted")]

    def __init__(self, *, zone: tzinfo) -> None:
        super().__init__(DeletedHooks(zone), zone=zone)

    def columns(self) -> str:
        time, who = Say("When"), Say("Who, from where")
        heads = fit(str(time), TIME), fit(str(FIELD["name"].label), NAME), fit(str(FIELD["event"].label), EVENT)
        return f" {'  '.join(heads)}  {who}"

    def heading(self) -> str:
        return str(DELETED)

    def about(self, row: DeletedHook) -> Iterable[Line]:
        whole = Revision(row.last.revision, row.last.at_ms, row.last.who, "add", None, row.last.after)
        return detail(whole, self.zone)

    def read(self, *, background: bool = False) -> None:
        self.hookrow.ask(self, read_deleted, self.take, background=background)

    def take(self, rows: list[DeletedHook]) -> None:
        self.listing.empty = str(NONE)
        self.entitle(str(SayPlural("{n} hook", "{n} hooks", len(rows))))
        self.listing.show(rows)

    def action_restore(self) -> None:
        """Bring the hook back; one that is called again at once, with what waited for it, asks first."""
        row = self.listing.row
        if row is None or not self.hookrow.writable():
            return
        number = row.hook.id or 0

        def restore() -> None:
            self.hookrow.ask(self, lambda engine: engine.hooks.restore(number), self.restored)

        if not row.hook.active or row.hook.paused_by is not None:
            restore()
            return
        waits = Say("Operations of {event} wait for it again from now on.", event=row.hook.event)
        sends = Say("It is called again from now on, and gets the deliveries that its deletion cancelled.")
        answers: list[Answer] = [("back", Say("Back"), None), ("restore", Say("Restore it"), restore)]
        title = Say('Restore "{name}"?', name=steady(row.hook.name))
        ask(self, title, [waits, sends] if row.hook.mode in WAITING and not row.hook.shadow else [sends], answers)

    def restored(self, hook: Hook) -> None:
        self.dismiss(hook.id)


def read_deleted(engine: HookEngine) -> list[DeletedHook]:
    """All of them, the last one deleted first."""
    gone = [
        DeletedHook(hook, engine.hooks.history(hook.id or 0)[0])
        for hook in engine.hooks.list(deleted=True)
        if hook.deleted
    ]
    return sorted(gone, key=lambda each: -each.last.at_ms)
