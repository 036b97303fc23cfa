"""The same middleware in FastAPI, on the server's own event loop, and in Django, whose views are for threads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

from django_host import application
from hookrow import Hook, HookEngine
from hookrow.asgi import HookMiddleware, fired
from hookrow.records import Firing
from hookrow.testing import AsyncMemoryEngine, HookReceiver, MemoryEngine, assert_fired, changes, vetoes
from hosting import ADD, ORDER, gate, served, settled
from warm import Warm


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


TESTS = Path(__file__).parents[1]
SERVERS = {
    "Flask under gthread, preloaded": ("flask", "-k", "gthread", "--threads", "4", "-w", "2", "--preload"),
    "Django under sync": ("django", "-k", "sync", "-w", "2"),
}


@pytest.mark.parametrize("arguments", SERVERS.values(), ids=SERVERS)
def test_under_gunicorn(tmp_path: Path, hook_receiver: HookReceiver, arguments: tuple[str, ...]) -> None:
    """A change, a refusal, and what follows, in workers that are forked; stopped, it sends what it has fired."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(gate("before_order_add", hook_receiver.on("add", changes({"order": {"sum": 1}}))))
        engine.hooks.add(Hook(key="card", name="Card", event="after_registration", url=hook_receiver.url))
    app, *options = arguments
    command = [sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:0", *options, f"wsgi_services:{app}"]
    known = {"HOOKROW_TEST_URL": url, "PYTHONPATH": f"{TESTS.parent}/engine:{TESTS}", "PYTHONUNBUFFERED": "1"}
    with Warm(command, env={**os.environ, **known}, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "Listening at: " in line)
        try:
            with httpx.Client(base_url=line.split("Listening at: ")[1].split()[0], timeout=30) as client:
                got = client.post(ADD, json=ORDER).json()
                assert json.loads(got["body"]) == {"order": {"id": 7, "sum": 1}}
                assert list(got["fired"]) == ["before_order_add"]
                hook_receiver.on("add", vetoes("no", status=409))
                for _ in range(4):
                    assert client.post(ADD, json=ORDER).status_code == 409
                assert client.post("/organization/user/new", json={"user": {"name": "I"}}).status_code < 300
        finally:
            server.send_signal(signal.SIGTERM)
            said = server.stderr.read()
    assert (server.returncode, "Traceback" in said) == (0, False), said
    assert [each.event for each in hook_receiver.received] == ["before_order_add"] * 5 + ["after_registration"]
    assert hook_receiver.received[-1].data["user"] == {"name": "I", "id": 7}
