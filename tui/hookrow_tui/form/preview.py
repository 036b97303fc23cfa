"""What a body becomes and how a condition fares, tried on recorded payloads while it is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text as Styled
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from hookrow.errors import HookrowError
from hookrow.records import Firing, LogFilter
from hookrow_tui.failures import sentence
from hookrow_tui.log.reader import zone_of
from hookrow_tui.presenters.changes import when
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.reasons import matching
from hookrow_tui.terminal.terminal import visible
from hookrow_tui.widgets.check import pretty
from hookrow_tui.widgets.dialogs import box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import HookEngine

__all__ = ["TRIED", "PreviewScreen", "tried"]

TRIED = ("url", "body", "condition")
"""The fields that can be tried."""


def tried(engine: HookEngine, code: str, event: str, text: str) -> tuple[str, bool | None]:
    """What came of it in one sentence, and whether it is good; None where it is neither good nor bad.

    Raises:
        InvalidTemplate, EventNotFound
    """
    if code == "url":
        return str(engine.hooks.refused_address(text) or ""), False
    if code == "body":
        return engine.hooks.preview(event, text), True
    matches = engine.condition_matches(event, text)
    return matching(matches), False if matches.failed else True if matches.newest else None


class PreviewScreen(Dialog[None]):
    """The whole body as it would leave, on the event's last recorded payload, else on its sample. Nothing is sent."""

    DEFAULT_CSS = box_css("PreviewScreen", 78).replace("> Vertical", "> VerticalScroll") + (
        "PreviewScreen Static { height: auto; }PreviewScreen > VerticalScroll { max-height: 92%; scrollbar-size: 1 1; }"
    )
    BINDINGS: ClassVar[list[Any]] = [("f3", "dismiss(None)", "")]

    def __init__(self, event: str, body: str) -> None:
        super().__init__()
        self.event = event
        self.body = body

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = str(Say("Body as it would be sent"))
            box.border_subtitle = str(Say("Esc closes"))
            yield Static("", markup=False)

    def on_mount(self) -> None:
        self.hookrow.ask(self, self.read, self.show, self.refused)

    def read(self, engine: HookEngine) -> tuple[str, str]:
        """Which payload, and the body made of it."""
        newest = engine.log.page(LogFilter(event=self.event), limit=1)
        made = engine.hooks.preview(self.event, self.body)
        return (data_of(newest[0], when(newest[0].at_ms, zone_of(engine))) if newest else str(SAMPLE)), made

    def show(self, read: tuple[str, str]) -> None:
        data, made = read
        text = Styled(data + "\n\n", "bold")
        text.append("\n".join(pretty(made)), "not bold")
        self.query_one(Static).update(text)

    def refused(self, error: HookrowError) -> None:
        self.query_one(Static).update(Styled(visible(sentence(error))))


SAMPLE = Say("On the event's sample: no firing is recorded yet.")


def data_of(firing: Firing, moment: str) -> str:
    """On which payload, and what of it is private."""
    lines = [str(Say("On the data of {when}.", when=moment))]
    if firing.hidden:
        fields = ", ".join(steady(pointer) for pointer in firing.hidden)
        lines.append(str(Say("Private fields, null here: {fields}.", fields=fields)))
    return "\n".join(lines)
