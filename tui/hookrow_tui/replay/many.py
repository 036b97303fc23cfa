"""Repeating many events: one after the other in a thread, with a count on the screen; Escape stops between two."""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text as Styled
from textual import on
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from hookrow.errors import HookrowError, NotRedeliverable, StorageError
from hookrow.payload import JsonObject, get_pointer, pointer_parts, put
from hookrow.words import OUTCOMES
from hookrow_tui.presenters.hook_rows import number
from hookrow_tui.widgets.counting import CountingScreen
from hookrow_tui.widgets.dialogs import box_css
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Delivery, Firing, HookEngine, Replayed

__all__ = ["ManyScreen", "Tally", "Wish", "may_have_failed", "repeat", "send_background"]

PAUSE = 0.25
"""Seconds between two counts on the screen."""
WORDS = {
    "shown": Say("shown"),
    "arrived": Say("arrived"),
    "lost": Say("did not arrive"),
    "nothing": Say("nothing to send any more, or its hook is gone"),
}
LOOKED = 1000
"""Firings that are looked at for failed deliveries before these are offered; among more there may be some."""
CHUNK = 100
GONE: Final = object()
"""In the place of a value that was taken out of the data."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to repeat: row ids in the order in which they happened; one hook or the row; another URL; only a plan; the
    failed deliveries again instead of the events anew; what is changed in the data of each: places with their new
    values, or GONE."""

    ids: array[int]
    hook: int | None
    to: str | None
    dry: bool
    again: bool = False
    changes: Sequence[tuple[str, Any]] = ()


@dataclass(slots=True)
class Tally:
    """How far it is, and what came of them."""

    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    last: str = ""
    """Public id of the last one that was repeated."""
    fault: str = ""


class ManyScreen(CountingScreen):
    """Repeats at once; closes with Escape, which first stops."""

    CSS_PATH = "replay.tcss"
    DEFAULT_CSS = box_css("ManyScreen")
    HEADING = Say("Sending again")

    @dataclass
    class Counted(Message):
        """So far."""

        tally: Tally
        ended: bool

    def __init__(self, wish: Wish) -> None:
        super().__init__()
        self.wish = wish

    def act(self, engine: HookEngine) -> None:
        tally, told = Tally(), 0.0
        for tally in repeat(engine, self.wish, self.halt):
            if time.monotonic() - told >= PAUSE:
                told = time.monotonic()
                self.post_message(self.Counted(Tally(tally.done, Counter(tally.outcomes), tally.last, ""), False))
        self.post_message(self.Counted(tally, True))

    @on(Counted)
    def show(self, message: Counted) -> None:
        tally, whole = message.tally, len(self.wish.ids)
        lines = [self.bar(tally.done, whole)]
        lines += [
            f"{WORDS.get(word) or OUTCOMES.get(word, word)}: {number(count)}"
            for word, count in sorted(tally.outcomes.items())
        ]
        if tally.fault:
            lines.append(tally.fault)
        if message.ended:
            self.ended = True
            self.query_one(Vertical).border_subtitle = str(Say("Esc closes"))
            if tally.done < whole:
                left = whole - tally.done
                lines.append(str(Say("Stopped after {ref}; not sent again: {left}.", ref=tally.last or "—", left=left)))
        self.query_one("#count", Static).update(Styled("\n".join(lines)))


def send_background(engine: HookEngine, done: Replayed) -> Replayed:
    """The replay with its background deliveries sent, one attempt each: the interface has no worker of its own."""
    new = done.firing
    if new is None or all(each.outcome != "queued" for each in new.deliveries):
        return done
    return replace(done, firing=engine.send_own(new))


def failed_of(firing: Firing, hook: int | None) -> list[Delivery]:
    """The deliveries that were tried and have not arrived, of this hook or of all."""
    return [each for each in firing.deliveries if each.failed and hook in (None, each.hook.id)]


def may_have_failed(engine: HookEngine, ids: Sequence[int], hook: int | None) -> bool:
    """Whether one of these firings has a failed delivery, as far as can be told at once."""
    for start in range(0, min(len(ids), LOOKED), CHUNK):
        if any(failed_of(each, hook) for each in engine.log.by_rows(list(ids[start : start + CHUNK]))):
            return True
    return len(ids) > LOOKED


def redeliver_failed(engine: HookEngine, wish: Wish, firing: Firing) -> Iterator[str]:
    """Send the firing's failed deliveries again, each if it is one still; what came of each, as words of `WORDS`."""
    failed = failed_of(firing, wish.hook)
    if not failed:
        yield "nothing"
    for each in failed:
        try:  # one by one, so that a deleted hook's delivery keeps none of its neighbours
            here = engine.log.delivery(each.id).failed
            done = engine.redeliver(each.id, to=wish.to, dry_run=wish.dry) if here else []
        except NotRedeliverable:
            done = []
        came = done[0] if done else None
        if came is None:
            yield "nothing"
        elif came.attempt is None:
            yield "shown"
        else:
            yield "arrived" if came.ok else "lost"


def changed(payload: JsonObject, changes: Sequence[tuple[str, Any]]) -> JsonObject:
    """The data with these changes, each where the data has that place."""
    for pointer, new in changes:
        *way, last = pointer_parts(pointer)
        holder = payload if not way else get_pointer(payload, pointer.rpartition("/")[0])
        if isinstance(holder, dict):
            kept = {name: value for name, value in holder.items() if name != last}
            leaf: Any = kept if new is GONE else {**holder, last: new}
            payload = put(payload, way, leaf)
        elif isinstance(holder, list):
            payload = put(payload, [*way, last], new)  # lists of one length differ in their members, none of them gone
    return payload


def fire_anew(engine: HookEngine, wish: Wish, firing: Firing) -> Iterator[str]:
    """Fire the event anew; its outcome. What is allowed although a receiver failed counts as failed: that is what one
    repeats for."""
    payload = changed(firing.payload, wish.changes) if wish.changes else None
    new = send_background(
        engine, engine.replay(firing.id, hook=wish.hook, to=wish.to, payload=payload, dry_run=wish.dry)
    ).firing
    if new is None:
        yield "shown"
    else:
        yield "failed" if failed_of(new, None) and new.outcome == "allowed" else new.outcome or "failed"


def repeat(engine: HookEngine, wish: Wish, halt: threading.Event) -> Any:
    """Repeat one by one, giving the tally after each. A fault of one is counted; one of the database ends all."""
    tally = Tally()
    yield tally
    for row in wish.ids:
        if halt.is_set():
            return
        try:
            for firing in engine.log.by_rows([row]):  # none if it was purged meanwhile
                words = redeliver_failed(engine, wish, firing) if wish.again else fire_anew(engine, wish, firing)
                for word in words:
                    tally.outcomes[word] += 1
                tally.last = firing.id
        except StorageError as error:
            tally.fault = str(error)
            yield tally
            return
        except HookrowError as error:
            tally.outcomes[str(error)[:60]] += 1
        tally.done += 1
        yield tally
