"""An application with the middleware around it, behind a real server: in ASGI, and the same one in WSGI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

import pytest
from httpx._transports import default
from starlette.applications import Starlette

from hookrow import asgi, wsgi
from hookrow.testing import MemoryEngine
from hookrow.testing.fixtures import hook_clock, hook_engine, hook_receiver
from hosting import ROUTES, bridged, served, served_wsgi

__all__ = ["hook_clock", "hook_engine", "hook_receiver"]
Host = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="package", autouse=True)
def trust_store_read_once() -> Iterator[None]:
    """Not by each of httpx's clients, of which nearly every call here has one of its own, 30 ms of work each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(default, "create_ssl_context", cache(default.create_ssl_context))
        yield


@pytest.fixture
def asgi_host(hook_engine: MemoryEngine) -> Host:
    """The application with the middleware around it, served."""

    def make(app: Any = None, **options: Any) -> AbstractContextManager[str]:
        bare = app is not None and not isinstance(app, Starlette)
        middleware = asgi.HookMiddleware(app or Starlette(routes=ROUTES), hook_engine, **options)
        return served(middleware, lifespan="off" if bare else "on")

    return make


@pytest.fixture
def wsgi_host(hook_engine: MemoryEngine) -> Host:
    """The same as a WSGI application."""

    @contextmanager
    def make(app: Any = None, **options: Any) -> Iterator[str]:
        middleware = wsgi.HookMiddleware(bridged(app or Starlette(routes=ROUTES)), hook_engine, **options)
        with served_wsgi(middleware) as url:
            yield url
        middleware.settle()

    return make


@pytest.fixture(params=["asgi_host", "wsgi_host"])
def host(request: pytest.FixtureRequest) -> Host:
    """Both: the rules are the same."""
    made: Host = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def url(host: Host) -> Iterator[str]:
    """The application's URL, with nothing set."""
    with host() as made:
        yield made
