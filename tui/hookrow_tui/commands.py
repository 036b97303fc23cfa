"""The command palette: every action by its name, for those who don't know its key."""

from __future__ import annotations

from hookrow_tui.actions import Group, actions_of
from hookrow_tui.presenters.columns import fit
from hookrow_tui.widgets.pick import Pick
from hookrow_tui.words import Say

__all__ = ["command_screen", "commands"]


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
