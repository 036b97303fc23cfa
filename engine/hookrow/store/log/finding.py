"""Which firings a filter finds: keyset pages over the log's indexes, and text search slice by slice.

No OFFSET over a page, no COUNT over the log. Each value of a filter, also one that never occurred, is found by an index
of its own; only text search goes through the rows. Of several conditions together it is asked first in which kinds of
deliveries they meet (`log_kinds`); these are read, each by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
)

from hookrow.delivery.states import DELIVERY_STATES
from hookrow.ids import id_at, ms_of
from hookrow.payload import storable
from hookrow.records import FIRING_OUTCOMES, QUEUED, LogFilter
from hookrow.store.database.tables import DELIVERIES, FIRINGS, HOOKS
from hookrow.store.log.kinds import ITS, REASON, DeliveryKind, answers, at_most, bounds, ended, events_of, giving, kinds
from hookrow.store.outbox.parking import NOTABLE
from hookrow.words import DIFFERS, ERRORS, PROBLEM, REASONS, SKIPS

__all__ = ["Found", "among", "ids", "search"]

SLICE_ROWS = 3_000
"""Text search goes through the log in slices of this many firings, so that the newest hits come first and soon."""
NO_ID = (1 << 63) - 1
"""Above every id there is: they reach this in the year 2248."""
LATE_MS = 60_000
"""A firing's id is taken when it is committed; this long after it began it is found by the index `firing_late`."""
LATEST_MS = 86_400_000
"""So much of that index, before `until`, is read for a page: what is later still is not found (docs/decisions/0016)."""
UNTRIED, TRIED = DELIVERIES.c.attempts == 0, DELIVERIES.c.attempts > 0
STATES: dict[str, list[tuple[tuple[str, ...], ColumnElement[bool]]]] = {
    "queued": [(QUEUED, UNTRIED)],
    "retrying": [(("retrying",), true()), (QUEUED, TRIED)],
    "cancelled": [(("cancelled", "dropped"), true())],
    PROBLEM.code: [(("failed", "dead", "retrying"), true()), (QUEUED, TRIED)],
}
"""The states that an outcome means, where it is not the word itself (docs/reference/outcomes.md)."""
FAILING = ("failed", "dead", "retrying")
UNSENT = ("skipped", "cancelled")
"""The states that an error, and a skip reason, stands beside."""
USUAL = ("ok", "sent", "skipped")
FEW = 200
"""So many rows are looked at one by one."""


def words(*given: str) -> list[Any]:
    """Words written into the statement: a partial index is used only where its term is repeated letter for letter."""
    return [literal_column(f"'{word}'") for word in given]


REFUSED = FIRINGS.c.outcome != words("allowed")[0]
NORMAL = DELIVERIES.c.state.in_(words(*USUAL))
OTHERWISE = DELIVERIES.c.compared != words("same")[0]
LATE = FIRINGS.c.id // literal_column(str(id_at(1)), BigInteger()) - FIRINGS.c.at_ms > literal_column(str(LATE_MS))
"""The terms of the indexes `firing_refused`, `delivery_usual`, `delivery_differs` and `firing_late`."""


def fired_events() -> Select[Any]:
    """The events that were ever fired, each by one look into the index `firing_event`; NULL at the end."""
    event = FIRINGS.c.event
    found = select(func.min(event).label("event")).cte("fired", recursive=True)
    following = select(func.min(event)).where(event > found.c.event).correlate(found)
    return select(found.union_all(select(following.scalar_subquery()).where(found.c.event.is_not(None))).c.event)


FIRED = fired_events()


@dataclass(frozen=True, slots=True)
class Found:
    """What one slice of a text search found."""

    ids: list[int]
    before: int | None
    """Where to go on; None at the log's end."""
    share: float
    """How much of the log was searched so far, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where in the log a page lies: ids from `low` to below `top`, the newest or the oldest of them first."""

    low: int
    top: int
    oldest_first: bool
    limit: int

    @classmethod
    def of(cls, wanted: LogFilter, before: int | None, after: int | None, limit: int) -> Span:
        low, top = 0 if after is None else after + 1, NO_ID if before is None else before
        if wanted.since_ms is not None:
            low = max(low, min(id_at(wanted.since_ms), NO_ID))
        # What came since an id is told oldest first, so that a follower misses nothing beyond the limit.
        return cls(low, top, after is not None, limit)


