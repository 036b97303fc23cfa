"""`hookrow demo`: the nine sample events fired at local receivers, and the table of what happened."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.example.english import sample_of
from hookrow.cli.session import database_url, typed
from hookrow.cli.show.layout import Cell, Column, cut, table
from hookrow.cli.show.output import (
    colours,
    confirm,
    has_keyboard,
    in_terminal,
    put,
    put_json,
    say,
    terminal_width,
)
from hookrow.cli.show.wording import deed, glyph, milliseconds, outcome_cell, verdict_cell
from hookrow.clock import SystemClock
from hookrow.hook.modes import WAITING
from hookrow.lang import Text, quoted
from hookrow.safetext import visible
from hookrow.testing.server import Answer, Came, Receiver
from hookrow.words import ERRORS, MODES, word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hookrow import HookEngine, Worker
    from hookrow.events import Event
    from hookrow.records import Attempt, Delivery, Firing

__all__ = ["demo"]

INDENT = " " * 7
BETWEEN = 3.0
"""Seconds between two sample events while the terminal interface is open."""
BEHIND_MS = 10_000
"""So far behind the wall clock the events are fired: a retry after 5 s is due at once, and not in the future."""
PATIENCE = 10.0
"""Seconds for the retries."""


class EarlierClock(SystemClock):
    """The machine's clock, set back."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return super().now_ms() - self.ms


@command("demo", more=Text("Works on a temporary database; your own are not touched."))
@option(
    "--ui/--no-ui",
    "ui",
    default=None,
    says=Text("Open the terminal interface afterwards; without this option you are asked."),
)
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one firing per line."))
def demo(ui: bool | None, as_json: bool) -> int:
    """Fire the nine sample events at local receivers and show what happened."""
    from hookrow.cli.example.sample_hooks import SAMPLE_HOOKS

    with tempfile.TemporaryDirectory(prefix="hookrow-demo-") as folder, ExitStack() as receivers:
        path = Path(folder) / "hooks.db"
        events = dict.fromkeys(values["event"] for values in SAMPLE_HOOKS)
        example_at_receivers(path, {event: receivers.enter_context(Receiver(reply_to)).url for event in events})
        show(path, as_json=as_json)
        ended = open_interface(path) if asks_for_interface(ui) else exits.DONE
    if not as_json:
        say_next()
    return ended


def reply_to(came: Came) -> Answer:
    """What a receiver says: as in the example, but that the one which failed is there again at the next attempt."""
    from hookrow.cli.example.sample_hooks import answer

    said = answer(came.path, came.json())
    return Answer.of({"allow": True}) if said.status >= 500 and came.headers["hook-attempt"] != "1" else said


def example_at_receivers(path: Path, receivers: Mapping[str, str]) -> None:
    """The example as it would be made today, with each event's hooks pointing at a receiver that runs."""
    from hookrow import HookEngine
    from hookrow.cli.example.example import build
    from hookrow.cli.example.sample_hooks import BASE

    build(path)
    with HookEngine(database_url(str(path)), worker=False) as engine:
        for hook in engine.hooks.list():
            engine.hooks.update(hook.id or 0, url=hook.url.replace(BASE, receivers[hook.event]))


def document_events(engine: HookEngine) -> list[Event]:
    """The document's nine events, in its order."""
    return [event for event in engine.events if event.origin == "document"]


def show(path: Path, *, as_json: bool) -> None:
    """Fire every event, send what it queued, send again what failed, and print what happened."""
    from hookrow import HookEngine

    url = database_url(str(path))
    with HookEngine(url, worker=False, clock=EarlierClock(BEHIND_MS)) as engine:
        firings = [engine.send_own(engine.fire(event.code, sample_of(event))) for event in document_events(engine)]
    if waits := [each for firing in firings for each in firing.deliveries if each.outcome == "retrying"]:
        asyncio.run(retry(url, waits))
    with HookEngine(url, worker=False) as engine:
        again = {each.firing_id: engine.log.get(each.firing_id) for each in waits}
        attempts = {each.id: engine.log.attempts(each.id) for each in waits}
    firings = [again.get(firing.id, firing) for firing in firings]
    if as_json:
        for firing in firings:
            put_json(firing.as_json())
        return
    put_story(firings, attempts)
    background = sum(each.mode not in WAITING for firing in firings for each in firing.deliveries)
    say("")
    say(
        Text(
            "Nine events, {n} deliveries, {k} of them in the background.",
            n=sum(len(f.deliveries) for f in firings),
            k=background,
        )
    )


