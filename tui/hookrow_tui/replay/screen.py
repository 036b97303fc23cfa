"""«Повтор»: this delivery again, or its event anew for one hook, for the whole row, for all that the filter shows."""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text as Drawn
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from hookrow.errors import HookrowError
from hookrow.lang import Text
from hookrow.payload import diff, get_pointer, spelled, unambiguous
from hookrow_tui.actions import Group, bindings, cap_of
from hookrow_tui.form.fields import Flag
from hookrow_tui.presenters.columns import steady
from hookrow_tui.presenters.hook_rows import number
from hookrow_tui.presenters.log.detail import Detail
from hookrow_tui.presenters.log.rows import clock, dotted
from hookrow_tui.presenters.styled import Line, wrap
from hookrow_tui.replay.many import GONE, ManyScreen, Wish, send_background
from hookrow_tui.replay.result import redelivered_lines, replayed_lines
from hookrow_tui.terminal.editor import NotRun, edit_text
from hookrow_tui.widgets.dialogs import Choices, ask, box_css
from hookrow_tui.widgets.page import Dialog
from hookrow_tui.widgets.pane import Pane
from hookrow_tui.widgets.ways import Ways
from hookrow_tui.words import Say, SayPlural

if TYPE_CHECKING:
    from hookrow import HookEngine

__all__ = ["Many", "ReplayScreen", "ResultScreen"]

ANEW = frozenset({"hook", "row", "all"})
"""The choices with which edited data can go; with all of them the same changes are made in each."""
CHANGED = 3
"""Changes that the question names."""


@dataclass(frozen=True, slots=True)
class Many:
    """All that the filter shows: row ids, newest first; whether they are all known; the one hook that it names; whether
    they are marked ones instead; whether there may be failed deliveries among them."""

    ids: array[int]
    complete: bool
    hook: int | None = None
    marked: bool = False
    failed: bool = False


def told(change: tuple[str, Any]) -> str:
    """A change that is made in the data, in a few words."""
    pointer, new = change
    name = steady(dotted(pointer))
    return str(Say("without {name}", name=name)) if new is GONE else f"{name} = {steady(spelled(new))[:40]}"


