"""The testing kit as pytest's fixtures. In your root `conftest.py`:

    pytest_plugins = ["hookrow.testing.fixtures"]

Nothing is registered by itself: installing Hookrow puts no fixture into anybody's tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hookrow.testing.clock import ManualClock
from hookrow.testing.engine import MemoryEngine
from hookrow.testing.receiver import HookReceiver

__all__ = ["hook_clock", "hook_engine", "hook_receiver"]


@pytest.fixture
def hook_clock() -> ManualClock:
    """Time that the test moves; `hook_engine` goes by it."""
    return ManualClock()


@pytest.fixture
def hook_engine(hook_clock: ManualClock) -> Iterator[MemoryEngine]:
    """An engine on a database of this test's own."""
    with MemoryEngine(clock=hook_clock) as engine:
        yield engine


@pytest.fixture
def hook_receiver() -> Iterator[HookReceiver]:
    """A receiver that allows everything until told otherwise (`hook_receiver.script = vetoes(…)`, `.on(path, …)`)."""
    with HookReceiver() as receiver:
        yield receiver
