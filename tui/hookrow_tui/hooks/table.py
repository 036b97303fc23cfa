"""The rows of the list of hooks: its cursor stands on a hook, wherever that goes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.hook_rows import WIDE, HookRow, line
from hookrow_tui.presenters.spans import here
from hookrow_tui.widgets.listing import Listing

if TYPE_CHECKING:
    from hookrow import HookStatistics

__all__ = ["HookTable"]

MARK = "+"


class HookTable(Listing[HookRow]):
    """The hooks, one a line. `zone` is in which moments are shown."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.zone: tzinfo = UTC
        self.marks: set[int] = set()
        """The ids of the marked hooks."""
        self.last_marked: int | None = None
        self.statistics: Mapping[int, HookStatistics] = {}

    def ident(self, row: HookRow) -> object:
        return row.hook.id

    def line(self, row: HookRow) -> tuple[str, str]:
        kind = "bad" if row.failing else ""
        if row.hook.state != "on":
            kind = "quiet"
        seen = self.statistics.get(row.hook.id or 0)
        text = line(row, self.app.size.width, self.glyphs, here(self.zone), seen, room=self.size.width)
        if row.hook.id in self.marks:
            return f"{MARK}{text[1:]}", "marked"
        return text, kind

    def know(self, statistics: Mapping[int, HookStatistics]) -> None:
        """Draw these figures from now on, where there is room for them."""
        if statistics != self.statistics:
            self.statistics = statistics
            if self.app.size.width >= WIDE:
                self.refresh()

    def mark(self, ids: set[int], *, toggle: bool = False) -> None:
        """Mark these hooks; with `toggle` unmark those that are."""
        self.marks = self.marks ^ ids if toggle else self.marks | ids
        self.refresh()

    def unmark(self) -> None:
        """Take all marks away."""
        if self.marks:
            self.marks = set()
            self.refresh()
