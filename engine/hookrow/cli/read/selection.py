"""Which recorded firings or deliveries a command means, and going through them: count, question, pace, ctrl+c."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from hookrow.cli import exits
from hookrow.cli.catalogue import option
from hookrow.cli.read.given import filter_given, filter_options, hook_id, log_filter
from hookrow.cli.show.output import confirm, say
from hookrow.cli.show.wording import clock_time
from hookrow.cli.stdout import ReaderGone, Unwritten
from hookrow.errors import NotFound, Refused, StorageError, Unrecorded
from hookrow.lang import Plural, Text
from hookrow.words import REASONS

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow.records import Delivery, Firing

__all__ = [
    "Rate",
    "again_options",
    "failed_deliveries",
    "go_through",
    "remaining",
    "selected",
    "selection_options",
    "still_failed",
]

SAMPLE = 5
"""How many of the chosen are shown before the question."""
CHUNK = 500
EVERYTHING = 10_000_000
CHOOSING = ("dead", "failed", "retrying", "parked", "ok", "sent")
"""The outcomes that, where a filter names one, are also those of the deliveries that are meant."""


class Mark(NamedTuple):
    """What going through needs to know of a firing; payloads of thousands are not held."""

    row_id: int
    event: str
    at_ms: int


class Rate(click.ParamType[float]):
    """`5/s`, `30/m` or `5`: how many a second at most."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:[.,]\d+)?)(?:/([sm]))?", value)
        each = float(found[1].replace(",", ".")) if found else 0.0
        if found is None or not each:
            self.fail(str(Text("a number per second, such as 5 or 5/s, or per minute: 30/m")), param, ctx)
        return each / (60 if found[2] == "m" else 1)


class RowRange(click.ParamType[tuple[str, str]]):
    """`FIRST..LAST`, as an interrupted run printed it: what it had not done yet."""

    name = "stretch"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        first, dots, last = value.partition("..")
        if not (first and dots and last):
            self.fail(str(Text("FIRST..LAST, as the interrupted run printed it")), param, ctx)
        return first, last


resume_option: Final = option(
    "--resume", type=RowRange(), metavar="FIRST..LAST", says=Text("Continue where an interrupted run stopped.")
)
rate_option: Final = option(
    "--rate", type=Rate(), metavar="N/s", says=Text("At most N per second; 30/m is per minute.")
)


AGAIN = (
    rate_option,
    resume_option,
    option("--to", metavar="URL", says=Text("Send to this address instead of the hooks' own.")),
    option("--with-auth", is_flag=True, says=Text("Send the hooks' credentials to that address too.")),
    option("--dry-run", is_flag=True, says=Text("Show what would be sent; nothing is sent.")),
)


def again_options(function: Any) -> Any:
    """Add what `redeliver` and `replay` share: what to choose, where to send it, how fast, or only to show it."""
    for add in reversed(AGAIN):
        function = add(function)
    return selection_options(function)


THIS_HOOK = Text("Only this hook's deliveries (ID, key or exact name); a replay calls this hook alone.")


def selection_options(function: Any) -> Any:
    """Add the ways to choose and to go through what was chosen."""
    options = (
        option("--yes", "-y", is_flag=True, says=Text("Don't ask.")),
        option("--json", "as_json", is_flag=True, says=Text("Print JSON, one object per line.")),
    )
    for add in reversed(options):
        function = add(function)
    return click.argument("refs", metavar="[ID]...", nargs=-1)(filter_options(function, THIS_HOOK))


def selected(engine: HookEngine, refs: Sequence[str], options: dict[str, Any]) -> Iterator[tuple[str, Firing]]:
    """What is named by ids, or by the log's filters, with its firing; the oldest first, as it happened.

    Raises:
        click.UsageError: neither ids nor filters, or both.
        NotFound: an id that the log does not hold.
    """
    narrowing = {name: value for name, value in options.items() if name != "hook"} if refs else options
    if refs and filter_given(narrowing):
        raise click.UsageError(str(Text("Give IDs or filters, not both.")))
    if refs:
        yield from [(ref, engine.log.get(ref)) for ref in dict.fromkeys(refs)]
        return
    if not filter_given(options):
        raise click.UsageError(str(Text("Give IDs or filters, for example --outcome dead --since today.")))
    rows = engine.log.ids(log_filter(engine, options), limit=EVERYTHING)[::-1]
    for start in range(0, len(rows), CHUNK):
        for firing in engine.log.by_rows(rows[start : start + CHUNK]):
            yield firing.id, firing


def failed_deliveries(
    engine: HookEngine, refs: Sequence[str], options: dict[str, Any], *, sendable: bool = True
) -> Iterator[tuple[str, Firing]]:
    """The deliveries that are meant: those named, and of a firing those that did not arrive.

    A filter by hook or by a delivery's outcome also holds for the deliveries themselves.

    Args:
        sendable: of a firing, only those that have a request to send again.
    """
    only = None if options.get("hook") is None else hook_id(engine, options["hook"])
    for ref, firing in selected(engine, refs, options):
        for delivery in firing.deliveries:
            has_request = delivery.body is not None or not sendable
            chosen = delivery.id == ref if ref.startswith("msg_") else did_fail(delivery, options) and has_request
            if chosen and (only is None or delivery.hook.id == only):
                yield delivery.id, firing


