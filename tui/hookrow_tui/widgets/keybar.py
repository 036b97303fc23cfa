"""The bottom line that names the keys: as many as fit, the most important first, help and quit always.

What happened is said in it for a while: a message that floated over the screen would cover what it is about.
"""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text as Styled
from textual.timer import Timer
from textual.widget import Widget

from hookrow.safetext import covered
from hookrow_tui.actions import Action, Group, bar_of

__all__ = ["KeyBar", "fitting"]


ALWAYS = 2
"""How many of the actions always stand in the bar: the last ones, quit and help."""


def fitting(actions: list[Action], width: int) -> list[Action]:
    """The actions whose key and label fit into `width` columns after a blank, the important ones first; of the last
    ones none is left out."""

    def columns(action: Action) -> int:
        return cell_len(str(action.cap)) + 1 + cell_len(str(action.label)) + 2

    first, last = actions[:-ALWAYS], actions[-ALWAYS:]
    taken, left = [], width + 1 - sum(map(columns, last))
    for each in first:
        left -= columns(each)
        if left < 0:
            break
        taken.append(each)
    return [*taken, *last]


class KeyBar(Widget):
    """One line; it never takes the focus. What a person who may only read can't do stands dimmed in it.

    Args:
        groups: whose actions are offered, besides those that work everywhere.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; color: $foreground; background: $panel; }
    KeyBar > .keybar--key { text-style: bold; color: $primary; }
    KeyBar > .keybar--dim { text-style: dim; }
    KeyBar > .keybar--said { text-style: bold; color: $accent; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keybar--key", "keybar--dim", "keybar--said"}

    def __init__(self, *groups: Group, id: str | None = None) -> None:
        super().__init__(id=id)
        self.groups = groups
        self.said = ""
        self.timer: Timer | None = None

    def say(self, text: str, seconds: float) -> None:
        """Show this for so long; '' shows the keys again."""
        if self.timer is not None:
            self.timer.stop()
        self.timer = self.set_timer(seconds, lambda: self.say("", 0)) if text else None
        self.said = covered(text)
        self.refresh()

    def render(self) -> Styled:
        key = self.get_component_rich_style("keybar--key", partial=True)
        dim = self.get_component_rich_style("keybar--dim", partial=True)
        line = Styled(" ", no_wrap=True, overflow="crop")
        if self.said:
            return line.append(self.said, self.get_component_rich_style("keybar--said", partial=True))
        for number, action in enumerate(fitting(bar_of(self.groups), self.size.width)):
            barred = action.writes and getattr(self.app, "read_only", False)
            line.append("  " if number else "")
            line.append(str(action.cap), dim if barred else key)
            line.append(f" {action.label}", dim if barred else "")
        return line
