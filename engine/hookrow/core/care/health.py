"""`engine.health`: what only the engine can tell of a database's state, for `hookrow doctor` and for monitoring."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from hookrow.core.threads.bridge import Awaited, awaited
from hookrow.errors import InvalidTemplate
from hookrow.lang import Text
from hookrow.store.database.migrations import HEAD
from hookrow.store.database.places import misplaced
from hookrow.store.outbox.due import held_by_hook, lapsed, timeless
from hookrow.template.compiled import Body, Condition

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["AsyncHealth", "Health"]

STUCK_MS = 60_000
"""A lease that lapsed so long ago: a worker would have taken the row over within a second."""
PORTS = {"http": 80, "https": 443}


class Health:
    """How one database is."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def stuck(self) -> int:
        """How many deliveries a process holds that has ended, and no worker takes over."""
        with self.runtime.database.read() as connection:
            return lapsed(connection, self.runtime.database.clock.lease_ms() - STUCK_MS)

    def unreachable(self) -> dict[int, Text]:
        """Hooks whose URL has an address that is never called or that the settings refuse, and why, by their ids.

        Names are not looked up.
        """
        config = self.runtime.config_now()
        policy = self.runtime.policy(config)
        found: dict[int, Text] = {}
        for hook in config.hooks.values():
            parts = urlsplit(hook.url)
            host = parts.hostname or ""
            if not hook.deleted and (host.replace(".", "").isdigit() or ":" in host):
                refused = policy.verdict(host, host=host, port=parts.port or PORTS[parts.scheme])
                if refused is not None:
                    found[hook.id] = refused
        return found

    def held(self) -> dict[int, int]:
        """How many deliveries wait for each hook that is switched off, by its id: they go when it is switched on."""
        off = [hook.id for hook in self.runtime.config_now().hooks.values() if not (hook.active or hook.deleted)]
        with self.runtime.database.read() as connection:
            return held_by_hook(connection, off)

    def place(self) -> Text | None:
        """Why the file system that a database file lies on is not safe for it; None where it is."""
        return misplaced(self.runtime.database.path)

    def timeless(self) -> int:
        """How many deliveries wait for an attempt that has no time, as no Hookrow writes them."""
        with self.runtime.database.read() as connection:
            return timeless(connection)

    def uncompiled(self) -> dict[int, Text | str]:
        """Hooks whose stored body or condition this Hookrow can't compile, and why, by their ids."""
        found: dict[int, Text | str] = {}
        for hook in self.runtime.config_now().hooks.values():
            try:
                Body.compile(hook.body)
                if hook.condition:
                    Condition.compile(hook.condition)
            except InvalidTemplate as error:
                found[hook.id] = error.text
        return found

    def versions(self) -> dict[str, str]:
        """The schema's number and the database's version."""
        database = self.runtime.database
        if database.path is not None:
            return {"schema": HEAD, "sqlite": sqlite3.sqlite_version}
        with database.read() as connection:
            info = connection.dialect.server_version_info or ()
        return {"schema": HEAD, "postgresql": ".".join(map(str, info))}


class AsyncHealth(Awaited[Health]):
    """`Health`, awaited."""

    stuck: Final = awaited(Health.stuck)
    held: Final = awaited(Health.held)
    place: Final = awaited(Health.place)
    timeless: Final = awaited(Health.timeless)
    unreachable: Final = awaited(Health.unreachable)
    uncompiled: Final = awaited(Health.uncompiled)
    versions: Final = awaited(Health.versions)