def did_fail(delivery: Delivery, options: dict[str, Any]) -> bool:
    """Whether a delivery that nobody named is meant, by what is known of it now."""
    outcome = options.get("outcome")
    if outcome in REASONS:
        return delivery.skipped == outcome or (delivery.failed and delivery.error == outcome)
    return delivery.outcome == outcome if outcome in CHOOSING else delivery.failed


def still_failed(engine: HookEngine, ref: str, options: dict[str, Any]) -> bool:
    """Whether a delivery chosen some time ago would be chosen again: a worker, or a person, may have settled it."""
    return any(each.id == ref and did_fail(each, options) for each in engine.log.get(ref).deliveries)


def place_of(ref: str, firing: Firing | Mark) -> tuple[int, str]:
    """Where something stands in the order in which filters choose: its firing's row, then its own id."""
    return firing.row_id, ref


def remaining(
    engine: HookEngine, chosen: Iterable[tuple[str, Firing]], resume: tuple[str, str] | None
) -> list[tuple[str, Mark]]:
    """What an interrupted run had chosen and not done yet; all of it where none was interrupted.

    What was fired after the run had begun, its own replays too, comes after its last one and is left out.

    Raises:
        NotFound: the log does not hold the ends of the stretch any more.
    """
    marked = [(ref, Mark(firing.row_id, firing.event, firing.at_ms)) for ref, firing in chosen]
    if resume is None:
        return marked
    first, last = (place_of(ref, engine.log.get(ref)) for ref in resume)
    return [(ref, mark) for ref, mark in marked if first <= place_of(ref, mark) <= last]


def go_through(
    engine: HookEngine,
    chosen: Sequence[tuple[str, Mark]],
    question: Callable[[int], Text],
    act: Callable[[str], bool],
    *,
    yes: bool,
    rate: float | None,
    dry_run: bool,
) -> int:
    """Do something to each of the chosen ones, after a question where there are several; gives the exit code.

    Args:
        act: does it; False where the answer is no.
        rate: at most so many a second.
        dry_run: nothing is done, only shown: there is nothing to ask and no pace to keep.
    """
    yes, rate = yes or dry_run, None if dry_run else rate
    if not chosen:
        say(Text("Nothing matches."))
        return exits.DONE
    if len(chosen) == 1:
        return exits.DONE if act(chosen[0][0]) else exits.NO
    show_some(chosen, question, engine.settings.zone())
    if not confirm(Text("Continue?"), yes=yes):
        return exits.STOPPED
    done, refused = 0, 0
    try:
        with first_interrupt() as stopped:
            for ref in paced([ref for ref, _ in chosen], rate, stopped):
                try:
                    refused += not act(ref)
                except (NotFound, Refused) as error:
                    refused += 1
                    say(f"{ref}: {error}")
                done += 1
        if done < len(chosen):
            say_stopped(chosen, done)
            return exits.STOPPED
    except KeyboardInterrupt:
        say_stopped(chosen, done)
        return exits.STOPPED
    except (ReaderGone, Unwritten) as error:
        if dry_run:
            raise
        say_stopped(chosen, done + 1)  # what could not be shown was sent
        raise Unwritten(error) from None
    except StorageError as error:
        # What was sent is done, though nobody can look it up: to go on must not send it twice.
        say_stopped(chosen, done + isinstance(error, Unrecorded))
        raise
    say(
        Plural(
            "{n} done, {refused} of them failed.",
            "{n} done, {refused} of them failed.",
            done,
            refused=refused,
        )
    )
    return exits.NO if refused else exits.DONE


def show_some(chosen: Sequence[tuple[str, Mark]], question: Callable[[int], Text], zone: tzinfo) -> None:
    """How many are chosen, and the first of them."""
    say(question(len(chosen)))
    for ref, firing in chosen[:SAMPLE]:
        say(f"  {clock_time(firing.at_ms, zone)}  {firing.event}  {ref}")
    if len(chosen) > SAMPLE:
        say(Text("  … and {n} more", n=len(chosen) - SAMPLE))


def say_stopped(chosen: Sequence[tuple[str, Mark]], done: int) -> None:
    """How far it came, and how to go on."""
    if done == len(chosen):
        return
    ref = chosen[done][0]
    say(Text("Stopped after {done} of {all}. Next: {ref}.", done=done, all=len(chosen), ref=ref))
    places = [place_of(*each) for each in chosen]
    if places == sorted(places):
        say(Text("To continue: the same command with --resume {token}", token=f"{ref}..{chosen[-1][0]}"))


@contextmanager
def first_interrupt() -> Iterator[threading.Event]:
    """Ctrl+C sets this: the one that is under way ends, so that what was sent is known. A second one breaks it off."""
    stopped = threading.Event()

    def stop(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        stopped.set()
        say(Text("Stopping after this one; Ctrl+C again breaks it off."))

    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def paced(refs: Sequence[str], rate: float | None, stopped: threading.Event) -> Iterator[str]:
    """The ids one after another until it is stopped, not faster than so many a second, with a progress bar."""
    with click.progressbar(refs, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for place, ref in enumerate(bar):
            if rate is not None and place:
                stopped.wait(1 / rate)
            if stopped.is_set():
                return
            yield ref
