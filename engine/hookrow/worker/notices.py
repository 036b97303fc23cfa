"""What the engine tells about itself: a delivery that is dead, a hook that it paused or resumed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from hookrow.errors import StorageError
from hookrow.ids import delivery_id, firing_id
from hookrow.payload import JsonObject
from hookrow.store.aside import aside
from hookrow.store.log.failing import Failing
from hookrow.store.outbox import Claimed, ResultLike, Settled

__all__ = ["SYSTEM_EVENTS", "HookOf", "Notices", "RaiseEvent", "Recorded"]

log: Final = logging.getLogger("hookrow")

SYSTEM_EVENTS = frozenset({"hook.paused", "hook.resumed", "delivery.dead"})
"""Raised by the engine itself; their own deliveries raise none."""

HookOf = Callable[[int], Awaitable[Any]]
RaiseEvent = Callable[[str, JsonObject], Awaitable[None]]
Recorded = Callable[[Claimed, ResultLike, Settled], Awaitable[None]]


class Notices:
    """Raises system events through `raise_event`, and says them in the log."""

    def __init__(self, hook_of: HookOf, raise_event: RaiseEvent | None, failing: Failing | None = None) -> None:
        self.recorded: Recorded | None = None
        """Told of every result that was recorded, where somebody wants to know."""
        self.hook_of = hook_of
        self.raise_event = raise_event
        self.failing = failing

    def silent(self, claimed: Claimed) -> bool:
        """Whether nobody is to be told of a success from which nothing follows."""
        return self.recorded is None and (self.failing is None or claimed.hook_id not in self.failing.rows)

    async def of_result(self, claimed: Claimed, result: ResultLike, settled: Settled) -> None:
        """Tell what a recorded result led to."""
        if self.recorded is not None:
            await self.recorded(claimed, result, settled)
        if (
            self.failing is not None
            and claimed.shadow is None
            and (result.error is not None or claimed.hook_id in self.failing.rows)
        ):
            hook = await self.hook_of(claimed.hook_id)
            if hook is not None:
                saw = partial(self.failing.saw, hook, failed=result.error is not None, error=result.error)
                await aside(saw, self.failing.database.threads.pool())
        if settled.dead:
            dead: JsonObject = {"id": delivery_id(claimed.uid, claimed.seq), "firing": firing_id(claimed.uid)}
            dead |= {"event": claimed.event, "attempts": settled.attempts}
            dead |= {"error": result.error, "status": result.status}
            await self.tell("delivery.dead", claimed.hook_id, {"delivery": dead}, claimed)
        if settled.paused is not None:
            reason = f"{result.error or ''} {result.status or ''}".strip()
            await self.tell("hook.paused", claimed.hook_id, {"by": settled.paused, "reason": reason}, claimed)
        if settled.resumed:
            await self.tell("hook.resumed", claimed.hook_id, {"by": "breaker"}, claimed)

    async def tell(self, code: str, hook_id: int, payload: JsonObject, claimed: Claimed | None = None) -> None:
        """Raise one; what a system event's own delivery (`claimed`) caused is only logged."""
        hook = await self.hook_of(hook_id)
        named = {"id": hook_id, "key": hook.key if hook else None, "name": hook.name if hook else None}
        about = "" if claimed is None else f", {delivery_id(claimed.uid, claimed.seq)}"
        log.warning("%s: hook %s%s", code, named["key"] or hook_id, about)
        if self.raise_event is None or (claimed is not None and claimed.event in SYSTEM_EVENTS):
            return
        try:
            await self.raise_event(code, {"hook": named, **payload})
        except StorageError as error:
            log.error("the event %s could not be recorded: %s", code, error)
