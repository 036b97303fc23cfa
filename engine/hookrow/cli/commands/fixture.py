"""`hookrow fixture`: a recorded request and its reply as a pytest test that is ready to run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import confirm, put_file, say
from hookrow.lang import Text
from hookrow.records import Attempt, Delivery, Firing
from hookrow.results import MASK

__all__ = ["fixture", "source_of"]

TEST = '''"""Recorded by Hookrow: {event}, hook {hook}, delivery {delivery}."""

import json

import httpx
from pytest_httpx import HTTPXMock

URL = {url}
HEADERS = {headers}
REQUEST = {request}
STATUS = {status}
REPLY_HEADERS = {reply_headers}
REPLY = {reply}


def test_{name}(httpx_mock: HTTPXMock) -> None:
    """The receiver stands in as it answered; put a call of your own code in place of httpx.post."""
    httpx_mock.add_response(method="POST", url=URL, status_code=STATUS, headers=REPLY_HEADERS, content=REPLY)

    answer = httpx.post(URL, headers=HEADERS, content=REQUEST)

    assert answer.status_code == STATUS
    assert answer.content == REPLY
    sent = httpx_mock.get_requests()
    assert [request.content for request in sent] == [REQUEST]
    assert json.loads(sent[0].content) == json.loads(REQUEST)
'''

UNSAID = frozenset(
    {
        "authorization",
        "set-cookie",
        "webhook-signature",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
    }
)
"""Headers that are secret, or that belong to one connection."""


@command("fixture", more=Text("ID is a delivery (msg_…), or a firing (evt_…) that made requests to one hook only."))
@click.argument("ref", metavar="ID")
@option("--yes", "-y", is_flag=True, says=Text("Don't ask."))
@pass_session
def fixture(session: Session, ref: str, yes: bool) -> int:
    """Write a recorded request and its reply as a pytest test."""
    with session.engine() as engine:
        firing = engine.log.get(ref)
        named = engine.log.delivery(ref).id if ref.startswith("msg_") else None
        shares = [each for each in firing.deliveries if named is None or each.id == named]
        found = [(each, tries[-1]) for each in shares if (tries := engine.log.attempts(each.id))]
    if len(found) > 1:
        raise click.UsageError(
            str(Text("Give one delivery: {ids}", ids=", ".join(delivery.id for delivery, _ in found)))
        )
    if not found:
        say(Text("No request was made."))
        return exits.NO
    delivery, attempt = found[0]
    if attempt.status is None:
        say(Text("No response."))
        return exits.NO
    question = Text("The receiver's response may contain secrets of its own. Print it?")
    if attempt.response_body and not confirm(question, yes=yes):
        return exits.STOPPED
    put_file(source_of(firing, delivery, attempt))
    return exits.DONE


def source_of(firing: Firing, delivery: Delivery, attempt: Attempt) -> str:
    """The source of the test. What the log masked is left out of the headers, and stands as SECRET in the URL."""
    name = re.sub(r"\W+", "_", f"{firing.event}_{delivery.hook.key}", flags=re.ASCII).strip("_").lower()
    return TEST.format(
        event=plain(firing.event),
        hook=plain(delivery.hook.key),
        delivery=delivery.id,
        name=name,
        url=ascii(attempt.url.replace(MASK, "SECRET")),
        headers=headers_of(attempt.request_headers),
        request=ascii((attempt.request_body or "").encode()),
        status=attempt.status,
        reply_headers=headers_of(attempt.response_headers),
        reply=ascii(attempt.response_body or b""),
    )


def headers_of(headers: Sequence[tuple[str, str]]) -> str:
    """The headers that may be shown, as a Python dictionary."""
    kept = {name: value for name, value in headers if name.lower() not in UNSAID and MASK not in name + value}
    return ascii(kept)


def plain(text: str) -> str:
    """A text that can stand in a docstring."""
    return json.dumps(text)[1:-1].replace('"', "'").replace("\\", "/")
