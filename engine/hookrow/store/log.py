"""Reading the log: keyset pages, single firings, and the figures of the banner. No OFFSET, no COUNT over the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, literal_column, or_, select, true

from hookrow.records import FIRING_OUTCOMES, Attempt, Delivery, Firing, HookRef, LogFilter, Veto, loads
from hookrow.store.config import Config
from hookrow.store.rows import delivery_id, firing_id
from hookrow.store.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["attempts", "by_ids", "firing_by_uid", "ids", "page"]

SLICE_ROWS = 20_000
"""Text search goes through the log in slices of this many firings, so that the newest hits come first and soon."""
NO_ID = (1 << 63) - 1
"""Above every id there is: they reach this in the year 2248."""
LATE_MS = 3_600_000
"""A firing's id is taken when it is committed, up to its deadline after it began."""
PENDING = ("blocked", "queued", "leased")
UNTRIED, TRIED = DELIVERIES.c.attempts == 0, DELIVERIES.c.attempts > 0
STATES: dict[str, list[tuple[str, ColumnElement[bool]]]] = {
    "queued": [(state, UNTRIED) for state in PENDING],
    "retrying": [("retrying", true()), *((state, TRIED) for state in PENDING)],
    "cancelled": [("cancelled", true()), ("dropped", true())],
}
"""The states that an outcome means, where it is not the word itself (DESIGN 12)."""
USUAL = ("ok", "sent", "skipped")


def words(*given: str) -> list[Any]:
    """Words written into the statement: a partial index is used only where its term is repeated letter for letter."""
    return [literal_column(f"'{word}'") for word in given]


REFUSED = FIRINGS.c.outcome != words("allowed")[0]
NOTABLE = DELIVERIES.c.state.not_in(words(*USUAL))
"""The terms of the indexes `firing_refused` and `delivery_notable`."""


def hook_ref(config: Config, number: int) -> HookRef:
    hook = config.hooks.get(number)
    return hook.ref if hook is not None else HookRef(number, f"hook-{number}", f"#{number}")


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
            low = max(low, min(wanted.since_ms << 20, NO_ID))
        if wanted.until_ms is not None:
            top = min(top, (wanted.until_ms + LATE_MS) << 20)
        # What came since an id is told oldest first, so that a follower misses nothing beyond the limit.
        return cls(low, top, after is not None, limit)


def of_delivery(wanted: LogFilter) -> list[Any]:
    """The filter's conditions on one and the same delivery, but for its outcome."""
    found: list[Any] = []
    if wanted.hook is not None:
        found.append(DELIVERIES.c.hook_id == wanted.hook)
    if wanted.code is not None:
        code = wanted.code.lower()
        low = int(code[0]) * 100 if code.endswith("xx") else int(code)
        found.append(DELIVERIES.c.status.between(low, low + 99 if code.endswith("xx") else low))
    return found


@dataclass(frozen=True, slots=True)
class Stream:
    """Firings in the order of one index: through the firings, or through the deliveries."""

    number: ColumnElement[int]
    conditions: Sequence[Any]

    def rows(self, *more: Any) -> Select[Any]:
        """The firings' ids; `more` are conditions on the firing."""
        if self.number is FIRINGS.c.id:
            return select(self.number).where(*self.conditions, *more)
        chosen = select(self.number).distinct().where(*self.conditions)
        if not more:
            return chosen
        return chosen.where(row_is(more))


