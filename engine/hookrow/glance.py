"""The list of hooks before the engine is there: read from a SQLite file by its driver alone, in milliseconds.

Importing the engine takes the better part of a second; the terminal interface shows this meanwhile. What it shows is
what the engine gives: both ask `store.glance`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hookrow.clock import Clock, SystemClock, from_ms, to_ms
from hookrow.delivery import plan
from hookrow.errors import StorageError
from hookrow.events import CATALOGUE
from hookrow.hook.modes import Mode, mode, pause_reason
from hookrow.hook.stored import ListedHook
from hookrow.store.database import readonly
from hookrow.store.database.migrations import HEAD
from hookrow.store.database.plain import VERSION
from hookrow.store.log import glance as asked
from hookrow.store.log.figures import HookFigures, last_day
from hookrow.store.log.glance import Summary
from hookrow.system.fileurl import file_in

__all__ = ["Glance", "SeenHook", "glance"]

PATIENCE = 0.2
"""Seconds to wait for a lock: whoever holds it longer is waited for by the engine."""


@dataclass(frozen=True, slots=True)
class SeenHook(ListedHook):
    """A hook in the list: named as in `hookrow.Hook`, and nothing can be done with it."""

    pause: str | None
    """Why it is paused, as it is kept."""
    candidate: int | None
    """1 where it has one, else None."""
    now_ms: int
    """When it was seen."""

    @property
    def mode(self) -> Mode:
        return mode(self.fire_and_forget, self.wait_for_response, self.response_has_data)

    @property
    def state(self) -> str:
        return plan.state(self, self.now_ms)

    @property
    def paused_reason(self) -> str | None:
        return None if self.pause is None else str(pause_reason(self.paused_by, self.pause))

    @property
    def valid_from(self) -> datetime | None:
        return None if self.valid_from_ms is None else from_ms(self.valid_from_ms)

    @property
    def valid_until(self) -> datetime | None:
        return None if self.valid_until_ms is None else from_ms(self.valid_until_ms)

    @property
    def paused_at(self) -> datetime | None:
        return None if self.paused_ms is None else from_ms(self.paused_ms)


@dataclass(frozen=True, slots=True)
class Glance:
    """The hooks, the codes of the events in the catalogue's order, and the figures, all of one moment."""

    hooks: Sequence[SeenHook]
    events: Sequence[str]
    figures: Mapping[int, HookFigures]
    summary: Summary
    zone: ZoneInfo


def glance(url: str, clock: Clock | None = None) -> Glance | None:
    """What can be seen of a SQLite file at once; None where only the engine can tell: another database, a file of
    another version, one that is locked, damaged or gone."""
    if (named := file_in(url)) is None or "?" in url:
        return None
    path = named.absolute()
    now_ms = (clock or SystemClock()).now_ms()
    try:
        before = readonly.stamp(path)
        read_only = readonly.is_read_only(path)
        with closing(readonly.connect(path) if read_only else connect(path)) as connection:
            seen = read(connection, now_ms)
        if read_only:
            readonly.unchanged(path, before)
        return seen
    except (sqlite3.Error, OSError, StorageError, ValueError, LookupError):
        return None  # the engine finds it again, and says it in words


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=PATIENCE, isolation_level=None)


def read(connection: sqlite3.Connection, now_ms: int) -> Glance | None:
    """All of it in one transaction."""

    def ask(question: str, values: Mapping[str, Any]) -> Sequence[Any]:
        return connection.execute(question, values).fetchall()

    connection.execute("BEGIN")
    if ask(VERSION, {}) != [(HEAD,)]:
        return None
    hooks = [hook_from(row, now_ms) for row in ask(asked.HOOKS, {})]
    ((zone,),) = ask(asked.SETTING, {"name": "timezone"})
    return Glance(
        hooks,
        list(dict.fromkeys([*(event.code for event in CATALOGUE), *(code for (code,) in ask(asked.EVENTS, {}))])),
        last_day(ask, [hook.id for hook in hooks], now_ms),
        asked.summary(ask, hooks, now_ms),
        ZoneInfo(zone),
    )


def hook_from(row: Sequence[Any], now_ms: int) -> SeenHook:
    """A hook from a row of `HOOKS`. SQLite keeps flags as numbers and the period as text, in UTC."""
    values = [*row[:7], *map(moment, row[7:9]), *map(bool, row[9:14]), *row[14:], now_ms]
    return SeenHook(*values)


def moment(kept: str | None) -> int | None:
    return None if kept is None else to_ms(datetime.fromisoformat(kept).replace(tzinfo=UTC))
