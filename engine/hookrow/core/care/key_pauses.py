"""Pauses by `key`, as the database has them: deliveries are held that this process can't send, and spend no attempt."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from hookrow.core.firing import write_event
from hookrow.errors import NotFound, Refused
from hookrow.hook.stored import StoredHook
from hookrow.store import hooks as hookstore
from hookrow.store.configuration.cache import Config
from hookrow.store.configuration.revisions import ENGINE, Changing

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["KeyPauses"]

log: Final = logging.getLogger("hookrow")


class KeyPauses:
    """What a process that sends does for hooks that it can't open; `core.care.sealing` says which these are."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.tended: Config | None = None
        self.made: set[tuple[int, str | None]] = set()
        """The pauses that this process has made: each once, since another one that has the key may have ended it."""

    async def tend(self) -> Collection[int]:
        """Pause the hooks that can't be opened here, resume those that can again; gives those of which no row may be
        claimed.

        Raises:
            StorageError
        """
        config, sealing = await self.runtime.config_asked(), self.runtime.sealing
        known = sealing.known
        if config is self.tended or known is None:
            return sealing.shut
        for hook in config.hooks.values():
            before = known.read.hooks[hook.id].paused_by
            if hook.deleted or hook.paused_by == before:
                continue
            if before == "key" and hook.paused_by is None:
                await self.change(hook, None)
            elif before is None and hook.paused_by == "key" and (hook.id, hook.paused_reason) not in self.made:
                self.made.add((hook.id, hook.paused_reason))
                await self.change(hook, hook.paused_reason or "")
        self.tended = config
        return sealing.shut

    async def change(self, hook: StoredHook, reason: str | None) -> None:
        """Pause a hook, or with None resume it, with the engine's own event; unless somebody else changes it now."""
        runtime, held = self.runtime, reason is not None
        author = hookstore.Author(ENGINE, runtime.database.clock.now_ms())
        paused_ms = author.at_ms if held else None
        values = {"paused_by": "key" if held else None, "paused_reason": reason, "paused_ms": paused_ms}
        action, code = ("pause", "hook.paused") if held else ("resume", "hook.resumed")
        told = {"hook": hook.ref.as_json(), "by": "key", **({"reason": reason} if held else {})}

        def job(connection: Connection) -> None:
            if hookstore.change(connection, hook.id, values, author, action=action, revision=hook.revision):
                write_event(runtime, connection, code, told)

        with suppress(Refused, NotFound):
            await runtime.database.writer.awrite(Changing(author, job))
            log.warning("%s: hook %s", code, hook.key or hook.id)
        runtime.cache.forget()
