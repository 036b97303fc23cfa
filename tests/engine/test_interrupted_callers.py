"""A caller that is cancelled while its firing is committed: what was committed goes out at once."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hookrow import AsyncHookEngine, Hook
from hookrow.store.outbox.writing import Rows
from hookrow.testing import HookReceiver
from hookrow.testing.fixtures import hook_receiver
from worker_bench import seen

__all__ = ["hook_receiver"]
AFTER = "after_registration"


@pytest.mark.anyio
async def test_what_was_committed_for_a_cancelled_caller_is_handed_over(
    either_url: str, hook_receiver: HookReceiver, lag: Any
) -> None:
    """`asyncio.timeout` while the commit is under way: sent at once, not when the lease of a minute has lapsed."""
    async with AsyncHookEngine(either_url) as engine:
        await engine.hooks.add(
            Hook(key="a", name="a", event=AFTER, url=hook_receiver.url, response_has_data=True, timeout=30)
        )
        await engine.fire(AFTER, {"n": 0})
        await seen(lambda: len(hook_receiver.received) == 1)
        writer = engine.runtime.database.writer
        holder = ThreadPoolExecutor(1)  # whoever paused it lets it go on
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(holder, writer.pause)
        firing = asyncio.create_task(engine.fire(AFTER, {"n": 1}))
        await seen(lambda: any(isinstance(each.job, Rows) for each in list(writer.waiting)))
        firing.cancel()
        await asyncio.sleep(0)
        started = loop.time()
        await loop.run_in_executor(holder, writer.go_on)
        holder.shutdown()
        with pytest.raises(asyncio.CancelledError):
            await firing
        await seen(lambda: len(hook_receiver.received) == 2)
        assert loop.time() - started <= lag.bound(1.0)
        [newest] = await engine.log.page(limit=1)
        await seen(lambda: bool(newest.deliveries))
        assert newest.deliveries[0].takeovers == 0
