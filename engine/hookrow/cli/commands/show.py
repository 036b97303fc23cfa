"""`hookrow show`: everything about one firing or delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from hookrow.cli.catalogue import command, option
from hookrow.cli.exits import DONE, NO, STOPPED
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.firing_lines import put_attempts, put_firing
from hookrow.cli.show.output import confirm, in_terminal, put, put_json, say
from hookrow.cli.show.wording import clock_time
from hookrow.lang import Text
from hookrow.safetext import visible, visible_lines

if TYPE_CHECKING:
    from hookrow.records import Attempt
    from hookrow.results import Request

__all__ = ["show"]

QUESTION = Text("The receiver's response may contain secrets of its own. Print it?")
"""Asked before a reply is printed in a terminal, or as HTTP; `--json` is for programs, which can't be asked."""


@command("show", more=Text("ID is a firing (evt_…) or a delivery (msg_…), as the log and receivers name it."))
@click.argument("ref", metavar="ID")
@option("--curl", is_flag=True, says=Text("The last request as a curl line; secrets are shell variables."))
@option("--http", is_flag=True, says=Text("The last request and its reply as HTTP, secrets masked; asks first."))
@option(
    "--har", is_flag=True, says=Text("The requests as HAR, which a browser's developer tools open; secrets masked.")
)
@option("--yes", "-y", is_flag=True, says=Text("Don't ask."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON: the log's object, with payload and attempts."))
@pass_session
def show(session: Session, ref: str, curl: bool, http: bool, har: bool, yes: bool, as_json: bool) -> int:
    """Everything about one firing or delivery."""
    if curl + http + har + as_json > 1:
        raise click.UsageError(str(Text("One of --curl, --http, --har and --json.")))
    with session.engine() as engine:
        if har:
            put_json(engine.log.har([ref]))
            return DONE
        only = engine.log.delivery(ref).id if ref.startswith("msg_") else None
        firing = engine.log.get(ref)
        shares = [each for each in firing.deliveries if only is None or each.id == only]
        attempts = {each.id: engine.log.attempts(each.id) for each in shares}
        if curl or http:
            return put_requests(attempts, http=http, yes=yes)
        if as_json:
            found = firing.as_json()
            for share in found["deliveries"]:
                share["requests"] = [each.as_json() for each in attempts.get(share["id"], [])]
            put_json(found | {"payload": firing.payload, "hidden": list(firing.hidden)})
            return DONE
        zone = engine.settings.zone()
        kept = any(each.response_body for found in attempts.values() for each in found)
        replies = not (kept and in_terminal()) or confirm(QUESTION, yes=yes)
        put_firing(firing, zone)
        for share in shares:
            if attempts[share.id] or share.takeovers:
                put_attempts(share, attempts[share.id], zone, replies=replies)
            if share.outcome == "retrying" and share.due_ms is not None:
                due = clock_time(share.due_ms, zone)
                put(Text("Next attempt: {time}; {n} of 10 attempts were made.", time=due, n=share.attempts))
        return DONE


def put_requests(attempts: Mapping[str, Sequence[Attempt]], *, http: bool, yes: bool) -> int:
    """The last request of each delivery, as a curl line or as HTTP with what was answered.

    A reply is printed as it was kept, and nobody knows what a receiver put there: hence the question.
    """
    last = [each[-1] for each in attempts.values() if each]
    if not last:
        say(Text("No request was made."))
        return NO
    if not http:
        from hookrow.results import curl_line

        for each in last:
            put(curl_line(request_of(each)))
        return DONE
    kept = any(each.response_body for each in last)
    if kept and not confirm(QUESTION, yes=yes):
        return STOPPED
    for place, each in enumerate(last):
        put(("\n" if place else "") + f"POST {visible(each.url)}")
        put_message(each.request_headers, each.request_body)
        if each.status is not None:
            body = each.response_body
            put(f"\nHTTP {each.status}")
            put_message(each.response_headers, None if body is None else body.decode("utf-8", "replace"))
    return DONE


def request_of(attempt: Attempt) -> Request:
    """A recorded request in the form of one that did not leave; what the log masked stays masked."""
    from hookrow.results import Request

    return Request("POST", attempt.url, tuple(attempt.request_headers), attempt.request_body or "")


def put_message(headers: Sequence[tuple[str, str]], body: str | None) -> None:
    """Headers, an empty line, and the body."""
    for name, value in headers:
        put(f"{visible(name)}: {visible(value)}")
    if body:
        put(f"\n{visible_lines(body)}")
