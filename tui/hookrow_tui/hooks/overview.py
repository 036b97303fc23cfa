"""«Обзор»: all hooks together over the last hour, day or week, as plots: calls and errors, times, what waits."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text as Styled
from textual import events
from textual.app import ComposeResult

from hookrow.clock import from_ms
from hookrow_tui.actions import Group, bindings
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.hook_rows import number
from hookrow_tui.presenters.plots import axis, bars
from hookrow_tui.presenters.spans import span
from hookrow_tui.presenters.styled import Line as Words
from hookrow_tui.presenters.styled import wrap
from hookrow_tui.widgets.keybar import KeyBar
from hookrow_tui.widgets.page import Page, TextLine, Title
from hookrow_tui.widgets.pane import Pane
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Overview, Stretch

__all__ = ["OverviewScreen", "plot"]

OVERVIEW = Say("Overview")
STRETCHES = {"hour": Say("last hour"), "day": Say("last 24 hours"), "week": Say("last 7 days")}
EVERY = 15.0
"""Seconds between two readings: they may go through fifty thousand deliveries."""
LABEL = 8
"""Columns of the numbers at the left of a plot."""


class OverviewScreen(Page[None]):
    """One stretch at a time; 1, 2, 3 choose it."""

    GROUPS: ClassVar[tuple[Group, ...]] = ("overview",)
    BINDINGS: ClassVar[list[Any]] = [*bindings("overview")]
    DEFAULT_CSS = "OverviewScreen #stretches { color: $quiet; } OverviewScreen Pane { height: 1fr; }"

    def __init__(self, *, zone: tzinfo) -> None:
        super().__init__()
        self.zone = zone
        self.stretch = "day"
        self.seen: Overview | None = None

    def compose(self) -> ComposeResult:
        yield Title()
        yield TextLine(id="stretches")
        yield Pane(self.hookrow.look.glyphs, id="plots")
        yield KeyBar(*self.GROUPS)

    def on_mount(self) -> None:
        self.query_one(Pane).focus()
        self.draw()
        self.read()
        self.set_interval(EVERY, self.read)  # it ends with the page

    def read(self) -> None:
        """Read all figures again, in a worker; an answer that comes after the page was left is dropped."""
        self.hookrow.ask(self, lambda engine: engine.log.overview(), self.take, background=True)

    def take(self, seen: Overview) -> None:
        self.seen = seen
        self.draw()

    def on_resize(self, event: events.Resize) -> None:  # besides Page's: Textual calls both
        self.call_after_refresh(self.draw)

    def action_stretch(self, name: str) -> None:
        """Show another stretch of time."""
        self.stretch = name
        self.draw()

    def action_back(self) -> None:
        self.dismiss(None)

    def draw(self) -> None:
        """Bring every line up to date."""
        seen, pane = self.seen, self.query_one(Pane)
        self.query_one(Title).show(
            f" {OVERVIEW} › {STRETCHES[self.stretch]}", "" if seen is None else f"{waiting(seen)} "
        )
        line = Styled(" ")
        for place, (name, label) in enumerate(STRETCHES.items(), 1):
            line.append(f"{place} {label}", "bold reverse" if name == self.stretch else "")
            line.append("   ")
        self.query_one("#stretches", TextLine).show(line)
        if seen is None:
            reading = Say("Reading…")
            pane.show([((str(reading), "quiet"),)], top=True)
            return
        lines = plot(getattr(seen, self.stretch), pane.columns, pane.size.height, self.hookrow.look.glyphs, self.zone)
        pane.show([piece for each in lines for piece in wrap(each, pane.columns)], top=False)


def waiting(seen: Overview) -> str:
    """What waits in the queue, and how long the oldest of it has been due."""
    queue = str(Say("queue {n}", n=number(seen.queue)))
    late = 0 if seen.oldest_due_ms is None else (seen.at_ms - seen.oldest_due_ms) / 1000
    oldest = Say("the oldest is {span} late", span=span(late))
    return f"{queue} · {oldest}" if late >= 1 else queue


def plot(stretch: Stretch, width: int, height: int, glyphs: Glyphs, zone: tzinfo) -> list[Words]:
    """Calls, errors, p95 and p50 of a stretch, one plot below the other, as high as the pane allows."""
    count = len(stretch.steps)
    each = max(1, min(5, (width - LABEL - 1) // count))
    rows = max(1, min(6, (height - 9) // 3))
    figures = stretch.figures
    if not figures.calls:
        return [((str(Say("No hook was called in this time.")), "quiet"),)]
    calls = Say("Calls {n}", n=number(figures.calls))
    errors = Say("Errors {n}", n=number(figures.errors))
    lines: list[Words] = [*section(str(calls), [step.calls for step in stretch.steps], rows, each, glyphs, "good")]
    lines += section(str(errors), [step.errors for step in stretch.steps], max(1, rows - 1), each, glyphs, "bad")
    if figures.p95_ms is not None:
        times = Say("p95 {slow} ms, p50 {middle} ms", slow=number(figures.p95_ms), middle=number(figures.p50_ms or 0))
        slow = [step.p95_ms for step in stretch.steps]
        lines += section(str(times), slow, max(1, rows - 1), each, glyphs, "key")
        top = max(value or 0 for value in slow)
        middle = [step.p50_ms for step in stretch.steps]
        lines += [
            (("p50".rjust(LABEL - 1) + " ", "quiet"), (row, "quiet")) for row in bars(middle, 1, each, glyphs, most=top)
        ]
    moments = axis(stretch.since_ms, stretch.step_ms, count, each, zone)
    lines.append(((" " * LABEL, ""), (moments, "quiet")))
    if figures.capped:
        since = from_ms(figures.since_ms).astimezone(zone)
        said = Say(
            "Only the newest deliveries were looked at: all of them are in from {when} on.", when=f"{since:%d.%m %H:%M}"
        )
        lines.append(((str(said), "veto"),))
    return lines


def section(title: str, values: list[Any], rows: int, width: int, glyphs: Glyphs, role: str) -> list[Words]:
    """A title, and bars with the largest value at their left."""
    top = max((value or 0 for value in values), default=0)
    drawn = bars(values, rows, width, glyphs)
    lines: list[Words] = [((title, "head"),)]
    for place, row in enumerate(drawn):
        label = ""
        if place == 0 and top:
            label = number(top)
        elif place == len(drawn) - 1 and rows > 1:
            label = "0"
        lines.append(((label.rjust(LABEL - 1) + " ", "quiet"), (row, role)))
    return lines
