"""Plain text that lines up: its width in columns, cut and padded, tables. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click

from hookrow.safetext import JOINERS, visible

__all__ = ["Cell", "Column", "cut", "pad", "table", "width"]

WIDE = frozenset("WF")
GAP = "  "


# Tuples: a dataclass takes a millisecond to make, each time that a command starts.
class Cell(NamedTuple):
    """A table's cell: its text and, where the terminal may show it, a colour."""

    text: str
    colour: str | None = None
    bold: bool = False
    dim: bool = False


class Column(NamedTuple):
    """A table's column. One that may `shrink` is cut when the terminal is narrower than the table."""

    title: str = ""
    right: bool = False
    shrink: bool = False


def width(text: str) -> int:
    """Columns that a terminal needs for a text: two for East Asian wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    columns = 0
    for character in text:
        if unicodedata.combining(character) or character in JOINERS or "\ufe00" <= character <= "\ufe0f":
            continue
        columns += 2 if unicodedata.east_asian_width(character) in WIDE else 1
    return columns


def cut(text: str, columns: int) -> str:
    """The text in at most so many columns, with «…» where something is missing."""
    if width(text) <= columns:
        return text
    kept: list[str] = []
    left = columns - 1
    for character in text:
        left -= width(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + "…"


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """The text filled with spaces to so many columns."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]], *, limit: int | None = None, colours: bool = False
) -> list[str]:
    """The lines of a table: titles (if there are any), then the rows.

    Args:
        limit: the terminal's width; None where nothing is to be cut.
        colours: whether cells' colours are written.
    """
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    cells = [[Cell(visible(c.text), c.colour, c.bold, c.dim) for c in row] for row in cells]
    titled = any(column.title for column in columns)
    shown = [[Cell(column.title, dim=True) for column in columns], *cells] if titled else cells
    widths = [max((width(row[at].text) for row in shown), default=0) for at in range(len(columns))]
    if limit is not None:
        widths = shrunk(columns, widths, limit)
    return [line(columns, widths, row, colours) for row in shown]


def shrunk(columns: Sequence[Column], widths: list[int], limit: int) -> list[int]:
    """The widths with those columns that may shrink made narrower, the widest first, until the table fits."""
    widths = list(widths)
    over = sum(widths) + len(GAP) * (len(widths) - 1) - limit
    while over > 0:
        candidates = [at for at, column in enumerate(columns) if column.shrink and widths[at] > 8]
        if not candidates:
            break
        widest = max(candidates, key=lambda at: widths[at])
        widths[widest] -= 1
        over -= 1
    return widths


def line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[Cell], colours: bool) -> str:
    """One line of a table, without blanks at its end."""
    parts: list[str] = []
    for at, (column, cell) in enumerate(zip(columns, row, strict=True)):
        text = cut(cell.text, widths[at]) if column.shrink else cell.text
        last = at == len(columns) - 1
        filled = text if last and not column.right else pad(text, widths[at], right=column.right)
        if colours and (cell.colour or cell.bold or cell.dim):
            filled = click.style(filled, fg=cell.colour, bold=cell.bold or None, dim=cell.dim or None)
        parts.append(filled)
    return GAP.join(parts).rstrip()
