"""What every `fire()` needs to know and that seldom changes: hooks, events, settings, read once and kept.

One question a firing decides whether it is still true: SQLite's `data_version`, then, only if that moved, the row
`config_version`, which triggers raise at every change of these tables; so our own log's writes don't empty the cache.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select

from hookrow.clock import to_ms
from hookrow.events import Event
from hookrow.hook.candidate import HookCandidate
from hookrow.hook.modes import mode
from hookrow.hook.stored import StoredHook
from hookrow.store.configuration.catalogue import read_events
from hookrow.store.database.failures import Interrupted, late
from hookrow.store.database.plain import reading, sound
from hookrow.store.database.rows import kinds_of

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

from hookrow.store.database.locks import Until, holding
from hookrow.store.database.tables import HOOKS, SETTINGS, VERSION_NUMBER

__all__ = ["Config", "ConfigCache", "hook_from"]

LOOK, PG_LOOK = 0.001, 1.0
"""Seconds between two looks for edits by others. On PostgreSQL a look is a round trip; on SQLite some
microseconds, for which it lets go of the interpreter's lock: at a thousand firings a second a tenth of their cost."""


BUSY_LOOK = 0.005
"""Seconds for which what a commit of our own saw is taken for true: it asks inside its transaction, in its thread."""

VERSION_N = select(VERSION_NUMBER.c.n)
HOLDS = kinds_of(HOOKS)


def hook_from(row: Row[Any]) -> StoredHook:
    """A cached hook from a row of the table."""
    values = dict(row._mapping)
    for name in ("valid_from", "valid_until"):
        moment = values.pop(name)
        values[f"{name}_ms"] = None if moment is None else to_ms(moment)
    values.pop("created_ms")
    tried = HookCandidate.read(values.pop("candidate"))
    flags = (values["fire_and_forget"], values["wait_for_response"], values["response_has_data"])
    hook = StoredHook(**values, mode=mode(*flags), tried=tried)
    return hook if tried is None else replace(hook, candidate=with_fields(hook, tried))


def with_fields(hook: StoredHook, tried: HookCandidate) -> StoredHook:
    """The hook as its candidate would make it, in shadow."""
    fields: dict[str, Any] = {"response_has_data": hook.response_has_data, **tried.fields}
    if "signing_secret" in fields:
        fields |= {"signing_secret_old": None, "signing_old_until_ms": None}
    own = mode(hook.fire_and_forget, hook.wait_for_response, fields["response_has_data"])
    return replace(hook, **fields, mode=own, shadow=True, tried=None)


@dataclass(frozen=True, slots=True)
class Config:
    """One consistent reading of hooks, events and settings."""

    n: int
    hooks: dict[int, StoredHook] = field(default_factory=dict)
    """All, the deleted ones too: the log still names them."""
    rows: dict[str, tuple[StoredHook, ...]] = field(default_factory=dict)
    """The hooks of each event that are not deleted, in the order in which they run."""
    events: dict[str, Event] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)


def read_config(connection: Connection, n: int) -> Config:
    with reading("hook"):
        kept = connection.execute(select(HOOKS)).all()
        sound(HOLDS, kept)
        hooks = {row.id: hook_from(row) for row in kept}
    with reading("event"):
        events = read_events(connection)
    rows: defaultdict[str, list[StoredHook]] = defaultdict(list)
    for hook in sorted(hooks.values(), key=lambda each: (each.position, each.id)):
        if not hook.deleted:
            rows[hook.event].append(hook)
    return Config(
        n,
        hooks,
        {code: tuple(row) for code, row in rows.items()},
        events,
        {row.name: row.value for row in connection.execute(select(SETTINGS))},
    )


class ConfigCache:
    """The newest `Config`, re-read only when it changed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sqlite: bool = database.dialect == "sqlite"
        self.lock: threading.RLock = threading.RLock()
        self.config: Config | None = None
        self.seen: int = -1
        self.generation: int = database.generation
        self.looked: float = float("-inf")

    def get(self, seconds: float = inf) -> Config:
        """The configuration as it stands: an edit by any process is seen (within 1 ms, 5 ms while
        this process writes; PostgreSQL: a second).

        An edit by this process is seen at once, since whoever made it calls `forget`.

        Args:
            seconds: how long the database may take.

        Raises:
            DatabaseBusy: it took longer, for this thread or for another that asks.
            StorageError: it can't be read.
        """
        sqlite = self.sqlite
        now = time.monotonic() if sqlite else self.now()  # noqa: TID251 - as `now`
        if self.config is not None and now - self.looked < (LOOK if sqlite else PG_LOOK):
            return self.config
        if sqlite and self.config is not None and self.looked > float("-inf"):
            n, generation, at = self.database.config_seen
            if (
                n == self.config.n
                and now - at < BUSY_LOOK
                and generation == self.generation == self.database.generation
            ):
                return self.config
        with Until(seconds), holding(self.lock, partial(late, "")):
            try:
                self.looked = now
                return self.look(sqlite)
            except BaseException:
                self.looked = float("-inf")  # a look that failed must be tried again by the next caller
                raise

    def now(self) -> float:
        if self.sqlite:
            return time.monotonic()  # noqa: TID251 - a test's clock may stand still
        return self.database.clock.monotonic()

    @property
    def asks_nobody(self) -> bool:
        """Whether `get` asks no server now."""
        return self.database.path is not None or (self.config is not None and self.now() - self.looked < PG_LOOK)

    def look(self, sqlite: bool) -> Config:
        """With `lock` held: the configuration, read anew if it is another."""
        seen = self.seen
        if sqlite:
            seen = self.database.data_version()
            if self.generation != self.database.generation:  # another file, whose numbers say nothing of this one's
                self.generation, self.config = self.database.generation, None
            if self.config is not None and (seen == self.seen or self.database.config_number() == self.config.n):
                self.seen = seen
                return self.config
        try:
            self.config = self.read(self.config)
        except Interrupted:
            self.config = self.read(self.config)
        self.seen = seen
        return self.config

    def read(self, known: Config | None) -> Config:
        """The configuration from the database; the one that is known, where it is still true."""
        with self.database.read() as connection:
            n = connection.execute(VERSION_N).scalar_one()
            return known if known is not None and known.n == n else read_config(connection, n)

    def forget(self) -> None:
        """After an edit of our own, or one that was announced: look again at once."""
        self.looked = float("-inf")  # a reading under way has set it before it asked

    def after_fork(self) -> None:
        self.lock = threading.RLock()
        self.seen = -1
        self.forget()
