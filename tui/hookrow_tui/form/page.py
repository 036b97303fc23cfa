"""Where everything stands on the form's two pages: the labels are drawn by the page, the fields are laid on it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.strip import Strip
from textual.widget import Widget

from hookrow.hook.form import FIELD, FLAGS_TITLE, GROUPS, PERIOD_TITLE
from hookrow.lang import current
from hookrow_tui.presenters.columns import fit
from hookrow_tui.words import Say

__all__ = ["FormPage", "Label", "Spot", "first_page", "second_page"]


@dataclass(frozen=True)
class Label:
    """A text on the page; `title` for the name of a group, `code` where it names a field."""

    x: int
    y: int
    text: str
    title: bool = False
    code: str = ""


@dataclass(frozen=True)
class Spot:
    """Where a field stands. `width` 0 goes on to the right edge, `stretch` takes the rows that are left over, `less` of
    them."""

    code: str
    x: int
    y: int
    width: int = 0
    stretch: bool = False
    less: int = 0


VALUES, EXTRA, BEYOND = 22, 45, 26
FIXED = 14
"""Rows of the first page that are not the body's."""
SECRET_COLUMNS = 24
"""Columns of the signing secret: the button that makes one stands beside it."""
MAKE_SECRET = "make_secret"
"""The code of that button."""


def body_spots(y: int, width: int, aside: int) -> list[Spot]:
    """The body, and at its right what stands beside it, if that has columns."""
    if not aside:
        return [Spot("body", 2, y, stretch=True)]
    x = width - aside
    return [
        Spot("body", 2, y, x - 2, stretch=True),
        Spot("aside_head", x, y, aside),
        Spot("names", x, y + 1, aside, stretch=True, less=1),
        Spot("sent", x, y + 1, aside, stretch=True, less=1),
    ]


def first_page(rows: int, said: int = 1, width: int = 0, aside: int = 0) -> tuple[list[Label], list[Spot]]:
    """The document's page: its groups, labels and order.

    Args:
        rows: of the body and of the mode's sentence beyond its first line.
        said: lines of the mode's sentence.
        width: of the page.
        aside: columns of what stands beside the body.
    """

    def label(code: str) -> str:
        return str(FIELD[code].label)

    russian = current() == "ru"
    flag = 48
    body = 9 + said
    below = 10 + rows
    period = f"{PERIOD_TITLE} {label('valid_from')}" if russian else label("valid_from")
    labels = [
        Label(1, 1, str(GROUPS["main"]), title=True),
        Label(1, 2, label("name"), code="name"),
        Label(1, 3, label("url"), code="url"),
        Label(1, 4, label("event"), code="event"),
        Label(1, 5, label("position"), code="position"),
        Label(34, 5, label("timeout"), code="timeout"),
        Label(61, 5, str(Say("s"))),
        Label(1, 6, period, code="valid_from"),
        Label(48 if russian else 46, 6, label("valid_until").split()[-1], code="valid_until"),
        Label(1, 7, str(FLAGS_TITLE)),
        Label(1, 9, str(GROUPS["body"]), title=True, code="body"),
        Label(1, below, str(GROUPS["extra"]), title=True),
        Label(1, below + 1, label("auth_login"), code="auth_login"),
        Label(1, below + 2, label("auth_password"), code="auth_password"),
        Label(1, below + 3, label("custom_header"), code="custom_header"),
    ]
    spots = [
        Spot("name", VALUES, 2),
        Spot("url", VALUES, 3),
        Spot("event", VALUES, 4),
        Spot("position", VALUES, 5, 8),
        Spot("timeout", 52, 5, 8),
        Spot("valid_from", VALUES, 6, 24),
        Spot("valid_until", 52, 6, 24),
        Spot("active", VALUES, 7, 24),
        Spot("fire_and_forget", flag, 7, 24),
        Spot("wait_for_response", VALUES, 8, 24),
        Spot("response_has_data", flag, 8, 28),
        *body_spots(body, width, aside),
        Spot("auth_login", EXTRA, below + 1),
        Spot("auth_password", EXTRA, below + 2),
        Spot("custom_header", EXTRA, below + 3),
    ]
    return labels, spots


def second_page() -> tuple[list[Label], list[Spot]]:
    """What goes beyond the document."""
    codes = [code for code, each in FIELD.items() if each.group == "beyond"]
    labels = [Label(1, 1, str(GROUPS["beyond"]), title=True)]
    labels += [Label(1, 2 + row, str(FIELD[code].label), code=code) for row, code in enumerate(codes)]
    spots = []
    for row, code in enumerate(codes):
        spots.append(Spot(code, BEYOND, 2 + row, SECRET_COLUMNS if code == "signing_secret" else 0))
        if code == "signing_secret":
            spots.append(Spot(MAKE_SECRET, BEYOND + SECRET_COLUMNS + 2, 2 + row))
    return labels, spots


class Placed(Layout):
    """Puts every child where its spot is."""

    name = "placed"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        assert isinstance(parent, FormPage)
        _, spots = parent.arranged(size)
        where = {spot.code: spot for spot in spots}
        placements = []
        for child in children:
            spot = where.get(getattr(child, "code", ""))
            if spot is None:
                region = Region(0, 0, size.width, 1)
            else:
                width = min(spot.width or size.width, size.width - spot.x)
                region = Region(spot.x, spot.y, width, parent.body_rows(size) - spot.less if spot.stretch else 1)
            placements.append(WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child))
        return placements


