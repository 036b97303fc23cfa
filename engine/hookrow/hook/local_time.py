"""The time in bodies and conditions: `now.hour`, `now.weekday`, `now.date`, in one zone, at a firing's moment.

A payload's own key `now` stands above it: what a service sends means what it meant before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

__all__ = ["NOW", "LocalTime"]

NOW: Final = "now"
"""The name under which bodies and conditions find the time, unless the payload has a key of this name."""


@dataclass(frozen=True, slots=True)
class LocalTime:
    """When it is, for a body or a condition: milliseconds since 1970, and the zone whose clocks people mean."""

    at_ms: int
    zone: tzinfo = UTC

    def names(self) -> Mapping[str, Any]:
        """What stands under `now`: the hour (0-23), the weekday (1 = Monday) and the date (`2026-11-28`)."""
        there = (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=self.at_ms)).astimezone(self.zone)
        return {"hour": there.hour, "weekday": there.isoweekday(), "date": there.date().isoformat()}
