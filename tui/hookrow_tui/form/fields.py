"""The form's fields as widgets: a line of text, a line that hides a secret, a flag, a choice, an event.

Each has a `code` and posts `Edited` with what a person made of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text as Styled
from textual import events
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from hookrow_tui.presenters.columns import fit, steady
from hookrow_tui.words import READ_ONLY, Say

if TYPE_CHECKING:
    from hookrow_tui.host import Host

__all__ = ["Button", "DrawnField", "Edited", "EventField", "Flag", "Line", "SecretLine", "Switch", "Warned"]

UNCHANGED = Say("unchanged: the stored one stays")


@dataclass
class Edited(Message):
    """A field's text, flag or secret is another one now."""

    code: str
    value: str | bool | None


@dataclass
class Warned(Message):
    """Something about a field that the person must know now."""

    code: str
    text: str


class Line(Input):
    """One line of text. Coming into it by keyboard selects what stands there, as forms do: typing replaces it, an arrow
    or End keeps it, ctrl+r brings back what stood there at the beginning. A paste of several lines is joined, and said
    so: Textual would drop all but the first.

    `untouched` is set for the field in which a form begins: nobody came there by a key, so nothing is selected.
    """

    BINDINGS: ClassVar[list[Any]] = [("ctrl+r", "keep", "")]

    def __init__(self, code: str, value: str, *, placeholder: str = "", password: bool = False) -> None:
        super().__init__(value, placeholder, password=password, compact=True, classes="field")
        self.code = code
        self.first = value
        self.selects = True
        self.untouched = False
        self.cursor_blink = False

    def _on_focus(self, event: events.Focus) -> None:  # Textual calls Input's own after it
        self.select_on_focus = self.selects and not self.untouched
        self.untouched = False

    def action_keep(self) -> None:
        """What stood here when the form was opened."""
        self.value = self.first
        self.cursor_position = len(self.first)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        lines = [line.strip() for line in event.text.splitlines() if line.strip()]
        text = ("" if self.code == "url" else " ").join(lines)
        if text:
            self.take_over()
            self.replace(text, *self.selection)
        if len(lines) > 1:
            self.post_message(
                Warned(self.code, str(Say("{n} lines were pasted; they were joined into one.", n=len(lines))))
            )

    def take_over(self) -> None:
        """The person is about to write."""

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.tell(event.value)

    def tell(self, value: str) -> None:
        """The text is this now."""
        self.post_message(Edited(self.code, value))

    def forbid(self) -> None:
        """It can be read and walked through, not changed."""
        self.restrict = f"(?:{re.escape(self.value)})"

    def restricted(self) -> None:
        self.post_message(Warned(self.code, str(READ_ONLY)))


class SecretLine(Line):
    """A secret that is kept is shown as dots. Typing replaces it, Delete asks whether to remove it, nothing else takes
    it away: a field that was opened and emptied again leaves it as it is, and says so. ctrl+r brings it back.

    What is typed is shown as dots, too; of a header (`masked` False) the name can be read, the value while it is typed.

    Args:
        kept: what is shown for the kept secret; '' where there is none.
    """

    @dataclass
    class Removal(Message):
        """The kept secret is to be removed: whoever holds the form asks first, then calls `remove`."""

        field: SecretLine

    def __init__(self, code: str, kept: str, *, empty: bool = False, masked: bool = True) -> None:
        self.is_kept = bool(kept) and not empty
        self.masked = masked
        super().__init__(code, kept if self.is_kept else "", password=masked and not self.is_kept)
        self.selects = False
        self.kept_text = kept
        self.removing = bool(kept) and empty

    @property
    def _value(self) -> Styled:
        dot = getattr(self.app, "look").glyphs.secret  # noqa: B009 - the app is ours
        name, colon, content = self.value.partition(":")
        shown = self.value
        if self.password:
            shown = dot * len(shown)
        elif not (self.is_kept or self.has_focus):
            shown = f"{name}{colon}{dot * len(content)}"
        return Styled(shown, no_wrap=True, overflow="ignore", end="")

    def on_blur(self) -> None:
        self.refresh()

    def tell(self, value: str) -> None:
        if self.is_kept:  # what stands there then are dots, not a secret
            return
        self.removing = False
        if value or not self.kept_text:
            super().tell(value)
        else:
            self.placeholder = str(UNCHANGED)
            self.post_message(Edited(self.code, None))

    def take_over(self) -> None:
        if self.is_kept:
            self.is_kept = False
            with self.prevent(Input.Changed):
                self.password = self.masked
                self.value = ""

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and not self.disabled:
            self.take_over()
        await super()._on_key(event)
        event.prevent_default()

    def action_delete_left(self) -> None:
        if not self.is_kept:
            super().action_delete_left()
        else:
            self.post_message(Warned(self.code, str(Say("It stays unchanged: only Delete removes a stored secret."))))

    def action_delete_right(self) -> None:
        if self.is_kept or (self.kept_text and not self.value and not self.removing):
            self.post_message(self.Removal(self))
        else:
            super().action_delete_right()

    def replace(self, text: str, start: int, end: int) -> None:
        if not self.is_kept:  # no key that cuts or deletes a part of a line can have a part of the dots
            super().replace(text, start, end)

    def remove_secret(self) -> None:
        """Nothing is kept any more once the form is saved."""
        self.is_kept, self.removing = False, True
        with self.prevent(Input.Changed):
            self.value = ""
        self.placeholder = str(Say("will be removed when you save; Ctrl+R keeps it"))
        self.post_message(Edited(self.code, ""))

    def write(self, secret: str) -> None:
        """Put a new secret in the place of what stands here."""
        self.take_over()
        self.value = secret

    def action_keep(self) -> None:
        """The kept secret stays after all."""
        if self.kept_text:
            self.renew(self.kept_text)
            self.post_message(Edited(self.code, None))

    def renew(self, kept: str) -> None:
        """Another secret is kept now, or none: show that, whatever was typed."""
        self.is_kept, self.removing = bool(kept), False
        with self.prevent(Input.Changed):
            self.password = self.masked and not kept
            self.placeholder = ""
            self.value = self.kept_text = kept

    def forbid(self) -> None:
        self.disabled = True


