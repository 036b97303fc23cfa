"""The `lag` fixture tells a busy machine from a slow engine."""

import asyncio
import time

import pytest

pytestmark = pytest.mark.anyio


async def test_a_loop_held_up_widens_the_bound(lag) -> None:
    """A callback that keeps the loop for 0.2 s counts at once, ten times over, also before the sentinel has run."""
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - holding the loop up is the point
    assert lag.bound(1.0) >= 1.0 + 10 * 0.19


async def test_waiting_is_no_lag(lag) -> None:
    """Time spent waiting leaves the bound alone: on a quiet loop less than a tenth of the wait is taken for lag."""
    started = time.perf_counter()
    await asyncio.sleep(0.2)
    waited = time.perf_counter() - started
    assert lag.largest < waited - 0.1
