"""Which events an API call means to the middleware: conditions, bindings, shapes, mounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from math import inf
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from hookrow import ORDER_SUM_AUTHORISED, Event, EventNotFound, StorageError
from hookrow.asgi import ApiCall, HookMiddleware, Shape
from hookrow.errors import InvalidInput, TransactionMisuse
from hookrow.testing import (
    HookReceiver,
    MemoryEngine,
    assert_fired,
    changes,
    vetoes,
)
from hosting import ADD, ORDER, ROUTES, gate, served

Host = Callable[..., AbstractContextManager[str]]


def test_registration_is_the_services_own_unless_a_route_opts_in(host: Host, hook_engine: MemoryEngine) -> None:
    """`before_registration` comes after the service's checks, which the middleware can't know."""
    with host() as url:
        httpx.post(url + "/organization/user/new", json={})
    with host(bind={"before_registration": ["POST /organization/user/new"]}) as url:
        httpx.post(url + "/organization/user/new", json={})
    assert_fired(hook_engine, "after_registration", "before_registration", "after_registration")


def test_an_event_can_be_left_to_the_service_or_bound_elsewhere(host: Host, hook_engine: MemoryEngine) -> None:
    """`bind` stands in the place of the catalogue's calls; actions are still told from ids."""
    bind = {"after_registration": [], "before_order_update": ["PUT /v2/orders/{id}"]}
    with host(bind=bind) as url:
        httpx.post(url + "/organization/user/new", json={})
        httpx.post(url + "/organization/order/7", json={})
        httpx.put(url + "/v2/orders/new", json={})
        httpx.put(url + "/v2/orders/7", json={})
    assert_fired(hook_engine, "before_order_update")


def test_a_condition_decides(host: Host, hook_engine: MemoryEngine) -> None:
    """The Sberbank rule: the host says whether the order's full sum is authorised; asked only where it matters."""
    asked: list[ApiCall] = []

    def authorised(call: ApiCall) -> bool:
        asked.append(call)
        return bool(call.body["paid"] >= call.body["sum"])

    with host(conditions={ORDER_SUM_AUTHORISED: authorised}) as url:
        httpx.post(url + "/user/sber_get_status?x=1", json={"paid": 10, "sum": 20})
        assert_fired(hook_engine)
        httpx.post(url + "/user/sber_get_status", json={"paid": 20, "sum": 20})
        httpx.post(url + "/organization/order/set_status", json={})
    assert_fired(hook_engine, "before_order_setstatus", "before_order_setstatus")
    assert [(each.path, each.query) for each in asked] == [
        ("/user/sber_get_status", "x=1"),
        ("/user/sber_get_status", ""),
    ]


def test_without_a_condition_the_conditional_call_means_nothing(url: str, hook_engine: MemoryEngine) -> None:
    """Nobody has said that it holds."""
    assert httpx.post(url + "/user/sber_get_status", json={}).status_code == 200
    assert_fired(hook_engine)


def test_a_failing_condition_fails_the_request(host: Host, hook_engine: MemoryEngine) -> None:
    """It is never taken for «no»."""

    def broken(call: ApiCall) -> bool:
        raise RuntimeError("the bank is down")

    with host(conditions={ORDER_SUM_AUTHORISED: broken}) as url:
        assert httpx.post(url + "/user/sber_get_status", json={}).status_code == 500
    assert_fired(hook_engine)


