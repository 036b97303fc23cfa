"""Which kinds of deliveries the log holds: a hook, a state and an answer that met, each in order by itself.

There are few kinds, however long the log is, and each is looked up in the index `delivery_kind`. So a filter of several
conditions reads the rows of the kinds that fulfil all of them, and nothing where there is none. A firing's event is
known by its hooks: it is one that they had when they were called.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Integer,
    String,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    union,
    union_all,
)

from hookrow.delivery.states import DELIVERY_STATES
from hookrow.records import LogFilter
from hookrow.store.configuration.revisions import REVISIONS
from hookrow.store.database.prepared import Prepared
from hookrow.store.database.tables import DELIVERIES, FIRINGS
from hookrow.store.outbox.parking import HOOKS

__all__ = ["ITS", "REASON", "DeliveryKind", "answers", "at_most", "bounds", "ended", "events_of", "giving", "kinds"]

ANSWER = func.coalesce(DELIVERIES.c.status, literal_column("0"))
"""A delivery's status, as the index has it: 0 where no answer came."""
ANY_CODE = (0, 999)
REASON = func.coalesce(DELIVERIES.c.skipped, DELIVERIES.c.error)
"""Why a delivery was not sent, or failed, as the index `delivery_reason` has it."""


@dataclass(frozen=True, slots=True)
class DeliveryKind:
    """Deliveries of one hook, in one state, with one answer; they stand in the order of their firings."""

    hook: int
    state: str
    answer: int

    @property
    def given(self) -> dict[str, Any]:
        """The parameters of `ITS`."""
        return {"hook": self.hook, "state": self.state, "answer": self.answer}


ITS = (
    DELIVERIES.c.hook_id == bindparam("hook"),
    DELIVERIES.c.state == bindparam("state"),
    bindparam("answer", type_=Integer) == ANSWER,
)
"""What is true of a kind's deliveries."""


def kinds(connection: Connection, wanted: LogFilter, states: Collection[str]) -> list[DeliveryKind]:
    """The kinds that occur, of the filter's hook, event and answers, in one of these states."""
    code = wanted.codes
    low, high = code or ANY_CODE
    given = {"low": low, "high": high, "unanswered": code is None, "hook": wanted.hook, "event": wanted.event}
    known = [state in states for state in DELIVERY_STATES]
    if not any(known):
        return []
    statement = occurring(wanted.hook is not None, wanted.event is not None, *known)
    return [DeliveryKind(*row) for row in statement.all(connection, given)]


@lru_cache(64)
def occurring(of_hook: bool, of_event: bool, *of_states: bool) -> Prepared:
    """Every hook, state and answer, and which of them met: a look into the index each."""
    words: list[Any] = [literal_column(f"'{state}'").label("state") for state in compress(DELIVERY_STATES, of_states)]
    state = union_all(*map(select, words)).cte("states")
    found = statuses()
    code = func.coalesce(found.c.status, literal_column("0")).label("code")
    unanswered = bindparam("unanswered", type_=Boolean)
    answer = select(code).where(or_(found.c.status.is_not(None), unanswered)).cte("answers")
    some: Any = select(literal_column("1")).where(
        DELIVERIES.c.hook_id == HOOKS.c.id, DELIVERIES.c.state == state.c.state, answer.c.code == ANSWER
    )
    # LIMIT keeps PostgreSQL from making a join of it, over all deliveries.
    occurs = some.limit(literal_column("1")).correlate(HOOKS, state, answer).scalar_subquery().is_not(None)
    every = HOOKS.join(state, true()).join(answer, true())
    statement = select(HOOKS.c.id, state.c.state, answer.c.code).select_from(every).where(occurs)
    return Prepared(statement.where(*meant(of_hook, of_event)))


