"""Reading the log: keyset pages, single firings, and the figures of the banner. No OFFSET, no COUNT over the log."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select

from hookrow.records import FIRING_OUTCOMES, Attempt, Delivery, Firing, HookRef, LogFilter, Veto, loads
from hookrow.store.config import Config
from hookrow.store.rows import delivery_id, firing_id
from hookrow.store.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["attempts", "by_ids", "firing_by_uid", "ids", "page"]

SLICE_ROWS = 20_000
"""Text search goes through the log in slices of this many firings, so that the newest hits come first and soon."""
LATE_MS = 3_600_000
"""A firing's id is taken when it is committed, up to its deadline after it began."""
PENDING = ("blocked", "queued", "leased")
OUTCOME_STATES = {
    "queued": and_(DELIVERIES.c.state.in_(PENDING), DELIVERIES.c.attempts == 0),
    "retrying": or_(DELIVERIES.c.state == "retrying", and_(DELIVERIES.c.state.in_(PENDING), DELIVERIES.c.attempts > 0)),
    "cancelled": DELIVERIES.c.state.in_(("cancelled", "dropped")),
}


def hook_ref(config: Config, number: int) -> HookRef:
    hook = config.hooks.get(number)
    return hook.ref if hook is not None else HookRef(number, f"hook-{number}", f"#{number}")


def conditions(wanted: LogFilter) -> list[Any]:
    """The filter as conditions on the firing, all of which must hold."""
    found: list[Any] = []
    if wanted.event is not None:
        found.append(FIRINGS.c.event == wanted.event)
    if wanted.since_ms is not None:
        found += [FIRINGS.c.at_ms >= wanted.since_ms, FIRINGS.c.id >= wanted.since_ms << 20]
    if wanted.until_ms is not None:
        found += [FIRINGS.c.at_ms < wanted.until_ms, FIRINGS.c.id < (wanted.until_ms + LATE_MS) << 20]
    of_delivery: list[Any] = []
    if wanted.hook is not None:
        of_delivery.append(DELIVERIES.c.hook_id == wanted.hook)
    if wanted.code is not None:
        code = wanted.code.lower()
        if code.endswith("xx"):
            low = int(code[0]) * 100
            of_delivery.append(DELIVERIES.c.status.between(low, low + 99))
        else:
            of_delivery.append(DELIVERIES.c.status == int(code))
    outcome = wanted.outcome
    if outcome is not None:
        state = OUTCOME_STATES.get(outcome, DELIVERIES.c.state == outcome)
        if outcome in FIRING_OUTCOMES:
            of_firing = FIRINGS.c.outcome == outcome
            if outcome == "failed":
                found.append(or_(of_firing, row_holds([*of_delivery, DELIVERIES.c.state == "failed"])))
            elif outcome in ("vetoed", "cancelled"):
                found.append(or_(of_firing, row_holds([*of_delivery, state])))
            else:
                found.append(of_firing)
        else:
            of_delivery.append(state)
    if of_delivery:
        found.append(row_holds(of_delivery))
    return found


def row_holds(of_delivery: Sequence[Any]) -> Any:
    """Some delivery of the firing for which all of this is true."""
    return exists(select(1).where(DELIVERIES.c.firing_id == FIRINGS.c.id, *of_delivery))


def ids(
    connection: Connection, wanted: LogFilter, *, before: int | None = None, after: int | None = None, limit: int = 1000
) -> list[int]:
    """Row ids of the firings that match, newest first; `after` asks for those that came since."""
    if wanted.search:
        return searched(connection, wanted, before=before, after=after, limit=limit)
    statement = select(FIRINGS.c.id).where(*conditions(wanted))
    return keyset(connection, statement, before, after, limit)


def keyset(
    connection: Connection, statement: Select[Any], before: int | None, after: int | None, limit: int
) -> list[int]:
    if before is not None:
        statement = statement.where(FIRINGS.c.id < before)
    if after is not None:
        # The oldest of what came since first, so that a follower misses nothing beyond the limit.
        rows = connection.execute(statement.where(FIRINGS.c.id > after).order_by(FIRINGS.c.id).limit(limit))
        return list(rows.scalars())[::-1]
    return list(connection.execute(statement.order_by(FIRINGS.c.id.desc()).limit(limit)).scalars())


def searched(
    connection: Connection, wanted: LogFilter, *, before: int | None, after: int | None, limit: int
) -> list[int]:
    """Text search without an index: newest first, slice by slice, until the page is full."""
    words = wanted.search or ""
    matches = or_(
        contains(connection, FIRINGS.c.payload, words),
        row_holds([contains(connection, DELIVERIES.c.body, words)]),
    )
    statement = select(FIRINGS.c.id).where(*conditions(wanted), matches)
    if after is not None:
        return keyset(connection, statement, before, after, limit)
    found: list[int] = []
    top = before if before is not None else (connection.execute(select(func.max(FIRINGS.c.id))).scalar() or 0) + 1
    while len(found) < limit:
        low = connection.execute(
            select(FIRINGS.c.id).where(FIRINGS.c.id < top).order_by(FIRINGS.c.id.desc()).offset(SLICE_ROWS).limit(1)
        ).scalar()
        part = statement if low is None else statement.where(FIRINGS.c.id >= low)
        found += keyset(connection, part, top, None, limit - len(found))
        if low is None:
            return found
        top = low
    return found


def contains(connection: Connection, column: Any, words: str) -> Any:
    """Whether a text holds these words, in capitals or not; SQLite by itself knows capitals of ASCII only."""
    if connection.dialect.name == "sqlite":
        return func.instr(func.casefold(column), words.casefold()) > 0
    return column.icontains(words, autoescape=True)


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
