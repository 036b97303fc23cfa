"""What the list of hooks shows at a glance, asked in plain SQL.

An engine asks through SQLAlchemy. The terminal interface's first list asks SQLite's driver the same questions, so that
it stands before SQLAlchemy, which takes far longer to import than this to read, is there (`hookrow.glance`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hookrow.clock import HOUR_MS
from hookrow.ids import id_at
from hookrow.store.database.plain import OLDEST_DUE, Ask
from hookrow.store.log.figures import AWAY, failing_now

__all__ = [
    "EVENTS",
    "HOOKS",
    "SETTING",
    "Summary",
    "summary",
]


OVERDUE_MS = 60_000
"""A due row older than this means that nobody drains the queue (docs/firing.md)."""
CAP = 1001
"""Counts stop here: more is only said as «more than 1,000»."""

HOOKS = """
SELECT id, "key", name, url, event, position, timeout, valid_from, valid_until, active, fire_and_forget,
    wait_for_response, response_has_data, shadow, condition, on_failure, paused_by, paused_ms, paused_reason,
    CASE WHEN candidate IS NOT NULL THEN 1 END
FROM main.hook WHERE deleted_ms IS NULL
"""
EVENTS = "SELECT code FROM main.event WHERE origin <> 'system' ORDER BY place, code"
SETTING = "SELECT value FROM main.setting WHERE name = :name"

# The states as literals: SQLite uses a partial index only where its own words are repeated.
QUEUED = """
SELECT count(*) FROM (SELECT 1 FROM main.delivery WHERE state NOT IN ('ok', 'sent', 'skipped')
    AND state IN ('blocked', 'queued', 'leased', 'retrying') LIMIT :cap) AS few
"""
DEAD = """
SELECT count(*) FROM (SELECT 1 FROM main.delivery WHERE state NOT IN ('ok', 'sent', 'skipped')
    AND state = 'dead' LIMIT :cap) AS few
"""
# Two questions, each with states before ids as the index has them: asked as one it walks through the whole hour.
FAILED = f"""
SELECT count(*) FROM (
    SELECT 1 FROM main.delivery AS d WHERE state NOT IN ('ok', 'sent', 'skipped') AND state IN ('failed', 'dead')
        AND firing_id >= :first AND shadow IS NULL AND NOT {AWAY}
    UNION ALL
    SELECT 1 FROM main.delivery AS d WHERE state NOT IN ('ok', 'sent', 'skipped')
        AND state IN ('blocked', 'queued', 'leased', 'retrying', 'parked') AND error IS NOT NULL
        AND firing_id >= :first AND shadow IS NULL AND NOT {AWAY}
    LIMIT :cap) AS few
"""  # noqa: S608 - words of our own


@dataclass(frozen=True, slots=True)
class Summary:
    """The banner's figures. Counts stop at 1,001; `oldest_due_ms` is in milliseconds since 1970."""

    queue: int
    oldest_due_ms: int | None
    undrained: bool
    """Due rows are older than a minute: no worker runs."""
    errors_last_hour: int
    """Calls of the last hour that failed, by the rule of `store.log.figures`."""
    dead: int
    paused: Sequence[int]
    """Ids of paused hooks, those set to `stop` first."""
    failing: Sequence[int] = ()
    """Ids of hooks that are on and whose last calls all failed, those set to `stop` first."""


def summary(ask: Ask, hooks: Iterable[Any], now_ms: int) -> Summary:
    """The banner's figures; `hooks` are all that are not deleted."""

    def number(question: str, **values: int) -> Any:
        return ask(question, values)[0][0]

    known = sorted(hooks, key=lambda hook: (hook.on_failure != "stop", hook.id))
    oldest = number(OLDEST_DUE)
    return Summary(
        queue=number(QUEUED, cap=CAP),
        oldest_due_ms=oldest,
        undrained=oldest is not None and oldest < now_ms - OVERDUE_MS,
        errors_last_hour=number(FAILED, first=id_at(now_ms - HOUR_MS), cap=CAP),
        dead=number(DEAD, cap=CAP),
        paused=tuple(hook.id for hook in known if hook.paused),
        failing=tuple(failing_now(ask, [hook.id for hook in known if hook.active and not hook.paused], now_ms)),
    )