def meant(of_hook: bool, of_event: bool) -> list[ColumnElement[bool]]:
    """What is true of a filter's hook, and of those that have or had its event."""
    found: list[ColumnElement[bool]] = [HOOKS.c.id == bindparam("hook")] if of_hook else []
    if of_event:
        had = select(REVISIONS.c.hook_id).where(REVISIONS.c.event == bindparam("event"))
        found.append(or_(HOOKS.c.event == bindparam("event"), HOOKS.c.id.in_(had)))
    return found


def giving(connection: Connection, wanted: LogFilter) -> list[int]:
    """The hooks that have deliveries with the reason that is the filter's outcome; a look into the index each."""
    given = {"reason": wanted.outcome, "hook": wanted.hook, "event": wanted.event}
    found = reasoned(wanted.hook is not None, wanted.event is not None).all(connection, given)
    return [hook for (hook,) in found]


@lru_cache(4)
def reasoned(of_hook: bool, of_event: bool) -> Prepared:
    its = DELIVERIES.c.hook_id == HOOKS.c.id
    some: Any = select(literal_column("1")).where(its, bindparam("reason", type_=String) == REASON)
    gives = some.limit(literal_column("1")).correlate(HOOKS).scalar_subquery().is_not(None)
    return Prepared(select(HOOKS.c.id).where(gives, *meant(of_hook, of_event)))


def statuses() -> CTE:
    """The statuses from `low` to `high` that occur in the log, each by one look into their index; NULL at the end."""
    status = DELIVERIES.c.status
    low: BindParameter[int] = bindparam("low")
    high: BindParameter[int] = bindparam("high")
    found = select(func.min(status).label("status")).where(status >= low, status <= high).cte("found", recursive=True)
    following = select(func.min(status)).where(status > found.c.status, status <= high).correlate(found)
    return found.union_all(select(following.scalar_subquery()).where(found.c.status.is_not(None)))


OCCURRING = Prepared(select(statuses().c.status))


def answers(connection: Connection, low: int, high: int) -> list[int]:
    """The statuses in this range that occur in the log."""
    return [status for (status,) in OCCURRING.all(connection, {"low": low, "high": high}) if status is not None]


HAD = union(
    select(HOOKS.c.id.label("hook"), HOOKS.c.event.label("event")), select(REVISIONS.c.hook_id, REVISIONS.c.event)
).subquery("had")
"""Every hook and every event that it has or had."""
EVENTS = Prepared(select(HAD.c.event).where(HAD.c.hook == bindparam("hook")))
ONE_FIRING = select(FIRINGS.c.id).where(FIRINGS.c.event == HAD.c.event, FIRINGS.c.outcome == bindparam("outcome"))
ENDED = Prepared(select(HAD.c.hook, HAD.c.event).where(exists(ONE_FIRING.correlate(HAD))))


def events_of(connection: Connection, hook: int) -> set[str]:
    """Every event that this hook has or had."""
    return {event for (event,) in EVENTS.all(connection, {"hook": hook})}


def ended(connection: Connection, outcome: str) -> list[tuple[int, str]]:
    """Every hook, with each of its events of which a firing ended so."""
    return [tuple(row) for row in ENDED.all(connection, {"outcome": outcome})]


SOME = select(literal_column("1")).select_from(DELIVERIES).where(*ITS).limit(bindparam("most")).subquery()
COUNT = Prepared(select(func.count()).select_from(SOME))
FIRST = Prepared(select(func.min(DELIVERIES.c.firing_id)).where(*ITS))
LAST = Prepared(select(func.max(DELIVERIES.c.firing_id)).where(*ITS))


def at_most(connection: Connection, found: Iterable[DeliveryKind], limit: int) -> bool:
    """Whether these kinds have no more deliveries than so many, in all."""
    for kind in found:
        limit -= COUNT.scalar(connection, {**kind.given, "most": limit + 1})
        if limit < 0:
            return False
    return True


def bounds(connection: Connection, found: Iterable[DeliveryKind]) -> tuple[int, int]:
    """The first and the last firing with a delivery of these kinds, of which there is one at least."""
    ends = [end.scalar(connection, kind.given) for kind in found for end in (FIRST, LAST)]
    return min(ends), max(ends)
