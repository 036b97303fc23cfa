"""The list of hooks: in the order in which they run, with how they fare, and what can be done to one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text as Styled
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from hookrow.lang import Text
from hookrow.safetext import covered
from hookrow_tui.actions import Group, actions_of, bindings, cap_of
from hookrow_tui.hooks.reading import read_list, rows_of
from hookrow_tui.hooks.several import Several
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.presenters import failures
from hookrow_tui.presenters.banner import banner, names, stops, waits
from hookrow_tui.presenters.hook_rows import (
    Filter,
    HookRow,
    figures,
    header,
    list_completions,
    number,
    sentence,
    target,
)
from hookrow_tui.presenters.spans import here
from hookrow_tui.terminal.terminal import latin_key
from hookrow_tui.widgets.completing import Completing
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.widgets.page import SEEN, TextLine, Title
from hookrow_tui.words import NO_MATCH, Say, SayPlural

if TYPE_CHECKING:
    from hookrow import Hook, HookrowError, HookStatistics
    from hookrow.glance import Glance
    from hookrow_tui.log.reader import Chosen

    Read = tuple[list[HookRow], Any, tzinfo]

__all__ = ["HooksScreen"]

YES, NO = Say("Yes"), Say("No")
TITLE = Say("Webhooks")
COUNT_EVERY = 15.0
"""Seconds between two countings of the hooks' calls and times: they may go through a hundred thousand rows."""
WITHOUT_ROWS = frozenset(
    key for each in actions_of("everywhere") if each.bound and each.id != "app.commands" for key in each.keys
) | {"ctrl+c"}
"""The keys that work while nothing is known of the hooks."""
WITHOUT_ENGINE = WITHOUT_ROWS.union(*(each.keys for each in actions_of("everywhere") if not each.bound))
"""The keys that work on the rows before the engine is there."""


class Rule(TextLine):
    """A line across the screen."""

    def on_resize(self) -> None:
        self.show(self.app.look.glyphs.rule * self.size.width)  # type: ignore[attr-defined]


