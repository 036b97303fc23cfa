"""The bottom line that names the keys: as many as fit, the most important first, help always."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text as Styled
from textual.widget import Widget

from hookrow_tui.actions import Action, Group, bar_of

__all__ = ["KeyBar", "fitting"]


def fitting(actions: list[Action], width: int) -> list[Action]:
    """The actions whose key and label fit into `width` columns after a blank; the last action always does."""

    def columns(action: Action) -> int:
        return cell_len(str(action.cap)) + 1 + cell_len(str(action.label))

    taken, left = [], width - 1 - columns(actions[-1])
    for each in actions[:-1]:
        left -= columns(each) + 2
        if left < 0:
            break
        taken.append(each)
    return [*taken, actions[-1]]


class KeyBar(Widget):
    """One line; it never takes the focus. What a person who may only read can't do stands dimmed in it.

    Args:
        groups: whose actions are offered, besides those that work everywhere.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; color: $foreground; background: $panel; }
    KeyBar > .keybar--key { text-style: bold; color: $primary; }
    KeyBar > .keybar--dim { text-style: dim; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keybar--key", "keybar--dim"}

    def __init__(self, *groups: Group, id: str | None = None) -> None:
        super().__init__(id=id)
        self.groups = groups

    def render(self) -> Styled:
        key = self.get_component_rich_style("keybar--key", partial=True)
        dim = self.get_component_rich_style("keybar--dim", partial=True)
        line = Styled(" ", no_wrap=True, overflow="crop")
        for number, action in enumerate(fitting(bar_of(self.groups), self.size.width)):
            barred = action.writes and getattr(self.app, "read_only", False)
            line.append("  " if number else "")
            line.append(str(action.cap), dim if barred else key)
            line.append(f" {action.label}", dim if barred else "")
        return line
