"""`hookrow log`: what happened, newest first; or followed live."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import click

from hookrow.cli.catalogue import command, option
from hookrow.cli.read.given import filter_given, filter_options, log_filter
from hookrow.cli.session import Session, pass_session
from hookrow.cli.show.firing_lines import put_firings
from hookrow.cli.show.output import in_terminal, put, put_json
from hookrow.cli.show.wording import clock_time
from hookrow.cli.stdout import tell
from hookrow.clock import LATE_IDS, SystemClock
from hookrow.lang import Text
from hookrow.safetext import visible

if TYPE_CHECKING:
    from hookrow import HookEngine
    from hookrow.records import Deed, Firing, LogFilter

__all__ = ["log"]

PAGE = 200
POLL = 0.25
"""Seconds between two looks: four a second."""
TAIL = 10
MOST_TOLD = 100_000
"""So many firings are known to have matched: one that is tried again and matches still is not shown as a new one."""
LONGEST_MS = 120_000
"""A firing that has run for longer died with its process: it is shown as it is."""


@command("log")
@filter_options
@option("--limit", type=click.IntRange(min=1), metavar="N", says=Text("How many firings; 50, or 10 with --follow."))
@option("--follow", "-f", is_flag=True, says=Text("Keep printing new firings until Ctrl+C."))
@option(
    "--who",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    says=Text("Who did what by hand instead: drops, redeliveries, replays, settings, keys, changes of hooks."),
)
@option("--har", is_flag=True, says=Text("Print the requests as HAR, which a browser's developer tools open."))
@option("--json", "as_json", is_flag=True, says=Text("Print JSON, one object per line."))
@pass_session
def log(
    session: Session, limit: int | None, follow: bool, who: str | None, har: bool, as_json: bool, **options: Any
) -> None:
    """What happened, newest first; or followed live."""
    if har and (follow or as_json or who is not None):
        raise click.UsageError(str(Text("--har goes without --follow, --who and --json.")))
    if who is not None and (follow or filter_given(options)):
        raise click.UsageError(str(Text("--who goes without --follow and without filters.")))
    with session.engine() as engine:
        if who is not None:
            put_deeds(engine.log.deeds(who or None, limit=limit or 50), engine.settings.zone(), as_json=as_json)
            return
        wanted = log_filter(engine, options)
        zone = engine.settings.zone()
        found = follow_log(engine, wanted, limit or TAIL) if follow else pages(engine, wanted, limit or 50)
        if har:
            put_json(engine.log.har([firing.id for firing in found]))
            return
        for firing in found:
            if as_json:
                put_json(firing.as_json())
            else:
                put_firings([firing], zone)


def put_deeds(deeds: Sequence[Deed], zone: tzinfo, *, as_json: bool) -> None:
    """Who did what, a line each."""
    for each in deeds:
        if as_json:
            put_json(each.as_json())
        else:
            parts = [each.who, each.action, each.subject]
            if each.revision is not None:
                parts.append(str(Text("revision {n}", n=each.revision)))
            put("  ".join((clock_time(each.at_ms, zone), *map(visible, parts))))


def pages(engine: HookEngine, wanted: LogFilter, limit: int) -> Iterator[Firing]:
    """So many firings, newest first, read in pages."""
    if wanted.search:
        yield from search_log(engine, wanted, limit)
        return
    before = None
    while limit > 0:
        found = engine.log.page(wanted, before=before, limit=min(limit, PAGE))
        yield from found
        if len(found) < min(limit, PAGE):
            return
        limit -= len(found)
        before = found[-1].row_id


def search_log(engine: HookEngine, wanted: LogFilter, limit: int) -> Iterator[Firing]:
    """So many firings that hold a text, each as soon as it is found; where a person looks on, how far the search is."""
    before: int | None = None
    told = ""
    while limit > 0:
        found = engine.log.search(wanted, before=before, limit=min(limit, PAGE))
        if told:
            tell("\r" + " " * len(told) + "\r", nl=False)
        yield from engine.log.by_rows(found.ids)
        limit -= len(found.ids)
        before = found.before
        if before is None:
            return
        if in_terminal(sys.stderr):
            told = str(Text("searched {share}", share=f"{found.share:.0%}"))
            tell(told, nl=False)


def follow_log(engine: HookEngine, wanted: LogFilter, limit: int) -> Iterator[Firing]:
    """The last ones, oldest first, then each that comes, or begins to match with an attempt, however old it is.

    One that is running is shown when it has ended.
    """
    clock, pause = SystemClock(), threading.Event()
    tried = engine.log.newest_attempt()
    told = matching(engine, wanted)
    fresh = list(engine.log.ids(wanted, limit=limit))
    last = fresh[0] if fresh else 0
    shown = {number for number in ids_after(engine, wanted, last - LATE_IDS) if fresh and number < fresh[-1]}
    seen: int | None = None
    while True:
        running = False
        for firing in engine.log.by_rows(sorted(fresh)[:PAGE]):
            running = firing.outcome is None and clock.now_ms() - firing.at_ms < LONGEST_MS
            if running:
                pause.wait(POLL)
                break
            shown.add(firing.row_id)
            told[firing.row_id] = None
            last = max(last, firing.row_id)
            yield firing
        if not running and len(fresh) <= PAGE:
            while (version := engine.log.data_version()) == seen:
                pause.wait(POLL)
            seen = version
        shown = {number for number in shown if number > last - LATE_IDS}
        for number in list(told)[:-MOST_TOLD]:
            del told[number]
        since, tried = tried, max(tried, engine.log.newest_attempt())
        fresh = [number for number in ids_after(engine, wanted, last - LATE_IDS) if number not in shown]
        fresh += [number for number in matching_again(engine, wanted, since, last) if number not in told]


def matching(engine: HookEngine, wanted: LogFilter) -> dict[int, None]:
    """Row ids of the firings that match already, the newest last: none of them begins to.

    Whatever their text, which no attempt changes and which is no index's.
    """
    if wanted.outcome is wanted.code is wanted.would is None:
        return {}  # of these nothing is looked for again
    return dict.fromkeys(reversed(engine.log.ids(replace(wanted, search=None), limit=MOST_TOLD)))


def matching_again(engine: HookEngine, wanted: LogFilter, tried: int, last: int) -> list[int]:
    """Row ids of the firings before the window that matches are looked for in, of which an attempt came since one."""
    return engine.log.changed(wanted, after=max(tried - LATE_IDS, 0), before=max(last - LATE_IDS, 0) + 1)


def ids_after(engine: HookEngine, wanted: LogFilter, after: int) -> list[int]:
    """Row ids of all firings beyond this one."""
    found: list[int] = []
    after = max(after, 0)
    while True:
        part = engine.log.ids(wanted, after=after, limit=PAGE)
        found += part
        if len(part) < PAGE:
            return found
        after = part[0]