async def retry(url: str, waits: Sequence[Delivery]) -> None:
    """Let a worker send what waits for its next attempt, at the moment when the last of it is due."""
    from hookrow import AsyncHookEngine

    due_ms = max(each.due_ms or 0 for each in waits)
    workers: list[Worker] = []
    async with AsyncHookEngine(url, worker=False, clock=EarlierClock(SystemClock().now_ms() - due_ms)) as engine:
        running = asyncio.ensure_future(engine.run_worker(started=workers.append))
        limit = asyncio.get_running_loop().time() + PATIENCE
        for each in waits:
            while (await engine.log.delivery(each.id)).attempts == each.attempts and not running.done():
                if asyncio.get_running_loop().time() > limit:
                    break
                await asyncio.sleep(0.02)
        for worker in workers:
            await worker.drain()
        await running


def put_story(firings: Sequence[Firing], attempts: Mapping[str, Sequence[Attempt]]) -> None:
    """Each event with its verdict, below it its hooks in order, and below each what it did: fits 80 columns."""
    columns = [
        Column(str(Text("Position")), right=True),
        Column(str(Text("Hook")), shrink=True),
        Column(str(Text("Mode")), shrink=True),
        Column(str(Text("Outcome"))),
        Column(str(Text("Time")), right=True),
    ]
    rows = [row_of(each) for firing in firings for each in firing.deliveries]
    limit = terminal_width()
    title, *lines = table(columns, rows, limit=limit, colours=colours())
    put(title)
    rest = iter(lines)
    for firing in firings:
        said = f"  {quoted(firing.veto.message)}" if firing.veto else ""
        put(f"{firing.event}  {verdict_cell(firing).text}  {milliseconds(firing.ms)}{said}")
        for each in firing.deliveries:
            put(next(rest))
            if did := attempt_lines(attempts[each.id]) if each.id in attempts else deed(each, firing):
                put(cut(f"{INDENT}{visible(did)}", limit) if limit else f"{INDENT}{visible(did)}")


def attempt_lines(attempts: Iterable[Attempt]) -> str:
    """Each attempt with its status, and how long after the one before it came."""
    told, before_ms = [], None
    for each in attempts:
        came = str(each.status) if each.error in (None, "bad_status") else word(ERRORS, each.error)
        if before_ms is None:
            told.append(str(Text("attempt {n}: {answer}", n=each.number, answer=came)))
        else:
            later = round((each.at_ms - before_ms) / 1000)
            told.append(str(Text("attempt {n} after {s} s: {answer}", n=each.number, s=later, answer=came)))
        before_ms = each.at_ms
    return "; ".join(told)


def row_of(each: Delivery) -> Sequence[str | Cell]:
    """A hook's line."""
    sign = glyph(each.outcome)
    return (
        str(each.position),
        each.hook.name,
        Cell(word(MODES, each.mode), dim=True),
        Cell(f"{sign.text} {outcome_cell(each.outcome).text}", sign.colour),
        milliseconds(each.ms),
    )


def asks_for_interface(ui: bool | None) -> bool:
    """Whether the terminal interface is to follow."""
    if ui is not None:
        return ui
    if not (has_keyboard() and in_terminal()):
        return False
    return confirm(Text("Open the terminal interface while events come in?"), yes=False, enter=True)


def say_next() -> None:
    """Three things to do next, each a line that can be pasted where this was called."""
    hookrow = typed()
    interface = hookrow if find_spec("textual") else f"{hookrow} hooks list"
    own = interface if Path("hooks.db").exists() else f"{hookrow} init --example && {interface}"
    say("")
    for what, line in (
        (Text("Look around and edit: these hooks and their log in ./hooks.db"), own),
        (Text("Start a test receiver for these hooks (Ctrl+C ends it)"), f"{hookrow} listen"),
        (Text("Fire an event at it from another terminal"), f"{hookrow} fire before_order_add"),
    ):
        say(f"{what}:")
        say(f"  {line}")


def open_interface(path: Path) -> int:
    """The terminal interface on the demo's database, while a thread fires the samples one after another."""
    from hookrow.cli.commands.tui import open_on

    done = threading.Event()
    live = threading.Thread(target=keep_firing, args=(path, done), name="demo", daemon=True)
    live.start()
    try:
        return open_on(database_url(str(path)))
    finally:
        done.set()
        live.join()


def keep_firing(path: Path, done: threading.Event) -> None:
    """Fire the sample events in turn until told to stop; a worker of its own sends what is queued."""
    from hookrow import HookEngine

    with HookEngine(database_url(str(path))) as engine:
        events = document_events(engine)
        turn = 0
        while not done.wait(BETWEEN):
            event = events[turn % len(events)]
            engine.fire(event.code, sample_of(event))
            turn += 1
