"""Repeating many events: one after the other in a thread, with a count on the screen; Escape stops between two."""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text as Styled
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from hookrow.errors import HookrowError, StorageError
from hookrow_tui.dialogs import box_css
from hookrow_tui.hook_rows import number
from hookrow_tui.page import Dialog
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import HookEngine, Replayed

__all__ = ["ManyScreen", "Tally", "Wish", "repeat", "sent"]

PAUSE = 0.25
"""Seconds between two counts on the screen."""
BAR = 40
WORDS = {"allowed": Say("allowed"), "vetoed": Say("refused"), "failed": Say("failed"), "cancelled": Say("cancelled")}


@dataclass(frozen=True, slots=True)
class Wish:
    """What to repeat: row ids in the order in which they happened; one hook or the row; another URL; only a plan."""

    ids: array[int]
    hook: int | None
    to: str | None
    dry: bool


@dataclass(slots=True)
class Tally:
    """How far it is, and what came of them."""

    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    last: str = ""
    """Public id of the last one that was repeated."""
    fault: str = ""


class ManyScreen(Dialog[None]):
    """Repeats at once; closes with Escape, which first stops."""

    CSS_PATH = "replay.tcss"
    DEFAULT_CSS = box_css("ManyScreen")
    BINDINGS: ClassVar[list[Any]] = [("escape,enter", "stop", "")]

    @dataclass
    class Counted(Message):
        """So far."""

        tally: Tally
        ended: bool

    def __init__(self, wish: Wish) -> None:
        super().__init__()
        self.wish = wish
        self.halt = threading.Event()
        self.ended = False

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = str(Say("Repeating"))
            box.border_subtitle = str(Say("Esc stops"))
            yield Static(id="count")

    def on_mount(self) -> None:
        engine = self.hookrow.engine
        if engine is not None:
            self.run_all(engine)

    @work(thread=True)
    def run_all(self, engine: HookEngine) -> None:
        tally, told = Tally(), 0.0
        for tally in repeat(engine, self.wish, self.halt):
            if time.monotonic() - told >= PAUSE:
                told = time.monotonic()
                self.post_message(self.Counted(Tally(tally.done, Counter(tally.outcomes), tally.last, ""), False))
        self.post_message(self.Counted(tally, True))

    @on(Counted)
    def show(self, message: Counted) -> None:
        tally, whole = message.tally, len(self.wish.ids)
        glyphs = self.hookrow.look.glyphs
        filled = BAR * tally.done // max(1, whole)
        lines = [f"{glyphs.bar * filled}{'.' * (BAR - filled)} {number(tally.done)} / {number(whole)}"]
        lines += [f"{WORDS.get(word, word)}: {number(count)}" for word, count in sorted(tally.outcomes.items())]
        if message.ended:
            self.ended = True
            self.query_one(Vertical).border_subtitle = str(Say("Esc closes"))
            if tally.done < whole and not tally.fault:
                lines.append(
                    str(
                        Say(
                            "Stopped after {ref}: {left} were not repeated.",
                            ref=tally.last or "—",
                            left=whole - tally.done,
                        )
                    )
                )
        if tally.fault:
            lines.append(tally.fault)
        self.query_one("#count", Static).update(Styled("\n".join(lines)))

    def action_stop(self) -> None:
        if self.ended:
            self.dismiss(None)
        else:
            self.halt.set()


def sent(engine: HookEngine, done: Replayed) -> Replayed:
    """The replay with its background deliveries sent, one attempt each: the interface has no worker of its own."""
    new = done.firing
    if new is None or all(each.outcome != "queued" for each in new.deliveries):
        return done
    return replace(done, firing=engine.send_own(new))


def repeat(engine: HookEngine, wish: Wish, halt: threading.Event) -> Any:
    """Repeat one by one, giving the tally after each. A fault of one is counted; one of the database ends all."""
    tally = Tally()
    yield tally
    for row in wish.ids:
        if halt.is_set():
            return
        try:
            for firing in engine.log.by_rows([row]):  # none if it was purged meanwhile
                done = sent(engine, engine.replay(firing.id, hook=wish.hook, to=wish.to, dry_run=wish.dry))
                new = done.firing
                tally.outcomes[str(Say("shown")) if new is None else new.outcome or "failed"] += 1
                tally.last = firing.id
        except StorageError as error:
            tally.fault = str(error)
            yield tally
            return
        except HookrowError as error:
            tally.outcomes[str(error)[:60]] += 1
        tally.done += 1
        yield tally
