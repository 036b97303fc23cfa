"""What was recorded, asked while a hook is written: which firings a condition would let through, the last payload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookrow.errors import InvalidTemplate
from hookrow.hook.local_time import LocalTime
from hookrow.payload import JsonObject
from hookrow.store.log.reading import payloads
from hookrow.template.compiled import SAMPLE_WEBHOOK, Condition, prepare

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["ConditionMatches", "condition_matches", "last_payload"]

MOST = 1000
"""Recorded payloads that a condition is tried on, at most."""


@dataclass(frozen=True, slots=True)
class ConditionMatches:
    """How a condition fares on the last recorded payloads of its event: "matches 3 of the last 50"."""

    matched: int
    total: int
    """Payloads tried: fewer than asked for where the log holds fewer."""
    failed: int = 0
    """Payloads on which it can't be judged (`condition_error`)."""
    newest: bool | None = None
    """Whether it holds for the newest one; None where it fails there, or where nothing is recorded."""
    unmet: tuple[str, ...] = ()
    """The parts that are false for the newest one, as they are written in the condition."""
    error: str | None = None
    """Why it can't be judged on the newest one on which it can't."""

    def as_json(self) -> JsonObject:
        """The shape that `--json` prints."""
        return {
            "matched": self.matched,
            "total": self.total,
            "failed": self.failed,
            "newest": self.newest,
            "unmet": list(self.unmet),
            "error": self.error,
        }


def condition_matches(runtime: Runtime, event: str, condition: str, *, last: int = 50) -> ConditionMatches:
    """Try a condition on the event's last recorded payloads, as they were fired; `now` is the time of each.

    Earlier hooks of the row may change a payload before the condition is asked, and private values are null in the
    record: both are left out of account. An empty condition holds always.

    Args:
        last: how many, at most 1,000.

    Raises:
        EventNotFound: no such event.
        InvalidTemplate: the condition can't be compiled.
    """
    runtime.event(runtime.config(), event)
    compiled = Condition.compile(condition) if condition.strip() else None
    zone = runtime.zone()
    matched, failed, total = 0, 0, 0
    newest: bool | None = None
    unmet: tuple[str, ...] = ()
    fault: str | None = None
    with runtime.database.read() as connection:
        for at_ms, payload in payloads(connection, event, min(last, MOST)):
            total += 1
            holds: bool | None = True
            if compiled is not None:
                view = prepare(payload, moment=LocalTime(at_ms, zone))
                try:
                    holds = compiled.test(view, SAMPLE_WEBHOOK)
                except InvalidTemplate as error:
                    holds, failed, fault = None, failed + 1, fault or str(error.problems[0].text)
                if holds is False and total == 1:
                    unmet = compiled.unmet(view, SAMPLE_WEBHOOK)
            matched += holds is True
            newest = holds if total == 1 else newest
    return ConditionMatches(matched=matched, total=total, failed=failed, newest=newest, unmet=unmet, error=fault)


def last_payload(runtime: Runtime, event: str) -> JsonObject | None:
    """The event's newest recorded payload, private values as null; None where the log holds none.

    Raises:
        EventNotFound: no such event.
    """
    runtime.event(runtime.config(), event)
    with runtime.database.read() as connection:
        return next((payload for _, payload in payloads(connection, event, 1)), None)
