"""What is on the terminal already is not sent again: frames are reduced to the cells that changed.

Textual repaints a whole widget when one character in it changes; over a slow SSH line that is felt. `TerminalPicture`
remembers what the terminal shows and writes only the difference, as curses does. It keeps the byte budgets of the
tests for every widget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

__all__ = ["Change", "TerminalPicture"]

Cell = tuple[str, str]
"""What stands in one column, and the SGR codes it is drawn with. The right half of a wide character is ''."""

GAP = 8
"""Moving the cursor costs about this many bytes: shorter stretches of unchanged cells are written again."""
DRAWN = frozenset(("4", "5", "6", "7", "9", "21", "51", "52", "53"))
"""SGR attributes that are seen on a blank too: lines, reverse, blinking."""


class Change(CompositorUpdate):
    """The bytes that bring the terminal up to date, in the shape that `App._display` takes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self.text)

    def render_segments(self, console: Console) -> str:
        return self.text


class TerminalPicture:
    """What the terminal shows, line by line."""

    def __init__(self) -> None:
        self.lines: dict[int, list[Cell]] = {}
        self.size: tuple[int, int] | None = None
        """Columns and rows of what is known; None when nothing is: then a full update is needed."""
        self.codes: dict[Style, str] = {}
        self.pen: str | None = None
        """The SGR codes in force; None where they are not known."""

    def forget(self) -> None:
        """The terminal may show anything: the next frame is written in full."""
        self.lines.clear()
        self.size = None

    def difference(self, update: LayoutUpdate | ChopsUpdate, console: Console) -> str:
        """The bytes for what `update` changes; '' if it changes nothing."""
        out: list[str] = []
        self.pen = None
        if isinstance(update, LayoutUpdate):
            region = update.region
            if region.size != self.size:
                self.lines.clear()
                self.size = region.size
            for y, strips in enumerate(update.strips, region.y):
                self.line(out, y, [(region.x, strips)], console)
        else:
            for y in dict.fromkeys(y for y, _, _ in update.spans):
                pieces = [(x, [strip]) for x, strip in update.chops[y].items() if strip is not None]
                self.line(out, y, pieces, console)
        if self.pen:
            out.append("\x1b[0m")
        return "".join(out)

    def line(self, out: list[str], y: int, pieces: Sequence[tuple[int, Iterable[Strip]]], console: Console) -> None:
        before = self.lines.get(y, [])
        after = list(before)
        for x, strips in pieces:
            cells = self.cells(strips, console)
            if len(after) < x:
                after.extend([(" ", "?")] * (x - len(after)))
            after[x : x + len(cells)] = cells
        if after == before:
            return
        self.lines[y] = after
        if any(len(text) != 1 for text, _ in after) or len(before) != len(after):
            runs = [(0, len(after))]  # where terminals disagree about widths only a whole line is certain
        else:
            runs = changed_runs(before, after)
        for start, end in runs:
            out.append(f"\x1b[{y + 1};{start + 1}H")
            for text, style in after[start:end]:
                if style != self.pen:
                    out.append(turn(self.pen, style))
                    self.pen = style
                out.append(text)

    def cells(self, strips: Iterable[Strip], console: Console) -> list[Cell]:
        cells: list[Cell] = []
        for strip in strips:
            for text, style, control in strip:
                if control:
                    continue
                codes = self.sgr(style, console)
                if text.isascii():
                    cells.extend((char, codes) for char in text)
                    continue
                for char in text:
                    width = cell_len(char)
                    if width:
                        cells.append((char, codes))
                        if width == 2:
                            cells.append(("", codes))
                    elif cells:
                        cells[-1] = (cells[-1][0] + char, cells[-1][1])
        return cells

    def sgr(self, style: Style | None, console: Console) -> str:
        if style is None:
            return ""
        found = self.codes.get(style)
        if found is None:
            system = console._color_system
            found = style._make_ansi_codes(system) if system is not None else ""
            self.codes[style] = found
        return found


@lru_cache(4096)
def pen_parts(codes: str) -> tuple[frozenset[str], str, str]:
    """Attributes, foreground and background of SGR codes."""
    attributes, colours = set(), {"3": "", "4": ""}
    numbers = iter(codes.split(";"))
    for number in numbers:
        if number in ("38", "48"):
            kind = next(numbers)
            rest = [next(numbers) for _ in range(1 if kind == "5" else 3)]
            colours[number[0]] = ";".join([number, kind, *rest])
        elif number[:-1] in ("3", "9"):
            colours["3"] = number
        elif number[:-1] in ("4", "10"):
            colours["4"] = number
        else:
            attributes.add(number)
    return frozenset(attributes), colours["3"], colours["4"]


def turn(before: str | None, after: str) -> str:
    """What changes the pen: only the colours where the attributes stay, everything anew where they don't."""
    if before and after:
        (attributes, front, back), (wanted, new_front, new_back) = pen_parts(before), pen_parts(after)
        if attributes == wanted and bool(front) <= bool(new_front) and bool(back) <= bool(new_back):
            changes = [new for old, new in ((front, new_front), (back, new_back)) if old != new]
            return f"\x1b[{';'.join(changes)}m" if changes else ""
    return f"\x1b[0;{after}m" if after else "\x1b[0m"


@lru_cache(4096)
def look_alike(before: str, after: str) -> bool:
    """Whether a blank looks the same under both: its background alone is seen, unless something is drawn through it."""
    (attributes, _, back), (wanted, _, new_back) = pen_parts(before), pen_parts(after)
    return back == new_back and "?" not in (before, after) and DRAWN.isdisjoint(attributes | wanted)


def changed_runs(before: Sequence[Cell], after: Sequence[Cell]) -> list[tuple[int, int]]:
    """The stretches of columns that differ, joined where the gap between them is short."""
    runs: list[tuple[int, int]] = []
    for column, (old, new) in enumerate(zip(before, after, strict=True)):
        if old == new or (old[0] == new[0] == " " and look_alike(old[1], new[1])):
            continue
        if runs and column - runs[-1][1] <= GAP:
            runs[-1] = (runs[-1][0], column + 1)
        else:
            runs.append((column, column + 1))
    return runs