class ReplayScreen(Dialog[None]):
    """Asks what to repeat and where to send it. Escape leaves without a request.

    Args:
        detail: what the log's cursor stands on.
        many: what the filter shows.
    """

    GUARDED = True
    CSS_PATH: ClassVar[list[str | PurePath]] = ["../form/form.tcss", "replay.tcss"]  # its switch is one of the form's
    GROUPS: ClassVar[tuple[Group, ...]] = ("replay",)
    DEFAULT_CSS = box_css("ReplayScreen")
    BINDINGS: ClassVar[list[Any]] = [*bindings("replay")]

    def __init__(self, detail: Detail, many: Many) -> None:
        super().__init__()
        self.detail = detail
        self.many = many
        self.payload: dict[str, Any] | None = None
        self.unread = ""
        """What was written in the editor and can't be used: it is opened there again."""

    def compose(self) -> ComposeResult:
        firing = self.detail.firing
        moment = clock(firing.at_ms, self.detail.zone, self.detail.now_ms).strip()
        when = moment[:8] if moment[2] == ":" else moment  # of today: without milliseconds
        question = Say("Send {event} of {when} again?", event=steady(firing.event), when=when)
        with Vertical() as box:
            box.border_title = str(Say("Redeliver or replay"))
            warning = Say("Receivers will get the requests once more.")
            yield Static(Drawn(f"{question}\n{warning}"), id="question")
            yield Ways(self.offers(), self.hookrow.look.glyphs, id="ways")
            with Horizontal(classes="named"):
                yield Static(str(Say("Send to")), classes="label", markup=False)
                yield Input(placeholder=self.own_url(), id="to", compact=True, select_on_focus=False)
            with Horizontal(classes="named"):
                yield Static(str(Say("Data")), classes="label", markup=False)
                yield Static(self.data_text(), id="data", markup=False)
            yield Flag("dry", str(Say("Only show the request, send nothing")), False)
            yield Choices([("go", str(Say("Send again"))), ("cancel", str(Say("Cancel")))])
            yield Static("", id="fault", markup=False)

    def on_mount(self) -> None:
        self.query_one("#to", Input).cursor_blink = False
        self.query_one(Ways).focus()

    def offers(self) -> list[tuple[str, str]]:
        """What can be repeated from here."""
        firing, delivery = self.detail.firing, self.detail.delivery
        offers: list[tuple[str, Text]] = []
        if delivery is not None:
            if delivery.body is not None:
                offers.append(("again", Say("Redeliver this delivery: same body, same webhook-id")))
            offers.append(("hook", Say("Replay this hook only: new webhook-id")))
        elif any(each.failed for each in firing.deliveries):
            offers.append(("again", Say("Redeliver what failed: same body, same webhook-id")))
        count = len(firing.deliveries)
        row = SayPlural("Replay the whole chain: {n} hook", "Replay the whole chain: {n} hooks in order", count)
        offers.append(("row", row))
        if len(self.many.ids) > 1:
            events = SayPlural("{shown} firing", "{shown} firings", len(self.many.ids), shown=self.counted())
            all_of = Say("Replay everything marked: {events}", events=events)
            offers.append(
                ("all", all_of if self.many.marked else Say("Replay everything filtered: {events}", events=events))
            )
            if self.many.failed:
                offers.append(("failed", Say("Redeliver the failed ones among them: same webhook-id")))
        return [(code, str(label)) for code, label in offers]

    def counted(self) -> str:
        return number(len(self.many.ids)) + ("" if self.many.complete else "+")

    def own_url(self) -> str:
        """Where it goes unless another URL is typed; the recorded one has its query masked, so it is only shown."""
        if self.detail.last is not None:
            return steady(self.detail.last.url)
        return str(Say("each hook's own URL"))

    def data_text(self) -> str:
        if self.payload is None and not self.unread:
            return str(Say("from the log  (edit: {key})", key=cap_of("replay.edit")))
        return str(Say("edited  (edit again: {key})", key=cap_of("replay.edit")))

    def fault(self, text: object) -> None:
        self.query_one("#fault", Static).update(Drawn(steady(str(text))))

    def notice(self, text: str) -> None:
        self.fault(text)

    @on(Ways.Changed)
    def clear_fault(self) -> None:
        self.fault("")

    def action_edit(self) -> None:
        """The payload in $EDITOR; only the event anew can carry it."""
        given = self.detail.firing.payload if self.payload is None else self.payload
        opened = self.unread or json.dumps(given, ensure_ascii=False, indent=2) + "\n"
        try:
            text = edit_text(self.app, opened, "payload.json")
        except NotRun as error:
            self.fault(error)
            self.hookrow.unexpected()
            return
        self.take_edited(text)

    def take_edited(self, text: str) -> None:
        """Use this text as the payload from now on; an empty one means the data as recorded."""
        fault = self.read_edited(text)
        self.unread = "" if fault is None else text
        self.fault(fault or "")
        self.query_one("#data", Static).update(Drawn(self.data_text()))
        ways = self.query_one(Ways)
        if self.payload is not None and ways.code not in ANEW:
            ways.choose("hook" if self.detail.delivery is not None else "row")

    def read_edited(self, text: str) -> Text | None:
        """Take the payload from a text; gives why that can't be done."""
        text = text.removeprefix("\ufeff")
        try:
            value = json.loads(text, object_pairs_hook=unambiguous) if text.strip() else self.detail.firing.payload
        except (ValueError, RecursionError) as error:
            return Say("Not JSON: {reason}", reason=error)
        if not isinstance(value, dict):
            return Say("The data must be a JSON object.")
        self.payload = None if value == self.detail.firing.payload else value
        return None

    @on(Choices.Chosen)
    def press(self, message: Choices.Chosen) -> None:
        if message.code == "go":
            self.action_go()
        else:
            self.dismiss(None)

    @on(Input.Submitted)
    def entered(self) -> None:
        self.action_go()

    def action_go(self) -> None:
        """Do it, or say what stands against it. No key comes before the engine answered: nothing is sent twice."""
        way = self.query_one(Ways).code
        to = self.query_one("#to", Input).value.strip() or None
        dry = self.query_one(Flag).on
        if self.unread:
            self.take_edited(self.unread)  # says once more what is wrong with it: nothing else is sent in its place
        elif self.payload is not None and way not in ANEW:
            self.fault(Say("Edited data can only be sent by a replay."))
        elif way in ("all", "failed"):
            self.ask_many(to, dry, again=way == "failed")
        else:
            self.fault(Say("Asking…") if dry else Say("Sending…"))
            self.hookrow.ask(self, lambda engine: self.perform(engine, way, to, dry), self.show_result, self.refused)

    def perform(self, engine: HookEngine, way: str, to: str | None, dry: bool) -> list[Line]:
        """In a worker: repeat it, and what came of it as lines."""
        firing, delivery, glyphs = self.detail.firing, self.detail.delivery, self.hookrow.look.glyphs
        if way == "again":
            ref = firing.id if delivery is None else delivery.id
            return redelivered_lines(engine.redeliver(ref, to=to, dry_run=dry), self.detail.attempts)
        hook = delivery.hook.id if delivery is not None and way == "hook" else None
        done = engine.replay(firing.id, hook=hook, to=to, payload=self.payload, dry_run=dry)
        return replayed_lines(send_background(engine, done), glyphs)

    def refused(self, error: HookrowError) -> None:
        self.fault(error)
        self.hookrow.unexpected()

    def show_result(self, lines: list[Line]) -> None:
        self.app.switch_screen(ResultScreen(lines))

    def ask_many(self, to: str | None, dry: bool, *, again: bool) -> None:
        """First the count and a sample, then a question."""
        if not self.many.complete:
            self.fault(Say("The log is still being read: wait for its count, or narrow the filter."))
            return
        edited = {} if self.payload is None else self.payload
        places = [pointer for pointer, *_ in diff(self.detail.firing.payload, edited)] if edited else []
        changes = [(pointer, get_pointer(edited, pointer, GONE)) for pointer in places]
        wish = Wish(self.many.ids[::-1], self.many.hook, to, dry, again, changes)
        self.hookrow.ask(
            self,
            lambda engine: engine.log.by_rows(list(wish.ids[:3])),
            lambda seen: self.sample(wish, seen),
            self.refused,
        )

    def sample(self, wish: Wish, seen: list[Any]) -> None:
        """Ask once more, with the number and the first few."""
        detail = self.detail
        sentences: list[object] = [
            f"{clock(each.at_ms, detail.zone, detail.now_ms)} {steady(each.event)} {each.id}" for each in seen
        ]
        if len(wish.ids) > len(seen):
            sentences.append("…")
        where = Say("to {url}", url=wish.to) if wish.to else Say("to each hook's own URL")
        count = len(wish.ids)
        if wish.again:
            sentences.append(Say("Deliveries that have failed by then are sent again, {where}.", where=where))
            title = SayPlural("Redeliver what failed of {n} firing?", "Redeliver what failed of {n} firings?", count)
            yes: Text = Say("Redeliver")
        else:
            sentences.append(Say("Every firing is replayed, {where}.", where=where))
            if wish.changes:
                more = len(wish.changes) - CHANGED
                what = "; ".join([*map(told, wish.changes[:CHANGED]), *([f"+{more}"] if more > 0 else [])])
                sentences.append(Say("Changed in each of them: {what}", what=what))
            title = SayPlural("Replay {n} firing?", "Replay {n} firings?", count)
            yes = SayPlural("Replay {n}", "Replay {n}", count)
        begin = partial(self.app.switch_screen, ManyScreen(wish))
        ask(self, title, sentences, [("no", Say("Cancel"), None), ("yes", yes, begin)])


class ResultScreen(Dialog[None]):
    """What came of it, in a pane that scrolls."""

    CSS_PATH = "replay.tcss"
    BINDINGS: ClassVar[list[Any]] = [("escape,enter,q", "dismiss(None)", "")]

    def __init__(self, lines: list[Line]) -> None:
        super().__init__()
        self.lines_made = lines

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = str(Say("Redeliver or replay"))
            box.border_subtitle = str(Say("Esc closes"))
            yield Pane(self.hookrow.look.glyphs, id="result")

    def on_mount(self) -> None:
        self.query_one(Pane).focus()
        self.call_after_refresh(self.fill)

    def on_resize(self) -> None:
        self.call_after_refresh(self.fill)

    def fill(self) -> None:
        pane = self.query_one(Pane)
        pane.show([piece for each in self.lines_made for piece in wrap(each, pane.columns)], top=True)
