"""The workbench of the engine's tests: an engine without a worker, a scripted network, a clock of the test's."""

from __future__ import annotations

import sys
from typing import Any

from hookrow import AsyncHookEngine, Hook
from scripted import HandClock, Network

__all__ = ["Bench"]

WAIT = {"wait_for_response": True}
DATA = {"wait_for_response": True, "response_has_data": True}


class Bench:
    """An engine without a worker of its own, its network, its clock, and short ways to say what a test needs."""

    def __init__(self, engine: AsyncHookEngine, network: Network, clock: HandClock) -> None:
        self.engine = engine
        self.network = network
        self.clock = clock

    async def hook(self, name: str, *, event: str = "before_order_add", **fields: Any) -> Hook:
        """Add a hook whose receiver has the hook's name as its path."""
        return await self.engine.hooks.add(Hook(name=name, event=event, url=f"http://receiver.test/{name}", **fields))

    async def gate(self, name: str, **fields: Any) -> Hook:
        return await self.hook(name, **{**WAIT, **fields})

    async def transform(self, name: str, **fields: Any) -> Hook:
        return await self.hook(name, **{**DATA, **fields})

    async def fire(self, payload: dict[str, Any] | None = None, *, event: str = "before_order_add", **how: Any) -> Any:
        given = {"order": {"id": 7, "sum": 100}} if payload is None else payload
        return await self.engine.fire(event, given, **how)

    async def fewest_calls(self) -> int:
        """Python's calls in the thread that fires, the fewest of many firings.

        Now and then the configuration is looked at, on a slow machine nearly always.
        """
        counts = []
        for _ in range(40):
            count = 0

            def seen(frame: Any, event: str, _: Any) -> None:
                nonlocal count
                count += event == "call"

            before = sys.getprofile()
            sys.setprofile(seen)
            try:
                await self.fire()
            finally:
                sys.setprofile(before)
            counts.append(count)
        return min(counts)

    async def logged(self) -> Any:
        """The newest firing as the log has it."""
        return (await self.engine.log.page())[0]
