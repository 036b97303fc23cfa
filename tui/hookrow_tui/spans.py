"""How long something takes or is away, for people: in its largest unit."""

from __future__ import annotations

from hookrow_tui.words import Say

__all__ = ["DAY", "span"]

MINUTE, HOUR, DAY = 60, 3600, 24 * 3600


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
