"""The only place of the engine that reads a clock. Everything else is given one, so that tests can move time."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

__all__ = [
    "DAY_MS",
    "HOUR_MS",
    "LATE_IDS",
    "MOST_DAYS",
    "WEEK_MS",
    "Clock",
    "SystemClock",
    "from_ms",
    "rfc3339",
    "to_ms",
    "zone_named",
]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
MOST_DAYS = 36_500
"""A firing is kept for so long at most."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """Two kinds of time: the wall's, for due times and people, and a monotonic one, for durations."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC by the wall clock; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    monotonic: Final = staticmethod(time.monotonic)

    @property
    def boot(self) -> str | None:
        """Which start of the machine `monotonic` counts from, the same in all its processes; None where the system
        doesn't say."""
        return boot_id()


@cache
def boot_id() -> str | None:
    """As `SystemClock.boot`. A container with a time of its own (time_namespaces(7)) counts from elsewhere."""
    if sys.platform == "darwin":
        return boot_session()
    with suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with suppress(OSError):  # kernels before 5.6
            boot += f"/{os.readlink('/proc/self/ns/time')}"
        return boot
    return None


def boot_session() -> str | None:
    """The id of this start (macOS)."""
    import subprocess  # only now: it is a tenth of the time that `hookrow --help` takes

    with suppress(OSError, subprocess.TimeoutExpired):
        asked = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=1).stdout.strip() or None
    return None


def from_ms(ms: int) -> datetime:
    """The aware UTC datetime of milliseconds since 1970."""
    return EPOCH + ms * MILLISECOND


@lru_cache(1024)
def rfc3339(ms: int | None) -> str | None:
    """A moment in UTC with milliseconds and `Z`."""
    return None if ms is None else from_ms(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime: those that have passed, so that a day's last moment stays in it.

    Raises:
        ValueError: the datetime is naive: its moment would be a guess.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive datetime names no moment")
    return (moment - EPOCH) // MILLISECOND


@lru_cache(8)
def zone_named(name: str) -> ZoneInfo:
    """The zone of this name in the tz database; UTC where this machine lacks it."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


LATE_IDS = 15_000 << 20
"""Whoever follows the log looks through the newest ids again, 15 s of them (ids hold milliseconds above their last 20
bits): on PostgreSQL a firing may become visible after a later one."""
