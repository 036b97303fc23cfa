"""`hookrow listen`: a receiver for developers. Prints what comes, checks signatures, answers as told."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Callable
from typing import Any

import click

from hookrow.cli.catalogue import command, option
from hookrow.cli.show.output import paint, put, put_json, say, to_json
from hookrow.clock import SystemClock
from hookrow.hook.checks import Unfit, check_signing_secret
from hookrow.lang import Text
from hookrow.safetext import visible, visible_lines
from hookrow.testing.server import Answer, Came, Receiver

__all__ = ["ReplyChoice", "listen"]

MASKED = ("authorization", "cookie")
SHOWN = 4000
"""Characters of a body that are printed; --json has all of it."""


class ReplyChoice(click.ParamType[Callable[[Came], Answer]]):
    """`allow`, `veto`, `echo`, `slow:SECONDS`, `status:NUMBER`: how every request is answered."""

    name = "reply"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Callable[[Came], Answer]:
        if callable(value):
            return value  # type: ignore[no-any-return]
        if value == "allow":
            return lambda came: Answer.of({"allow": True})
        if value == "veto":
            return lambda came: Answer.of({"allow": False, "message": "hookrow listen --reply veto", "code": "listen"})
        if value == "echo":
            return lambda came: Answer(200, came.body, headers={"content-type": "application/json"})
        if found := re.fullmatch(r"slow:(\d+(?:[.,]\d+)?)", value):
            seconds = float(found[1].replace(",", "."))
            return lambda came: Answer.of({"allow": True}, seconds=seconds)
        if found := re.fullmatch(r"status:([2-5]\d\d)", value):
            status = int(found[1])
            return lambda came: Answer(status)
        return self.fail(str(Text("allow, veto, echo, slow:SECONDS or status:NUMBER (200 to 599)")), param, ctx)


@command("listen", more=Text("Point a hook, or replay --to, at the address it prints. Ctrl+C ends it."))
@option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8920,
    metavar="PORT",
    says=Text("Port on 127.0.0.1; 0 takes a free one."),
)
@option(
    "--reply",
    type=ReplyChoice(),
    default="allow",
    metavar="REPLY",
    says=Text("allow, veto, echo, slow:SECONDS or status:NUMBER."),
)
@option("--secret-env", metavar="VAR", says=Text("Check signatures by the whsec_… secret in this variable."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one request per line."))
def listen(port: int, reply: Callable[[Came], Answer], secret_env: str | None, as_json: bool) -> None:
    """A receiver for developers."""
    if secret_env is not None and not os.environ.get(secret_env):
        raise click.UsageError(str(Text("The variable {name} is not set.", name=secret_env)))
    try:
        secret = None if secret_env is None else check_signing_secret(os.environ[secret_env])
    except Unfit as unfit:
        raise click.UsageError(f"{secret_env}: {unfit.text}") from None
    turn, failed = threading.Lock(), threading.Event()
    faults: list[BaseException] = []

    def answer(came: Came) -> Answer:
        given = reply(came)
        try:
            with turn:
                signed = None if secret is None else came.signature(secret, SystemClock().now_ms() / 1000)
                show(came, given, signed, as_json=as_json)
        except BrokenPipeError as fault:
            faults.append(fault)
            failed.set()
        return given

    try:
        receiver = Receiver(answer, port)
    except OSError as error:
        busy = Text("Port {port} can't be used: {reason}. Try --port 0.", port=port, reason=error.strerror)
        raise click.UsageError(str(busy)) from None
    with receiver:
        say(Text("Listening on {url} (Ctrl+C ends)", url=receiver.url))
        failed.wait()
    raise faults[0]


def show(came: Came, given: Answer, signed: str | None, *, as_json: bool) -> None:
    """Print one request, and what is answered."""
    headers = {name: masked(name, value) for name, value in came.headers.items()}
    value = came.json()
    if as_json:
        body = value if value is not None else came.body.decode("utf-8", "replace")
        put_json(
            {
                "method": came.method,
                "path": came.path,
                "headers": headers,
                "body": body,
                "signature": signed,
                "status": given.status,
            }
        )
        return
    event = next((text for name, text in came.headers.items() if name.lower() == "hook-event"), "")
    put(f"{paint(came.method, bold=True)} {visible(came.path)}  {paint(event, 'cyan')}")
    for name, text in headers.items():
        put(f"  {paint(name, dim=True)}: {visible(text)}")
    text = came.body.decode("utf-8", "replace") if value is None else to_json(value, indent=2)
    for line in visible_lines(text[:SHOWN]).split("\n"):
        put(f"  {line}")
    if len(text) > SHOWN:
        put(Text("  … {n} characters more: --json has all of them", n=len(text) - SHOWN))
    if signed is not None:
        verdict = paint(signed, "green" if signed == "valid" else "red")
        put(Text("  signature: {verdict}", verdict=verdict))
    put(Text("  answered: {status}", status=paint(str(given.status), "green" if given.status < 400 else "red")))
    if 400 <= given.status < 500 and b'"allow"' not in given.body:
        put(Text('  note: a 4xx without "allow": false is a failure, not a veto'))
    put()


def masked(name: str, value: str) -> str:
    """A header's value, without the credentials in it; of basic auth the login is kept."""
    if name.lower() not in MASKED:
        return value
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            login = base64.b64decode(rest).decode("utf-8").partition(":")[0]
        except ValueError:
            login = ""
        return f"{scheme} {login}:••••••••"
    return f"{scheme} ••••••••" if rest else "••••••••"
