"""Bars that show when something was and how long it took, and what a hook changed, as lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.log.rows import dotted
from hookrow_tui.presenters.styled import Line
from hookrow_tui.words import Say

__all__ = ["bar", "changed", "diff", "value_text"]

LONGEST = 400


def bar(start: float, length: float, whole: float, width: int, glyphs: Glyphs) -> str:
    """A bar of `length` from `start` on, where `whole` fills `width` columns; at least one column long."""
    if width < 1:
        return ""
    scale = width / max(whole, 0.001)
    first = min(max(0, int(start * scale)), width - 1)
    size = min(max(1, round(length * scale)), width - first)
    if size < 3:
        drawn = glyphs.bar * size
    else:
        drawn = glyphs.bar_from[:1] + glyphs.bar * (size - 2) + glyphs.bar_to[:1]
    return f"{' ' * first}{drawn}".ljust(width)


def value_text(value: Any) -> str:
    """A JSON value in one short piece of text."""
    text = json.dumps(value, ensure_ascii=False)
    return steady(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def changed(changes: Sequence[tuple[str, Any, Any]], glyphs: Glyphs) -> list[Line]:
    """What a hook changed: `order.sum: 12850 → 11950`. Private values are not kept: both are None."""
    return [
        (
            (f"{steady(dotted(pointer))}: ", "key"),
            (value_text(before), "gone"),
            (f" {glyphs.arrow} ", ""),
            (value_text(after), "add"),
        )
        if (before, after) != (None, None)
        else ((f"{steady(dotted(pointer))}: ", "key"), (str(Say("private, not stored")), "quiet"))
        for pointer, before, after in changes
    ]


def diff(changes: Sequence[tuple[str, Any, Any]]) -> list[Line]:
    """The same as removed and added lines; the signs need no colour."""
    lines: list[Line] = [(("{", ""),)]
    for pointer, before, after in changes:
        name = value_text(dotted(pointer))
        if before is not None:
            lines.append(((f"-  {name}: {value_text(before)}", "gone"),))
        if before is None and after is None:
            lines.append(((f"   {name}: ", "quiet"), (str(Say("private, not stored")), "quiet")))
        elif after is not None:
            lines.append(((f"+  {name}: {value_text(after)}", "add"),))
    return [*lines, (("}", ""),)]
