"""The log: firings as they come, their hooks under them, and everything that is known of the one under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from hookrow.errors import HookrowError
from hookrow.records import LogFilter
from hookrow_tui.actions import Group, bindings, cap_of
from hookrow_tui.log.feed import Feed
from hookrow_tui.log.heading import count, heading, no_rows_text, tab_line
from hookrow_tui.log.reader import (
    Chosen,
    TabLines,
    failure_beyond,
    names_known,
    read_detail,
    read_filter,
)
from hookrow_tui.log.taking import copy_out, page_out, write_out
from hookrow_tui.log.view import LogView
from hookrow_tui.presenters.body import FIRST
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.log.detail import TABS, Detail, Tab, tab_title
from hookrow_tui.presenters.log.list import Place
from hookrow_tui.presenters.log.query import completions, show
from hookrow_tui.presenters.log.rows import LogRow
from hookrow_tui.widgets.completing import Completing
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.widgets.page import SEEN, Page, TextLine, Title
from hookrow_tui.widgets.pane import Pane
from hookrow_tui.words import Say, SayPlural

if TYPE_CHECKING:
    from hookrow import Hook

__all__ = ["LogScreen"]

WIDE = 110
"""Columns from which on three panes stand side by side."""
PAUSE = 0.08
"""Seconds that the cursor rests before its detail is read: a key that is held down reads nothing."""
SHOWN: dict[bool, tuple[Tab, ...]] = {True: ("1", "2", "4"), False: ("1", "2", "3", "4")}


class LogScreen(Page[None]):
    """The log of one database.

    Args:
        hook: show only firings of this hook.
        kept: the filter that held when the log was left.
        leave_filter: is told the filter when the log is left.
    """

    GROUPS: ClassVar[tuple[Group, ...]] = ("log",)
    CSS_PATH = "log.tcss"
    BINDINGS: ClassVar[list[Any]] = [*bindings("log")]

    def __init__(
        self,
        *,
        hook: Hook | None = None,
        kept: Chosen | None = None,
        leave_filter: Callable[[Chosen], None] | None = None,
    ) -> None:
        super().__init__()
        self.leave_filter = leave_filter
        self.filter = LogFilter() if hook is None else LogFilter(hook=hook.id)
        self.typed = "" if hook is None else show(self.filter, hook_name=lambda _: hook.name)
        if kept is not None:
            self.filter, self.typed = kept.filter, kept.text
        self.known: tuple[list[str], list[str]] = ([], [])
        """What the filter's line completes: names of hooks, codes of events."""
        self.tab: Tab = "1"
        self.limit = FIRST
        self.laid: TabLines | None = None
        self.resting = False
        self.waiting: tuple[LogRow, Callable[[Detail], None]] | None = None
        """What is to be done with the detail of a row, once that is read: no key comes before."""
        self.trouble = ""
        self.troubled_at = 0.0

    def compose(self) -> ComposeResult:
        glyphs = self.hookrow.look.glyphs
        yield Title(id="title")
        grammar = str(Say("words  event: outcome:error code:5xx hook: since:1h"))
        yield Completing(self.complete, placeholder=grammar, id="find")
        yield TextLine(id="problem")
        view = LogView(glyphs)
        self.feed = Feed(self, view.rows, glyphs, self.changed)
        self.feed.filter = self.filter
        yield view
        with Vertical(id="below"):
            yield TextLine(id="rule")
            yield TextLine(id="tabs")
            with Horizontal(id="panes"):
                for tab in TABS:
                    yield Pane(glyphs, id=f"pane{tab}")
        yield KeyBar("log")

    def on_mount(self) -> None:
        self.view.focus()
        self.lay_out()
        self.draw()
        if self.hookrow.engine is not None:
            self.begin()

    @property
    def view(self) -> LogView:
        """The rows."""
        return self.query_one(LogView)

    def pane(self, tab: Tab) -> Pane:
        return self.query_one(f"#pane{tab}", Pane)

    @property
    def in_sight(self) -> tuple[Tab, ...]:
        """The tabs whose panes are on the screen."""
        return SHOWN[True] if self.has_class("-wide") else (self.tab,)

    # Reading

    def begin(self) -> None:
        """Read the log from the newest row on, with the filter that holds now."""
        self.feed.begin(self.filter, self.view.size.height or 20)

    def moved(self) -> None:
        self.feed.look(self.view.size.height)

    def changed(self) -> None:
        """The feed brought something."""
        if not self.has_class("-finding") and monotonic() - self.troubled_at >= SEEN:
            self.trouble = ""
        self.draw()
        if not len(self.view.rows.ids) and self.laid is not None:
            self.forget_detail()
        self.rest()

    @on(LogView.Wanted)
    def want(self, message: LogView.Wanted) -> None:
        self.feed.want(message.ids)

    # The detail

    @on(LogView.Highlighted)
    def rest(self) -> None:
        """Read the detail as soon as the cursor rests."""
        if not self.resting:
            self.resting = True
            self.set_timer(PAUSE, self.read_detail)

    def read_detail(self) -> None:
        self.resting = False
        row, reader = self.view.row if self.waiting is None else self.waiting[0], self.feed.reader
        if row is None or reader is None:
            return
        wide, limit = self.has_class("-wide"), self.limit
        if not all(self.pane(tab).size.width for tab in self.in_sight):
            self.rest()  # a tab just chosen is not laid out yet: its text would be broken after two letters
            return
        sight: dict[Tab, Tab] = {"1": "1", "2": "2", "3": "2", "4": "4"} if wide else dict.fromkeys(TABS, self.tab)
        widths = {tab: self.pane(sight[tab]).columns for tab in TABS}

        def refused(error: HookrowError) -> None:
            if self.laid is not None and ref_of(self.laid) != row.ref:
                self.forget_detail()
            if self.waited(row) is None:
                self.notice(str(error))
            else:
                self.hookrow.notice(str(error))
                self.hookrow.ahead.opened()

        asked = self.feed.ask(
            lambda engine: read_detail(engine, row, reader, widths, limit),
            lambda laid: self.take_detail(row, laid),
            "detail",
            refused,
        )
        if not asked:
            self.rest()

    def take_detail(self, row: LogRow, laid: TabLines | None) -> None:
        if laid is None:  # it was purged meanwhile
            self.view.rows.gone([row.firing])
            self.forget_detail()
            self.draw()
            if self.app.screen is self and self.view.has_focus:  # else what is typed is for no row
                self.hookrow.unexpected()  # the cursor stands on another row now
            if self.waited(row) is not None:
                self.hookrow.nothing_chosen()
                self.hookrow.ahead.opened()
            self.rest()  # of the row that the cursor stands on now
            return
        before, self.laid = self.laid, laid
        same = before is not None and ref_of(before) == ref_of(laid)
        if not same and self.limit != FIRST:
            self.limit = FIRST
            self.rest()
        self.show_panes(top=not same)
        if (act := self.waited(row)) is not None:
            act(laid.detail)
            self.hookrow.ahead.opened()
        if (now := self.view.row) is not None and now.ref != row.ref:
            self.rest()

    def waited(self, row: LogRow) -> Callable[[Detail], None] | None:
        """Wait for this row's detail no longer; gives what it was to be read for."""
        if self.waiting is None or self.waiting[0].ref != row.ref:
            return None
        act, self.waiting = self.waiting[1], None
        return act

    def forget_detail(self) -> None:
        """What stands in the panes belongs to another row than the cursor's."""
        self.laid = None
        self.show_panes(top=True)

    def show_panes(self, *, top: bool) -> None:
        """Draw the panes that are in sight."""
        laid, wide = self.laid, self.has_class("-wide")
        for tab in self.in_sight:
            lines = [] if laid is None else laid.lines[tab]
            if wide and tab == "2" and laid is not None and laid.detail.delivery is not None:
                lines = [*lines, (), *laid.lines["3"]]
            self.pane(tab).show(lines, top=top)
            self.pane(tab).border_title = tab_title(tab, laid.detail if laid else None).replace("[", "\\[")

    @on(Pane.More)
    def show_more(self) -> None:
        self.limit += FIRST
        self.read_detail()

    def action_tab(self, tab: Tab) -> None:
        self.tab = tab
        if self.has_class("-wide"):
            pane = self.pane("2" if tab == "3" else tab)
            pane.focus()
            if tab == "3" and self.laid is not None:
                pane.go(len(self.laid.lines["2"]) + 1)
            return
        inside = isinstance(self.focused, Pane)
        self.lay_out()
        self.show_panes(top=True)
        if inside:
            self.pane(tab).focus()

    # Looks

    def on_resize(self, event: events.Resize) -> None:  # besides Page's: Textual calls both
        self.lay_out()
        self.draw()
        self.call_after_refresh(self.read_detail)

    def lay_out(self) -> None:
        """Three panes side by side where there is room, else one with tabs."""
        width, height = self.app.size
        wide = width >= WIDE
        self.set_class(wide, "-wide")
        self.query_one("#below").styles.height = (height - 2) // 2 + 1 if wide else (height - 4) // 2 + 2
        for tab in TABS:
            self.pane(tab).set_class(tab in SHOWN[True] if wide else tab == self.tab, "-shown")
        self.query_one("#rule", TextLine).show(self.hookrow.look.glyphs.rule * width)

    def draw(self) -> None:
        """Bring every line up to date."""
        self.view.say(no_rows_text(self.feed))
        self.view.draw()
        known = Text(f"{count(self.feed)} ")
        room = self.app.size.width - known.cell_len - 1
        title = heading(self.feed, self.filter, self.typed, self.hookrow.look.glyphs, room)
        self.query_one("#title", Title).show(title, known)
        self.query_one("#tabs", TextLine).show(tab_line(self.tab))
        problem = self.query_one("#problem", TextLine)
        problem.display = bool(self.trouble)
        problem.show(f" {steady(self.trouble)}")

    @on(LogView.Scrolled)
    def redraw(self) -> None:
        self.draw()

    def notice(self, text: str) -> None:
        self.trouble, self.troubled_at = text, monotonic()
        self.draw()

    # What can be done

    def action_follow(self) -> None:
        rows = self.view.rows
        rows.follow(not rows.following)
        self.view.focus()
        self.draw()
        self.moved()

    def action_find(self) -> None:
        find = self.query_one("#find", Input)
        self.hookrow.ask(self, names_known, self.know)
        find.value = f"{self.typed} ".lstrip()  # what is typed now is a word of its own
        self.set_class(True, "-finding")
        find.focus()

    def know(self, known: tuple[list[str], list[str]]) -> None:
        """Names to complete."""
        self.known = known
        find = self.query_one("#find", Completing)
        find.watch_value(find.value)

    def complete(self, text: str) -> list[str]:
        """What the filter may become that is being typed."""
        hooks, events = self.known
        return completions(text, hooks=hooks, events=events)

    def close_find(self) -> None:
        self.set_class(False, "-finding")
        self.view.focus()

    @on(Input.Submitted, "#find")
    def apply(self, message: Input.Submitted) -> None:
        text, reader = message.value.strip(), self.feed.reader
        if reader is not None:
            self.hookrow.ask(self, lambda engine: read_filter(engine, text, reader.zone), self.take_filter)

    def take_filter(self, chosen: Chosen) -> None:
        self.filter, self.typed = chosen.filter, chosen.text
        self.trouble = ""
        self.close_find()
        self.view.rows.following = True
        self.begin()
        self.draw()

    @on(LogView.Entered)
    def enter(self) -> None:
        self.pane(self.tab if not self.has_class("-wide") or self.tab != "3" else "2").focus()

    def action_back(self) -> None:
        """One step out: of the filter, of the pane, of the marks, of the log."""
        if self.has_class("-finding"):
            self.notice("")
            self.close_find()
        elif isinstance(self.focused, Pane):
            self.view.focus()
        elif self.feed.marked:
            self.action_only_marked()
        else:
            if self.leave_filter is not None:
                self.leave_filter(Chosen(self.filter, self.typed))
            self.dismiss()

    def action_error_before(self) -> None:
        self.failure(-1)

    def action_error_after(self) -> None:
        self.failure(1)

    def failure(self, step: int) -> None:
        """The next row that needs somebody's eyes: in memory, else by the database's index of failures."""
        rows, wanted = self.view.rows, self.filter
        if rows.failure(step, self.view.size.height):
            self.view.moved()
        elif rows.cursor is not None and (reader := self.feed.reader) is not None and not self.feed.marked:
            at = rows.cursor.firing
            self.feed.ask(
                lambda engine: failure_beyond(engine, wanted, at, step, reader),
                self.go_failure,
                "failure",
                background=False,
            )

    def go_failure(self, block: tuple[LogRow, ...] | None) -> None:
        rows = self.view.rows
        if block is None or rows.ids.index(block[0].firing) is None:
            self.app.notify(str(Say("No further error in this direction.")), markup=False, timeout=3)
            return
        rows.learn([block])
        line = next((row.place for row in block[1:] if row.failing), 0)
        rows.go(Place(block[0].firing, line), self.view.size.height)
        self.view.moved()

    def action_mark(self) -> None:
        rows = self.view.rows
        if rows.cursor is not None:
            rows.marks ^= {rows.cursor.firing}
            rows.move(rows.height(rows.cursor.firing) - rows.cursor.line, self.view.size.height)
            self.view.moved()

    def action_only_marked(self) -> None:
        rows = self.view.rows
        if self.feed.marked:
            self.feed.all_again(self.view.size.height or 20)
        elif rows.marks:
            self.feed.only(rows.marks)
        else:
            self.app.notify(
                str(Say("Nothing is marked. Mark a line: {key}", key=cap_of("log.mark"))), markup=False, timeout=3
            )

    def action_copy(self) -> None:
        self.with_detail(lambda detail: copy_out(self, self.tab, detail))

    def action_whole(self) -> None:
        self.with_detail(lambda detail: page_out(self, self.tab, detail))

    def action_write(self) -> None:
        self.with_detail(lambda detail: write_out(self, self.tab, detail))

    def action_write_all(self) -> None:
        """All that is shown, into a file of one JSON object a line."""
        from hookrow_tui.log.saving import SavingScreen
        from hookrow_tui.widgets.dialogs import ask_file

        ids, whole = self.view.rows.ids.whole(), self.feed.complete
        if not ids:
            return

        def write(path: Path) -> None:
            self.app.push_screen(SavingScreen(ids, path, whole=whole))

        title = SayPlural(
            "Write {n} firing to a file (or NAME.har)", "Write {n} firings to a file (or NAME.har)", len(ids)
        )
        ask_file(self, title, "firings.jsonl", write)

    def action_deeds(self) -> None:
        """Who did what by hand."""
        from hookrow_tui.log.deeds import DeedsScreen

        if self.feed.reader is not None:
            self.app.push_screen(DeedsScreen(zone=self.feed.reader.zone))

    def action_replay(self) -> None:
        if self.hookrow.writable():
            self.with_detail(self.open_replay)

    def with_detail(self, act: Callable[[Detail], None]) -> None:
        """Do this with the detail of the row under the cursor, read now if need be: never with that of another."""
        row = self.view.row
        if row is not None and self.laid is not None and ref_of(self.laid) == row.ref:
            act(self.laid.detail)
        elif row is not None:
            self.waiting = row, act
            self.rest()
        else:
            self.hookrow.nothing_chosen()

    def holds(self, event: events.Event | None) -> bool:
        return self.waiting is not None

    def open_replay(self, detail: Detail) -> None:
        from hookrow_tui.replay.many import may_have_failed
        from hookrow_tui.replay.screen import Many, ReplayScreen

        many = Many(self.view.rows.ids.whole(), self.feed.complete, self.filter.hook, self.feed.marked)

        def ask(failed: bool) -> None:
            if self.app.screen is self:  # not over what was opened meanwhile
                self.app.push_screen(ReplayScreen(detail, replace(many, failed=failed)), self.replayed)

        self.hookrow.ask(self, lambda engine: may_have_failed(engine, many.ids, many.hook), ask)

    def replayed(self, _: object) -> None:
        self.moved()


def ref_of(laid: TabLines) -> str:
    """Which line of the log this is."""
    detail = laid.detail
    return detail.delivery.id if detail.delivery is not None else detail.firing.id
