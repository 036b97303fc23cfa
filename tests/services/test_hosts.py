"""The same middleware in FastAPI, on the server's own event loop, and in Django, whose views are for threads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

from django_host import application
from hookrow.asgi import HookMiddleware, fired
from hookrow.records import Firing
from hookrow.testing import AsyncMemoryEngine, HookReceiver, MemoryEngine, assert_fired, changes, vetoes
from hosting import ADD, ORDER, gate, served, settled


class Order(BaseModel):
    id: int
    sum: int
    comment: str = ""


class AddOrder(BaseModel):
    order: Order


def verdict(request: Request) -> Firing:
    """What the hooks said, as a dependency."""
    return fired(request)["before_order_add"]


def test_fastapi_on_the_servers_own_loop(hook_receiver: HookReceiver) -> None:
    """The async engine is opened and closed by the lifespan; a model is made of the changed body; 422 is a problem."""
    engine = AsyncMemoryEngine()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine:
            await engine.hooks.ensure(gate("before_order_add", hook_receiver.url + "add"))
            await engine.hooks.ensure(gate("after_registration", hook_receiver.url + "after", key="after"))
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(HookMiddleware, engine=engine)

    @app.post(ADD)
    async def add(wanted: AddOrder, firing: Annotated[Firing, Depends(verdict)]) -> dict[str, Any]:
        return {"comment": wanted.order.comment, "hooks": [each.hook.key for each in firing.deliveries]}

    @app.post("/organization/user/new", status_code=201)
    def register() -> dict[str, Any]:
        return {"user": {"id": 7}}

    hook_receiver.on("add", changes({"order": {"comment": "Позвонить"}}))
    with served(app) as url, httpx.Client(base_url=url) as client:
        assert client.post(ADD, json=ORDER).json() == {"comment": "Позвонить", "hooks": ["gate"]}
        hook_receiver.on("add", vetoes("no", code="NO"))
        assert client.post(ADD, json=ORDER).json()["code"] == "NO"
        assert client.post("/organization/user/new", json={"user": {"name": "I"}}).status_code == 201
    # The server has shut down: what followed the last call was waited for, then the engine was closed.
    assert [each.data for each in hook_receiver.received][-1] == {"user": {"name": "I", "id": 7}}
    assert [each.event for each in hook_receiver.received][-1] == "after_registration"


def test_django(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Views in threads with the engine for threads: a change, a refusal, a result, and what follows."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.on("add", changes({"order": {"sum": 1}}))))
    hook_engine.hooks.add(gate("after_registration", hook_receiver.url, key="after"))
    with (
        served(HookMiddleware(application(), hook_engine), lifespan="off") as url,
        httpx.Client(base_url=url) as client,
    ):
        got = client.post(ADD, json=ORDER).json()
        changed = {"order": {"id": 7, "sum": 1}}
        assert (json.loads(got["body"]), got["fired"]) == (changed, {"before_order_add": None})
        assert int(got["content-length"]) == len(got["body"])
        hook_receiver.on("add", vetoes("нет", status=409))
        assert client.post(ADD, json=ORDER).status_code == 409
        client.post("/organization/user/new", json={"user": {"name": "I"}})
        settled(hook_engine, 3)
    assert hook_receiver.received[-1].data["user"] == {"name": "I", "id": 7}
    assert_fired(hook_engine, "before_order_add", "before_order_add", "after_registration")
