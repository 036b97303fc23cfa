"""Who did what by hand, newest first: drops, redeliveries, replays, settings, keys, and changes of hooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import tzinfo
from typing import Any, ClassVar, Final

from hookrow.records import Deed
from hookrow.words import ACTIONS
from hookrow_tui.actions import Group, bindings
from hookrow_tui.presenters.changes import when
from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.presenters.styled import Line
from hookrow_tui.widgets.list_page import ListPage
from hookrow_tui.widgets.listing import Listing
from hookrow_tui.words import Say, SayPlural

__all__ = ["DeedsScreen"]

DEEDS: Final = Say("Who did what")
NONE: Final = Say(" Nothing was done by hand.")
TIME, WHO, WHAT = 16, 24, 22
MOST: Final = 1000
DONE: Final[Mapping[str, Say]] = {
    "drop": Say("delivery discarded"),
    "redeliver": Say("delivery sent again"),
    "replay": Say("firing replayed"),
    "setting": Say("setting changed"),
    "keys": Say("keys"),
    "restore": Say("database restored from a backup"),
    "copy": Say("database copied into another"),
}


def deed_text(deed: Deed) -> str:
    """What was done, in words."""
    if deed.action.startswith("hook "):
        action = deed.action.removeprefix("hook ")
        return str(Say("hook: {action}", action=ACTIONS.get(action, action)))
    return str(DONE.get(deed.action, deed.action))


class Deeds(Listing[Deed]):
    """The deeds, one a line."""

    def __init__(self, zone: tzinfo) -> None:
        super().__init__()
        self.zone = zone

    def ident(self, row: Deed) -> object:
        return row.at_ms, row.action, row.subject

    def line(self, row: Deed) -> tuple[str, str]:
        start = f" {fit(when(row.at_ms, self.zone), TIME)}  {fit(steady(row.who), WHO)}  {fit(deed_text(row), WHAT)}  "
        return fit(start + steady(row.subject), self.size.width), ""


class DeedsScreen(ListPage[None]):
    """The newest thousand deeds; the pane has the whole of what the cursor stands on."""

    GROUPS: ClassVar[tuple[Group, ...]] = ("deeds",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("deeds")]

    def __init__(self, *, zone: tzinfo) -> None:
        super().__init__(Deeds(zone), zone=zone)

    def columns(self) -> str:
        heads = fit(str(Say("When")), TIME), fit(str(Say("Who, from where")), WHO), fit(str(Say("What")), WHAT)
        return f" {'  '.join(heads)}"

    def heading(self) -> str:
        return str(DEEDS)

    def about(self, row: Deed) -> Iterable[Line]:
        more = [] if row.revision is None else [str(Say("revision {n}", n=row.revision))]
        for text in (f"{when(row.at_ms, self.zone)}  {row.who}", deed_text(row), row.subject, *more):
            yield ((steady(text), ""),)

    def read(self, *, background: bool = False) -> None:
        self.hookrow.ask(self, lambda engine: engine.log.deeds(limit=MOST), self.take, background=background)

    def take(self, rows: list[Deed]) -> None:
        self.listing.empty = str(NONE)
        self.entitle(str(SayPlural("{n} line", "{n} lines", len(rows))))
        self.listing.show(rows)