@dataclass(frozen=True, slots=True)
class IdStream:
    """Firings in the order of one index: through the firings, or through the deliveries."""

    number: ColumnElement[int]
    conditions: Sequence[Any]
    each: Sequence[Mapping[str, Any]] = ({},)
    """The parameters of each stream, where several are asked for by one statement."""
    first: int = 0
    last: int = NO_ID
    """No firing before or after these is in it."""

    def rows(self, *more: Any) -> Select[Any]:
        """The firings' ids; `more` are conditions on the firing."""
        if self.number is not DELIVERIES.c.firing_id:
            return select(self.number).where(*self.conditions, *more)
        chosen = select(self.number).distinct().where(*self.conditions)
        return chosen.where(row_is(more)) if more else chosen


ROW_BY_ROW: ColumnElement[int] = literal_column("0")
"""Of an OFFSET: with it PostgreSQL asks for each row that a page needs, and does not join half the log for it."""


def of_firing(wanted: LogFilter) -> list[Any]:
    """The filter's conditions on the firing itself, but for its outcome and its id."""
    found: list[Any] = []
    if wanted.event is not None:
        found.append(FIRINGS.c.event == wanted.event)
    if wanted.since_ms is not None:
        found.append(FIRINGS.c.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        found.append(FIRINGS.c.at_ms < wanted.until_ms)
    return found


def of_delivery(wanted: LogFilter) -> list[Any]:
    """The filter's conditions on one and the same delivery, but for its outcome."""
    found: list[Any] = []
    if wanted.hook is not None:
        found.append(DELIVERIES.c.hook_id == wanted.hook)
    if (code := wanted.codes) is not None:
        found.append(DELIVERIES.c.status.between(*code))
    if wanted.would is not None:
        found.append(DELIVERIES.c.would == wanted.would)
    return found


def row_holds(of_delivery: Sequence[Any]) -> Any:
    """Some delivery of the firing for which all of this is true."""
    its = select(1).select_from(DELIVERIES).where(DELIVERIES.c.firing_id == FIRINGS.c.id, *of_delivery)
    return exists(its.correlate(FIRINGS).offset(ROW_BY_ROW))


def row_is(of_firing: Sequence[Any]) -> Any:
    """The delivery's firing, for which all of this is true."""
    its = select(1).select_from(FIRINGS).where(FIRINGS.c.id == DELIVERIES.c.firing_id, *of_firing)
    return exists(its.correlate(DELIVERIES).offset(ROW_BY_ROW))


def streams(connection: Connection, wanted: LogFilter) -> list[IdStream]:
    """What the filter without the firing's own conditions lets through, as streams whose union it is."""
    if wanted.outcome == "running":
        return [under_way(connection, wanted)]
    if wanted.outcome == DIFFERS.code:
        return [IdStream(DELIVERIES.c.firing_id, [OTHERWISE, *of_delivery(wanted)])]
    if wanted.would is not None:
        return [of_would(connection, wanted)]
    if wanted.outcome in REASONS and wanted.code is None:
        return [of_reason(connection, wanted)]
    several = [wanted.event, wanted.hook, wanted.outcome, wanted.code].count(None) < 3
    if several:
        return combined(connection, wanted)
    if wanted.event is not None:
        known = [{"outcome": each} for each in sorted(FIRING_OUTCOMES)]
        return [
            IdStream(FIRINGS.c.id, [FIRINGS.c.outcome == bindparam("outcome")], known),
            IdStream(FIRINGS.c.id, [FIRINGS.c.outcome.is_(None)]),
        ]
    if wanted.hook is not None:
        return [IdStream(DELIVERIES.c.firing_id, [DELIVERIES.c.hook_id == wanted.hook])]
    if (code := wanted.codes) is not None:
        return [IdStream(DELIVERIES.c.firing_id, [DELIVERIES.c.status == each]) for each in answers(connection, *code)]
    outcome = wanted.outcome
    if outcome is None or outcome == "allowed":
        return [IdStream(FIRINGS.c.id, [] if outcome is None else [FIRINGS.c.outcome == outcome])]
    found = [in_state(state, also) for states, also in states_of(outcome) for state in states]
    if outcome in FIRING_OUTCOMES:
        found.append(IdStream(FIRINGS.c.id, [REFUSED, FIRINGS.c.outcome == outcome]))
    return found


def in_state(state: str, also: ColumnElement[bool]) -> IdStream:
    """The deliveries in this state for which this is true, by the index that holds them."""
    if state in USUAL:
        return IdStream(DELIVERIES.c.firing_id, [NORMAL, DELIVERIES.c.state == words(state)[0], also])
    return IdStream(
        DELIVERIES.c.firing_id, [NOTABLE, DELIVERIES.c.state == bindparam("state"), also], [{"state": state}]
    )


def of_reason(connection: Connection, wanted: LogFilter) -> IdStream:
    """The deliveries that failed, or were not sent, for the reason that is asked for; those of each hook in order."""
    states = or_(*(and_(DELIVERIES.c.state.in_(words(*each)), also) for each, also in states_of(wanted.outcome)))
    its = [DELIVERIES.c.hook_id == bindparam("hook"), bindparam("reason", type_=String) == REASON, states]
    each = [{"hook": hook, "reason": wanted.outcome} for hook in giving(connection, wanted)]
    return IdStream(DELIVERIES.c.firing_id, its, each)


def of_would(connection: Connection, wanted: LogFilter) -> IdStream:
    """The deliveries in shadow whose answer would have done what is asked for; those of each hook in order."""
    hooks = [wanted.hook] if wanted.hook is not None else connection.execute(select(HOOKS.c.id)).scalars()
    its = [DELIVERIES.c.would == bindparam("would"), DELIVERIES.c.hook_id == bindparam("shadowed")]
    its += of_delivery(replace(wanted, would=None, hook=None))
    if wanted.outcome is not None:
        states = [and_(DELIVERIES.c.state.in_(each), also) for each, also in states_of(wanted.outcome)]
        verdict = [row_is([FIRINGS.c.outcome == wanted.outcome])] if wanted.outcome in FIRING_OUTCOMES else []
        its.append(or_(*verdict, *states))
    return IdStream(DELIVERIES.c.firing_id, its, [{"would": wanted.would, "shadowed": hook} for hook in hooks])


def under_way(connection: Connection, wanted: LogFilter) -> IdStream:
    """Firings that have no outcome yet."""
    its = of_delivery(wanted)
    events = [wanted.event] if wanted.event is not None else list(connection.execute(FIRED).scalars())
    without: ColumnElement[Any] = FIRINGS.c.outcome.is_(None)
    if connection.dialect.name == "sqlite":
        without = func.unlikely(without)  # where every firing ended alike, its statistics call the index useless
    rows = [FIRINGS.c.event == bindparam("event"), without, *([row_holds(its)] if its else [])]
    # The sum keeps SQLite from going through a range of ids instead of the index.
    return IdStream(FIRINGS.c.id + 0, rows, [{"event": event} for event in events if event is not None])


def states_of(outcome: str | None) -> list[tuple[tuple[str, ...], ColumnElement[bool]]]:
    """The states that an outcome, an error or a skip reason means, with what else must be true; all without one."""
    if outcome is None:
        return [(DELIVERY_STATES, true())]
    if outcome in REASONS:
        same = DELIVERIES.c.error == outcome
        failed = [(FAILING, same), (QUEUED, and_(TRIED, same))] if outcome in ERRORS else []
        return [*failed, *([(UNSENT, DELIVERIES.c.skipped == outcome)] if outcome in SKIPS else [])]
    return STATES.get(outcome, [((outcome,), true())])


def combined(connection: Connection, wanted: LogFilter) -> list[IdStream]:
    """The same for two or more conditions: the kinds of deliveries in which they meet."""
    if wanted.outcome is None and wanted.code is None and wanted.hook is not None:
        had = wanted.event in events_of(connection, wanted.hook)
        return [IdStream(DELIVERIES.c.firing_id, [DELIVERIES.c.hook_id == wanted.hook])] if had else []
    meant = states_of(wanted.outcome)
    verdict = wanted.outcome in FIRING_OUTCOMES
    # A firing of this outcome is found by any of its deliveries, whatever became of that one.
    any_state = verdict and (wanted.hook is not None or wanted.code is not None)
    met = kinds(connection, wanted, DELIVERY_STATES if any_state else [one for states, _ in meant for one in states])
    found = [of_kinds([kind for kind in met if kind.state in states], also) for states, also in meant]
    if any_state:
        found += of_verdict(connection, wanted, met)
    elif verdict:
        found.append(IdStream(FIRINGS.c.id, [FIRINGS.c.outcome == wanted.outcome]))
    return found


def of_kinds(found: Sequence[DeliveryKind], also: Any) -> IdStream:
    """The deliveries of these kinds for which this is true."""
    return IdStream(DELIVERIES.c.firing_id, [*ITS, also], [kind.given for kind in found])


def of_verdict(connection: Connection, wanted: LogFilter, met: Sequence[DeliveryKind]) -> list[IdStream]:
    """Firings of the outcome that is asked for, with a delivery of one of these kinds."""
    verdict = FIRINGS.c.outcome == wanted.outcome
    pairs = ended(connection, str(wanted.outcome))
    hooks = {hook for hook, _ in pairs}
    # A hook that said no was obeyed: that firing is not allowed.
    met = [kind for kind in met if kind.hook in hooks and (kind.state, wanted.outcome) != ("vetoed", "allowed")]
    # Most firings are allowed: an answer is the rarer of the two. A hook has a delivery in each firing of its event.
    by_answer = wanted.code is not None and wanted.outcome == "allowed"
    if by_answer or at_most(connection, met, FEW):
        return [of_kinds(met, row_is([verdict]))]
    hooks = {kind.hook for kind in met}
    events = [{"event": event} for event in sorted({event for hook, event in pairs if hook in hooks})]
    rows = [FIRINGS.c.event == bindparam("event"), verdict, row_holds(of_delivery(wanted))]
    return [IdStream(FIRINGS.c.id, rows, events, *bounds(connection, met))]


def ids(
    connection: Connection, wanted: LogFilter, *, before: int | None = None, after: int | None = None, limit: int = 1000
) -> list[int]:
    """Row ids of the firings that match, newest first; `after` asks for those that came since.

    With a text this goes on until the page is full or the log ends; `search` gives what is found on the way.
    """
    wanted = asked(wanted)
    span = Span.of(wanted, before, after, limit)
    if not wanted.search:
        return merged(connection, wanted, span)
    if span.oldest_first:
        return merged(connection, wanted, span, holds_text(connection, wanted.search))
    found: list[int] = []
    top = before
    while True:
        part = search(connection, wanted, before=top, limit=limit - len(found))
        found += part.ids
        top = part.before
        if top is None or len(found) >= limit:
            return found


def asked(wanted: LogFilter) -> LogFilter:
    """The filter as a database takes it; no payload holds what is replaced."""
    event, outcome, search = (text and storable(text) for text in (wanted.event, wanted.outcome, wanted.search))
    return replace(wanted, event=event, outcome=outcome, search=search)


def search(connection: Connection, wanted: LogFilter, *, before: int | None = None, limit: int = 1000) -> Found:
    """The next slice of a text search without an index, newest first: tens of milliseconds, whatever it finds."""
    wanted = asked(wanted)
    span = Span.of(wanted, before, None, limit)
    newest = connection.execute(select(func.max(FIRINGS.c.id))).scalar() or 0
    oldest = connection.execute(select(func.min(FIRINGS.c.id))).scalar() or 0
    top, floor = min(span.top, newest + 1), max(span.low, oldest)
    if wanted.until_ms is not None:
        late = newest_late(connection, wanted, replace(span, low=floor, top=top))
        top = min(top, before_late(wanted.until_ms)) if late is None else late + 1
    if top <= floor:
        return Found([], None, 1.0)
    below = select(FIRINGS.c.id).where(FIRINGS.c.id < top).order_by(FIRINGS.c.id.desc())
    low = max(connection.execute(below.offset(SLICE_ROWS).limit(1)).scalar() or 0, floor)
    part = replace(span, low=low, top=top)
    found = merged(connection, wanted, part, *([holds_text(connection, wanted.search)] if wanted.search else []))
    if len(found) == limit:
        low = found[-1]
    share = 1 - (low - floor) / (newest + 1 - floor)
    return Found(found, low if low > floor else None, share)


def holds_text(connection: Connection, words: str) -> Any:
    """The payload, or what some hook was sent, holds these words."""
    return or_(
        contains(connection, FIRINGS.c.payload, words), row_holds([contains(connection, DELIVERIES.c.body, words)])
    )


def contains(connection: Connection, column: Any, words: str) -> Any:
    """Whether a text holds these words, in capitals or not; SQLite by itself knows capitals of ASCII only."""
    if connection.dialect.name == "sqlite":
        return func.holds(column, words.casefold())
    return column.icontains(words, autoescape=True)


def merged(connection: Connection, wanted: LogFilter, span: Span, *more: Any) -> list[int]:
    """The first rows of all streams together, newest first."""
    found: set[int] = set()
    conditions = [*of_firing(wanted), *more]
    late = newest_late(connection, wanted, span)
    edge = NO_ID if wanted.until_ms is None else before_late(wanted.until_ms)
    for stream in streams(connection, wanted):
        if not stream.each:
            continue
        order = stream.number if span.oldest_first else stream.number.desc()
        statement = stream.rows(*conditions).order_by(order).limit(span.limit)
        # One range: of two SQLite takes the first, and reads all that is in it.
        between = statement.where(stream.number >= bindparam("low"), stream.number <= bindparam("last"))
        parts = [(between, max(span.low, stream.first), min(span.top - 1, edge - 1, stream.last))]
        if late is not None:
            parts.append((between.where(stream.number.in_(late_ids(wanted))), max(span.low, edge), late))
        for values, (asked, low, last) in product(stream.each, parts if span.oldest_first else parts[::-1]):
            if late is not None and len(found) >= span.limit:  # beyond what is a page already nothing is looked for
                full = sorted(found, reverse=not span.oldest_first)[span.limit - 1]
                low, last = (low, min(last, full)) if span.oldest_first else (max(low, full), last)
            if low <= last:
                found.update(connection.execute(asked, {**values, "low": low, "last": last}).scalars())
    return sorted(sorted(found, reverse=not span.oldest_first)[: span.limit], reverse=True)


def among(connection: Connection, wanted: LogFilter, numbers: Sequence[int]) -> list[int]:
    """Those of these firings that match, newest first."""
    wanted = asked(wanted)
    text = [holds_text(connection, wanted.search)] if wanted.search else []
    found: set[int] = set()
    for stream in streams(connection, wanted):
        statement = stream.rows(*of_firing(wanted), *text)
        for values, at in product(stream.each, range(0, len(numbers), 500)):
            these = statement.where(stream.number.in_(numbers[at : at + 500]))
            found.update(connection.execute(these, values).scalars())
    return sorted(found, reverse=True)


def before_late(until_ms: int) -> int:
    """Above the ids of all firings that began before a moment, but for the late ones."""
    return id_at(min(until_ms + LATE_MS, ms_of(NO_ID)))


def late_ids(wanted: LogFilter) -> Select[Any]:
    """Of the ids from `low` to `last` those of late firings that began before a moment, within a day before it."""
    until_ms = wanted.until_ms or 0
    number = FIRINGS.c.id + 0  # by the index of the late ones alone: a range of ids may hold half the log
    began = FIRINGS.c.at_ms >= max(until_ms - LATEST_MS, wanted.since_ms or 0), FIRINGS.c.at_ms < until_ms
    return select(FIRINGS.c.id).where(LATE, *began, number >= bindparam("low"), number <= bindparam("last"))


def newest_late(connection: Connection, wanted: LogFilter, span: Span) -> int | None:
    """The newest firing that began before the moment that is asked for and whose id is not below `before_late`."""
    if wanted.until_ms is None:
        return None
    newest = late_ids(wanted).with_only_columns(func.max(FIRINGS.c.id + 0))
    low = max(span.low, before_late(wanted.until_ms))
    return connection.execute(newest, {"low": low, "last": span.top - 1}).scalar()
