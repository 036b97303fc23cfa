"""Several hooks at once: marked rows of the list, what is done to them, one's own last change taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hookrow.errors import HookrowError
from hookrow.lang import Text, quoted
from hookrow.words import ACTIONS
from hookrow_tui.actions import cap_of
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.presenters.banner import waits
from hookrow_tui.presenters.failures import needs_secrets
from hookrow_tui.widgets.dialogs import Answer, Prompt, ask, ask_about_secrets, ask_file
from hookrow_tui.widgets.page import Page
from hookrow_tui.words import Say, SayPlural

if TYPE_CHECKING:
    from hookrow import Hook, HookEngine
    from hookrow.records import OwnChange, UndonePart

__all__ = ["Several"]

NAMED = 8
"""Names that a question lists at most."""
What = Literal["enable", "disable", "pause", "resume", "remove"]


class Several(Page[None]):
    """The part of the list of hooks that acts on several rows. Marked rows that no filter hides are meant by the keys
    that change a hook; without marks it is the row under the cursor."""

    zone: tzinfo

    def change(self, call: Any, hook_id: int | None = None, then: Callable[[], None] | None = None) -> None:
        """Change something; then read the list again with the cursor on this hook."""
        raise NotImplementedError

    def read_again(self, hook_id: int | None = None, *, background: bool = False) -> None:
        """Read the list; the cursor goes to this hook."""
        raise NotImplementedError

    def draw(self, hook_id: int | None = None) -> None:
        """Bring every line up to date."""
        raise NotImplementedError

    # Marking

    @property
    def table(self) -> HookTable:
        """The rows."""
        return self.query_one(HookTable)

    @property
    def marked(self) -> list[Hook]:
        """The marked hooks that are in the list as it is shown."""
        return [row.hook for row in self.table.rows if row.hook.id in self.table.marks]

    def action_mark(self) -> None:
        """Mark the row, or unmark it, and go to the next."""
        if self.table.row is not None:
            self.table.last_marked = self.table.row.hook.id
            self.table.mark({self.table.row.hook.id or 0}, toggle=True)
            self.table.action_move(1)
            self.draw()

    def action_mark_range(self) -> None:
        """Mark all from the row that was marked last to this one."""
        rows, place = self.table.rows, self.table.place
        start = next((at for at, row in enumerate(rows) if row.hook.id == self.table.last_marked), place)
        first, last = sorted((start, place))
        self.table.mark({row.hook.id or 0 for row in rows[first : last + 1]})
        self.draw()

    def action_mark_all(self) -> None:
        """Mark all that the filter shows; if they are all marked, none."""
        shown = {row.hook.id or 0 for row in self.table.rows}
        if shown <= self.table.marks:
            self.table.unmark()
        else:
            self.table.mark(shown)
        self.draw()

    def unmark(self) -> bool:
        """Take all marks away; whether there were any."""
        had = bool(self.table.marks)
        self.table.unmark()
        if had:
            self.draw()
        return had

    # What is done to the marked ones

    def do_several(self, hooks: list[Hook], what: What, reason: str = "") -> None:
        revisions: Mapping[int, int] = {hook.id or 0: hook.revision for hook in hooks}
        self.change(
            lambda engine: engine.hooks.change_several(revisions, what, reason=reason), then=self.done(what, len(hooks))
        )

    def done(self, what: What, count: int) -> Callable[[], None]:
        def tell() -> None:
            if what == "remove":
                self.table.unmark()
            said = SayPlural(
                "{what}: {n} hook. Undo: {key}",
                "{what}: {n} hooks. Undo: {key}",
                count,
                what=DONE[what],
                key=cap_of("hooks.undo"),
            )
            self.app.notify(str(said), markup=False)

        return tell

    def ask_several(self, hooks: list[Hook], title: Text, answer: Text, then: Callable[[], None]) -> None:
        """Name the hooks, those first on which operations wait; «no» is marked."""
        waiting = [hook for hook in hooks if hook.active and waits(hook)]
        stopping = [hook for hook in waiting if hook.on_failure == "stop"]
        rest = [hook for hook in hooks if hook not in waiting]
        lines = []
        if stopping:
            lines.append(
                Say("Operations wait for these, and their failure stops them: {names}.", names=names(stopping))
            )
        if others := [hook for hook in waiting if hook not in stopping]:
            lines.append(Say("Operations wait for these: {names}.", names=names(others)))
        if rest:
            lines.append(Say("In the background: {names}.", names=names(rest)))
        ask(self, title, lines, [("no", Say("No"), None), ("yes", answer, then)])

    def turn_marked(self) -> bool:
        """Switch the marked hooks off, or on where all of them are off; whether there are marks."""
        hooks = self.marked
        if not hooks or not self.hookrow.writable():
            return bool(hooks)
        if not any(hook.active for hook in hooks):
            self.do_several(hooks, "enable")
            return True
        hooks = [hook for hook in hooks if hook.active]
        title = SayPlural("Switch off {n} hook?", "Switch off {n} hooks?", len(hooks))
        self.ask_several(hooks, title, Say("Switch off"), lambda: self.do_several(hooks, "disable"))
        return True

    def pause_marked(self) -> bool:
        """Pause the marked hooks, or resume them where all of them are paused; whether there are marks."""
        hooks = self.marked
        if not hooks or not self.hookrow.writable():
            return bool(hooks)
        if all(hook.state == "paused" for hook in hooks):
            self.do_several(hooks, "resume")
            return True
        title = SayPlural("Pause {n} hook?", "Pause {n} hooks?", len(hooks))

        def ask_why() -> None:
            asked, keys = Say("Why? Everybody will see it; it may stay empty."), Say("Enter pauses, Esc closes")
            prompt = Prompt(str(title), str(asked), str(keys))
            self.app.push_screen(
                prompt, lambda reason: None if reason is None else self.do_several(hooks, "pause", reason)
            )

        self.ask_several(hooks, title, Say("Pause"), ask_why)
        return True

    def move_marked(self, step: int) -> bool:
        """Move the marked hooks one place; whether there are marks."""
        numbers = [hook.id or 0 for hook in self.marked]
        if numbers and self.hookrow.writable():
            at = self.table.row.hook.id if self.table.row is not None else None
            self.change(lambda engine: engine.hooks.move_several(numbers, step), at)
        return bool(numbers)

    def remove_marked(self) -> bool:
        """Delete the marked hooks; whether there are marks."""
        hooks = self.marked
        if not hooks or not self.hookrow.writable():
            return bool(hooks)
        title = SayPlural("Delete {n} hook?", "Delete {n} hooks?", len(hooks))
        self.ask_several(hooks, title, Say("Delete"), lambda: self.do_several(hooks, "remove"))
        return True

    def action_export(self) -> None:
        """The marked hooks, or the one under the cursor, as a file that can be imported; without secrets."""
        row = self.table.row
        keys = [hook.key for hook in self.marked] or ([] if row is None else [row.hook.key])
        if not keys:
            return

        def write(path: Path) -> None:
            self.hookrow.ask(self, lambda engine: export_to(engine, path, keys), said)

        def said(text: Say) -> None:
            self.app.notify(str(text), markup=False, timeout=8)

        title = SayPlural("Export {n} hook", "Export {n} hooks", len(keys))
        ask_file(self, title, "hooks.yaml", write)

    # Taking back

    def action_undo(self) -> None:
        """One's own last change, read from the revisions: shown first, refused where somebody changed it since."""
        if self.hookrow.writable():
            self.hookrow.ask(self, lambda engine: engine.hooks.last_change(), self.ask_undo)

    def ask_undo(self, change: OwnChange | None) -> None:
        from hookrow.hook.form import FIELD  # neither is for the first frame
        from hookrow_tui.presenters.changes import label_of, when

        if change is None:
            self.hookrow.notice(str(Say("You have not changed any hook: there is nothing to undo.")))
            return
        if change.changed_since:
            part = change.changed_since[0]
            text = Say(
                "{hook} was changed after you, by {who}: it can't be undone. See its history ({key}).",
                key=cap_of("hooks.history"),
                hook=quoted(part.name),
                who=part.since,
            )
            self.hookrow.notice(str(text))
            return
        done = ACTIONS.get(change.action, change.action)
        hooks = names(change.parts)
        lines = [Say("{when}: {hooks} — {done}.", when=when(change.at_ms, self.zone), hooks=hooks, done=done)]
        lost = dict.fromkeys(label_of(name) for part in change.parts for name in part.lost)
        kept = [(part, part.before) for part in change.parts if part.before is not None]
        moved = [name for part, before in kept for name in part.after if before.get(name) != part.after[name]]
        back = dict.fromkeys(label_of(name) for name in moved if name in FIELD and label_of(name) not in lost)
        if back:
            lines.append(Say("Back to what it was: {fields}.", fields=", ".join(back)))
        if lost:
            lines.append(Say("These do not come back, no revision holds them: {fields}.", fields=", ".join(lost)))
        answers: list[Answer] = [("undo", Say("Undo"), lambda: self.undo(change)), ("back", Say("Back"), None)]
        ask(self, Say("Undo your last change?"), lines, answers)

    def undo(self, change: OwnChange, *, keep_secrets: bool = False) -> None:
        def refused(error: HookrowError) -> None:
            if needs_secrets(error):
                text = Say("The earlier URL has another origin. The secrets that the hook has now would be sent to it.")
                ask_about_secrets(self, text, lambda: self.undo(change, keep_secrets=True))
            else:
                self.hookrow.notice(str(error))

        self.hookrow.ask(
            self,
            lambda engine: engine.hooks.undo(change, keep_secrets=keep_secrets),
            lambda _: self.read_again(change.parts[0].hook_id),
            refused,
        )

    def action_overview(self) -> None:
        """All hooks together, as plots."""
        from hookrow_tui.hooks.overview import OverviewScreen

        self.app.push_screen(OverviewScreen(zone=self.zone))

    def action_deleted(self) -> None:
        """The deleted hooks."""
        from hookrow_tui.hooks.deleted import DeletedScreen

        self.app.push_screen(DeletedScreen(zone=self.zone), self.came_back)

    def came_back(self, hook_id: int | None) -> None:
        """From another page; the hook that it wrote."""
        raise NotImplementedError


DONE: Mapping[What, Say] = {
    "enable": Say("Switched on"),
    "disable": Say("Switched off"),
    "pause": Say("Paused hooks"),
    "resume": Say("Resumed hooks"),
    "remove": Say("Deleted hooks"),
}


def names(hooks: Sequence[Hook | UndonePart]) -> str:
    """The hooks' names, the first of many."""
    more = len(hooks) - NAMED
    return ", ".join(quoted(hook.name) for hook in hooks[:NAMED]) + (f" +{more}" if more > 0 else "")


def export_to(engine: HookEngine, path: Path, keys: list[str]) -> Say:
    """Write these hooks to a new file; gives what to say."""
    from hookrow.hookfile import export_hooks
    from hookrow_tui.log.taking import write_file

    return write_file(path, export_hooks(engine, keys=keys).encode())
