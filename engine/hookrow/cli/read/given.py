"""What a person gives besides a hook's fields: payload files, moments in the settings' zone, the log's filters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import click

from hookrow.cli.catalogue import option
from hookrow.clock import SystemClock, from_ms, to_ms
from hookrow.errors import HookNotFound, InvalidInput, InvalidPayload, Problem
from hookrow.lang import Text
from hookrow.words import DIFFERS, OUTCOMES, PROBLEM, WOULD, Listing, Word, outcome_code, read_word

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow.hook.dates import Here, Use
    from hookrow.records import LogFilter

__all__ = [
    "filter_given",
    "filter_options",
    "here_of",
    "hook_id",
    "log_filter",
    "moment",
    "parse_payload",
    "read_payload",
]

FILTERS = ("event", "hook", "outcome", "since", "until", "search", "code", "would")


def here_of(engine: HookEngine) -> Here:
    """When and where the person types."""
    from hookrow.hook.dates import Here

    return Here(from_ms(SystemClock().now_ms()), engine.settings.zone())


def moment(text: str, here: Here, name: str, use: Use, *, end: bool = False) -> datetime:
    """A moment as the form takes it, RFC 3339 with an offset, or a time ago: `15m`, `2h`, `1w`.

    Raises:
        InvalidInput: none of these.
    """
    from hookrow.hook.dates import parse
    from hookrow.hook.fields import Unfit

    try:
        value = parse(text, now=here.now, zone=here.zone, end=end, use=use).value
    except Unfit as fault:
        raise InvalidInput([Problem(name, fault.text)]) from None
    assert value is not None, "only a period may be open"
    return value


def read_payload(file: IO[bytes]) -> dict[str, Any]:
    """The JSON object in a file or on stdin.

    Raises:
        InvalidPayload: it holds something else.
    """
    return parse_payload(file.read(), getattr(file, "name", "-"))


def parse_payload(raw: bytes, name: str) -> dict[str, Any]:
    """The JSON object in these bytes; `name` says in an error where they come from."""
    from hookrow.delivery.replyjson import NotJson, strict_loads  # only now: help needs no payload

    try:
        value = strict_loads(raw)
    except NotJson as fault:
        raise InvalidPayload("", Text("{name} is not JSON: {reason}", name=name, reason=fault.text)) from None
    if not isinstance(value, dict):
        raise InvalidPayload("", Text("{name} is not a JSON object.", name=name))
    return value


class Outcome(click.Choice[str]):
    """Any word that is shown for an outcome, an error or a skip reason, in either language, or its code."""

    def __init__(self) -> None:
        super().__init__(list(OUTCOMES))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        found = outcome_code(value)
        return super().convert(value, param, ctx) if found is None else found


class Would(click.Choice[str]):
    """What an answer in shadow would have done: its code, or the word that is shown for it, in either language."""

    def __init__(self) -> None:
        super().__init__(list(WOULD))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert(read_word(WOULD, value) or value, param, ctx)


INCLUDED = Text("Only firings that include this hook (ID, key or exact name).")
FOUND = (*OUTCOMES.values(), PROBLEM, DIFFERS)


def filter_options(function: Any, hook: Text = INCLUDED) -> Any:
    """Add the log's filters to a command; they find the same everywhere. `hook`: its help, where it does more."""
    options = (
        option("--event", metavar="EVENT", says=Text("Only firings of this event.")),
        option("--hook", metavar="HOOK", says=hook),
        option("--outcome", type=Outcome(), metavar="OUTCOME", says=outcome_help(FOUND)),
        option(
            "--since",
            metavar="TIME",
            says=Text("From this moment on: 01.11.2026 10:00, 01.11, yesterday, 2h or 1w (ago), RFC 3339."),
        ),
        option("--until", metavar="TIME", says=Text("Before this moment, or to the end of this day.")),
        option("--search", metavar="TEXT", says=Text("Only firings whose payload contains this text.")),
        option("--code", metavar="STATUS", says=Text("Only firings with this response status, such as 404 or 5xx.")),
        option(
            "--would",
            type=Would(),
            metavar="ANSWER",
            says=Text(
                "Only firings in which a hook in shadow, or a candidate, would have done this: {words}.",
                words=Listing(WOULD.values()),
            ),
        ),
    )
    for add in reversed(options):
        function = add(function)
    return function


def outcome_help(words: Iterable[Word]) -> Text:
    """The words that a filter by outcome takes."""
    return Text(
        "With this outcome, of the firing or of a delivery: {words}; or with this error or skip reason.",
        words=Listing(words),
    )


def filter_given(options: dict[str, Any]) -> bool:
    """Whether any filter was named."""
    return any(options.get(name) is not None for name in FILTERS)


def log_filter(engine: HookEngine, options: dict[str, Any]) -> LogFilter:
    """The filter that the options mean.

    Raises:
        HookNotFound, Ambiguous: for `--hook`.
        EventNotFound: for `--event`.
        InvalidInput: for a moment or a status.
    """
    from hookrow.records import LogFilter

    here = here_of(engine)
    since, until = options.get("since"), options.get("until")
    if options.get("event") is not None:
        engine.events.get(options["event"])
    return LogFilter(
        event=options.get("event"),
        hook=None if options.get("hook") is None else hook_id(engine, options["hook"]),
        outcome=options.get("outcome"),
        since_ms=None if since is None else to_ms(moment(since, here, "--since", "log")),
        until_ms=None if until is None else to_ms(moment(until, here, "--until", "log", end=True)),
        search=options.get("search"),
        code=options.get("code"),
        would=options.get("would"),
    )


def hook_id(engine: HookEngine, ref: str) -> int:
    """A hook's id; the log also speaks of deleted ones, which are found by id, key or name as well."""
    try:
        found = engine.hooks.get(ref)
    except HookNotFound:
        gone = [each for each in engine.hooks.list(deleted=True) if ref in (str(each.id), each.key, each.name)]
        if not gone:
            raise
        found = gone[-1]
    assert found.id is not None
    return found.id
