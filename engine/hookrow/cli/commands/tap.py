"""`hookrow tap`: live copies of deliveries to a developer's machine, the answers beside the recorded ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import command, option
from hookrow.cli.commands.log import POLL
from hookrow.cli.commands.redeliver import put_request
from hookrow.cli.commands.replay import outcome_and_deed
from hookrow.cli.read.given import filter_options, log_filter
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.output import confirm, paint, put, put_json, say
from hookrow.cli.show.wording import clock_time, milliseconds
from hookrow.clock import LATE_IDS
from hookrow.hook.checks import public_url
from hookrow.hook.elsewhere import elsewhere, stays_here
from hookrow.lang import Plural, Text
from hookrow.safetext import visible
from hookrow.words import DIFFERS, ERRORS, word

if TYPE_CHECKING:
    from datetime import tzinfo

    from hookrow import HookEngine, LogFilter, Tapped

__all__ = ["Attempts", "tap"]

MOST = 100
"""So many copies wait for a slow target; more are dropped and counted."""
PAGE = 1000
NOT_REACHED = frozenset({"connect_error", "name_error", "tls_error", "blocked_address", "local_error"})
"""Of a copy: no answer of the target's, and the next copy will most likely fare alike."""


@command(
    "tap",
    more=Text(
        "Each attempt that the log records from now on is copied, without credentials, unsigned, marked hook-tap: 1. "
        "Nothing is recorded of it. Give --to or --print. Ctrl+C ends it."
    ),
)
@filter_options
@option("--to", metavar="URL", says=Text("Send the copies to this address."))
@option("--print", "show", is_flag=True, says=Text("Print the copies instead of sending them."))
@option("--with-auth", is_flag=True, says=Text("Sign the copies, and send the hooks' credentials with them."))
@option("--yes", "-y", is_flag=True, says=Text("Don't ask, where the address is not this machine's."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one object per line."))
@pass_session
def tap(session: Session, to: str | None, show: bool, with_auth: bool, yes: bool, as_json: bool, **options: Any) -> int:
    """Send live copies of deliveries to a developer's machine."""
    if (to is None) is not show:
        raise click.UsageError(str(Text("Give --to or --print, one of the two.")))
    if options["outcome"] == DIFFERS.code:
        raise click.UsageError(str(Text("What candidates were asked is not copied: nothing would match.")))
    to = elsewhere(to)
    with session.engine() as engine:
        wanted = log_filter(engine, options)
        away = to is not None and not stays_here(to)
        if away and not confirm(Text("The copies leave this machine. Continue?"), yes=yes):
            return exits.STOPPED
        copies = Copies(engine, wanted)
        say(copies.begun(to))
        target = Target("" if to is None else public_url(to))
        zone = engine.settings.zone()
        try:
            for number in copies:
                tapped = engine.tap(number, to=to, with_auth=with_auth)
                if tapped is None:
                    continue
                copies.tell_private(tapped)
                if target.reached(tapped):
                    put_copy(tapped, zone, as_json=as_json)
        finally:
            if to is not None:
                say(target.told(copies.dropped.total))
    return exits.DONE


class Attempts:
    """Attempts as the log records them, each once. One may become visible after a later one (`LATE_IDS`)."""

    def __init__(self, engine: HookEngine, wanted: LogFilter) -> None:
        self.engine: Final = engine
        self.wanted: Final = wanted
        self.last: int = engine.log.newest_attempt()
        self.version: int | None = None
        self.seen: set[int] = {row_id for row_id, _ in self.since(self.last - LATE_IDS)}

    def since(self, after: int) -> Iterator[tuple[int, bool | None]]:
        """All after this row id, in their order."""
        after = max(after, 0)
        while found := self.engine.log.attempts_since(self.wanted, after=after, limit=PAGE):
            yield from found
            after = found[-1].row_id

    def fresh(self) -> list[int]:
        """Those that came since it was asked last, and are meant."""
        version = self.engine.log.data_version()
        if version == self.version:
            return []
        self.version = version
        found = [each for each in self.since(self.last - LATE_IDS) if each[0] not in self.seen]
        known = [row_id for row_id, meant in found if meant is not None]  # the others are asked for again
        self.last = max([self.last, *known])
        self.seen = {row_id for row_id in self.seen.union(known) if row_id > self.last - LATE_IDS}
        return [row_id for row_id, meant in found if meant]


class Count:
    """Something that goes on for a while: said when it begins, and how often it was when it ends."""

    def __init__(self) -> None:
        self.now: int = 0
        self.total: int = 0

    def add(self, number: int, begins: Text) -> None:
        if number and not self.now:
            say(begins)
        self.now += number
        self.total += number

    def over(self) -> int:
        """How often it was; 0 where it did not go on."""
        ended, self.now = self.now, 0
        return ended


class Copies:
    """What is to be copied, in order. What waits are row ids: the log keeps the rest until it is sent."""

    def __init__(self, engine: HookEngine, wanted: LogFilter) -> None:
        self.attempts: Final = Attempts(engine, wanted)
        self.waiting: Final[deque[int]] = deque()
        self.dropped: Final = Count()
        self.private_told: bool = False

    def begun(self, to: str | None) -> Text:
        """What is to be said before the first one comes."""
        if to is None:
            return Text("Printing copies of deliveries (Ctrl+C ends)")
        return Text("Copying deliveries to {url} (Ctrl+C ends)", url=public_url(to))

    def __iter__(self) -> Iterator[int]:
        pause = threading.Event()
        while True:
            self.take(self.attempts.fresh())
            if self.waiting:
                yield self.waiting.popleft()
                continue
            if dropped := self.dropped.over():
                say(Plural("{n} copy was dropped.", "{n} copies were dropped.", dropped))
            pause.wait(POLL)

    def take(self, fresh: list[int]) -> None:
        """Let these wait, as far as there is room."""
        room = MOST - len(self.waiting)
        self.waiting.extend(fresh[:room])
        self.dropped.add(len(fresh[room:]), Text("The target is too slow: {n} copies wait, more are dropped.", n=MOST))

    def tell_private(self, tapped: Tapped) -> None:
        """Once: what is missing in bodies."""
        if tapped.firing.hidden and not self.private_told:
            self.private_told = True
            say(Text("Private fields are not in the log: they are null in the copies."))


class Target:
    """How the target fares: what it does not take is said once and counted."""

    def __init__(self, url: str) -> None:
        self.url: Final = url
        self.lost: Final = Count()
        self.answered: int = 0

    def reached(self, tapped: Tapped) -> bool:
        """Whether there is an answer to show."""
        copy = tapped.copy
        if copy is not None and copy.error in NOT_REACHED:
            why = ": ".join(filter(None, (word(ERRORS, copy.error), copy.detail)))
            self.lost.add(1, Text("Copies don't reach {url}: {why}", url=self.url, why=why))
            return False
        if lost := self.lost.over():
            say(Text("{url} answers again; copies lost: {n}", url=self.url, n=lost))
        self.answered += 1
        return True

    def told(self, dropped: int) -> Text:
        """What came of all copies."""
        return Text(
            "Copies answered: {n}, lost: {lost}, dropped: {dropped}",
            n=self.answered,
            lost=self.lost.total,
            dropped=dropped,
        )


def put_copy(tapped: Tapped, zone: tzinfo, *, as_json: bool) -> None:
    """A copy with its answer in a line, or as it would be sent."""
    firing, delivery, attempt, answered = tapped.firing, tapped.delivery, tapped.attempt, tapped.answered
    if as_json:
        put_json(tapped.as_json())
        return
    head = [clock_time(attempt.at_ms, zone), firing.event, delivery.hook.name, delivery.id]
    if attempt.number > 1:
        head.append(str(Text("attempt {n}", n=attempt.number)))
    line = "  ".join(map(visible, head))
    if answered is None:
        put(line)
        put_request(tapped.request)
        return
    now = replace(firing, has_result=tapped.has_result, result=tapped.result, deliveries=(answered,))
    answers = f"{outcome_and_deed(delivery, firing)} → {outcome_and_deed(answered, now)}"
    times = f"{milliseconds(attempt.ms)} → {milliseconds(answered.ms)}"
    put(f"{paint(' ' if tapped.same else '*', 'yellow')} {line}  {visible(answers)}  {times}")
