"""`hookrow events`: the catalogue, and which of its events an API call means."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import COMMANDS, Command, Family, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.layout import Column
from hookrow.cli.show.output import put, put_json, put_table, say
from hookrow.hook.together import PREFIX
from hookrow.lang import Text
from hookrow.safetext import visible

if TYPE_CHECKING:
    from hookrow.events import Event, Events

__all__ = ["events"]


@click.group("events", cls=Family, brief=COMMANDS["events"].brief, invoke_without_command=True)
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one event per line."))
@click.pass_context
def events(ctx: click.Context, as_json: bool) -> None:
    """The catalogue, and which of its events an API call means."""
    if ctx.invoked_subcommand is not None:
        return
    with catalogue(ctx.obj) as (known, together):
        if as_json:
            for event in known:
                put_json(event_json(event, together))
            return
        put_table(
            [Column(str(Text("Event"))), Column(str(Text("Title"))), Column(str(Text("API methods")), shrink=True)],
            [(event.code, str(event.title), ", ".join(event.methods)) for event in known],
        )
        if codes := [event.code for event in known if event.code in together]:
            put(Text("Gates of one position are asked together: {events}", events=visible(", ".join(codes))))


@events.command(
    "match", cls=Command, brief=Text("Show which event types an API call triggers: events match POST /user/new")
)
@click.argument("method")
@click.argument("path")
@option("--holds", multiple=True, metavar="CONDITION", says=Text("Treat this condition as true."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one event per line."))
@pass_session
def match(session: Session, method: str, path: str, holds: tuple[str, ...], as_json: bool) -> int:
    """Which events an API call means."""
    with catalogue(session) as (known, together):
        found = known.match(method, path, holds=holds)
    for event in found:
        if as_json:
            put_json(event_json(event, together))
        else:
            put(f"{event.code}  {event.title}")
    if not found:
        say(Text("No event is triggered by {method} {path}", method=method, path=path))
    return exits.DONE if found else exits.NO


@events.command("set", cls=Command, brief=Text("Change how an event's hooks are asked: events set EVENT --together"))
@click.argument("event")
@option(
    "--together/--no-together",
    "together",
    required=True,
    says=Text("Ask neighbouring gates of the same position at the same time; those behind a refusal are asked too."),
)
@pass_session
def set_event(session: Session, event: str, together: bool) -> None:
    """Change how an event's hooks are asked."""
    with session.engine() as engine:
        engine.settings.set(f"{PREFIX}{event}", "on" if together else "off")
    if together:
        say(
            Text(
                "{event}: neighbouring gates of the same position are asked at the same time. Unlike one after "
                "another, gates behind a refusal are asked too and may act.",
                event=event,
            )
        )
    else:
        say(Text("{event}: gates are asked one after another.", event=event))


@contextmanager
def catalogue(session: Session) -> Iterator[tuple[Events, frozenset[str]]]:
    """The database's catalogue, with what services added, and the events whose gates are asked together; without a
    database, the built-in one."""
    from hookrow.events import Events

    if session.path is not None and not session.path.exists():
        yield Events(), frozenset()
        return
    with session.engine() as engine:
        yield Events(event for event in engine.events if not event.system), engine.settings.together()


def event_json(event: Event, together: Container[str]) -> dict[str, Any]:
    """The contract of `events --json`."""
    return {
        "code": event.code,
        "title": {"en": getattr(event.title, "en", event.title), "ru": getattr(event.title, "ru", event.title)},
        "moment": event.moment,
        "methods": list(event.methods),
        "sample": event.sample,
        "private": list(event.private),
        "origin": event.origin,
        "together": event.code in together,
    }
