"""The help of a place: its keys, made from the registry of actions, and what may be written there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import Any, ClassVar

from rich.text import Text as Styled
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from hookrow.hook.form import FIELD
from hookrow_tui.actions import GROUPS, Group, actions_of, cap_of
from hookrow_tui.presenters.columns import fit
from hookrow_tui.widgets.dialogs import box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.widgets.pick import Pick
from hookrow_tui.words import Say

__all__ = ["HelpScreen", "command_screen", "commands", "help_lines"]

LEFT, CAPS, WIDTH = 38, 11, 73
LETTERS = Say("Letters work in the Russian layout: о = j, л = k, к = r, а = f, й = q …")
MOMENTS = (
    Say("When: 01.11.2026 00:00 · 01.11 · today · tomorrow · +7d · +2h"),
    Say("A date alone as the end means the end of that day; empty means no end."),
)
BODY = (
    Say("Body: JSON with {{ order.id }}: a value, or inside quotes a piece of text"),
    Say('{% if order.sum > 9 %}…{% endif %} · {{ name|default("—") }} · payload'),
)
CONDITION = (Say('Condition: order.sum > 1000 and user.type == "legal"; false skips it'),)
TOPICS: dict[str, tuple[Say, ...]] = {
    "body": BODY,
    "condition": CONDITION,
    "valid_from": MOMENTS,
    "valid_until": MOMENTS,
}
"""What is explained first while this field has the focus."""


def notes_of(group: Group) -> tuple[Say, ...]:
    """What may be written at a place, under its keys."""
    if group == "hooks":
        return (Say("{find} finds what the rows show: names, URLs, event types, states.", find=cap_of("hooks.find")),)
    if group == "log":
        mark, again = cap_of("log.mark"), cap_of("log.replay")
        return (
            Say("Filter: words of the payload · event:order · outcome:failed · code:5xx"),
            Say("hook:Stock · since:1h · since:yesterday · until:27.11; all must fit"),
            Say("↻ replayed · ● follows the newest · {mark} marks, {again} acts on the marked", mark=mark, again=again),
        )
    return (*BODY, *CONDITION, *MOMENTS) if group == "form" else ()


def numbered(group: Group) -> list[str]:
    """The function keys of the list of hooks, which stand beside its letters, in their order."""
    keys = [(key, action) for action in actions_of(group) for key in action.keys if re.fullmatch(r"f\d+", key)]
    told = [f"{key.upper()} {action.label}" for key, action in sorted(keys, key=lambda each: int(each[0][1:]))]
    return wrap(" · ".join(each.replace(" ", "\xa0") for each in told), WIDTH) if group == "hooks" else []


def column(groups: Sequence[Group]) -> list[str]:
    """One column: the groups under their titles, an empty line between them."""
    lines: list[str] = []
    for group in groups:
        lines += [""] if lines else []
        lines.append(str(GROUPS[group]))
        told = any(action.help is not None for action in actions_of(group))
        for action in actions_of(group):
            if action.help is not None:
                lines.append(f"{fit(str(action.caps), CAPS)}{action.help}")
            elif not told:  # its words in the key bar say all
                lines.append(f"{fit(str(action.cap), CAPS)}{action.label}")
    return lines


def help_lines(groups: Sequence[Group], field: str = "") -> list[str]:
    """What can be done at this place, and what may be written there.

    Args:
        groups: the actions of the page or the box from which help was asked for.
        field: the code of the form's field that had the focus.
    """
    if field in FIELD:
        about = [str(FIELD[field].label), *wrap(str(FIELD[field].hint), WIDTH), *map(str, TOPICS.get(field, ())), ""]
    else:
        about = []
    left, right = column(groups), column(["everywhere"])
    columns = [f"{fit(a, LEFT)}{b}".rstrip() for a, b in zip_longest(left, right, fillvalue="")]
    known = TOPICS.get(field, ())
    more = [line for group in groups for line in (*numbered(group), *notes_of(group)) if line not in known]
    return [*about, *columns, "", *map(str, more), str(LETTERS)]


class HelpScreen(Dialog[None]):
    """The box; Escape, F1, q or Enter close it, arrows scroll it.

    Args:
        groups, field: see `help_lines`.
    """

    DEFAULT_CSS = box_css("HelpScreen", 78).replace("> Vertical", "> VerticalScroll") + (
        "HelpScreen Static { height: auto; } HelpScreen > VerticalScroll { scrollbar-size: 1 1; }"
    )
    BINDINGS: ClassVar[list[Any]] = [("escape,f1,enter,question_mark,q", "dismiss(None)", "")]

    def __init__(self, groups: Sequence[Group], field: str = "") -> None:
        super().__init__()
        self.about = help_lines(groups, field)

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = str(Say("Help"))
            yield Static(Styled("\n".join(self.about), no_wrap=True))


def commands(groups: tuple[Group, ...]) -> list[tuple[str, str]]:
    """The Textual action and the line of everything that can be done on a screen with these groups."""
    return [
        (
            f"app.{action.name}" if group == "everywhere" else action.name,
            f"{fit((str(action.cap) or action.keys[0]).split()[0], 8)} {action.label}",
        )
        for group in (*groups, "everywhere")
        for action in actions_of(group)
        if action.bound and action.keys
    ]


def command_screen(groups: tuple[Group, ...]) -> Pick:
    """The palette; it gives the Textual action's name."""
    return Pick(str(Say("Commands")), commands(groups))
