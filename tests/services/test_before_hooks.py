"""Before-hooks of the middleware: they see, refuse and change what a real client sends (RFC 9457)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hookrow import Hook
from hookrow.asgi import fired
from hookrow.testing import (
    HookReceiver,
    MemoryEngine,
    assert_allowed,
    assert_fired,
    assert_vetoed,
    changes,
    fails,
    gives,
    vetoes,
)
from hosting import ADD, ORDER, gate, raw

Host = Callable[..., AbstractContextManager[str]]


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Sends each part of the body back as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


def test_a_before_hook_sees_the_body_and_lets_it_pass_untouched(
    url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Byte for byte, with its own spaces and order; the payload is the body."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    sent = b'{ "order" : {"sum": 1290.0, "id": 7} }'
    got = httpx.post(url + ADD, content=sent, headers={"content-type": "application/json"}).json()
    assert (got["body"], got["content-length"]) == (sent.decode(), str(len(sent)))
    assert [each.data for each in hook_receiver.received] == [{"order": {"sum": 1290.0, "id": 7}}]
    assert_allowed(assert_fired(hook_engine, "before_order_add")[0])


def test_a_refusal_is_a_problem(url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """RFC 9457: status, message, code and errors of the veto; the handler is not reached."""
    errors = [{"path": "/order/sum", "code": "limit", "message": "too much"}]
    hook_receiver.script = vetoes("Лимит исчерпан", code="LIMIT", status=409, errors=errors)
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    response = httpx.post(url + ADD, json=ORDER)
    [firing] = assert_fired(hook_engine, "before_order_add")
    assert_vetoed(firing, by="gate", code="LIMIT")
    assert (response.status_code, response.headers["content-type"]) == (409, "application/problem+json")
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "Лимит исчерпан",
        "code": "LIMIT",
        "errors": errors,
        "event": "before_order_add",
        "firing": firing.id,
    }


def test_a_hook_set_to_stop_that_fails_refuses_with_503(
    url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Its fallback message is the detail, the error's word the code."""
    hook_receiver.script = fails()
    hook = gate("before_order_add", hook_receiver.url, on_failure="stop", fallback_message="Позже")
    hook_engine.hooks.add(hook)
    response = httpx.post(url + ADD, json=ORDER)
    problem = response.json()
    assert (response.status_code, problem["detail"], problem["code"]) == (503, "Позже", "bad_status")


def test_a_change_reaches_the_handler_with_the_right_length(
    url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Also where it grew beyond what was announced, and where nothing was: in chunks."""
    hook_receiver.script = changes({"order": {"comment": "ы" * 5000, "paid": True}})
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    changed = {"order": {"id": 7, "sum": 1290, "comment": "ы" * 5000, "paid": True}}
    chunks = iter([b'{"order": {"id": 7, ', b'"sum": 1290}}'])
    kind = {"content-type": "application/json; charset=utf-8"}
    for response in (httpx.post(url + ADD, json=ORDER), httpx.post(url + ADD, content=chunks, headers=kind)):
        got = response.json()
        assert json.loads(got["body"].encode("latin-1")) == changed
        assert (int(got["content-length"]), got["transfer-encoding"]) == (got["read"], None)


def test_true_for_one_is_a_change(url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """In JSON these are different values."""
    hook_receiver.script = changes({"order": {"id": True}})
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    assert httpx.post(url + ADD, json={"order": {"id": 1}}).json()["body"] == '{"order":{"id":true}}'


def test_a_result_reaches_the_handler(url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """`fired(request)[event].result`."""
    hook_receiver.script = gives({"cost": 390})
    hook_engine.hooks.add(gate("before_delivery_service_calculate", hook_receiver.url))
    got = httpx.post(url + "/organization/delivery_service/3/calculate", json={"order": {}}).json()
    assert got["fired"] == {"before_delivery_service_calculate": {"cost": 390}}


def test_the_handler_enqueues_what_was_deferred(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Background deliveries of a `defer` event wait for the handler; never enqueued is never sent."""

    def handler(request: Request) -> Response:
        if request.query_params.get("keep"):
            fired(request)["before_order_add"].enqueue()
        return JSONResponse({})

    hook_engine.hooks.add(Hook(key="erp", name="ERP", event="before_order_add", url=hook_receiver.url))
    app = Starlette(routes=[Route(ADD, handler, methods=["POST"])])
    with host(app, defer=["before_order_add"]) as url:
        httpx.post(url + ADD, json=ORDER)
        httpx.post(url + f"{ADD}?keep=1", json=ORDER)
    assert hook_engine.deliver() == 1
    kept, sent = assert_fired(hook_engine, "before_order_add", "before_order_add")
    assert (hook_engine.outcomes(kept), hook_engine.outcomes(sent)) == ({"erp": "not_enqueued"}, {"erp": "sent"})


# -- bodies that hooks can't see --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/upload", ADD])
def test_a_stream_is_not_held_up(asgi_host: Host, path: str) -> None:
    """Both ways at once, whether the call means an event or not: what was sent comes back before the rest is sent."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    with asgi_host(mirror) as url, raw(url) as sock:
        got = b""
        for part in (b"first", b"later"):
            sock.sendall(head.encode() + b"5\r\n" + part + b"\r\n")
            head = ""
            while part not in got:
                got += sock.recv(65536)
        sock.sendall(b"0\r\n\r\n")


def test_half_a_request_asks_nothing(asgi_host: Host, hook_engine: MemoryEngine) -> None:
    """A client that leaves in the middle of its body: no hook is asked, the handler learns of it as ever."""
    told = threading.Event()

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    with asgi_host(
        handler,
    ) as url:
        with raw(url) as sock:
            sock.sendall(b"POST " + ADD.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
            sock.sendall(b'content-length: 50\r\n\r\n{"order": ')
        assert told.wait(10)
    assert hook_engine.fired == []


def test_the_handler_sees_its_client_leave(
    asgi_host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """After the body, `receive` waits for the disconnect: an event stream is told, and not before."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    seen: list[str] = []
    told = threading.Event()

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        seen.append((await receive())["type"])
        told.set()

    with asgi_host(handler) as url, raw(url) as sock:
        sock.sendall(b"POST " + ADD.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        sock.sendall(b"content-length: 2\r\n\r\n{}")
        while b"begun" not in sock.recv(65536):
            pass
        assert seen == ["http.request"]
        sock.close()
        assert told.wait(10)
    assert seen == ["http.request", "http.disconnect"]
