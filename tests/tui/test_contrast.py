"""Whatever the terminal's colours: what is drawn can be read. Contrast is computed as WCAG 2 does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from apps import Shown, shown
from fake_engine import FakeEngine
from forms import open_form
from rich.color import Color, ColorType

from hookrow_tui.form.fields import Line
from hookrow_tui.form.screen import FormScreen

LOOKS = {
    "none": {"TERM": "xterm-256color", "NO_COLOR": "1"},
    "16": {"TERM": "screen"},
    "256": {"TERM": "xterm-256color", "HOOKROW_THEME": "dark"},
    "true": {"TERM": "xterm-256color", "COLORTERM": "truecolor", "HOOKROW_THEME": "dark"},
    "light": {"TERM": "xterm-256color", "HOOKROW_THEME": "light"},
}
EDGE = 1.15
"""Of a field's ground against the page's: it is seen beside it, and nothing has to be read in it."""
LEAST = 3.0
"""Of large text and signs; the least that WCAG 2 asks for."""
XTERM = [
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255)),
    (255, 255, 255),
]
"""xterm's sixteen."""


def rgb(color: Color | None, default: tuple[int, int, int]) -> tuple[int, int, int]:
    """A colour as this terminal shows it."""
    if color is None or color.type == ColorType.DEFAULT:
        return default
    if color.number is not None and color.number < len(XTERM):
        return XTERM[color.number]
    return tuple(color.get_truecolor())  # type: ignore[return-value]


def light(color: tuple[int, int, int]) -> float:
    """Relative luminance."""
    parts = [part / 255 for part in color]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """From 1 to 21."""
    dark, bright = sorted((light(one), light(other)))
    return (bright + 0.05) / (dark + 0.05)


def unreadable(at: Shown) -> Iterator[tuple[str, float]]:
    """Pieces of the screen that can't be read."""
    for strip in at.app.screen._compositor.render_strips(at.app.size):
        for segment in strip:
            style = segment.style
            if style is None or segment.control or not segment.text.strip(" ─│╭╮╰╯▌▂▇█▁▃▄▅▆┃━"):
                continue
            front, back = rgb(style.color, (229, 229, 229)), rgb(style.bgcolor, (0, 0, 0))
            if (seen := contrast(front, back)) < LEAST:
                yield segment.text, round(seen, 1)


def edgeless(at: Shown, form: FormScreen) -> Iterator[str]:
    """Fields whose end can't be seen: their last column is as the page beside them."""
    strips = at.app.screen._compositor.render_strips(at.app.size)
    for field in form.query(Line):
        if not field.is_on_screen or field.region.bottom > at.app.size.height - 3:
            continue
        row, end = field.region.y, field.region.right
        cells = [segment.style for segment in strips[row] for _ in range(segment.cell_length)]
        inside, outside = (cells[place] if place < len(cells) else None for place in (end - 1, end))
        grounds = [rgb(None if style is None else style.bgcolor, (0, 0, 0)) for style in (inside, outside)]
        lined = [bool(style is not None and style.underline) for style in (inside, outside)]
        if end < at.app.size.width and contrast(*grounds) < EDGE and lined[0] == lined[1]:
            yield field.code


@pytest.mark.anyio
@pytest.mark.parametrize("look", LOOKS)
async def test_everything_can_be_read(look: str) -> None:
    """The list with its banner and a bad row, every field of the form in turn, a question, the help."""
    engine = FakeEngine()
    engine.hooks.pause(1, "repairs")
    environ = {"LANG": "ru_RU.UTF-8", **LOOKS[look]}
    bad: dict[str, list[Any]] = {}

    def look_at(at: Shown, where: str) -> None:
        if found := list(unreadable(at)):
            bad[where] = found

    async with shown(engine=engine, environ=environ) as at:
        look_at(at, "the list")
        await at.press("d")
        look_at(at, "a question")
        await at.press("escape", "f1")
        look_at(at, "the help")
        await at.press("escape")
        form = await open_form(at)
        assert list(edgeless(at, form)) == []
        for number in range(24):
            look_at(at, f"the form, {getattr(form.focused, 'code', number)}")
            await at.press("tab" if number != 15 else "pagedown")
    assert bad == {}
