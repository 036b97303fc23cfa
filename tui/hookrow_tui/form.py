"""The form of one hook: the document's page letter for letter, what goes beyond it on a second page."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from hookrow.dates import Here
from hookrow.document import FIELD, PAGE_TITLE, SAVE_AND_CLOSE
from hookrow.errors import ChangedMeanwhile, HookNotFound, HookrowError, InvalidInput
from hookrow_tui import drafts
from hookrow_tui.actions import Group, bindings
from hookrow_tui.dialogs import Choices, Question
from hookrow_tui.form_fields import Body, Drawn, Edited, Flag, Line, Picked, SecretLine, Switch, Warned
from hookrow_tui.form_page import FormPage, first_page, second_page
from hookrow_tui.form_state import (
    ROW_LIMIT,
    FormState,
    Value,
    looked_at,
    merge,
    neighbours,
    texts_of,
    too_long,
    worst,
)
from hookrow_tui.keybar import KeyBar
from hookrow_tui.page import Page, Title
from hookrow_tui.terminal import visible
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook, HookEngine

__all__ = ["FormScreen"]

DRAFT_AFTER = 1.0
"""Seconds after the last key until the draft is written."""
PREVIEW_AFTER = 0.4
"""Seconds after the last key until the body is tried."""
MASK = 8


class FormScreen(Page[int]):
    """The form; it gives the id of the hook that it wrote, or None.

    Args:
        hook: the hook to edit or to copy; None for a new one.
        zone: in which moments are typed and shown.
    """

    GROUPS: ClassVar[tuple[Group, ...]] = ("form",)
    BINDINGS: ClassVar[list[Any]] = [
        *bindings("form"),
        ("up", "previous", ""),
        ("down", "next", ""),
    ]

    def __init__(self, hook: Hook | None, *, zone: tzinfo, copy: bool = False) -> None:
        super().__init__()
        self.zone = zone
        self.state = FormState.of(hook, zone, copy=copy)
        self.stored = hook
        self.hooks: list[Hook] = []
        self.titles: dict[str, tuple[str, str]] = {}
        self.problems: dict[str, str] = {}
        self.trouble = ""
        self.warned: tuple[str, str] | None = None
        self.draft_timer: Timer | None = None
        self.preview_timer: Timer | None = None
        self.preview: tuple[str, bool] | None = None
        self.saving = False

    # Building

    def compose(self) -> ComposeResult:
        yield Title()
        sign = self.hookrow.look.glyphs.focus
        buttons = Choices(
            [("save", str(SAVE_AND_CLOSE)), ("test", str(Say("Test…"))), ("cancel", str(Say("Cancel")))], id="buttons"
        )
        first = [self.field(spot.code) for spot in first_page(0)[1]]
        yield FormPage([buttons, *first], sign, first=True)
        yield FormPage([self.field(spot.code) for spot in second_page()[1]], sign, first=False)
        yield Static(id="hint")
        yield KeyBar("form")

    def field(self, code: str) -> Widget:
        """The widget of one field."""
        each, text = FIELD[code], self.state.texts[code]
        if each.kind == "flag":
            return Flag(code, str(each.label), bool(text))
        if each.kind == "event":
            return Picked(code, str(text))
        if each.kind == "template":
            return Body(code, str(text))
        if each.kind == "choice":
            return Switch(code, [(value, str(label)) for value, label in each.choices], str(text))
        if each.secret:
            kept = self.mask(code)
            return SecretLine(code, kept, empty=text == "", password=each.kind != "header")
        empty = str(Say("no end")) if each.kind == "moment" else ""
        return Line(code, str(text), placeholder=empty)

    def mask(self, code: str) -> str:
        """What is shown for a secret that is kept; a header's name is no secret."""
        hook = self.state.hook
        dots = self.hookrow.look.glyphs.secret * MASK
        if hook is None:
            return ""
        if code == "custom_header":
            return f"{hook.custom_header}: {dots}" if hook.custom_header else ""
        secret = getattr(hook, code)
        return dots if secret is not None and secret.is_set else ""

    def on_mount(self) -> None:
        self.pages[1].display = False
        self.widget("name").focus()
        self.draw()
        self.moved()
        if self.read_only:
            for widget in self.query(".field"):
                widget.disabled = True
        else:
            self.offer_draft()

    @property
    def pages(self) -> list[FormPage]:
        return list(self.query(FormPage))

    def widget(self, code: str) -> Widget:
        """The widget of a field."""
        return next(widget for widget in self.query(".field") if getattr(widget, "code", None) == code)

    @property
    def read_only(self) -> bool:
        return self.hookrow.engine is not None and self.hookrow.engine.read_only

    # What stands around the fields

    def moved(self) -> None:
        def take(read: tuple[list[Hook], dict[str, tuple[str, str]]]) -> None:
            self.hooks, self.titles = read
            self.draw()

        self.hookrow.ask(self, read_around, take)

    def notice(self, text: str) -> None:
        self.trouble = text
        self.draw_hint()

    @property
    def here(self) -> Here:
        """When and where a date is typed."""
        return Here(datetime.now(UTC), self.zone)

    @property
    def dirty(self) -> bool:
        return bool(self.state.changed)

    def draw(self) -> None:
        """Title, mode, flags that have no effect, the event's title, the hint."""
        stored = self.state.hook
        name = visible(stored.name if stored is not None else str(Say("new")))
        mark = " *" if self.dirty else ""
        right = str(Say("changed · not saved")) if self.dirty else str(Say("read only")) if self.read_only else ""
        self.query_one(Title).show(f" {PAGE_TITLE} › {name}{mark}", Text(f"{right} " if right else ""))
        code = str(self.state.texts["event"])
        title, moment = self.titles.get(code, ("", "before"))
        self.pages[0].say(self.state.sentence(moment))
        picked = self.widget("event")
        assert isinstance(picked, Picked)
        picked.show(code, title)
        overruled = self.state.overruled()
        for flag in self.query(Flag):
            flag.show(bool(self.state.texts[flag.code]), dim=flag.code in overruled)
        self.draw_hint()

    def draw_hint(self) -> None:
        text, bad = self.hint()
        hint = self.query_one("#hint", Static)
        hint.set_class(bad, "-bad")
        hint.update(Text(visible(text)))

    def hint(self) -> tuple[str, bool]:
        """The sentence below the form, and whether something is wrong."""
        if self.trouble:
            return self.trouble, True
        code = getattr(self.focused, "code", None)
        if code is None:
            return str(self.first_problem() or Say("Enter chooses; Tab goes to the fields.")), bool(self.problems)
        if self.warned is not None and self.warned[0] == code:
            return self.warned[1], True
        if code == "body" and self.preview is not None and code not in self.problems:
            seen, bad = self.preview
            glyphs = self.hookrow.look.glyphs
            return f"{glyphs.bad if bad else glyphs.ok} {' '.join(seen.split())}", bad
        each, text = FIELD[code], self.state.texts[code]
        wrong, understood = looked_at(each, text, self.here)
        wrong = wrong or self.problems.get(code, "")
        if wrong:
            return f"{self.hookrow.look.glyphs.bad} {each.label}: {wrong}", True
        if code in self.state.overruled():
            return str(Say("Has no effect: «{flag}» is on.", flag=FIELD["fire_and_forget"].label)), False
        if code == "position":
            row = ", ".join(f"{place} {name}" for place, name in neighbours(self.hooks, self.state))
            return str(Say("The smaller number runs earlier. Now on this event: {row}.", row=row)), False
        if code == "timeout" and (seconds := worst(self.hooks, self.state)) > ROW_LIMIT:
            return str(too_long(seconds)), True
        if each.secret and getattr(self.focused, "is_kept", False):
            return str(Say("Kept sealed. Type a new one to replace it, Delete removes it, Ctrl+R keeps it.")), False
        return f"{understood + '. ' if understood else ''}{each.hint}", False

    def first_problem(self) -> str | None:
        return next((f"{FIELD[code].label}: {text}" for code, text in self.problems.items() if code in FIELD), None)

    # Editing

    @on(Edited)
    def edited(self, message: Edited) -> None:
        if self.state.texts[message.code] == message.value:
            return
        self.state.texts[message.code] = message.value
        self.problems.pop(message.code, None)
        self.warned = None
        self.trouble = ""
        self.draw()
        if self.draft_timer is not None:
            self.draft_timer.stop()
        self.draft_timer = self.set_timer(DRAFT_AFTER, self.keep_draft)
        if message.code in ("body", "event"):
            self.preview = None
            self.preview_later()

    def preview_later(self) -> None:
        """Try the body on the event's last recorded payload, as soon as the person pauses."""
        if self.preview_timer is not None:
            self.preview_timer.stop()
        self.preview_timer = self.set_timer(PREVIEW_AFTER, self.ask_preview)

    def ask_preview(self) -> None:
        body, event = str(self.state.texts["body"]), str(self.state.texts["event"])
        if not body.strip() or event not in self.titles:
            return

        def show(text: str, bad: bool = False) -> None:
            if (body, event) == (self.state.texts["body"], self.state.texts["event"]):
                self.preview = (text, bad)
                self.draw_hint()

        self.hookrow.ask(
            self, lambda engine: engine.hooks.preview(event, body), show, lambda error: show(str(error), True)
        )

    @on(Warned)
    def warn(self, message: Warned) -> None:
        self.call_after_refresh(self.show_warning, (message.code, message.text))

    def show_warning(self, warned: tuple[str, str]) -> None:
        self.warned = warned
        self.draw_hint()

    @on(Picked.Wanted)
    def pick_event(self, message: Picked.Wanted) -> None:
        from hookrow_tui.pick import Pick

        items = [(code, f"{code} — {title}") for code, (title, _) in self.titles.items()]
        pick = Pick(str(FIELD["event"].label), items, chosen=str(self.state.texts["event"]), typed=message.typed)
        self.app.push_screen(pick, lambda code: self.edited(Edited("event", code)) if code else None)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        code = getattr(event.widget, "code", None)
        for page in self.pages:
            page.mark(code if page.display else None)
        if code == "body" and self.preview is None:
            self.preview_later()
        self.draw_hint()

    @on(Input.Submitted)
    def to_next(self) -> None:
        self.action_next()

    def action_next(self) -> None:
        self.focus_next()

    def action_previous(self) -> None:
        self.focus_previous()

    def action_page(self) -> None:
        first, second = self.pages
        self.show_page(second if first.display else first)

    def show_page(self, page: FormPage, code: str | None = None) -> None:
        """Turn to a page, to its first field or to this one."""
        for each in self.pages:
            each.display = each is page
        fields = [child for child in page.children if isinstance(child, Line | Drawn | Body)]
        wanted = next((field for field in fields if getattr(field, "code", None) == code), fields[0])
        self.call_after_refresh(wanted.focus)

    def go_to(self, code: str) -> None:
        """Put the focus on a field, wherever it is."""
        page = next((page for page in self.pages if self.widget(code) in page.children), None)
        if page is not None and code in self.state.texts:
            self.show_page(page, code)

    def fill(self, texts: dict[str, Value]) -> None:
        """Put texts into the fields, as if they were typed; secrets stay as they are."""
        for code, value in texts.items():
            widget = self.widget(code)
            if isinstance(widget, SecretLine) or value is None:
                continue
            if isinstance(widget, Line):
                widget.value = str(value)
            elif isinstance(widget, Body):
                widget.text = str(value)
            elif isinstance(widget, Switch):
                widget.value = str(value)
                widget.refresh()
            self.state.texts[code] = value
        self.draw()

    def action_editor(self) -> None:
        """The body in $EDITOR."""
        body = self.widget("body")
        assert isinstance(body, Body)
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "body.json"
            path.write_text(body.text, "utf-8")
            try:
                with self.app.suspend():
                    done = subprocess.run([*shlex.split(command), str(path)], check=False)
            except OSError as error:
                self.notice(str(Say("The editor {command} can't be started: {reason}", command=command, reason=error)))
                return
            if done.returncode:
                self.notice(str(Say("The editor ended with an error; the body stays as it was.")))
                return
            written = path.read_text("utf-8", errors="replace")
        body.text = written.removesuffix("\n") if not body.text.endswith("\n") else written
        self.app.refresh()

    # Saving

    @on(Choices.Chosen)
    def press(self, message: Choices.Chosen) -> None:
        {"save": self.action_save, "test": self.action_test, "cancel": self.action_back}[message.code]()

    def action_save(self) -> None:
        """«Записать и закрыть»."""
        if self.read_only:
            self.notice(str(Say("This database is read only for you: nothing can be changed.")))
        elif self.state.hook is not None and not self.dirty:
            self.close(None)
        elif not self.saving and not self.find_fault():
            seconds = worst(self.hooks, self.state)
            if seconds > ROW_LIMIT and {"timeout", "active", "event", "wait_for_response", "fire_and_forget"} & set(
                self.state.changed
            ):
                answers = [("back", str(Say("Go back"))), ("save", str(Say("Save anyway")))]
                question = Question(str(SAVE_AND_CLOSE), [str(too_long(seconds))], answers)
                self.app.push_screen(question, lambda answer: self.write() if answer == "save" else None)
            else:
                self.write()

    def find_fault(self) -> bool:
        """Check all; go to the first field at fault."""
        checked = self.state.checked(self.here)
        self.problems = checked.problems
        if not self.problems:
            return False
        code = next((code for code in FIELD if code in self.problems), None)
        if code is None:
            self.notice(next(iter(self.problems.values())))
        else:
            self.go_to(code)
            self.draw_hint()
        return True

    def write(self) -> None:
        checked = self.state.checked(self.here)
        stored = self.state.hook
        self.saving = True

        def call(engine: HookEngine) -> Any:
            if stored is None:
                from hookrow import Hook

                return engine.hooks.add(Hook.stored(checked.values))
            return engine.hooks.update(stored.id, checked.values, revision=stored.revision, stored=True)

        def written(hook: Hook) -> None:
            self.saving = False
            for note in checked.notes:
                self.hookrow.notify(visible(note), markup=False)
            self.close(hook.id)

        self.hookrow.ask(self, call, written, self.refused)

    def refused(self, error: HookrowError) -> None:
        """What the engine says against it: a field, a colleague's edit, a deleted hook, the database."""
        self.saving = False
        if isinstance(error, ChangedMeanwhile):
            self.hookrow.ask(self, self.read_theirs, self.settle)
        elif isinstance(error, HookNotFound):
            answers = [("new", str(Say("Save as new"))), ("back", str(Say("Go back")))]
            question = Question(str(Say("The hook was deleted meanwhile")), [str(error)], answers)
            self.app.push_screen(question, lambda answer: self.save_as_new() if answer == "new" else None)
        elif isinstance(error, InvalidInput):
            self.problems = {problem.field: str(problem.text) for problem in error.problems}
            code = next((code for code in FIELD if code in self.problems), None)
            if code is not None:
                self.go_to(code)
            self.notice("" if code else str(error))
        else:
            self.notice(str(error))

    def save_as_new(self) -> None:
        """A new hook of what stands here; the kept secrets went with the old one."""
        self.state = FormState(
            FormState.of(None, self.zone).base,
            {code: "" if value is None else value for code, value in self.state.texts.items()} | {"key": ""},
        )
        self.action_save()

    def read_theirs(self, engine: HookEngine) -> Hook:
        assert self.state.hook is not None
        return engine.hooks.get(self.state.hook.id)

    def settle(self, theirs: Hook) -> None:
        """A colleague saved this hook meanwhile: take what only he changed, ask about what both did."""
        from hookrow_tui.conflict import ConflictScreen

        texts = texts_of(theirs, self.zone)
        merged = merge(self.state.base, self.state.texts, texts)

        def decided(choice: dict[str, Value] | None) -> None:
            if choice is None:
                return
            self.state.hook = theirs
            self.state.base = dict(texts)
            self.fill({**merged.texts, **choice})
            self.write() if self.dirty else self.close(theirs.id)

        self.app.push_screen(ConflictScreen(self.state.texts, texts, merged), decided)

    # Testing

    def action_test(self) -> None:
        """The marked request, without saving."""
        if self.find_fault():
            return
        checked = self.state.checked(self.here)
        from hookrow_tui.check import CheckScreen

        self.app.push_screen(CheckScreen(self.state.hook, checked.values if self.dirty else None))

    # Leaving

    def action_back(self) -> None:
        self.leave(lambda: None)

    def leave(self, then: Callable[[], Any]) -> None:
        """Close, asking first if something was changed; then go on with `then`."""
        if not self.dirty or self.read_only:
            self.close(None)
            then()
            return

        def answered(answer: str | None) -> None:
            if answer == "save":
                self.action_save()
            elif answer == "drop":
                self.close(None)
                then()

        answers = [("save", str(Say("Save"))), ("drop", str(Say("Don't save"))), ("back", str(Say("Go back")))]
        self.app.push_screen(Question(str(PAGE_TITLE), [str(Say("The changes are not saved."))], answers), answered)

    def close(self, hook_id: int | None) -> None:
        """Go, and leave no draft."""
        if self.draft_timer is not None:
            self.draft_timer.stop()
        drafts.path_for(self.hookrow.url, self.draft_id).unlink(missing_ok=True)
        self.dismiss(hook_id)

    # Drafts

    @property
    def draft_id(self) -> int | None:
        return None if self.state.hook is None else self.state.hook.id

    def keep_draft(self) -> None:
        """Write what is changed to disk; see `hookrow_tui.drafts`."""
        revision = 0 if self.state.hook is None else self.state.hook.revision
        try:
            if self.dirty:
                drafts.write(self.hookrow.url, self.draft_id, revision, self.state.texts, self.state.base)
            else:
                drafts.path_for(self.hookrow.url, self.draft_id).unlink(missing_ok=True)
        except OSError as error:
            self.notice(str(Say("The draft can't be kept: {reason}", reason=error)))

    def offer_draft(self) -> None:
        """What a lost session left for this hook."""
        kept = drafts.found(self.hookrow.url, self.draft_id)
        if not kept:
            return
        draft = kept[0]

        def answered(answer: str | None) -> None:
            if answer == "take":
                self.fill({code: value for code, value in draft.texts.items() if code in self.state.texts})
                if self.state.hook is not None and draft.revision != self.state.hook.revision:
                    self.notice(str(Say("The hook was changed since this draft was written: compare before saving.")))
            if answer in ("take", "drop"):
                draft.drop()

        answers = [("take", str(Say("Take it"))), ("drop", str(Say("Throw away"))), ("later", str(Say("Later")))]
        text = Say("An interrupted session left changes that were not saved. Passwords are not among them.")
        self.app.push_screen(Question(str(Say("Draft")), [str(text)], answers), answered)


def read_around(engine: HookEngine) -> tuple[list[Hook], dict[str, tuple[str, str]]]:
    """All hooks, and each event's title and moment."""
    return engine.hooks.list(), {event.code: (str(event.title), event.moment) for event in engine.events.list()}
