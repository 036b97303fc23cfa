"""An engine on a database of its own, whose network and clock the test holds."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine, HookEngine
from receivers import Receiver, reply
from scripted import HandClock, Network


@pytest.fixture
def clock() -> HandClock:
    """Time that the test moves."""
    return HandClock()


@pytest.fixture
def network() -> Network:
    """Receivers that answer as scripted."""
    return Network()


@pytest.fixture(scope="session")
def engine_template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database to be copied, as an engine made it in which nothing has happened: it knows its events."""
    path = shutil.copyfile(sqlite_template, tmp_path_factory.mktemp("engine") / "hooks.db")
    HookEngine(f"sqlite:///{path}", worker=False, clock=HandClock()).close()
    return path


@pytest.fixture
async def bench(
    tmp_path: Path, engine_template: Path, network: Network, clock: HandClock, anyio_backend: str
) -> AsyncIterator[Bench]:
    """An engine without a worker of its own, on that network and clock."""
    shutil.copyfile(engine_template, tmp_path / "hooks.db")
    engine = AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, transport=network, clock=clock)
    async with engine:
        yield Bench(engine, network, clock)


@pytest.fixture
async def own_worker(
    tmp_path: Path, engine_template: Path, network: Network, clock: HandClock, anyio_backend: str
) -> AsyncIterator[AsyncHookEngine]:
    """An engine whose own worker looks often; its clock is the test's."""
    shutil.copyfile(engine_template, tmp_path / "hooks.db")
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", transport=network, clock=clock) as engine:
        assert engine.sending.worker is not None
        engine.sending.worker.poll = 0.01
        yield engine


@pytest.fixture
def untraced() -> Iterator[None]:
    """Without the tracer that measures coverage: it makes reading an endless reply ten times as long."""
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


@pytest.fixture
def outcomes() -> Callable[[Any], list[str]]:
    """The outcomes of a firing's deliveries, in order, with the reason of what was left out."""
    return lambda firing: [each.skipped or each.error or each.outcome for each in firing.deliveries]


@pytest.fixture
def pg(postgres_url: str) -> str:
    """An empty database on PostgreSQL."""
    return postgres_url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """It answers at once."""
    with Receiver(reply(200, b"{}")) as made:
        yield made
