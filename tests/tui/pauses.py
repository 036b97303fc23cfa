"""How long a test waits for the interface: until it has nothing to do, and not until its process seems to be idle."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from textual import app, pilot
from textual._compositor import Compositor

__all__ = ["at_rest", "unpainted"]

ANSWERS = 0.2
"""Seconds in which an answer of the engine is worth waiting for; some tests hold one back."""


async def rest(*_: float) -> None:
    """Until the loop has nothing to do."""
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(0.001)
    while loop._ready:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0)


def asks(shown: app.App[Any]) -> bool:
    """Whether the engine is asked something, or soon will be, since a cursor rests."""
    asked = any(each.group == "ask" and not each.is_finished for each in shown.workers)
    return asked or bool(shown.screen_stack and getattr(shown.screen, "resting", False))


async def pause(self: pilot.Pilot[Any], delay: float = 0.0) -> None:
    """Until every widget has dealt with what came, the engine has answered, and all is laid out."""
    await self._wait_for_screen()
    await asyncio.sleep(delay)
    limit = time.monotonic() + ANSWERS
    while asks(self.app):
        if time.monotonic() > limit:
            break
        await asyncio.sleep(0.002)
    for _ in range(3):  # what is laid out anew is told so, and may ask for more
        await rest()
        self.app.screen._on_timer_update()


def at_rest(patch: pytest.MonkeyPatch) -> None:
    """The pilot waits for what it waits for, not until the process was idle for 20 ms, twice a key."""
    patch.setattr(app, "wait_for_idle", rest)
    patch.setattr(pilot.Pilot, "pause", pause)


def unpainted(patch: pytest.MonkeyPatch) -> None:
    """Nothing is painted but what the test itself looks at (`drawn`): that is half of what many screens cost."""
    patch.setattr(Compositor, "render_update", lambda *_, **__: None)
