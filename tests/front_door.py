"""The front door as tests of receivers use it: one hook of each mode, each on an event of its own, fired and tried."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from hookrow import AsyncHookEngine, HookEngine

__all__ = ["GATE", "MODES", "RECORD", "TRANSFORM", "fired", "fired_here", "word"]

GATE = {"event": "before_order_add", "wait_for_response": True}
TRANSFORM = {"event": "before_order_update", "wait_for_response": True, "response_has_data": True}
RECORD = {"event": "after_registration", "fire_and_forget": False, "response_has_data": True}
FORGET = {"event": "on_subscription", "fire_and_forget": True}
MODES: dict[str, dict[str, Any]] = {"gate": GATE, "transform": TRANSFORM, "record": RECORD, "forget": FORGET}


async def fired(engine: AsyncHookEngine, event: str, payload: dict[str, Any]) -> Any:
    """A firing of the event, its background deliveries tried once; the one delivery that it has, and seconds taken."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    firing = await engine.send_own(await engine.fire(event, payload))
    [delivery] = firing.deliveries
    return delivery, loop.time() - began


def fired_here(engine: HookEngine, event: str, payload: dict[str, Any]) -> Any:
    """The same of a waiting hook, in this thread."""
    began = time.monotonic()
    [delivery] = engine.fire(event, payload).deliveries
    return delivery, time.monotonic() - began


def word(delivery: Any) -> str:
    """A delivery's error, else its outcome."""
    return str(delivery.error or delivery.outcome)
