"""What helps to write a body and a condition: names of the payload, what comes of them, finding, the whole screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from textual import events, on
from textual.timer import Timer
from textual.widget import Widget

from hookrow.clock import to_ms
from hookrow.errors import HookrowError
from hookrow.hook.local_time import LocalTime
from hookrow_tui.form.aside import AsideHead, Names, SentBody
from hookrow_tui.form.body import Body
from hookrow_tui.form.expression import Expression
from hookrow_tui.form.page import FormPage
from hookrow_tui.form.preview import NEWEST, TRIED, Sample, firings_of, sample_of, try_text, with_place
from hookrow_tui.form.seek import SeekBar
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.form.body_names import Name, names_of
from hookrow_tui.presenters.form.state import FormState
from hookrow_tui.presenters.spans import here
from hookrow_tui.presenters.styled import Line as Words
from hookrow_tui.presenters.styled import json_lines, wrap
from hookrow_tui.widgets.page import Page
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Event

__all__ = ["WritingPage"]

PREVIEW_AFTER = {"body": 0.15, "condition": 0.3, "url": 0.3}
"""Seconds after the last key until a field is tried."""
WIDE = 110
"""Columns from which on something stands beside the body without being asked for."""
NARROW = {"names": 34, "sent": 46}
"""Columns of it on narrower screens."""


class WritingPage(Page[int]):
    """A form's body and condition. `aside` is what stands beside the body: `names`, `sent` or nothing ('')."""

    state: FormState
    zone: tzinfo
    titles: dict[str, Event]

    def __init__(self) -> None:
        super().__init__()
        self.previews: dict[str, tuple[str, bool | None]] = {}
        self.untried: dict[str, str] = {}
        """Why a body or a condition can't be tried as it stands."""
        self.places: dict[str, tuple[int, int]] = {}
        """Line and column of that."""
        self.preview_timers: dict[str, Timer] = {}
        self.sample: Sample | None = None
        self.aside: str | None = None
        """None while nobody has chosen: then it depends on the width."""

    # Of the form

    def widget(self, code: str) -> Widget:
        """The widget of a field."""
        raise NotImplementedError

    def draw(self) -> None:
        """Bring everything around the fields up to date."""
        raise NotImplementedError

    def draw_hint(self) -> None:
        """Bring the sentence below the fields up to date."""
        raise NotImplementedError

    @property
    def body(self) -> Body:
        """The body's editor."""
        return self.query_one(Body)

    @property
    def event(self) -> str:
        """The code of the event that is chosen."""
        return str(self.state.texts["event"])

    def beside(self) -> list[Widget]:
        """What may stand beside the body."""
        glyphs = self.hookrow.look.glyphs
        return [AsideHead(), Names(glyphs), SentBody(glyphs, id="sent")]

    # The payload

    def read_sample(self, ref: str = NEWEST) -> None:
        """Read the payload that body and condition are tried on."""
        event = self.event
        if event in self.titles:
            self.hookrow.ask(self, lambda engine: sample_of(engine, event, ref), self.take_sample)

    def take_sample(self, sample: Sample) -> None:
        if sample.event != self.event:
            return
        self.sample = sample
        names = names_of(sample.payload, LocalTime(to_ms(here(self.zone).now), self.zone))
        self.body.know(names)
        self.query_one(Expression).know(names)
        self.query_one(Names).know(names)
        self.tell_sample()
        for code in TRIED:
            self.ask_preview(code)
        self.draw_hint()

    def tell_sample(self) -> None:
        """Say beside the body which payload it is, and what the names are narrowed to."""
        typed = self.query_one(Names).typed
        told = "" if self.sample is None else self.sample.told
        if typed and self.aside_now == "names":
            told = f"/{typed}"
        self.query_one(AsideHead).show(f"{self.hookrow.look.glyphs.side} {steady(told)}")

    def example(self, *, number: bool = False) -> str:
        """A name that this event's payload has, for a hint."""
        names: Sequence[Name] = self.body.names
        plain = [name for name in names if not isinstance(name.value, dict | list)]
        numbers = [name for name in plain if isinstance(name.value, int | float) and not isinstance(name.value, bool)]
        found = [*(numbers if number else ()), *plain]
        return found[0].path if found else "payload"

    # Trying

    def preview_later(self, code: str) -> None:
        """Try a field on what was recorded, as soon as the person pauses."""
        if code in self.preview_timers:
            self.preview_timers[code].stop()
        self.preview_timers[code] = self.set_timer(PREVIEW_AFTER[code], lambda: self.ask_preview(code))

    def ask_preview(self, code: str) -> None:
        text, event, sample = str(self.state.texts[code]), self.event, self.sample
        if event not in self.titles:
            return
        if not text.strip() and not (code == "body" and self.aside_now == "sent"):
            self.previews.pop(code, None)
            self.untried.pop(code, None)
            self.draw()
            return

        def stands() -> bool:
            return (text, event) == (self.state.texts[code], self.event) and sample == self.sample

        def show(seen: tuple[str, bool | None]) -> None:
            if stands():
                self.untried.pop(code, None)
                if text.strip():
                    self.previews[code] = seen
                if code == "body":
                    self.show_sent(seen[0])
                self.draw()

        def refuse(error: HookrowError) -> None:
            if stands():
                self.untried[code] = with_place(error)
                self.places[code] = (getattr(error, "line", None) or 1, getattr(error, "column", None) or 1)
                if code == "body" and not self.query_one(SentBody).content:  # else the last good one stays in sight
                    self.show_lines([((self.untried[code], "bad"),)])
                self.draw()

        self.hookrow.ask(
            self, lambda engine: try_text(engine, code, event, text, sample), show, refuse, background=True
        )

    def show_sent(self, made: str) -> None:
        """Draw the body as it would leave."""
        if self.aside_now == "sent":
            self.show_lines(json_lines(made))

    def show_lines(self, lines: Sequence[Words]) -> None:
        """Draw these lines beside the body, as many as they take."""
        pane = self.query_one(SentBody)
        side = (f"{pane.glyphs.side} ", "quiet")
        pane.show([(side, *piece) for line in lines for piece in wrap(line, pane.columns - 2)], top=False)

    # What stands beside the body

    @property
    def aside_now(self) -> str:
        """What stands beside the body at this width."""
        if self.aside is not None:
            return self.aside
        return "names" if self.app.size.width >= WIDE else ""

    def lay_aside(self) -> None:
        """Lay the page out with what stands beside the body."""
        page, now, width = self.query(FormPage).first(), self.aside_now, self.app.size.width
        columns = 0
        if now:
            columns = max(44, width * 2 // 5) if width >= WIDE else NARROW[now]
        for widget, shown in ((AsideHead, bool(now)), (Names, now == "names"), (SentBody, now == "sent")):
            found: Widget = self.query_one(widget)
            if found.has_focus and not shown:
                self.body.focus()
            found.display = shown
        page.lay(columns)
        self.tell_sample()

    def on_resize(self, event: events.Resize) -> None:  # besides Page's: Textual calls both
        self.lay_aside()

    def action_preview(self) -> None:
        """F3: names beside the body, then what it becomes, then, on a narrow screen, nothing."""
        order = ["names", "sent"] if self.app.size.width >= WIDE else ["", "names", "sent"]
        now = self.aside_now
        self.aside = order[(order.index(now) + 1) % len(order)] if now in order else order[0]
        self.lay_aside()
        if self.aside == "sent":
            self.call_after_refresh(self.ask_preview, "body")

    @on(Names.Narrowed)
    def narrowed(self) -> None:
        self.tell_sample()

    @on(Names.Taken)
    def take_name(self, message: Names.Taken) -> None:
        self.body.insert_name(message.name)

    @on(Names.Left)
    def back_to_body(self) -> None:
        self.body.focus()

    @on(SentBody.Choosing)
    def choose_firing(self) -> None:
        """Choose the recorded firing that the body is tried on."""
        from hookrow_tui.widgets.pick import Pick

        event = self.event

        def show(items: list[tuple[str, str]]) -> None:
            newest = (NEWEST, str(Say("the newest, whatever comes")))
            chosen = "" if self.sample is None else self.sample.ref
            pick = Pick(str(Say("Try the body on")), [newest, *items], chosen=chosen)
            self.app.push_screen(pick, lambda ref: self.read_sample(ref) if ref is not None else None)

        self.hookrow.ask(self, lambda engine: firings_of(engine, event), show)

    # The whole screen, finding

    def action_zoom(self) -> None:
        """F6: the body alone on the screen, and back."""
        page = self.query(FormPage).first()
        self.zoom(not page.zoomed)

    def zoom(self, on: bool) -> None:
        """Show the body alone, or the whole form again."""
        page = self.query(FormPage).first()
        if on:
            for each in self.query(FormPage):
                each.display = each is page
            self.body.focus()
        page.zoom(on)
        self.lay_aside()
        self.draw()

    async def action_seek(self) -> None:
        """F7: find and replace in the body."""
        if self.query(SeekBar):
            self.query_one(SeekBar).action_next()
            return
        if not self.body.is_on_screen:
            self.zoom(True)
        await self.mount(SeekBar(self.body), before="#hint")

    def leave_writing(self) -> bool:
        """One step out of what was opened here; whether there was one."""
        page: Any = self.query(FormPage).first()
        if page.zoomed:
            self.zoom(False)
            self.body.focus()
            return True
        return False
