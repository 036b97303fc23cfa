"""What the log's screen asks of the engine: blocking questions, called in workers, answered with plain records."""

from __future__ import annotations

import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from hookrow.clock import LATE_IDS
from hookrow.errors import Ambiguous, HookNotFound, NotFound
from hookrow.records import Delivery, Firing, LogFilter, Revision
from hookrow_tui.presenters.glyphs import Glyphs
from hookrow_tui.presenters.log.detail import TABS, Detail, Tab, lines_of
from hookrow_tui.presenters.log.query import parse
from hookrow_tui.presenters.log.rows import LogRow, rows_of
from hookrow_tui.presenters.log.unsent import asks_history
from hookrow_tui.presenters.styled import Line, wrap
from hookrow_tui.words import Say

if TYPE_CHECKING:
    from hookrow import Hook, HookEngine

__all__ = [
    "Chosen",
    "Fresh",
    "LogPart",
    "Reader",
    "TabLines",
    "as_of_now",
    "failure_beyond",
    "names_known",
    "now_ms",
    "read_detail",
    "read_filter",
    "read_part",
]

LOOK = 1_000
FAILURES = ("failed", "dead", "retrying")


def now_ms() -> int:
    """The wall clock, milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Fresh:
    """The newest ids, and the lines of some firings."""

    ids: array[int]
    blocks: list[tuple[LogRow, ...]]
    top: int
    """The newest id of the whole log, whatever the filter."""
    tried: int
    """The newest attempt."""


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some ids of the log, newest first, and where to go on; None at the log's end."""

    ids: array[int]
    before: int | None
    share: float | None
    """How much of the log was searched for a text so far; None without one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter that was typed, and the names of the hooks in it."""

    filter: LogFilter
    text: str


@dataclass(frozen=True, slots=True)
class TabLines:
    """One line of the log with its tabs laid out for their panes' widths."""

    detail: Detail
    lines: dict[Tab, list[Line]]


@dataclass(frozen=True, slots=True)
class Reader:
    """How lines are made of firings: the zone, and the signs of this terminal."""

    glyphs: Glyphs
    zone: tzinfo = UTC

    def blocks(self, firings: Sequence[Firing]) -> list[tuple[LogRow, ...]]:
        """The lines of some firings."""
        today = now_ms()
        return [rows_of(each, zone=self.zone, today_ms=today, glyphs=self.glyphs) for each in firings]

    def read(self, engine: HookEngine, ids: Sequence[int]) -> list[tuple[LogRow, ...]]:
        """The lines of these firings."""
        return self.blocks(engine.log.by_rows(ids)) if ids else []

    def newest(
        self, engine: HookEngine, wanted: LogFilter, top: int, tried: int, again: Sequence[int], show: int
    ) -> Fresh:
        """What came since a look at which `top` was the log's newest id and `tried` its newest attempt: the ids that
        match, the lines of the first `show` of them, and of the firings that are read `again`. Only the log's end is
        searched, and firings that were tried since."""
        attempt, newest = engine.log.newest_attempt(), engine.log.ids(LogFilter(), limit=1)
        ids, after = array("q"), max(0, top - LATE_IDS)
        while True:
            part = engine.log.ids(wanted, after=after, limit=LOOK)
            ids = part + ids
            if len(part) < LOOK:
                break
            after = part[0]
        ids += array("q", engine.log.changed(wanted, after=max(0, tried - LATE_IDS), before=max(0, top - LATE_IDS) + 1))
        blocks = self.read(engine, list(dict.fromkeys([*ids[:show], *again])))
        return Fresh(ids, blocks, newest[0] if newest else 0, attempt)


def read_part(engine: HookEngine, wanted: LogFilter, before: int | None, limit: int) -> LogPart:
    """The next ids below `before`: a page of them, or what one slice of a text search holds."""
    if wanted.search:
        found = engine.log.search(wanted, before=before, limit=limit)
        return LogPart(array("q", found.ids), found.before, found.share)
    ids = engine.log.ids(wanted, before=before, limit=limit)
    return LogPart(ids, ids[-1] if ids else None, None)


