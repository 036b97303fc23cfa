"""Numbers as blocks of a terminal: a line of bars, bars over several lines, and the moments below them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from hookrow.clock import from_ms
from hookrow_tui.presenters.glyphs import Glyphs

__all__ = ["axis", "bars", "narrowed", "spark"]

EIGHTHS = " ▁▂▃▄▅▆▇█"
PLAIN = " .:-=+*%#"
"""The same in ASCII."""
TROUBLE = "!"
"""Stands in a line of bars where something failed: no colour is needed to see it."""


def levels(glyphs: Glyphs) -> str:
    """The signs from nothing to full on this terminal."""
    return EIGHTHS if glyphs.bar == "█" else PLAIN


def spark(values: Sequence[int], errors: Sequence[int], glyphs: Glyphs) -> str:
    """One character a value: how much of the largest it is; whatever is not nothing is seen; `!` where errors are."""
    signs, most = levels(glyphs), max(values, default=0)

    def sign(value: int, failed: int) -> str:
        if failed:
            return TROUBLE
        return signs[max(1, round(value / most * 8))] if value else " "

    return "".join(sign(value, failed) for value, failed in zip(values, errors, strict=True))


def bars(values: Sequence[int | None], rows: int, width: int, glyphs: Glyphs, *, most: int | None = None) -> list[str]:
    """The values as bars over several lines, the highest first, each so many columns wide with a gap if there is room.

    Args:
        most: what a full bar means; the largest of the values unless it is given.
    """
    signs = levels(glyphs)
    top = max((value or 0 for value in values), default=0) if most is None else most
    gap = 1 if width > 2 else 0
    lines = []
    for row in range(rows, 0, -1):
        line = ""
        for value in values:
            eighths = round((value or 0) / top * rows * 8) if top else 0
            if value:
                eighths = max(1, eighths)
            line += signs[max(0, min(8, eighths - (row - 1) * 8))] * (width - gap) + " " * gap
        lines.append(line)
    return lines


def narrowed(values: Sequence[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Pairs added up into fewer steps of equal length."""
    size = -(-len(values) // count) if count else len(values)
    groups = [values[start : start + size] for start in range(0, len(values), size)] if values else []
    return [(sum(one for one, _ in group), sum(other for _, other in group)) for group in groups]


def axis(since_ms: int, step_ms: int, count: int, width: int, zone: tzinfo) -> str:
    """The moments below bars of this width, as many as fit: times of a day, or dates where it is several days."""
    form = "%H:%M" if step_ms * count <= 86_400_000 else "%d.%m"
    line, at = "", 0
    while at < count:
        label = from_ms(since_ms + at * step_ms).astimezone(zone).strftime(form)
        line = line.ljust(at * width)
        if len(line) + len(label) > count * width:
            break
        line += label
        at += -(-(len(label) + 3) // width)
    return line
