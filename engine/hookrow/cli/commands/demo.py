"""`hookrow demo`: the nine sample events fired at a local receiver, and the table of what happened."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.session import database_url
from hookrow.cli.show.layout import Cell, Column, cut, table, visible
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
from hookrow.hook.modes import WAITING
from hookrow.lang import Text, quoted
from hookrow.testing.server import Receiver
from hookrow.words import MODES, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookrow import HookEngine
    from hookrow.events import Event
    from hookrow.records import Delivery, Firing

__all__ = ["demo"]

INDENT = " " * 7
BETWEEN = 3.0
"""Seconds between two sample events while the terminal interface is open."""


@command("demo", more=Text("Works on a temporary database; your own are not touched."))
@option(
    "--ui/--no-ui",
    "ui",
    default=None,
    says=Text("Open the terminal interface afterwards; without this option you are asked."),
)
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one firing per line."))
def demo(ui: bool | None, as_json: bool) -> int:
    """The nine sample events fired at a local receiver."""
    from hookrow.cli.example.sample_hooks import answer

    with tempfile.TemporaryDirectory(prefix="hookrow-demo-") as folder:
        path = Path(folder) / "hooks.db"
        with Receiver(lambda came: answer(came.path, came.json())) as receiver:
            made(path, receiver.url)
            show(path, as_json=as_json)
            if wanted(ui):
                return open_interface(path)
    return exits.DONE


def made(path: Path, base: str) -> None:
    """The example as it would be made today, with its hooks pointing at the receiver that runs."""
    from hookrow import HookEngine
    from hookrow.cli.example.example import build
    from hookrow.cli.example.sample_hooks import BASE

    build(path)
    with HookEngine(database_url(str(path)), worker=False) as engine:
        for hook in engine.hooks.list():
            engine.hooks.update(hook.id or 0, url=hook.url.replace(BASE, base))


def document_events(engine: HookEngine) -> list[Event]:
    """The document's nine events, in its order."""
    return [event for event in engine.events if event.origin == "document"]


def show(path: Path, *, as_json: bool) -> None:
    """Fire every event, send what it queued, and print what happened."""
    from hookrow import HookEngine

    firings: list[Firing] = []
    with HookEngine(database_url(str(path)), worker=False) as engine:
        firings.extend(engine.send_own(engine.fire(event.code, event.sample)) for event in document_events(engine))
    if as_json:
        for firing in firings:
            put_json(firing.as_json())
        return
    put_story(firings)
    background = sum(each.mode not in WAITING for firing in firings for each in firing.deliveries)
    say("")
    say(
        Text(
            "Nine events, {n} deliveries, {k} of them in the background.",
            n=sum(len(f.deliveries) for f in firings),
            k=background,
        )
    )


def put_story(firings: Sequence[Firing]) -> None:
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
            if did := deed(each, firing):
                put(cut(f"{INDENT}{visible(did)}", limit) if limit else f"{INDENT}{visible(did)}")


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


def wanted(ui: bool | None) -> bool:
    """Whether the terminal interface is to follow."""
    if ui is not None:
        return ui
    if not (has_keyboard() and in_terminal()):
        return False
    return confirm(Text("Open the terminal interface while events come in?"), yes=False, enter=True)


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
            engine.fire(event.code, event.sample)
            turn += 1
