"""Calls inside calls: a handler that fires what the middleware has fired, and hooks whose receivers call again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from hookrow import Hook
from hookrow.asgi import HookMiddleware
from hookrow.testing import AsyncMemoryEngine, HookReceiver, MemoryEngine, allows, changes
from hosting import ADD, ORDER, ROUTES, gate, served, settled

Host = Callable[..., AbstractContextManager[str]]
UPDATE, NEW = "/user/order/7", "/organization/user/new"


def app(handler: Callable[[Request], Any], path: str = ADD) -> Starlette:
    """An application of one handler."""
    return Starlette(routes=[Route(path, handler, methods=["POST"])])


def test_a_handler_that_fires_the_same_gets_the_middlewares_firing(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """In a thread of its own: hooks are called once, the log holds one firing; a private value is compared as well."""
    ids = []

    def handler(request: Request) -> Response:
        firing = hook_engine.fire("before_order_add", {"order": {"sum": 1290, "id": 7}})
        ids.append((firing.id, firing.reused, firing.data))
        return JSONResponse({})

    hook_receiver.script = changes({"order": {"paid": True}})
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(app(handler)) as url:
        assert httpx.post(url + ADD, json=ORDER).status_code == 200
    [firing] = hook_engine.log.page()
    assert ids == [(firing.id, True, {"order": {"id": 7, "sum": 1290, "paid": True}})]
    assert len(hook_receiver.received) == 1


def test_what_the_hooks_left_is_the_same_firing(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """The handler fires the body that it got: a discount is not given twice."""

    async def handler(request: Request) -> Response:
        firing = await hook_engine.afire("before_order_add", await request.json())
        return JSONResponse([firing.reused, firing.data])

    hook_receiver.script = changes({"order": {"sum": 1161}})
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(app(handler)) as url:
        assert httpx.post(url + ADD, json=ORDER).json() == [True, {"order": {"id": 7, "sum": 1161}}]
    assert len(hook_receiver.received) == 1


def test_with_the_async_engine_as_well(hook_receiver: HookReceiver) -> None:
    """On the server's own loop."""
    engine = AsyncMemoryEngine()

    async def handler(request: Request) -> Response:
        firing = await engine.fire("before_order_add", ORDER)
        return JSONResponse([firing.reused, firing.depth])

    async def run() -> Any:
        async with engine:
            await engine.hooks.add(gate("before_order_add", hook_receiver.url))
            transport = httpx.ASGITransport(HookMiddleware(app(handler), engine))
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return (await client.post(ADD, json=ORDER, headers={"hook-depth": "3"})).json()

    assert asyncio.run(run()) == [True, 3]
    assert len(hook_receiver.received) == 1


