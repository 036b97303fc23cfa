"""The help: every key, in two columns, made from the registry of actions."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text as Styled
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from hookrow_tui.actions import GROUPS, Group, actions_of
from hookrow_tui.presenters.columns import fit
from hookrow_tui.widgets.dialogs import box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.widgets.pick import Pick
from hookrow_tui.words import Say

__all__ = ["HelpScreen", "command_screen", "commands", "help_lines"]

COLUMNS: tuple[tuple[Group, ...], tuple[Group, ...]] = (("everywhere", "form"), ("hooks", "log"))
LEFT, CAPS = 37, 11
NOTES = (
    Say("List: F3 log · F5 test · F6 copy · F7 new · F8 delete · F9 on/off"),
    Say("Letters work in the Russian layout too: о = j, л = k, к = r, а = f …"),
)


def column(groups: tuple[Group, ...]) -> list[str]:
    """One column: the groups under their titles, an empty line between them."""
    lines: list[str] = []
    for group in groups:
        lines += [""] if lines else []
        lines.append(str(GROUPS[group]))
        for action in actions_of(group):
            if action.help is not None:
                lines.append(f"{fit(str(action.caps), CAPS)}{action.help}")
    return lines


def help_lines() -> list[str]:
    """The lines inside the box."""
    left, right = (column(groups) for groups in COLUMNS)
    rows = max(len(left), len(right))
    left += [""] * (rows - len(left))
    right += [""] * (rows - len(right))
    return [*(f"{fit(a, LEFT)}{b}" for a, b in zip(left, right, strict=True)), *map(str, NOTES)]


class HelpScreen(Dialog[None]):
    """The box; Escape, F1 or Enter close it."""

    DEFAULT_CSS = box_css("HelpScreen", 78)
    BINDINGS: ClassVar[list[Any]] = [("escape,f1,enter,question_mark,q", "dismiss(None)", "")]

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = str(Say("Help"))
            box.border_subtitle = str(Say("Esc closes"))
            yield Static(Styled("\n".join(help_lines()), no_wrap=True))


def commands(groups: tuple[Group, ...]) -> list[tuple[str, str]]:
    """The Textual action and the line of everything that can be done on a screen with these groups."""
    return [
        (
            f"app.{action.name}" if group == "everywhere" else action.name,
            f"{fit(str(action.cap or action.keys[0]), 8)} {action.label}",
        )
        for group in (*groups, "everywhere")
        for action in actions_of(group)
        if action.bound and action.keys
    ]


def command_screen(groups: tuple[Group, ...]) -> Pick:
    """The palette; it gives the Textual action's name."""
    return Pick(str(Say("Commands")), commands(groups))