class HooksScreen(Several):
    """The first screen. Everything in it is read in a worker; until then it shows its title, columns and keys."""

    GROUPS: ClassVar[tuple[Group, ...]] = ("hooks",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("hooks"), ("escape", "clear", "")]

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[HookRow] = []
        self.summary: Any = None
        self.filter = Filter()
        self.zone: tzinfo = UTC
        self.trouble = ""
        self.troubled_at = 0.0
        self.drafts: set[int | None] = set()
        self.kept_log: Chosen | None = None
        """The filter of the log of all hooks, as it was left."""
        self.statistics: dict[int, HookStatistics] | None = None
        self.counted_at = -COUNT_EVERY
        self.banner = ""
        self.opened = False
        """Whether the rows are the engine's."""
        self.asked = self.taken = 0
        """How often the list was asked for, and which of these answers is shown: an older one never comes after it."""

    def compose(self) -> ComposeResult:
        yield Title(id="title")
        yield TextLine(id="filter")
        yield TextLine(id="columns")
        yield HookTable(self.hookrow.look.glyphs)
        yield KeyBar("hooks")
        with Vertical(id="below"):
            yield Static(id="banner")
            yield Rule()
            yield TextLine(id="target")
            yield TextLine(id="sentence")
            yield TextLine(id="figures")

    def on_mount(self) -> None:
        self.query_one(HookTable).focus()
        self.draw()
        if self.hookrow.engine is not None:
            self.moved()

    # What is shown

    def moved(self) -> None:
        self.read_again(background=self.opened)
        if self.hookrow.engine is not None and monotonic() - self.counted_at >= COUNT_EVERY:
            self.counted_at = monotonic()
            self.hookrow.ask(self, lambda engine: engine.log.statistics(), self.count, background=True)

    def read_again(self, hook_id: int | None = None, *, background: bool = False) -> None:
        """Read the list again. The cursor goes to this hook, which may be new, and which no filter hides then."""
        self.asked += 1
        asked = self.asked

        def take(read: Read) -> None:
            if asked > self.taken:
                self.taken = asked
                self.take(read, hook_id)

        self.hookrow.ask(self, read_list, take, self.unreadable, background=background)

    def unreadable(self, error: HookrowError) -> None:
        """The list can't be read; at the start nothing can be done without it."""
        if self.opened:
            self.notice(failures.sentence(error))
        else:
            self.hookrow.say_unusable(failures.sentence(error))

    def take(self, read: Read, hook_id: int | None) -> None:
        if not self.opened:
            self.opened = True
            self.hookrow.usable()
        if monotonic() - self.troubled_at >= SEEN:
            self.trouble = self.hookrow.trouble
        if any(row.hook.id == hook_id and not self.filter.fits(row) for row in read[0]):
            self.filter = Filter()
        self.show(read, hook_id)
        self.hookrow.ahead.opened()

    def show(self, read: Read, hook_id: int | None = None) -> None:
        if self.summary is None:
            self.find_drafts()
        self.rows, self.summary, self.zone = read
        self.query_one(HookTable).zone = self.zone
        self.draw(hook_id)

    def find_drafts(self) -> None:
        from hookrow_tui.presenters.form import drafts

        self.drafts = drafts.hooks_with_drafts(self.hookrow.url)

    def glanced(self, glance: Glance) -> None:
        hooks = cast("Sequence[Hook]", glance.hooks)  # to show, not to change: see `holds`
        self.show((rows_of(hooks, glance.figures, glance.events), glance.summary, glance.zone))

    def holds(self, event: events.Event | None) -> bool:
        if self.opened:
            return False
        typing = self.focused is not self.query_one(HookTable)
        key = latin_key(event).key if isinstance(event, events.Key) else ""
        return event is None or (not typing and key not in (WITHOUT_ROWS if self.summary is None else WITHOUT_ENGINE))

    def held(self) -> None:
        self.draw()

    def count(self, statistics: dict[int, HookStatistics]) -> None:
        self.statistics = statistics
        self.query_one(HookTable).know(statistics)
        self.describe(HookTable.Moved(self.query_one(HookTable).row))

    def notice(self, text: str) -> None:
        self.trouble, self.troubled_at = text, monotonic()
        self.draw()

    def pressed(self) -> None:
        if self.trouble != self.hookrow.trouble:  # that one lasts until it is over
            self.trouble = self.hookrow.trouble
            self.draw()

    def draw(self, hook_id: int | None = None) -> None:
        """Bring every line up to date."""
        self.query_one("#title", Title).show(f" {TITLE}", Styled(self.standing() + " "))
        self.query_one("#filter", TextLine).show(self.filter.line())
        self.query_one("#columns", TextLine).show(header(self.app.size.width))
        words = self.trouble or banner(self.rows, self.drafts, self.summary, self.hookrow.faults, cap_of)
        if words != self.banner:  # it takes a new layout of the screen
            self.banner = words
            said = self.query_one("#banner", Static)
            said.display = bool(words)
            said.update(Styled(covered(words)))
        table = self.query_one(HookTable)
        table.empty = f" {NO_MATCH}" if self.rows else ""
        table.show([row for row in self.rows if self.filter.fits(row)], hook_id)

    def standing(self) -> str:
        """The figures of the title line."""
        if self.summary is None or (not self.opened and self.hookrow.ahead.queue):
            return "" if self.trouble else str(Say("opening…"))
        hooks = SayPlural("{n} hook", "{n} hooks", len(self.rows))
        if marked := len(self.marked):
            return str(SayPlural("{n} hook marked", "{n} hooks marked", marked))
        on = SayPlural("on {n}", "on {n}", sum(row.hook.state == "on" for row in self.rows))
        more: list[Text] = [Say("queue {n}", n=number(self.summary.queue))]
        if self.summary.dead:
            more.append(Say("dead {n}", n=number(self.summary.dead)))
        more.append(Say("errors in an hour {n}", n=number(self.summary.errors_last_hour)))
        if self.hookrow.read_only:
            more.append(Say("read only"))
        whole = " · ".join(map(str, (hooks, on, *more)))
        room = self.app.size.width - len(f" {TITLE}") - 2
        return whole if len(whole) <= room else " · ".join(map(str, (hooks, *more)))  # the rows show what is on

    @on(HookTable.Moved)
    def describe(self, message: HookTable.Moved) -> None:
        row = message.row
        glyphs = self.hookrow.look.glyphs
        self.query_one("#target", TextLine).show("" if row is None else target(row.hook, glyphs))
        empty = (
            ""
            if self.rows or self.summary is None
            else str(Say(" No hooks yet. Create one: {key}", key=cap_of("hooks.new")))
        )
        self.query_one("#sentence", TextLine).show(empty if row is None else sentence(row, here(self.zone)))
        seen = ""
        if row is not None and self.statistics is not None:
            seen = figures(self.statistics.get(row.hook.id or 0), self.app.size.width)
        self.query_one("#figures", TextLine).show(seen)

    def on_resize(self, event: events.Resize) -> None:  # besides Page's: Textual calls both
        self.draw()

    # Finding

    async def action_find(self) -> None:
        if not self.query("#find"):  # made at its first use: the first frame comes sooner without it
            await self.mount(Completing(self.complete, id="find"), after="#filter")
        field = self.query_one("#find", Input)
        field.value = f"{self.filter.text()} ".lstrip()  # what is typed now is a word of its own
        self.set_class(True, "-finding")
        field.focus()

    def complete(self, text: str) -> list[str]:
        """What the filter may become that is being typed."""
        return list_completions(text, sorted({row.hook.event for row in self.rows}))

    @on(Input.Changed, "#find")
    def narrow(self, message: Input.Changed) -> None:
        if self.has_class("-finding"):
            self.filter = Filter.read(message.value)
            self.draw()

    @on(Input.Submitted, "#find")
    def found(self) -> None:
        self.set_class(False, "-finding")
        self.query_one(HookTable).focus()

    def action_clear(self) -> None:
        """Escape: take the marks away; without any show everything again."""
        self.found()
        if self.unmark():
            return
        self.filter = Filter()
        self.draw()

    # What can be done

    @property
    def chosen(self) -> Hook | None:
        """The hook under the cursor."""
        row = self.query_one(HookTable).row
        return None if row is None else row.hook

    def wanted(self, *, writes: bool = False) -> Hook | None:
        """The hook under the cursor, for a key that needs one; where there is none, or it may not be changed, that is
        said."""
        if self.chosen is None:
            self.hookrow.nothing_chosen()
        return None if writes and not self.hookrow.writable() else self.chosen

    def change(self, call: Any, hook_id: int | None = None, then: Callable[[], None] | None = None) -> None:
        """Change something; once it is done go on with `then`, and read the list again with the cursor on this hook."""

        def changed(_: Any) -> None:
            if then is not None:
                then()
            self.trouble = self.hookrow.trouble
            self.read_again(hook_id)

        self.hookrow.ask(self, call, changed)

    def action_open(self) -> None:
        if (hook := self.wanted()) is not None:
            self.open_form(hook)

    def action_new(self) -> None:
        if self.hookrow.writable():
            self.open_form(None)

    def action_copy(self) -> None:
        if (hook := self.wanted(writes=True)) is not None:
            self.open_form(hook, copy=True)

    def open_form(self, hook: Hook | None, *, copy: bool = False) -> None:
        from hookrow_tui.form.screen import FormScreen

        self.app.push_screen(FormScreen(hook, copy=copy, zone=self.zone), self.came_back)

    def came_back(self, hook_id: int | None) -> None:
        """From the form; the hook that it wrote."""
        self.find_drafts()
        if hook_id is not None:
            self.read_again(hook_id)

    def action_turn(self) -> None:
        if self.turn_marked():
            return
        hook = self.wanted(writes=True)
        if hook is None:
            return
        if hook.active and waits(hook):
            text = Say(
                "Operations of {event} wait for this hook. Switched off, it is not called, and operations go on "
                "without it.",
                event=hook.event,
            )
            self.confirm(Say('Switch off "{name}"?', name=hook.name), text, lambda: self.switch(hook))
        else:
            self.switch(hook)

    def switch(self, hook: Hook) -> None:
        self.change(lambda engine: engine.hooks.update(hook.id, active=not hook.active, revision=hook.revision))

    def confirm(self, title: Say, text: Say, then: Any, *more: str) -> None:
        """Ask; «No» is marked at the beginning."""
        from hookrow_tui.widgets.dialogs import ask

        ask(self, title, [text, *more], [("no", NO, None), ("yes", YES, then)])

    def action_pause(self) -> None:
        if self.pause_marked():
            return
        hook = self.wanted(writes=True)
        if hook is None:
            return
        of = {"event": hook.event}
        if hook.state == "paused":
            self.change(lambda engine: engine.hooks.resume(hook.id))
        elif waits(hook):
            refused = Say(
                "A failure of this hook stops the operation. While it is paused, every {event} is stopped.", **of
            )
            passed = Say(
                "Operations of {event} wait for this hook. Paused, it is not called, and operations go on without it.",
                **of,
            )
            paused = names(row.hook for row in self.rows if row.hook.state == "paused")
            more = [str(Say("Paused already: {names}.", names=paused))] if paused else []
            title = Say('Pause "{name}"?', name=hook.name)
            self.confirm(title, refused if stops(hook) else passed, lambda: self.pause(hook), *more)
        else:
            self.pause(hook)

    def pause(self, hook: Hook) -> None:
        """Ask why, then pause; Escape leaves the hook as it is."""
        from hookrow_tui.widgets.dialogs import Prompt

        def write(reason: str | None) -> None:
            if reason is not None:
                self.change(lambda engine: engine.hooks.pause(hook.id, reason))

        asked = str(Say("Why? Everybody will see it; it may stay empty."))
        keys = str(Say("Enter pauses, Esc closes"))
        self.app.push_screen(Prompt(str(Say('Pause "{name}"?', name=hook.name)), asked, keys), write)

    def action_promote(self) -> None:
        """End what is asked in shadow, once its figures were shown: a candidate, or the hook."""
        hook = self.wanted(writes=True)
        if hook is None:
            return
        number, revision = hook.id or 0, hook.revision

        def promote() -> None:
            self.change(lambda engine: engine.hooks.promote(number, revision=revision), number)

        def drop() -> None:
            self.change(lambda engine: engine.hooks.drop_candidate(number, revision=revision), number)

        from hookrow_tui.hooks.promoting import ask_about_candidate, ask_about_shadow

        if hook.candidate is not None:
            self.hookrow.ask(
                self,
                lambda engine: engine.log.candidate(number),
                lambda found: ask_about_candidate(self, hook, found, self.zone, promote, drop),
            )
        elif hook.shadow:
            self.hookrow.ask(
                self,
                lambda engine: engine.log.shadow(number),
                lambda found: ask_about_shadow(self, hook, found, promote),
            )
        else:
            self.hookrow.notice(str(Say("It is not in shadow and has no candidate.")))

    def action_later(self) -> None:
        self.reorder(1)

    def action_earlier(self) -> None:
        self.reorder(-1)

    def reorder(self, step: int) -> None:
        hook = self.chosen
        if self.move_marked(step) or hook is None or hook.id is None or not self.hookrow.writable():
            return
        number = hook.id
        self.change(lambda engine: engine.hooks.move(number, by=step), number)

    def action_remove(self) -> None:
        if self.remove_marked():
            return
        hook = self.wanted(writes=True)
        if hook is None:
            return

        def remove() -> None:
            self.change(lambda engine: engine.hooks.remove(hook.id, revision=hook.revision), then=removed)

        def removed() -> None:
            text = Say('"{name}" was deleted. Restore it: {key}', name=covered(hook.name), key=cap_of("hooks.undo"))
            self.app.notify(str(text), markup=False)

        text = Say("Its queued deliveries are cancelled. Restore hook and queue: {key}", key=cap_of("hooks.undo"))
        self.confirm(Say('Delete "{name}"?', name=hook.name), text, remove)

    def action_test(self) -> None:
        from hookrow_tui.widgets.check import CheckScreen

        if (hook := self.wanted()) is not None:
            self.app.push_screen(CheckScreen(hook))

    def action_history(self) -> None:
        from hookrow_tui.hooks.history import HistoryScreen

        if (hook := self.wanted()) is not None:
            self.app.push_screen(HistoryScreen(hook, zone=self.zone), self.came_back)

    def action_why(self) -> None:
        from hookrow_tui.hooks.why import WhyScreen

        if (hook := self.wanted()) is not None:
            self.app.push_screen(WhyScreen(hook, zone=self.zone))

    def action_log(self) -> None:
        if (hook := self.wanted()) is not None:
            self.open_log(hook)

    def action_whole_log(self) -> None:
        self.open_log(None)

    def open_log(self, hook: Hook | None) -> None:
        from hookrow_tui.log.reader import as_of_now
        from hookrow_tui.log.screen import LogScreen

        if hook is not None:
            self.app.push_screen(LogScreen(hook=hook))
        else:
            kept = None if self.kept_log is None else as_of_now(self.kept_log, self.zone)
            self.app.push_screen(LogScreen(kept=kept, leave_filter=self.keep_log))

    def keep_log(self, left: Chosen) -> None:
        self.kept_log = left
