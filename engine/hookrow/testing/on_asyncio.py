"""The fixture that pytest-asyncio's loops run; loaded where that plugin is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from hookrow.testing import AsyncMemoryEngine, ManualClock

__all__ = ["hookrow_engine_on_asyncio"]


@pytest_asyncio.fixture(loop_scope="function")
async def hookrow_engine_on_asyncio(
    hook_clock: ManualClock, hook_database_url: str
) -> AsyncIterator[AsyncMemoryEngine]:
    """What `async_hook_engine` is where pytest-asyncio runs the test."""
    from hookrow.testing import AsyncMemoryEngine

    async with AsyncMemoryEngine(hook_database_url, clock=hook_clock) as engine:
        yield engine
