"""The bottom line that names the keys: as many as fit, the most important first, help always."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text as Styled
from textual.widget import Widget

from hookrow_tui.actions import Action, Group, bar_of

__all__ = ["KeyBar", "fitting"]


def fitting(actions: list[Action], width: int) -> list[tuple[str, str]]:
    """Key and label of the actions that fit into `width` columns after a blank; the last action always does."""
    shown = [(str(each.cap), str(each.label)) for each in actions]

    def columns(pair: tuple[str, str]) -> int:
        return cell_len(pair[0]) + 1 + cell_len(pair[1])

    taken, left = [], width - 1 - columns(shown[-1])
    for pair in shown[:-1]:
        left -= columns(pair) + 2
        if left < 0:
            break
        taken.append(pair)
    return [*taken, shown[-1]]


class KeyBar(Widget):
    """One line; it never takes the focus and never changes by itself.

    Args:
        groups: whose actions are offered, besides those that work everywhere.
    """

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; color: $foreground; background: $panel; }
    KeyBar > .keybar--key { text-style: bold; color: $primary; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keybar--key"}

    def __init__(self, *groups: Group, id: str | None = None) -> None:
        super().__init__(id=id)
        self.groups = groups

    def render(self) -> Styled:
        key = self.get_component_rich_style("keybar--key", partial=True)
        line = Styled(" ", no_wrap=True, overflow="crop")
        for number, (cap, label) in enumerate(fitting(bar_of(self.groups), self.size.width)):
            line.append("  " if number else "")
            line.append(cap, key)
            line.append(" " + label)
        return line
