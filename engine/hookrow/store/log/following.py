"""What comes, for who follows the log: attempts (docs/replay.md), and older firings that match since one."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, false, func, or_, select, true

from hookrow.records import FIRING_OUTCOMES, Attempt, Delivery, Firing, LogFilter
from hookrow.store.configuration.cache import Config
from hookrow.store.database.plain import reading, sound
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS
from hookrow.store.log.finding import among, asked, holds_text, of_firing, states_of
from hookrow.store.log.reading import ATTEMPT_HOLDS, attempt_from, by_ids

__all__ = ["AttemptSeen", "attempt_by_row", "attempts_since", "changed", "newest_attempt"]


class AttemptSeen(NamedTuple):
    """An attempt that made a request to its hook's own URL."""

    row_id: int
    meant: bool | None
    """Whether the filter means it; None while its firing runs, whose outcome may yet be the one that is asked for."""


def newest_attempt(connection: Connection) -> int:
    """The row id of the newest attempt, 0 where there is none."""
    return connection.execute(select(func.max(ATTEMPTS.c.id))).scalar() or 0


def attempts_since(connection: Connection, wanted: LogFilter, *, after: int, limit: int) -> list[AttemptSeen]:
    """The attempts after this row id, the oldest first.

    Of the filter, hook, status and a delivery's outcome are those of the attempt's own delivery.
    """
    wanted = asked(wanted)
    meant = and_(true(), *of_firing(wanted), *of_attempt(connection, wanted)).label("meant")
    rows = (
        select(ATTEMPTS.c.id, meant, FIRINGS.c.outcome.is_(None).label("runs"))
        .select_from(ATTEMPTS)
        .join(DELIVERIES, DELIVERIES.c.id == ATTEMPTS.c.delivery_id)
        .join(FIRINGS, FIRINGS.c.id == DELIVERIES.c.firing_id)
        .where(ATTEMPTS.c.id > after, ~ATTEMPTS.c.elsewhere, ATTEMPTS.c.request_headers.is_not(None))
        .order_by(ATTEMPTS.c.id)
        .limit(limit)
    )
    waits = wanted.outcome in FIRING_OUTCOMES
    return [
        AttemptSeen(row.id, None if waits and row.runs and not row.meant else bool(row.meant))
        for row in connection.execute(rows)
    ]


def changed(connection: Connection, wanted: LogFilter, *, after: int, before: int) -> list[int]:
    """Firings below a row id of which an attempt was recorded after another, and that match; newest first.

    None where no attempt can make a firing match.
    """
    if wanted.outcome in (None, "running") and wanted.code is None and wanted.would is None:
        return []
    older = DELIVERIES.c.firing_id + 0 < before  # from the attempts on: by its index this would be the whole log
    tried = (
        select(DELIVERIES.c.firing_id).distinct().join_from(ATTEMPTS, DELIVERIES).where(ATTEMPTS.c.id > after, older)
    )
    return among(connection, wanted, list(connection.execute(tried).scalars()))


def of_attempt(connection: Connection, wanted: LogFilter) -> list[ColumnElement[bool]]:
    """The filter's conditions on an attempt and its delivery, and what it asks of the firing besides `of_firing`."""
    found: list[ColumnElement[bool]] = []
    if wanted.hook is not None:
        found.append(DELIVERIES.c.hook_id == wanted.hook)
    if (code := wanted.codes) is not None:
        found.append(func.coalesce(ATTEMPTS.c.status, 0).between(*code))
    if wanted.would is not None:
        found.append(func.coalesce(DELIVERIES.c.would, "") == wanted.would)
    if wanted.search:
        found.append(holds_text(connection, wanted.search))
    if wanted.outcome is not None:
        found.append(ends_as(wanted.outcome))
    return found


def ends_as(outcome: str) -> ColumnElement[bool]:
    """The firing, or this delivery of it, stands so."""
    if outcome == "running":
        return FIRINGS.c.outcome.is_(None)
    verdict: ColumnElement[bool] = false()
    if outcome in FIRING_OUTCOMES:
        verdict = func.coalesce(FIRINGS.c.outcome, "") == outcome
    return or_(verdict, *(and_(DELIVERIES.c.state.in_(states), also) for states, also in states_of(outcome)))


def attempt_by_row(connection: Connection, config: Config, number: int) -> tuple[Firing, Delivery, Attempt] | None:
    """An attempt with its delivery and its firing; None where it was purged."""
    its: Select[Any] = select(ATTEMPTS, DELIVERIES.c.firing_id, DELIVERIES.c.body).join(DELIVERIES)
    row = connection.execute(its.where(ATTEMPTS.c.id == number)).first()
    firing = next(iter(by_ids(connection, config, [row.firing_id])), None) if row is not None else None
    if row is None or firing is None:
        return None
    with reading("attempt"):
        sound(ATTEMPT_HOLDS, [row])
        attempt = attempt_from(row._asdict(), row.body)
    return firing, next(each for each in firing.deliveries if each.row_id == row.delivery_id), attempt
