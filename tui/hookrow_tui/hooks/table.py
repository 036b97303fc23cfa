"""The rows of the list of hooks: its cursor stands on a hook, wherever that goes."""

from __future__ import annotations

from datetime import UTC, tzinfo

from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.hook_rows import Row, line
from hookrow_tui.presenters.spans import here
from hookrow_tui.widgets.listing import Listing

__all__ = ["HookTable"]

MARK = "+"


class HookTable(Listing[Row]):
    """The hooks, one a line. `zone` is in which moments are shown."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self.glyphs = glyphs
        self.zone: tzinfo = UTC
        self.marks: set[int] = set()
        """The ids of the marked hooks."""
        self.last_marked: int | None = None

    def ident(self, row: Row) -> object:
        return row.hook.id

    def line(self, row: Row) -> tuple[str, str]:
        kind = "quiet" if row.hook.state != "on" else "bad" if row.failing else ""
        text = line(row, self.app.size.width, self.glyphs, here(self.zone), room=self.size.width)
        if row.hook.id in self.marks:
            return f"{MARK}{text[1:]}", "marked"
        return text, kind

    def mark(self, ids: set[int], *, toggle: bool = False) -> None:
        """Mark these hooks; with `toggle` unmark those that are."""
        self.marks = self.marks ^ ids if toggle else self.marks | ids
        self.refresh()

    def unmark(self) -> None:
        """Take all marks away."""
        if self.marks:
            self.marks = set()
            self.refresh()