def streams(wanted: LogFilter) -> list[Stream]:
    """What the filter without the firing's own conditions lets through, as streams whose union it is.

    A hook's rows and those of a rare outcome are read by their own index: a scan of the whole log would look at
    millions of rows to find none.
    """
    outcome, its = wanted.outcome, of_delivery(wanted)
    firings: list[Any] = [row_holds(its)] if its else []
    by_hook = wanted.hook is not None
    if outcome is None or outcome == "allowed":
        own = [] if outcome is None else [FIRINGS.c.outcome == outcome]
        if not by_hook:
            return [Stream(FIRINGS.c.id, [*own, *firings])]
        return [Stream(DELIVERIES.c.firing_id, [*its, row_is(own)] if own else its)]
    if outcome in USUAL:
        its.append(DELIVERIES.c.state == outcome)
        return [Stream(DELIVERIES.c.firing_id, its) if by_hook else Stream(FIRINGS.c.id, [row_holds(its)])]
    found = [
        Stream(DELIVERIES.c.firing_id, [*its, NOTABLE, DELIVERIES.c.state == state, also])
        for state, also in STATES.get(outcome, [(outcome, true())])
    ]
    if outcome in FIRING_OUTCOMES:
        found.append(Stream(FIRINGS.c.id, [REFUSED, FIRINGS.c.outcome == outcome, *firings]))
    return found


def row_holds(of_delivery: Sequence[Any]) -> Any:
    """Some delivery of the firing for which all of this is true."""
    its = select(1).select_from(DELIVERIES).where(DELIVERIES.c.firing_id == FIRINGS.c.id, *of_delivery)
    return exists(its.correlate(FIRINGS))


def row_is(of_firing: Sequence[Any]) -> Any:
    """The delivery's firing, for which all of this is true."""
    its = select(1).select_from(FIRINGS).where(FIRINGS.c.id == DELIVERIES.c.firing_id, *of_firing)
    return exists(its.correlate(DELIVERIES))


def ids(
    connection: Connection, wanted: LogFilter, *, before: int | None = None, after: int | None = None, limit: int = 1000
) -> list[int]:
    """Row ids of the firings that match, newest first; `after` asks for those that came since."""
    span = Span.of(wanted, before, after, limit)
    if not wanted.search:
        return merged(connection, wanted, span)
    matches = or_(
        contains(connection, FIRINGS.c.payload, wanted.search),
        row_holds([contains(connection, DELIVERIES.c.body, wanted.search)]),
    )
    return merged(connection, wanted, span, matches) if span.oldest_first else sliced(connection, wanted, span, matches)


def contains(connection: Connection, column: Any, words: str) -> Any:
    """Whether a text holds these words, in capitals or not; SQLite by itself knows capitals of ASCII only."""
    if connection.dialect.name == "sqlite":
        return func.instr(func.casefold(column), words.casefold()) > 0
    return column.icontains(words, autoescape=True)


def sliced(connection: Connection, wanted: LogFilter, span: Span, matches: Any) -> list[int]:
    """Text search without an index: newest first, slice by slice, until the page is full."""
    found: list[int] = []
    newest = connection.execute(select(func.max(FIRINGS.c.id))).scalar() or 0
    top = min(span.top, newest + 1)
    while top > span.low and len(found) < span.limit:
        below = select(FIRINGS.c.id).where(FIRINGS.c.id < top).order_by(FIRINGS.c.id.desc())
        low = max(connection.execute(below.offset(SLICE_ROWS).limit(1)).scalar() or 0, span.low)
        part = replace(span, low=low, top=top, limit=span.limit - len(found))
        found += merged(connection, wanted, part, matches)
        top = low
    return found


def merged(connection: Connection, wanted: LogFilter, span: Span, *more: Any) -> list[int]:
    """The first rows of all streams together, newest first."""
    found: set[int] = set()
    for stream in streams(wanted):
        order = stream.number if span.oldest_first else stream.number.desc()
        statement = stream.rows(*of_firing(wanted), *more).where(stream.number >= span.low, stream.number < span.top)
        found.update(connection.execute(statement.order_by(order).limit(span.limit)).scalars())
    return sorted(sorted(found, reverse=not span.oldest_first)[: span.limit], reverse=True)


