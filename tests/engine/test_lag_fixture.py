"""The `lag` fixture tells a busy machine from a slow engine."""

import asyncio
import os
import threading
import time

import pytest

pytestmark = pytest.mark.anyio


async def test_a_loop_held_up_widens_the_bound(lag) -> None:
    """A callback that keeps the loop for 0.2 s counts at once, ten times over, also before the sentinel has run."""
    await asyncio.sleep(0)
    time.sleep(0.2)  # noqa: ASYNC251 - holding the loop up is the point
    assert lag.bound(1.0) >= 1.0 + 10 * 0.19


async def test_waiting_is_no_lag(lag) -> None:
    """Time spent waiting leaves the bound alone: in the best of five waits less than half of it is taken for lag."""
    taken = []
    for _ in range(5):  # one stall of a busy machine is lag
        lag.largest = 0.0
        await asyncio.sleep(0.2)
        taken.append(lag.largest)
    assert min(taken) < 0.1


async def test_a_slow_disk_widens_the_bound(lag, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync of a small file that takes 0.2 s counts ten times over, also before it has ended."""
    slow, go = threading.Event(), threading.Event()

    def fsync(number: int) -> None:
        slow.set()
        go.wait(20)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        await asyncio.to_thread(slow.wait, 20)
        await asyncio.sleep(0.2)
        bound = lag.bound(1.0)
        go.set()
    assert bound >= 1.0 + 10 * 0.19
