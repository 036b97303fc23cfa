"""`hookrow fire`: fires an event, sends what it queued once, and says what came of it."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.example.english import sample_of
from hookrow.cli.read.given import read_payload
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.firing_lines import put_verdict
from hookrow.cli.show.output import in_terminal, put_json, say, unrecorded
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow.records import Firing

__all__ = ["fire"]


@command(
    "fire",
    more=Text(
        "Without --payload, the event's sample is sent. Failed background deliveries are left to a worker to "
        "retry. Exit code 1: the operation was vetoed or stopped."
    ),
)
@click.argument("event")
@option("--payload", type=click.File("rb"), metavar="FILE|-", says=Text("The payload, a JSON object."))
@option(
    "--idempotency-key",
    metavar="KEY",
    says=Text("Return the earlier result if this key was used in the last ten minutes."),
)
@option("--no-wait", is_flag=True, says=Text("Leave background deliveries to a worker."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: one object."))
@pass_session
def fire(
    session: Session, event: str, payload: IO[bytes] | None, idempotency_key: str | None, no_wait: bool, as_json: bool
) -> int:
    """Fire an event and obey the answer."""
    given = None if payload is None else read_payload(payload)
    with session.engine() as engine:
        found = engine.events.get(event)
        if given is None:
            say(Text("No --payload: the sample of {event} is sent.", event=event))
        data = sample_of(found) if given is None else given
        firing = engine.fire(event, data, idempotency_key=idempotency_key)
        firing.raise_for_error()
        if not no_wait and not firing.reused:
            with unrecorded(as_json=as_json):
                firing = send_background(engine, firing)
    if as_json:
        put_json(firing.as_json())
    else:
        put_verdict(firing)
        if not firing.deliveries:
            say(Text("No hook is attached to {event}: nothing was sent or recorded.", event=event))
        waits = sum(delivery.outcome in ("queued", "retrying") for delivery in firing.deliveries)
        if waits:
            say(Text("Deliveries waiting for a worker: {n}. Start one: hookrow worker", n=waits))
    return exits.DONE if firing.allowed else exits.NO


def send_background(engine: HookEngine, firing: Firing) -> Firing:
    """Send the firing's own background deliveries, one attempt each, and give it as it stands then."""
    waiting = [delivery for delivery in firing.deliveries if delivery.outcome == "queued"]
    if not waiting:
        return firing
    label = str(Text("Sending"))
    with click.progressbar(
        length=len(waiting), label=label, file=sys.stderr, hidden=not in_terminal(sys.stderr)
    ) as bar:

        def advance(now: Firing) -> None:
            bar.update(len(waiting) - sum(each.outcome == "queued" for each in now.deliveries) - bar.pos)

        return engine.send_own(firing, advance)
