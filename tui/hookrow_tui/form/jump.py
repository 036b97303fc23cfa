"""Where one can go in the form by name: its buttons and groups by a digit, every field by a part of its label."""

from __future__ import annotations

from textual import on
from textual.widgets import Input

from hookrow.hook.form import FIELD, FLAGS_TITLE, GROUPS, SAVE_AND_CLOSE
from hookrow_tui.presenters.changes import label_of
from hookrow_tui.widgets.pick import Item, Pick
from hookrow_tui.words import Say

__all__ = ["Jump", "places"]


def places() -> list[Item]:
    """The buttons, the groups by the first field of each, then all fields."""
    heads = [("buttons", f"{SAVE_AND_CLOSE} …")]
    heads += [("name", str(GROUPS["main"])), ("active", str(FLAGS_TITLE)), ("body", str(GROUPS["body"]))]
    heads += [("auth_login", str(GROUPS["extra"])), ("key", str(GROUPS["beyond"]))]
    return [
        *((code, f"{number}  {label}") for number, (code, label) in enumerate(heads, 1)),
        *((code, f"   {label_of(code)}") for code in FIELD),
    ]


class Jump(Pick):
    """The list of these places; a digit goes there at once."""

    def __init__(self) -> None:
        super().__init__(str(Say("Go to")), places())

    @on(Input.Changed)
    def by_digit(self, message: Input.Changed) -> None:
        code = next((code for code, line in self.items if line.startswith(f"{message.value} ")), None)
        if code is not None and message.value.isdigit():
            self.dismiss(code)
