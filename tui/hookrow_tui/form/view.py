"""The form as it is seen and typed in: two pages of fields, the title, the mode as a sentence, the hint.

Saving, testing and leaving stand in `hookrow_tui.form.screen`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text as Styled
from textual import events, on
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from hookrow.hook.form import FIELD, PAGE_TITLE, SAVE_AND_CLOSE
from hookrow.hook.modes import ROW_LIMIT
from hookrow.lang import Text
from hookrow.safetext import covered
from hookrow_tui.actions import Group, bindings, cap_of
from hookrow_tui.form.body import Body
from hookrow_tui.form.expression import Expression
from hookrow_tui.form.fields import Button, DrawnField, Edited, EventField, Flag, Line, SecretLine, Switch, Warned
from hookrow_tui.form.page import MAKE_SECRET, FormPage, first_page, second_page
from hookrow_tui.form.preview import TRIED
from hookrow_tui.form.writing import WritingPage
from hookrow_tui.presenters.changes import label_of
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.form import drafts
from hookrow_tui.presenters.form.body_names import Name
from hookrow_tui.presenters.form.event_notes import explain_event
from hookrow_tui.presenters.form.faults import faults, next_fault
from hookrow_tui.presenters.form.state import FormState, Value, field_remark, longest_wait, neighbours, too_long
from hookrow_tui.presenters.spans import here
from hookrow_tui.widgets.dialogs import Choices, ask
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.widgets.page import Title
from hookrow_tui.words import Say, SayPlural

if TYPE_CHECKING:
    from hookrow import Event, Hook, HookEngine

__all__ = ["FormView"]

DRAFT_AFTER = 1.0
"""Seconds after a change until the draft is written, however long the typing goes on: a kill takes no more."""
MASK = 8
OFFERED = 24
"""Columns of the names that are told of while one is typed."""
BESIDE = {
    MAKE_SECRET: Say("A new Standard Webhooks secret, shown once; it is stored when you save the form."),
    "names": Say("Enter writes the name into the body as its place needs it; letters narrow the list; Esc goes back."),
    "sent": Say("The body as it would leave. Enter chooses the firing whose data it is made of; Esc goes back."),
}
OPEN = {"valid_from": Say("no start"), "valid_until": Say("no end")}
"""What stands in an empty end of the period; typed, it means just that."""
FLAG_SAYS = {"shadow": Say("is asked, but decides nothing")}
"""Beside a flag that has its label before it."""
EMPTY = {**OPEN, "fallback_message": Say("that the service is temporarily unavailable")}
"""What an empty field means."""


class FormView(WritingPage):
    """The form's two pages, on a hook, a copy of it, or nothing. It gives the id of the hook that was written."""

    CSS_PATH = "form.tcss"
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
        self.together: Collection[str] = ()
        """The events whose gates are asked at the same time."""
        self.titles: dict[str, Event] = {}
        self.problems: dict[str, str] = {}
        self.trouble = ""
        self.warned: tuple[str, str] | None = None
        self.draft_timer: Timer | None = None

    # Building

    def compose(self) -> ComposeResult:
        yield Title()
        signs = self.hookrow.look.glyphs.focus, self.hookrow.look.glyphs.bad
        buttons = Choices(
            [("save", str(SAVE_AND_CLOSE)), ("test", str(Say("Test…"))), ("cancel", str(Say("Cancel")))], id="buttons"
        )
        first: list[Widget] = [buttons]
        for spot in first_page(0)[1]:
            first += [self.field(spot.code), *(self.beside() if spot.code == "body" else ())]
        yield FormPage(first, *signs, first=True)
        yield FormPage([self.field(spot.code) for spot in second_page()[1]], *signs, first=False)
        yield Static(id="hint")
        yield KeyBar("form")

    def field(self, code: str) -> Widget:
        """The widget of one field, or of the button beside one."""
        if code == MAKE_SECRET:
            return Button(code, str(Say("Make a signing secret")))
        each, text = FIELD[code], self.state.texts[code]
        if each.kind == "flag":
            return Flag(code, str(FLAG_SAYS.get(code, each.label)), bool(text))
        if each.kind == "event":
            return EventField(code, str(text))
        if each.kind == "template":
            return Body(code, str(text))
        if each.kind == "choice":
            return Switch(code, [(value, str(label)) for value, label in each.choices], str(text))
        if each.secret:
            kept = self.mask(code)
            return SecretLine(code, kept, empty=text == "", masked=each.kind != "header")
        if each.kind == "expression":
            return Expression(code, str(text))
        return Line(code, str(text), placeholder=str(EMPTY.get(code, "")))

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
        name = self.widget("name")
        assert isinstance(name, Line)
        name.untouched = True
        name.focus()
        self.lay_aside()
        hook = self.state.hook
        if hook is not None and hook.paused_by == "key":
            self.trouble = str(Say("Paused: {reason}", reason=hook.paused_reason))
        self.draw()
        self.read_around()
        if self.hookrow.read_only:
            for widget in self.query(".field"):
                if isinstance(widget, Line | DrawnField | Body):
                    widget.forbid()

    @property
    def pages(self) -> list[FormPage]:
        return [each for each in self.children if isinstance(each, FormPage)]

    def widget(self, code: str) -> Widget:
        """The widget of a field."""
        return next(widget for widget in self.query(".field") if getattr(widget, "code", None) == code)

    # What stands around the fields

    def moved(self) -> None:
        self.read_around(background=True)

    def read_around(self, *, background: bool = False) -> None:
        """Read the other hooks, and the events' titles."""

        def take(read: tuple[list[Hook], dict[str, Event], Collection[str]]) -> None:
            self.hooks, self.titles, self.together = read
            if self.sample is None:
                self.read_sample()
            self.draw()

        self.hookrow.ask(self, read_around, take, background=background)

    def notice(self, text: str) -> None:
        self.trouble = text
        self.draw_hint()

    @property
    def draft_id(self) -> int | None:
        return None if self.state.hook is None else self.state.hook.id

    def keep_draft(self) -> None:
        """Write what is changed to disk; see `hookrow_tui.presenters.form.drafts`."""
        self.draft_timer = None
        revision = 0 if self.state.hook is None else self.state.hook.revision
        try:
            if self.dirty:
                drafts.write(self.hookrow.url, self.draft_id, revision, self.state.texts, self.state.base)
            else:
                drafts.path_for(self.hookrow.url, self.draft_id).unlink(missing_ok=True)
        except OSError as error:
            self.notice(str(Say("The draft can't be saved: {reason}", reason=error)))

    @property
    def dirty(self) -> bool:
        return bool(self.state.changed)

    def draw(self) -> None:
        """Title, mode, flags that have no effect, the event's title, the hint."""
        stored = self.state.hook
        name = covered(stored.name if stored is not None else str(Say("new")))
        mark = " *" if self.dirty else ""
        right: list[Text] = [Say("read only")] if self.hookrow.read_only else []
        if self.dirty:
            right = [Say("changed · not saved")]
        found = self.faults()
        if found:
            key = cap_of("form.fault")
            right.insert(0, SayPlural("{n} mistake, {key}", "{n} mistakes, {key}", len(found), key=key))
        for page in self.pages:
            page.blame(found)
        self.query_one(Title).show(
            f" {PAGE_TITLE} › {name}{mark}", Styled(f"{' · '.join(map(str, right))} " if right else "")
        )
        code = str(self.state.texts["event"])
        event = self.titles.get(code)
        self.pages[0].say(self.state.sentence("before" if event is None else event.moment))
        picked = self.widget("event")
        assert isinstance(picked, EventField)
        picked.show(code, "" if event is None else str(event.title))
        overruled = self.state.overruled()
        for flag in self.query(Flag):
            flag.show(bool(self.state.texts[flag.code]), dim=flag.code in overruled)
        self.draw_hint()

    def faults(self) -> dict[str, str]:
        """A sentence for each field that can't be saved as it stands."""
        return faults(self.state, here(self.zone), self.hooks, {**self.untried, **self.problems})

    def draw_hint(self) -> None:
        text, bad = self.hint()
        hint = self.query_one("#hint", Static)
        hint.set_class(bad, "-bad")
        hint.update(Styled(covered(text)))

    def hint(self) -> tuple[str, bool]:
        """The sentence below the form, and whether something is wrong."""
        if self.trouble:
            return self.trouble, True
        code = getattr(self.focused, "code", None)
        if code is None:
            found = self.faults()
            first = next((f"{label_of(each)}: {text}" for each, text in found.items()), None)
            return first or str(Say("Enter chooses; Tab goes to the fields.")), bool(found)
        if self.warned is not None and self.warned[0] == code:
            return self.warned[1], True
        if code in BESIDE:
            return str(BESIDE[code]), False
        if offers := getattr(self.focused, "offers", ()):
            return name_offers(offers), False
        return self.remark(code) or (self.advice(code), False)

    def remark(self, code: str) -> tuple[str, bool] | None:
        """What is to be said of what stands in a field, and whether that is wrong: its fault, what it gives, what
        keeps it from having an effect."""
        wrong, glyphs = self.faults().get(code, ""), self.hookrow.look.glyphs
        if wrong:
            return f"{glyphs.bad} {label_of(code)}: {wrong}", True
        seen, good = self.previews.get(code, ("", None))
        if seen:
            sign = {True: glyphs.ok, False: glyphs.bad, None: "-"}[good]
            return f"{sign} {' '.join(seen.split())}", good is False
        if code in self.state.overruled():
            return str(Say('Has no effect: "{flag}" is on.', flag=FIELD["fire_and_forget"].label)), False
        if code == "timeout" and (seconds := longest_wait(self.hooks, self.state, self.together)) > ROW_LIMIT:
            return str(too_long(seconds)), True
        return None

    def advice(self, code: str) -> str:
        """What a field is for, and how its value was understood."""
        each = FIELD[code]
        if code == "position":
            row = ", ".join(f"{place} {name}" for place, name in neighbours(self.hooks, self.state))
            return str(Say("The smaller number runs earlier. Now on this event: {row}.", row=row))
        if each.secret and getattr(self.focused, "is_kept", False):
            return str(Say("Stored encrypted. Typing replaces it, Delete asks whether to remove it."))
        if code == "on_failure":
            return str(Say("What happens if this blocking hook fails. Space changes it."))
        if code == "body":
            hint = Say(
                "A template: {{{{ {name} }}}}. Empty = the standard envelope. {names} names and result, {zoom} whole "
                "screen, {seek} find.",
                name=self.example(),
                names=cap_of("form.preview"),
                zoom=cap_of("form.zoom"),
                seek=cap_of("form.seek"),
            )
            return str(hint)
        if code == "condition":
            hint = Say(
                "An expression, true or false: {name} > 1000. If false, the hook is skipped. Empty = always.",
                name=self.example(number=True),
            )
            return str(hint)
        _, understood = field_remark(each, self.state.texts[code], here(self.zone))
        return f"{understood + '. ' if understood else ''}{each.hint}"

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
        if self.draft_timer is None:
            self.draft_timer = self.set_timer(DRAFT_AFTER, self.keep_draft)
        if message.code == "event":
            self.previews.clear()
            self.untried.clear()
            self.sample = None
            self.read_sample()
        elif message.code in TRIED:
            self.preview_later(message.code)

    @on(Warned)
    def warn(self, message: Warned) -> None:
        self.call_after_refresh(self.show_warning, (message.code, message.text))

    def show_warning(self, warned: tuple[str, str]) -> None:
        self.warned = warned
        self.draw_hint()

    @on(EventField.Wanted)
    def pick_event(self, message: EventField.Wanted) -> None:
        from hookrow_tui.widgets.pick import Pick

        items = [(code, f"{code} — {event.title}") for code, event in self.titles.items()]
        notes = {code: explain_event(event) for code, event in self.titles.items()}
        chosen = str(self.state.texts["event"])
        pick = Pick(str(FIELD["event"].label), items, chosen=chosen, typed=message.typed, notes=notes)
        self.app.push_screen(pick, lambda code: self.edited(Edited("event", code)) if code else None)

    @on(SecretLine.Removal)
    def ask_removal(self, message: SecretLine.Removal) -> None:
        remove = ("remove", Say("Remove it"), message.field.remove_secret)
        text = Say("It can't be read back. It is removed when the form is saved; until then Ctrl+R keeps it.")
        ask(
            self,
            Say('Remove "{field}"?', field=label_of(message.field.code)),
            [text],
            [("back", Say("Keep editing"), None), remove],
        )

    @on(Button.Pressed)
    def make_secret(self) -> None:
        from hookrow_tui.form.secret import SecretShown, fresh_secret

        field, secret = self.widget("signing_secret"), fresh_secret()
        assert isinstance(field, SecretLine)

        def answered(take: bool | None) -> None:
            if take:
                field.write(secret)

        self.app.push_screen(SecretShown(secret, replaces=bool(field.kept_text)), answered)

    def action_fault(self) -> None:
        """To the next field that can't be saved."""
        code = next_fault(self.faults(), getattr(self.focused, "code", None))
        if code is None:
            self.app.notify(str(Say("Nothing is wrong as far as can be seen.")), markup=False, timeout=3)
        else:
            self.go_to(code)
            if code == "body" and code in self.untried:
                self.body.go(*self.places[code])

    def action_jump(self) -> None:
        """To a group or a field by its name."""
        from hookrow_tui.form.jump import Jump

        def chosen(code: str | None) -> None:
            if code == "buttons":
                self.show_page(self.pages[0])
                self.query_one("#buttons", Choices).focus()
            elif code is not None:
                self.go_to(code)

        self.app.push_screen(Jump(), chosen)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        code = getattr(event.widget, "code", None)
        for page in self.pages:
            page.mark(code if page.display else None)
        if code in TRIED and code not in self.previews:
            self.preview_later(code)
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
        fields = [child for child in page.children if isinstance(child, Line | DrawnField | Body)]
        wanted = next((field for field in fields if getattr(field, "code", None) == code), fields[0])
        wanted.focus()

    def go_to(self, code: str) -> None:
        """Put the focus on a field, wherever it is."""
        if self.pages[0].zoomed and code != "body":
            self.zoom(False)
        page = next((page for page in self.pages if self.widget(code) in page.children), None)
        if page is not None and code in self.state.texts:
            self.show_page(page, code)

    def fill(self, texts: dict[str, Value]) -> None:
        """Put texts into the fields, as if they were typed. A secret's None brings the kept one back."""
        for code, value in texts.items():
            widget = self.widget(code)
            if isinstance(widget, SecretLine):
                if value is None:
                    widget.renew(self.mask(code))
                    self.state.texts[code] = None
                continue
            if value is None:
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


def name_offers(names: Sequence[Name]) -> str:
    """What the name that is being typed may become: a few, since the line is drawn anew at every key."""
    keys = str(Say("Tab writes it"))
    told = steady(names[0].path)
    for name in names[1:]:
        if len(told) + len(name.path) > OFFERED:
            break
        told += f" · {steady(name.path)}"
    return f"{told} — {keys}"


def read_around(engine: HookEngine) -> tuple[list[Hook], dict[str, Event], Collection[str]]:
    """All hooks, the catalogue by code, and the events whose gates are asked together."""
    events = {event.code: event for event in engine.events.list()}
    return engine.hooks.list(), events, engine.settings.together()