def page(
    connection: Connection,
    config: Config,
    wanted: LogFilter,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[Firing]:
    """A page of firings with their deliveries, newest first."""
    return by_ids(connection, config, ids(connection, wanted, before=before, after=after, limit=limit))


def by_ids(connection: Connection, config: Config, wanted: Iterable[int]) -> list[Firing]:
    """The firings of these row ids, in that order; those that were purged are left out."""
    order = list(wanted)
    if not order:
        return []
    rows = {row.id: row for row in connection.execute(select(FIRINGS).where(FIRINGS.c.id.in_(order)))}
    found: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(
        select(DELIVERIES).where(DELIVERIES.c.firing_id.in_(order)).order_by(DELIVERIES.c.firing_id, DELIVERIES.c.seq)
    ):
        found[row.firing_id].append(row)
    return [firing_from(rows[number], found[number], config) for number in order if number in rows]


def firing_by_uid(connection: Connection, config: Config, uid: str) -> Firing | None:
    """The firing of a public id, None if the log does not hold it."""
    number = connection.execute(select(FIRINGS.c.id).where(FIRINGS.c.uid == uid)).scalar()
    return None if number is None else by_ids(connection, config, [number])[0]


def firing_from(row: Row[Any], deliveries: Sequence[Row[Any]], config: Config) -> Firing:
    """The record of a firing's row and its deliveries' rows."""
    payload = loads(row.payload)
    veto = loads(row.veto)
    return Firing(
        id=firing_id(row.uid),
        event=row.event,
        moment=row.moment,
        at_ms=row.at_ms,
        outcome=row.outcome,
        payload=payload,
        data=payload if row.data is None else loads(row.data),
        result=loads(row.result),
        has_result=row.result is not None,
        veto=None if veto is None else Veto(**{**veto, "hook": HookRef(**veto["hook"])}),
        warnings=loads(row.warnings) or (),
        deliveries=tuple(delivery_from(each, row, config) for each in deliveries),
        ms=row.ms,
        hidden=loads(row.hidden) or (),
        replay_of=None if row.replay_of is None else firing_id(row.replay_of),
        asked_by=row.asked_by,
        deferred=row.deferred,
        row_id=row.id,
    )


def delivery_from(row: Row[Any], firing: Row[Any], config: Config) -> Delivery:
    return Delivery(
        id=delivery_id(firing.uid, row.seq),
        firing_id=firing_id(firing.uid),
        hook=hook_ref(config, row.hook_id),
        seq=row.seq,
        position=row.position,
        mode=row.mode,
        state=row.state,
        at_ms=firing.at_ms,
        error=row.error,
        detail=row.detail,
        skipped=row.skipped,
        status=row.status,
        ms=row.ms,
        attempts=row.attempts,
        due_ms=row.due_ms,
        done_ms=row.done_ms,
        changes=tuple(tuple(change) for change in loads(row.changes) or ()),
        body=row.body,
        order_key=row.order_key,
        row_id=row.id,
    )


def attempts(connection: Connection, delivery: int) -> list[Attempt]:
    """Every attempt of a delivery, the first one first."""
    body = connection.execute(select(DELIVERIES.c.body).where(DELIVERIES.c.id == delivery)).scalar()
    rows = connection.execute(
        select(ATTEMPTS).where(ATTEMPTS.c.delivery_id == delivery).order_by(ATTEMPTS.c.number, ATTEMPTS.c.id)
    )
    return [
        Attempt(
            number=row.number,
            at_ms=row.at_ms,
            url=row.url,
            origin=row.origin,
            elsewhere=row.elsewhere,
            address=row.address,
            status=row.status,
            error=row.error,
            detail=row.detail,
            ms=row.ms,
            times=loads(row.times) or {},
            request_headers=tuple((name, value) for name, value in loads(row.request_headers) or ()),
            request_body=body,
            response_headers=tuple((name, value) for name, value in loads(row.response_headers) or ()),
            response_body=row.response_body,
            response_length=row.response_length,
            asked_by=row.asked_by,
        )
        for row in rows
    ]
