"""How far away something is, for people: from now, in its largest unit."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import partial

from hookrow.hook.dates import Here
from hookrow_tui.words import Say

__all__ = ["DAY", "here", "span"]

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600
clock = partial(datetime.now, UTC)
"""The interface's wall clock."""


def here(zone: tzinfo) -> Here:
    """This moment in a time zone."""
    return Here(clock(), zone)


def span(seconds: float) -> Say:
    """A duration in its largest unit, rounded down: `5 h`, `3 d`."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return Say("{n} s", n=whole)
    if whole < HOUR:
        return Say("{n} min", n=whole // MINUTE)
    if whole < DAY:
        return Say("{n} h", n=whole // HOUR)
    return Say("{n} d", n=whole // DAY)
