"""An application with the middleware around it, behind a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from starlette.applications import Starlette

from hookrow.asgi import HookMiddleware
from hookrow.testing import MemoryEngine
from hookrow.testing.fixtures import hook_clock, hook_engine, hook_receiver
from hosting import ROUTES, served

__all__ = ["hook_clock", "hook_engine", "hook_receiver"]
Host = Callable[..., AbstractContextManager[str]]


@pytest.fixture
def host(hook_engine: MemoryEngine) -> Host:
    """The application with the middleware around it, served."""

    def make(app: Any = None, **options: Any) -> AbstractContextManager[str]:
        bare = app is not None and not isinstance(app, Starlette)
        middleware = HookMiddleware(app or Starlette(routes=ROUTES), hook_engine, **options)
        return served(middleware, lifespan="off" if bare else "on")

    return make


@pytest.fixture
def url(host: Host) -> Iterator[str]:
    """The application's URL, with nothing set."""
    with host() as made:
        yield made
