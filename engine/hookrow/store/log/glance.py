"""What the list of hooks shows at a glance, asked in plain SQL.

An engine asks through SQLAlchemy. The terminal interface's first list asks SQLite's driver the same questions, so that
it stands before SQLAlchemy, which takes far longer to import than this to read, is there (`hookrow.glance`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hookrow.store.database.plain import OLDEST_DUE, Ask

__all__ = [
    "AT_LEAST",
    "CALLS",
    "DAY_MS",
    "EVENTS",
    "HOOKS",
    "OLDEST_SEEN",
    "RETRIED_MS",
    "SETTING",
    "HookFigures",
    "Summary",
    "last_day",
    "summary",
]


HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
RETRIED_MS = 4 * DAY_MS
"""The last automatic retry comes within four days of its firing (DESIGN 7): what was fired so long before a stretch of
time may have been called within it."""
GLANCE = 10_000
"""Deliveries that are looked at for all hooks together, for figures that are asked again and again."""
AT_LEAST = 200
"""Deliveries of one hook that are looked at, however many hooks there are: enough for a p95."""
OVERDUE_MS = 60_000
"""A due row older than this means that nobody drains the queue (DESIGN 5)."""
CAP = 1001
"""Counts stop here: more is only said as «more than 1,000»."""

HOOKS = """
SELECT id, "key", name, url, event, position, timeout, valid_from, valid_until, active, fire_and_forget,
    wait_for_response, response_has_data, condition, on_failure, paused_by, paused_reason, paused_ms
FROM hook WHERE deleted_ms IS NULL
"""
EVENTS = "SELECT code FROM event WHERE origin <> 'system' ORDER BY place, code"
SETTING = "SELECT value FROM setting WHERE name = :name"

# The newest deliveries of a hook come out of an index alone; each costs one look into the attempts.
CALLS = """
SELECT at_ms, ms, error IS NOT NULL AS failed, id FROM attempt
WHERE delivery_id IN (SELECT id FROM (
        SELECT id FROM delivery WHERE hook_id = :hook AND firing_id >= :first ORDER BY firing_id DESC LIMIT :most
    ) AS newest)
    AND at_ms >= :since AND NOT elsewhere
"""
OLDEST_SEEN = """
SELECT firing_id FROM delivery WHERE hook_id = :hook AND firing_id >= :first
ORDER BY firing_id DESC LIMIT 1 OFFSET :last
"""
LAST = "SELECT status, error, ms, at_ms FROM attempt WHERE id = :call"

# The states as literals: SQLite uses a partial index only where its own words are repeated.
QUEUED = """
SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state NOT IN ('ok', 'sent', 'skipped')
    AND state IN ('blocked', 'queued', 'leased', 'retrying') LIMIT :cap) AS few
"""
DEAD = """
SELECT count(*) FROM (SELECT 1 FROM delivery WHERE state NOT IN ('ok', 'sent', 'skipped')
    AND state = 'dead' LIMIT :cap) AS few
"""
FAILED = "SELECT count(*) FROM (SELECT 1 FROM attempt WHERE at_ms >= :since AND error IS NOT NULL LIMIT :cap) AS few"


@dataclass(frozen=True, slots=True)
class HookFigures:
    """A hook's last 24 hours: calls, failed ones, and its newest call. Of a busy hook only the newest are counted."""

    calls: int
    errors: int
    last_status: int | None
    last_error: str | None
    last_ms: int | None
    last_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """The banner's figures. Counts stop at 1,001."""

    queue: int
    oldest_due_ms: int | None
    undrained: bool
    """Due rows are older than a minute: no worker runs."""
    errors_last_hour: int
    dead: int
    paused: Sequence[int]
    """Ids of paused hooks, those set to `stop` first."""


def last_day(ask: Ask, hooks: Sequence[int], now_ms: int) -> dict[int, HookFigures]:
    """The last 24 hours and the newest call of those of these hooks that were called, by id."""
    day_ms = now_ms - DAY_MS
    most = max(GLANCE // max(len(hooks), 1), AT_LEAST)
    asked = {"first": (day_ms - RETRIED_MS) << 20, "most": most, "since": day_ms}
    found = {}
    for hook in hooks:
        calls = ask(CALLS, {**asked, "hook": hook})
        if calls:
            newest = max(call[3] for call in calls)
            ((status, error, ms, at_ms),) = ask(LAST, {"call": newest})
            found[hook] = HookFigures(len(calls), sum(bool(call[2]) for call in calls), status, error, ms, at_ms)
    return found


def summary(ask: Ask, hooks: Iterable[Any], now_ms: int) -> Summary:
    """The banner's figures; `hooks` are all that are not deleted."""

    def number(question: str, **values: int) -> Any:
        return ask(question, values)[0][0]

    paused = [hook for hook in hooks if hook.paused]
    paused.sort(key=lambda hook: (hook.on_failure != "stop", hook.id))
    oldest = number(OLDEST_DUE)
    return Summary(
        queue=number(QUEUED, cap=CAP),
        oldest_due_ms=oldest,
        undrained=oldest is not None and oldest < now_ms - OVERDUE_MS,
        errors_last_hour=number(FAILED, since=now_ms - HOUR_MS, cap=CAP),
        dead=number(DEAD, cap=CAP),
        paused=tuple(hook.id for hook in paused),
    )