class FormPage(Widget):
    """One page. `remark` is drawn at the right of the body's title, and below it where it is longer."""

    DEFAULT_CSS = """
    FormPage { width: 1fr; height: 1fr; overflow: hidden; }
    FormPage > .form--title { color: $primary; text-style: bold; }
    FormPage > .form--label { color: $foreground; }
    FormPage > .form--wrong { color: $error; text-style: bold; }
    FormPage > .form--remark { color: $quiet; }
    FormPage > .form--focus { color: $accent; text-style: bold; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "form--title",
        "form--label",
        "form--wrong",
        "form--remark",
        "form--focus",
    }

    def __init__(self, fields: Sequence[Widget], focus_sign: str, wrong_sign: str, *, first: bool) -> None:
        super().__init__(*fields)
        self.first = first
        self.focus_sign = focus_sign
        self.wrong_sign = wrong_sign
        self.remark = ""
        self.wrong: frozenset[str] = frozenset()
        self.marked: int | None = None
        self.aside = 0
        self.zoomed = False
        self.placed = Placed()

    @property
    def layout(self) -> Layout:
        return self.placed

    def said(self, width: int) -> list[str]:
        """The mode's sentence in as many lines as it takes at this width; the number of lines does not change while a
        time limit is typed in it."""
        room = width - len(str(GROUPS["body"])) - 4
        longest = re.sub(r"\d+(?:[.,]\d+)?", "29.5", self.remark)
        if len(longest) <= room or room < 20:
            return [self.remark]
        lines = wrap(self.remark, room)
        halves = self.remark.partition("; ")
        if len(lines) <= 2 and halves[2] and max(map(len, halves)) < room:
            return [f"{halves[0]};", halves[2]]  # what happens on failure stays together
        return lines[:3] if len(lines) > 1 else [self.remark, ""]

    @property
    def head(self) -> int:
        """The row of the body's title."""
        return 0 if self.zoomed else 9

    def body_rows(self, size: Size) -> int:
        """How many rows the body has."""
        return max(1, size.height - (1 if self.zoomed else FIXED) - len(self.said(size.width)) + 1)

    def lay(self, aside: int) -> None:
        """Give what stands beside the body so many columns."""
        if aside != self.aside:
            self.aside = aside
            self.refresh(layout=True)

    def zoom(self, on: bool) -> None:
        """Show the body alone, or everything."""
        self.zoomed = on
        beside = ("body", "aside_head", "names", "sent")
        for child in self.children:
            code = getattr(child, "code", "")
            if code not in beside or code == "body":
                child.display = not on or code == "body"
        self.marked = None
        self.refresh(layout=True)

    def arranged(self, size: Size) -> tuple[list[Label], list[Spot]]:
        """Labels and fields for this size."""
        if not self.first:
            return second_page()
        said = len(self.said(size.width))
        if self.zoomed:
            title = Label(1, 0, str(GROUPS["body"]), title=True, code="body")
            return [title], body_spots(said, size.width, self.aside)
        return first_page(self.body_rows(size) + said - 1, said, size.width, self.aside)

    def mark(self, code: str | None) -> None:
        """Draw the sign of the focus at the left of this field's row."""
        _, spots = self.arranged(self.size)
        row = next((spot.y for spot in spots if spot.code == code and not spot.stretch), None)
        if code == "body":
            row = self.head
        if row != self.marked:
            self.marked = row
            self.refresh()

    def say(self, remark: str) -> None:
        """Draw this remark."""
        if remark != self.remark:
            before = len(self.said(self.size.width))
            self.remark = remark
            self.refresh(layout=len(self.said(self.size.width)) != before)

    def blame(self, codes: Collection[str]) -> None:
        """Mark the labels of these fields: what stands in them can't be saved."""
        if frozenset(codes) != self.wrong:
            self.wrong = frozenset(codes)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        labels, _ = self.arranged(self.size)
        segments: list[Segment] = []
        at = 0

        def put(x: int, text: str, style: Style) -> None:
            nonlocal at
            if x > at:
                segments.append(Segment(" " * (x - at), self.rich_style))
            segments.append(Segment(text, style))
            at = max(x, at) + len(text)

        if y == self.marked:
            put(0, self.focus_sign[:1], self.get_component_rich_style("form--focus"))
        for label in sorted((label for label in labels if label.y == y), key=lambda each: each.x):
            wrong = label.code in self.wrong
            name = "title" if label.title else "label"
            style = self.get_component_rich_style(f"form--{'wrong' if wrong else name}")
            put(label.x, f"{label.text}{self.wrong_sign}" if wrong else label.text, style)
        if self.first and self.head <= y < self.head + len(said := self.said(width)):
            text = fit(said[y - self.head], min(len(said[y - self.head]), width - at - 3))
            put(width - len(text) - 1, text, self.get_component_rich_style("form--remark"))
        return Strip(segments).adjust_cell_length(width, self.rich_style)