def test_shapes_make_payload_and_body(host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """The payload by a function of the call; a change put back where the API wants it."""

    def payload(call: ApiCall) -> dict[str, Any]:
        return {"order": {"id": int(call.path.rpartition("/")[2]), **call.body}, "via": call.header("X-Via")}

    def body(call: ApiCall, data: dict[str, Any]) -> dict[str, Any]:
        return {**call.body, "sum": data["order"]["sum"]}

    hook_receiver.script = changes({"order": {"sum": 5}})
    hook_engine.hooks.add(gate("before_order_update", hook_receiver.url))
    with host(shapes={"before_order_update": Shape(payload, body)}) as url:
        got = httpx.put(url + "/user/order/7", json={"sum": 9, "x": 1}, headers={"x-via": "app"}).json()
    assert json.loads(got["body"]) == {"sum": 5, "x": 1}
    assert hook_receiver.received[0].data == {"order": {"id": 7, "sum": 9, "x": 1}, "via": "app"}


def test_on_a_loop_functions_may_be_async(asgi_host: Host, hook_engine: MemoryEngine) -> None:
    """Conditions, shapes and keys."""

    async def authorised(call: ApiCall) -> bool:
        return True

    async def payload(call: ApiCall) -> dict[str, Any]:
        return {"path": call.path}

    async def key(call: ApiCall) -> str:
        return "k"

    shapes = {"before_order_setstatus": Shape(payload)}
    with asgi_host(conditions={ORDER_SUM_AUTHORISED: authorised}, shapes=shapes, idempotency=key) as url:
        httpx.post(url + "/user/sber_get_status", json={})
    assert [each.payload for each in hook_engine.fired] == [{"path": "/user/sber_get_status"}]


def test_a_change_without_a_way_back_stays_with_the_firing(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """The body passes untouched."""
    hook_receiver.script = changes({"order": {"sum": 5}})
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(shapes={"before_order_add": Shape(lambda call: {"order": dict(call.body)})}) as url:
        assert (
            httpx.post(url + ADD, content=b'{"sum": 9}', headers={"content-type": "application/json"}).json()["body"]
            == '{"sum": 9}'
        )
    assert hook_engine.fired[0].data == {"order": {"sum": 5}}


def test_several_events_of_one_call_follow_each_other(host: Host, hook_receiver: HookReceiver) -> None:
    """In the catalogue's order; the second sees what the first has changed; a refusal ends it."""
    own = Event("order.checked", "Order checked", "before", (f"POST {ADD}",))
    with MemoryEngine(events=[own]) as engine, served(HookMiddleware(Starlette(routes=ROUTES), engine)) as url:
        engine.hooks.add(gate("before_order_add", hook_receiver.on("one", changes({"order": {"sum": 1}}))))
        engine.hooks.add(gate("order.checked", hook_receiver.on("two", changes({"order": {"id": 2}})), key="two"))
        assert json.loads(httpx.post(url + ADD, json=ORDER).json()["body"]) == {"order": {"id": 2, "sum": 1}}
        assert hook_receiver.received[1].data == {"order": {"id": 7, "sum": 1}}
        hook_receiver.on("one", vetoes())
        assert httpx.post(url + ADD, json=ORDER).status_code == 422
        assert_fired(engine, "before_order_add", "order.checked", "before_order_add")


def test_the_path_below_a_mount_counts(hook_engine: MemoryEngine) -> None:
    """Mounted inside an application, and behind a proxy's prefix."""
    inner = HookMiddleware(Starlette(routes=ROUTES), hook_engine)
    with served(Starlette(routes=[Mount("/api", inner)])) as url:
        assert httpx.post(f"{url}/api{ADD}", json={}).status_code == 200
        httpx.post(url + ADD, json={})
    with served(inner, root_path="/shop") as url:  # uvicorn puts it before the path
        assert httpx.post(url + ADD, json={}).status_code == 200
    assert_fired(hook_engine, "before_order_add", "before_order_add")


def test_odd_paths_are_taken_as_the_application_takes_them(url: str, hook_engine: MemoryEngine) -> None:
    """Doubled slashes and one at the end don't matter; a question mark inside a segment does."""
    for path in ("//organization/order//add/", "/organization/order/add%3Fx", "/organization/order/%2561dd"):
        httpx.post(url + path, json={})
    assert_fired(hook_engine, "before_order_add", "before_order_update")  # `%61dd` is an order's id


def test_websockets_and_the_lifespan_pass(hook_engine: MemoryEngine) -> None:
    """A websocket on a path that means an event is none; the application's own start and end are run."""
    told: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        told.append("start")
        yield {"greeting": "hello"}
        told.append("end")

    async def handler(request: Request) -> Response:
        return PlainTextResponse(request.state.greeting)

    app = Starlette(routes=[Route(ADD, handler, methods=["POST"])], lifespan=lifespan)
    with served(HookMiddleware(app, hook_engine)) as url:
        assert httpx.post(url + ADD, json={}).text == "hello"
    assert told == ["start", "end"]
    passed: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        passed.append((scope, receive, send))

    async def use() -> None:
        scope: Any = {"type": "websocket", "path": "/user/order/add", "headers": []}
        marks: Any = (object(), object())
        await HookMiddleware(inner, hook_engine)(scope, *marks)
        assert passed == [(scope, *marks)]

    asyncio.run(use())
    assert_fired(hook_engine, "before_order_add")


def test_mistakes_are_found_when_it_is_made(hook_engine: MemoryEngine) -> None:
    """Events that are not there, calls that can't be read, an after-event that could not be deferred."""
    app = Starlette()
    with pytest.raises(EventNotFound):
        HookMiddleware(app, hook_engine, shapes={"before_order_ad": Shape(lambda call: {})})
    with pytest.raises(EventNotFound):
        HookMiddleware(app, hook_engine, bind={"before_order_ad": []})
    with pytest.raises(InvalidInput):
        HookMiddleware(app, hook_engine, bind={"before_order_add": ["order/add"]})
    with pytest.raises(TransactionMisuse, match="after_registration"):
        HookMiddleware(app, hook_engine, defer=["after_registration"])


def test_a_database_in_trouble_stops_only_what_needs_it(
    url: str, hook_engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that means no event is served; one that means a before-event is an error, never let through unasked."""

    def broken(seconds: float = inf) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(hook_engine.runtime, "config", broken)
    assert httpx.post(url + "/health", json={}).status_code == 200
    assert httpx.post(url + ADD, json={}).status_code == 500
