"""An engine on a database of its own, whose network and clock the test holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from engine_bench import Bench
from scripted import HandClock, Network

from hookrow import AsyncHookEngine


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def bench(tmp_path: Path, network: Network, clock: HandClock, anyio_backend: str) -> AsyncIterator[Bench]:
    engine = AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, transport=network, clock=clock)
    async with engine:
        yield Bench(engine, network, clock)


@pytest.fixture
def outcomes() -> Callable[[Any], list[str]]:
    """The outcomes of a firing's deliveries, in order, with the reason of what was left out."""
    return lambda firing: [each.skipped or each.error or each.outcome for each in firing.deliveries]