@pytest.mark.parametrize(
    "how",
    [
        {"payload": {"order": {"id": 7, "sum": 1290.5}}},
        {"payload": {"order": {"id": True, "sum": 1290}}},
        {"payload": ORDER, "idempotency_key": "7"},
        {"payload": ORDER, "defer": True},
    ],
)
def test_another_firing_asks_its_hooks(
    host: Host,
    hook_engine: MemoryEngine,
    hook_receiver: HookReceiver,
    how: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A firing is never swallowed on a guess; one warning names the event, the route and the way out."""

    def handler(request: Request) -> Response:
        return JSONResponse(hook_engine.fire("before_order_add", **how).reused)

    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(app(handler)) as url:
        assert httpx.post(url + ADD, json=ORDER).json() is False
        httpx.post(url + ADD, json=ORDER)
    assert len(hook_engine.fired) == len({each.id for each in hook_engine.fired}) + ("idempotency_key" in how)
    assert len(hook_receiver.received) == 4 - ("idempotency_key" in how)
    [said] = [each for each in caplog.records if each.levelno == logging.WARNING and "twice" in each.getMessage()]
    assert all(
        part in said.getMessage() for part in ("before_order_add", f"POST {ADD}", "bind={'before_order_add': []}")
    )


@pytest.mark.parametrize("password", ["s3cret", "another"])
def test_a_private_value_makes_the_difference(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver, password: str
) -> None:
    """It is compared in memory, though the log has null for both."""

    def handler(request: Request) -> Response:
        return JSONResponse(hook_engine.fire("before_user_new", {"user": {"password": password}}).reused)

    hook_engine.hooks.add(gate("before_user_new", hook_receiver.url))
    with host(app(handler, "/user/new")) as url:
        same = httpx.post(url + "/user/new", json={"user": {"password": "s3cret"}}).json()
    assert same is (password == "s3cret")


def test_the_second_of_a_handler_is_one_of_its_own(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Two orders that are equal to the last byte are still two."""

    def handler(request: Request) -> Response:
        return JSONResponse([hook_engine.fire("before_order_add", ORDER).reused for _ in range(2)])

    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(app(handler)) as url:
        assert httpx.post(url + ADD, json=ORDER).json() == [True, False]
    assert len(hook_receiver.received) == 2


def test_a_task_that_outlives_the_call_fires_by_itself(
    asgi_host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """The memory ends with the request, though the task has its context."""
    answered, fired = threading.Event(), []

    async def handler(request: Request) -> Response:
        def later() -> None:
            answered.wait(10)
            fired.append(hook_engine.fire("before_order_add", ORDER).reused)

        request.app.state.task = asyncio.create_task(run_in_threadpool(later))
        return JSONResponse({})

    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with asgi_host(app(handler)) as url:
        httpx.post(url + ADD, json=ORDER)
        httpx.get(url + "/")  # on a new connection: the server has let go of the first call
        answered.set()
        settled(hook_engine, 2)
    assert fired == [False]


def test_another_engine_knows_nothing_of_it(host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Its hooks are others."""
    with MemoryEngine() as other:

        def handler(request: Request) -> Response:
            return JSONResponse(other.fire("before_order_add", ORDER).reused)

        hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
        with host(app(handler)) as url:
            assert httpx.post(url + ADD, json=ORDER).json() is False


@pytest.mark.parametrize("own", [False, True])
def test_an_after_event_of_the_handlers_own_takes_the_place_of_the_middlewares(
    host: Host, hook_engine: MemoryEngine, own: bool
) -> None:
    """Also in the handler's transaction; whatever its payload is."""

    def handler(request: Request) -> Response:
        if not own:
            hook_engine.fire("after_registration", {"user": {"id": 1}})
            return JSONResponse({})
        database = create_engine(f"sqlite:///{hook_engine.path}")
        with database.begin() as connection:
            hook_engine.fire("after_registration", {"user": {"id": 1}}, connection=connection)
        database.dispose()
        return JSONResponse({})

    with host(app(handler, NEW)) as url:
        httpx.post(url + NEW, json={"user": {"name": "I"}})
    assert [each.payload for each in hook_engine.fired] == [{"user": {"id": 1}}]


def test_one_middleware_inside_another_fires_once(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Around an application and around what is mounted in it."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    hook_engine.hooks.add(Hook(key="card", name="Card", event="after_registration", url=hook_receiver.url))
    inner = HookMiddleware(Starlette(routes=ROUTES), hook_engine)
    with served(HookMiddleware(Starlette(routes=[Mount("/", inner)]), hook_engine)) as url:
        assert httpx.post(url + ADD, json=ORDER).status_code == 200
        assert httpx.post(url + NEW, json={}).status_code == 201
    assert sorted(each.event for each in hook_engine.log.page()) == ["after_registration", "before_order_add"]
    assert len(hook_receiver.received) == 1


# -- loops ------------------------------------------------------------------------------------------------------------


def test_a_hook_that_updates_its_own_order_is_stopped(host: Host, hook_engine: MemoryEngine) -> None:
    """The receiver hands `hook-depth` on, as docs/firing.md asks: the sixth call is refused before the handler."""
    reached, statuses = [], []

    def receive(came: Any) -> Any:
        again = httpx.post(address[0] + UPDATE, json=ORDER, headers={"hook-depth": came.headers["hook-depth"]})
        statuses.append(again.status_code)
        return allows()

    def handler(request: Request) -> Response:
        reached.append(request.headers.get("hook-depth"))
        return JSONResponse({})

    address: list[str] = []
    with HookReceiver(receive) as receiver, host(app(handler, UPDATE)) as url:
        address.append(url)
        hook_engine.hooks.add(gate("before_order_update", receiver.url, timeout=30))
        assert httpx.post(url + UPDATE, json=ORDER, timeout=60).status_code == 200
        assert len(receiver.received) == 6
    assert statuses == [508, 200, 200, 200, 200, 200]
    assert reached == ["5", "4", "3", "2", "1", None]
    assert [each.depth for each in hook_engine.log.page()] == [0, 1, 2, 3, 4, 5, 6]  # the innermost ended first
    assert hook_engine.log.page()[-1].outcome == "failed"


def test_a_call_that_only_something_follows_is_refused_as_well(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Before the handler, since it can't be taken back afterwards; a header that can't be read refuses nothing."""
    hook_engine.hooks.add(Hook(key="card", name="Card", event="after_registration", url=hook_receiver.url))
    with host() as url:
        for header, status, fired in (("6", 508, 0), ("5", 201, 1), ("six", 201, 2), ("007", 508, 2)):
            response = httpx.post(url + NEW, json={}, headers={"hook-depth": header})
            assert response.status_code == status
            if status == 508:
                assert (response.json()["code"], response.json()["event"]) == ("loop", "after_registration")
            settled(hook_engine, fired)  # WSGI fires after its answer, and two such could overtake each other
        hook_engine.hooks.update("card", active=False)
        assert httpx.post(url + NEW, json={}, headers={"hook-depth": "9"}).status_code == 201
    assert [each.depth for each in hook_engine.fired] == [5, 0, 9]


def test_what_a_handler_fires_is_as_deep_as_its_call(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Without a word of it: another event of the same call."""

    def handler(request: Request) -> Response:
        return JSONResponse(hook_engine.fire("on_subscription", {}).depth)

    with host(app(handler)) as url:
        assert httpx.post(url + ADD, json=ORDER, headers={"hook-depth": "4"}).json() == 4


def test_so_it_is_where_the_call_itself_means_no_event(host: Host, hook_engine: MemoryEngine) -> None:
    """Depth and trace: the event may be the handler's own (`bind={event: []}`), its hooks call back all the same."""

    def handler(request: Request) -> Response:
        firing = hook_engine.fire("on_subscription", {})
        return JSONResponse([firing.depth, firing.traceparent])

    trace = f"00-{'ab' * 16}-{'7' * 16}-01"
    with host(app(handler, "/nothing/of/ours")) as url:
        for headers, known in (
            ({"hook-depth": "4", "traceparent": trace}, [4, trace]),
            ({"hook-depth": "4"}, [4, None]),
            ({}, [0, None]),
        ):
            assert httpx.post(url + "/nothing/of/ours", json=ORDER, headers=headers).json() == known
