"""`hookrow explain`: the plan of an event, with the reason of every hook that would not run; sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

import click

from hookrow.cli.catalogue import command, option
from hookrow.cli.read.given import here_of, moment, read_payload
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.layout import Cell, Column
from hookrow.cli.show.output import put, put_json, put_table, say
from hookrow.hook.modes import WAITING
from hookrow.lang import Text
from hookrow.safetext import visible
from hookrow.words import CANDIDATE, MODES, REASONS, time_told, word

if TYPE_CHECKING:
    from hookrow.results import Explained

__all__ = ["explain", "put_plan"]

ACTS = {
    "call": Text("is called, the operation waits"),
    "queue": Text("is sent in the background"),
    "park": Text("is parked"),
    "skip": Text("is not called"),
    "fail": Text("fails"),
}
IN_SHADOW = Text("is asked in shadow")


@command(
    "explain",
    more=Text("Conditions are evaluated on the payload as given, without the changes that earlier hooks would make."),
)
@click.argument("event")
@option("--payload", type=click.File("rb"), metavar="FILE|-", says=Text("The payload; else the event's sample."))
@option("--at", metavar="TIME", says=Text("At this time instead of now: 01.11.2026 00:00, tomorrow, RFC 3339."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one hook per line."))
@pass_session
def explain(session: Session, event: str, payload: IO[bytes] | None, at: str | None, as_json: bool) -> None:
    """Say which hooks would run."""
    given = None if payload is None else read_payload(payload)
    with session.engine() as engine:
        when = None if at is None else moment(at, here_of(engine), "--at", "moment")
        plan = engine.explain(event, given, at=when)
    if as_json:
        for each in plan:
            put_json(each.as_json())
    elif plan:
        put_plan(plan)
    else:
        say(Text("No hook is attached to {event}.", event=event))


def put_plan(plan: Sequence[Explained]) -> None:
    """The plan as a table, in the order in which the hooks run."""
    columns = [
        Column(str(Text("Position")), right=True),
        Column(str(Text("Hook")), shrink=True),
        Column(str(Text("Mode"))),
        Column(str(Text("What happens")), shrink=True),
    ]
    lines = [(step, step.hook.name) for step in plan]
    for at, step in reversed(list(enumerate(plan, 1))):
        if step.candidate is not None:
            lines.insert(at, (step.candidate, str(CANDIDATE)))
    colours = {"call": "green", "queue": "green", "park": "yellow", "fail": "red"}
    put_table(
        columns,
        [
            (str(each.position), name, word(MODES, each.mode), Cell(effect_of(each), colours.get(each.act)))
            for each, name in lines
        ],
    )
    together = sorted({each.together for each in plan if each.together is not None})
    for number in together:
        names = ", ".join(visible(each.hook.name) for each in plan if each.together == number)
        put(Text("Asked together: {hooks}", hooks=names))
    now = next((each.now for each in plan if each.now is not None), None)
    if now is not None:
        put(time_told(now))


def effect_of(step: Explained) -> str:
    """What happens to a hook, and why not more."""
    in_shadow = step.act == "queue" and step.mode in WAITING
    said = str(IN_SHADOW if in_shadow else ACTS[step.act])
    reason = word(REASONS, step.reason)
    return ": ".join(part for part in (said, reason, step.detail or "") if part)
