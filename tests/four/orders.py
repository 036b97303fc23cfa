"""Orders: FastAPI under `uvicorn --workers 2`. A gate before an order; background hooks go with its commit."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import prometheus_client
from fastapi import FastAPI, Request, Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from hookrow import AsyncHookEngine
from hookrow.asgi import HookMiddleware, fired
from hookrow.contrib.fastapi import add_problem_handlers, lifespan
from hookrow.metrics import Metrics

__all__ = ["app"]

counted = Metrics()
hooks = AsyncHookEngine(os.environ["HOOKROW_DB"], observers=[counted])
counted.register(hooks)
database = create_async_engine(os.environ["SHOP_DB"], connect_args={"prepare_threshold": None}, pool_pre_ping=True)


@asynccontextmanager
async def own(app: FastAPI) -> AsyncIterator[None]:
    yield
    await database.dispose()


app = FastAPI(lifespan=lifespan(hooks, own))
add_problem_handlers(app)
app.add_middleware(HookMiddleware, engine=hooks, defer=["before_order_add"])


@app.post("/organization/order/add", status_code=201)
async def add(request: Request) -> dict[str, Any]:
    """The order as the hooks left it."""
    order = (await request.json())["order"]
    async with database.begin() as connection:
        put = text("INSERT INTO orders (number, total) VALUES (:number, :total)")
        await connection.execute(put, {"number": order["number"], "total": order["total"]})
        await fired(request)["before_order_add"].enqueue(connection)
    return {"order": order, "pid": os.getpid()}


@app.get("/metrics")
def metrics() -> Response:
    """Of this process, and of the database."""
    return Response(prometheus_client.generate_latest(), media_type=prometheus_client.CONTENT_TYPE_LATEST)
