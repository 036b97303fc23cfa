"""Pytest's plugin of this package: fixtures for services' own tests (docs/testing.md), on SQLite or PostgreSQL.

Pytest loads it wherever Hookrow is installed, so it imports nothing else of it until a test asks for a fixture.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hookrow.testing import AsyncMemoryEngine, HookReceiver, ManualClock, MemoryEngine

__all__ = [
    "async_hook_engine",
    "hook_clock",
    "hook_database_url",
    "hook_engine",
    "hook_receiver",
    "hookrow_engine_on_anyio",
    "hookrow_postgres_template",
    "pytest_addoption",
    "pytest_configure",
]

OPTION = "hookrow_postgres"
VARIABLE = "HOOKROW_PYTEST_POSTGRES"
NEEDS_A_LOOP = """\
async_hook_engine is for async tests: mark this one with @pytest.mark.anyio (anyio comes with Hookrow), or install \
pytest-asyncio. In a test that runs a loop of its own: async with hookrow.testing.AsyncMemoryEngine() as engine"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where PostgreSQL is, if the fixtures are to use it."""
    says = "URL of a PostgreSQL server on which Hookrow's fixtures may create databases (else they use SQLite)"
    parser.getgroup("hookrow").addoption("--hookrow-postgres", dest=OPTION, metavar="URL", default=None, help=says)
    parser.addini(OPTION, says, default="")


def pytest_configure(config: pytest.Config) -> None:
    """With pytest-asyncio, also the fixture that its loops run."""
    if config.pluginmanager.hasplugin("asyncio"):
        from hookrow.testing import on_asyncio

        config.pluginmanager.register(on_asyncio, "hookrow-on-asyncio")


def postgres_of(config: pytest.Config) -> str:
    """The server's URL: by the option, the environment, or the file of settings, in this order; "" = SQLite."""
    declared = hasattr(config.option, OPTION)  # not by `hookrow.testing.fixtures` alone
    given = getattr(config.option, OPTION, None) or os.environ.get(VARIABLE)
    return str(given or (config.getini(OPTION) if declared else ""))


@pytest.fixture
def hook_clock() -> ManualClock:
    """Time that the test moves; `hook_engine` goes by it."""
    from hookrow.testing import ManualClock

    return ManualClock()


@pytest.fixture(scope="session")
def hookrow_postgres_template(pytestconfig: pytest.Config) -> Iterator[str]:
    """The name of a database in which Hookrow's tables are made, to be copied for each test; gone with the session."""
    from hookrow.testing.databases import prepared

    with prepared(postgres_of(pytestconfig)) as name:
        yield name


@pytest.fixture
def hook_database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of this test's own database, which `hook_engine` is on; for a service's own tables beside Hookrow's."""
    from hookrow.testing.databases import copied, sqlite

    server = postgres_of(request.config)
    with copied(server, request.getfixturevalue("hookrow_postgres_template")) if server else sqlite() as url:
        yield url


@pytest.fixture
def hook_engine(hook_clock: ManualClock, hook_database_url: str) -> Iterator[MemoryEngine]:
    """A `MemoryEngine` on a database of this test's own."""
    from hookrow.testing import MemoryEngine

    with MemoryEngine(hook_database_url, clock=hook_clock) as engine:
        yield engine


@pytest.fixture
def async_hook_engine(request: pytest.FixtureRequest) -> AsyncMemoryEngine:
    """An `AsyncMemoryEngine` on a database of this test's own, on the event loop of the test."""
    if "anyio_backend" in request.fixturenames:
        engine: AsyncMemoryEngine = request.getfixturevalue("hookrow_engine_on_anyio")
    elif request.config.pluginmanager.hasplugin("hookrow-on-asyncio"):
        engine = request.getfixturevalue("hookrow_engine_on_asyncio")
    else:
        pytest.fail(NEEDS_A_LOOP, pytrace=False)
    return engine


@pytest.fixture
async def hookrow_engine_on_anyio(hook_clock: ManualClock, hook_database_url: str) -> AsyncIterator[AsyncMemoryEngine]:
    """What `async_hook_engine` is where anyio runs the test."""
    from hookrow.testing import AsyncMemoryEngine

    async with AsyncMemoryEngine(hook_database_url, clock=hook_clock) as engine:
        yield engine


@pytest.fixture
def hook_receiver() -> Iterator[HookReceiver]:
    """A receiver that allows everything until told otherwise (`hook_receiver.script = vetoes(…)`, `.on(path, …)`)."""
    from hookrow.testing import HookReceiver

    with HookReceiver() as receiver:
        yield receiver