class DrawnField(Widget, can_focus=True):
    """A field that draws itself in one line."""

    DEFAULT_CSS = "DrawnField { height: 1; }"

    def __init__(self, code: str) -> None:
        super().__init__(classes="field")
        self.code = code
        self.locked = False

    @property
    def hookrow(self) -> Host:
        return cast("Host", self.app)

    def forbid(self) -> None:
        """It can be read, not changed."""
        self.locked = True


class Flag(DrawnField):
    """`[x]` or `[ ]` and a label; Space, Enter or a click turns it. `dim` where another flag overrules it."""

    BINDINGS: ClassVar[list[Any]] = [("space,enter", "turn", "")]

    def __init__(self, code: str, label: str, on: bool) -> None:
        super().__init__(code)
        self.label = label
        self.on = on
        self.dim = False

    def render(self) -> Styled:
        return Styled(f"[{'x' if self.on else ' '}] {self.label}", "dim" if self.dim else "", no_wrap=True)

    def show(self, on: bool, *, dim: bool = False) -> None:
        """Draw this."""
        if (on, dim) != (self.on, self.dim):
            self.on, self.dim = on, dim
            self.refresh()

    def action_turn(self) -> None:
        if self.locked:
            self.post_message(Warned(self.code, str(READ_ONLY)))
            return
        self.show(not self.on, dim=self.dim)
        self.post_message(Edited(self.code, self.on))

    def on_click(self) -> None:
        self.action_turn()


class Button(DrawnField):
    """`[ label ]` between the fields; Enter, Space or a click press it."""

    BINDINGS: ClassVar[list[Any]] = [("space,enter", "press", "")]

    @dataclass
    class Pressed(Message):
        """It was pressed."""

        code: str

    def __init__(self, code: str, label: str) -> None:
        super().__init__(code)
        self.label = label

    def render(self) -> Styled:
        return Styled(f"[ {self.label} ]", no_wrap=True)

    def action_press(self) -> None:
        self.post_message(Warned(self.code, str(READ_ONLY)) if self.locked else self.Pressed(self.code))

    def on_click(self) -> None:
        self.action_press()


class Switch(DrawnField):
    """One of a few values; Space, Enter, left and right take the next."""

    BINDINGS: ClassVar[list[Any]] = [("space,enter,right", "step(1)", ""), ("left", "step(-1)", "")]

    def __init__(self, code: str, choices: Sequence[tuple[str, str]], value: str) -> None:
        super().__init__(code)
        self.choices = list(choices)
        self.value = value

    def render(self) -> Styled:
        label = dict(self.choices).get(self.value, self.value)
        return Styled(f"‹ {label} ›" if self.hookrow.look.glyphs.on == "●" else f"< {label} >", no_wrap=True)

    def action_step(self, step: int) -> None:
        if self.locked:
            self.post_message(Warned(self.code, str(READ_ONLY)))
            return
        codes = [code for code, _ in self.choices]
        self.value = codes[(codes.index(self.value) + step) % len(codes)] if self.value in codes else codes[0]
        self.refresh()
        self.post_message(Edited(self.code, self.value))

    def on_click(self) -> None:
        self.action_step(1)


class EventField(DrawnField):
    """An event: Enter, Space, Down or a letter opens the list of them, where typing finds one."""

    BINDINGS: ClassVar[list[Any]] = [("enter,space", "pick", "")]

    @dataclass
    class Wanted(Message):
        """The list is asked for, with this already typed."""

        typed: str

    def __init__(self, code: str, value: str) -> None:
        super().__init__(code)
        self.value = value
        self.title = ""

    def show(self, value: str, title: str) -> None:
        """Draw this event."""
        if (value, title) != (self.value, self.title):
            self.value, self.title = value, title
            self.refresh()

    def render(self) -> Styled:
        text = f"{self.value} — {self.title}" if self.title else self.value
        return Styled(fit(steady(text), self.size.width - 3) + f" {self.hookrow.look.glyphs.down}", no_wrap=True)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character.isprintable() and character != " "

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character and event.character != " ":
            event.stop()
            self.want(event.character)

    def want(self, typed: str) -> None:
        self.post_message(Warned(self.code, str(READ_ONLY)) if self.locked else self.Wanted(typed))

    def action_pick(self) -> None:
        self.want("")

    def on_click(self) -> None:
        self.action_pick()
