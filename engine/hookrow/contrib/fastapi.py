"""Hookrow in FastAPI and Starlette: the engine lives as long as the application, and refusals become problem details.

    engine = AsyncHookEngine("sqlite:///service.db")
    app = FastAPI(lifespan=lifespan(engine))
    add_problem_handlers(app)

    @app.post("/checkout")
    async def checkout(engine: Annotated[AsyncHookEngine, Depends(get_engine)]) -> dict[str, Any]:
        firing = await engine.fire("before_order_add", {"order": {"id": 7}})
        firing.raise_for_veto()
        return firing.data

docs/frameworks.md has it as a program.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.types import Lifespan, StatefulLifespan

from hookrow.core.blocking import HookEngine
from hookrow.core.engine import AsyncHookEngine
from hookrow.errors import IdempotencyConflict, Misuse, Vetoed
from hookrow.lang import Text
from hookrow.middleware.problem import PROBLEM, refusal

__all__ = ["add_problem_handlers", "get_blocking_engine", "get_engine", "lifespan"]

AppType = TypeVar("AppType", bound=Starlette)
KEPT_AS = "hookrow_engine"
"""In the lifespan's state, which every request has."""


def lifespan(engine: AsyncHookEngine | HookEngine, own: Lifespan[AppType] | None = None) -> StatefulLifespan[AppType]:
    """The application's lifespan: the engine's worker runs from its start to its end, then the engine is closed.

    Args:
        engine: a `HookEngine` where handlers are run in threads (`def`).
        own: the service's own lifespan, around which it stands: that may fire events up to its end.
    """

    @asynccontextmanager
    async def around(app: AppType) -> AsyncIterator[dict[str, object]]:
        await opened(engine)
        try:
            if own is None:
                yield {KEPT_AS: engine}
            else:
                async with own(app) as state:
                    yield {**(state or {}), KEPT_AS: engine}
        finally:
            await closed(engine)

    return around


async def opened(engine: AsyncHookEngine | HookEngine) -> None:
    if isinstance(engine, HookEngine):
        await asyncio.to_thread(engine.ensure_worker)
    else:
        await engine.__aenter__()


async def closed(engine: AsyncHookEngine | HookEngine) -> None:
    if isinstance(engine, HookEngine):
        await asyncio.to_thread(engine.close)
    else:
        await engine.close()


def get_engine(connection: HTTPConnection) -> AsyncHookEngine:
    """A dependency: the engine that `lifespan` was given.

    Raises:
        Misuse: the lifespan has not begun, or it was given a `HookEngine`.
    """
    found = getattr(connection.state, KEPT_AS, None)
    if not isinstance(found, AsyncHookEngine):
        raise no_engine("AsyncHookEngine")
    return found


def get_blocking_engine(connection: HTTPConnection) -> HookEngine:
    """The same for handlers in threads, where `lifespan` was given a `HookEngine`. Raises as `get_engine`."""
    found = getattr(connection.state, KEPT_AS, None)
    if not isinstance(found, HookEngine):
        raise no_engine("HookEngine")
    return found


def no_engine(kind: str) -> Misuse:
    return Misuse(
        Text("there is no {kind}: give one to hookrow.contrib.fastapi.lifespan, and run the lifespan", kind=kind)
    )


def add_problem_handlers(app: Starlette) -> None:
    """Answer with problem details (RFC 9457) where a handler lets `Vetoed` or `IdempotencyConflict` through."""
    app.add_exception_handler(Vetoed, answer)
    app.add_exception_handler(IdempotencyConflict, answer)


async def answer(request: Request, error: Exception) -> JSONResponse:
    """The exception handler: of these two errors only. Anything else is raised anew."""
    if not isinstance(error, Vetoed | IdempotencyConflict):
        raise error
    found = refusal(error)
    return JSONResponse(found, found["status"], media_type=PROBLEM)