def read_filter(engine: HookEngine, text: str, zone: tzinfo) -> Chosen:
    """The filter that was typed.

    Raises:
        NotAFilter, HookNotFound, Ambiguous
    """

    def find_hook(ref: str) -> int:
        try:
            found = engine.hooks.get(ref)
        except HookNotFound:
            found = by_part(engine, ref)
        return found.id or 0

    return Chosen(parse(text, now_ms=now_ms(), zone=zone, find_hook=find_hook), text)


def as_of_now(chosen: Chosen, zone: tzinfo) -> Chosen:
    """A filter that was typed a while ago: `since:1h` is the last hour again."""
    known = chosen.filter.hook or 0
    return Chosen(parse(chosen.text, now_ms=now_ms(), zone=zone, find_hook=lambda _: known), chosen.text)


def by_part(engine: HookEngine, ref: str) -> Hook:
    """The one hook whose name or key holds this text.

    Raises:
        HookNotFound, Ambiguous
    """
    part = ref.casefold()
    found = [hook for hook in engine.hooks.list() if part in hook.name.casefold() or part in hook.key]
    if len(found) == 1:
        return found[0]
    if not found:
        raise HookNotFound(Say('No hook has "{text}" in its name or key.', text=ref))
    names = [hook.name for hook in found[:8]]
    raise Ambiguous(
        Say('Several hooks have "{text}" in their names: {names}.', text=ref, names=", ".join(names)), names
    )


def names_known(engine: HookEngine) -> tuple[list[str], list[str]]:
    """What the filter's line completes: the names of the hooks, the codes of the events."""
    return [hook.name for hook in engine.hooks.list()], [event.code for event in engine.events.list()]


def read_detail(engine: HookEngine, row: LogRow, reader: Reader, widths: dict[Tab, int], limit: int) -> TabLines | None:
    """Everything about one line of the log, None if it was purged meanwhile."""
    try:
        firing = engine.log.get(row.ref)
        attempts = {each.id: engine.log.attempts(each.id) for each in firing.deliveries if each.attempts}
    except NotFound:
        return None
    delivery = next((each for each in firing.deliveries if each.id == row.ref), None)
    history = history_of(engine, delivery) if delivery is not None and asks_history(delivery) else ()
    detail = Detail(firing, delivery, attempts, history, reader.zone, now_ms(), reader.glyphs)
    lines: dict[Tab, list[Line]] = {}
    for tab in TABS:
        width = widths[tab]
        lines[tab] = [piece for each in lines_of(tab, detail, width, limit) for piece in wrap(each, width)]
    return TabLines(detail, lines)


def history_of(engine: HookEngine, delivery: Delivery) -> Sequence[Revision]:
    """The revisions of a delivery's hook; none where it was deleted."""
    try:
        return engine.hooks.history(delivery.hook.id)
    except HookNotFound:
        return ()


def failure_beyond(
    engine: HookEngine, wanted: LogFilter, row_id: int, step: int, reader: Reader
) -> tuple[LogRow, ...] | None:
    """The lines of the nearest firing older (1) or newer (-1) than this one that needs somebody's eyes.

    The database's partial indexes know it, however far it is.
    """
    words = [word for word in FAILURES if wanted.outcome in (None, word)]
    found: list[int] = []
    for word in words:
        narrowed = replace(wanted, outcome=word)
        if step > 0:
            found.extend(engine.log.ids(narrowed, before=row_id, limit=1))
        else:
            found.extend(engine.log.ids(narrowed, after=row_id, limit=1))
    if not found:
        return None
    blocks = reader.read(engine, [max(found) if step > 0 else min(found)])
    return blocks[0] if blocks else None
