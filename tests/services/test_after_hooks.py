"""After-hooks of the middleware: told of what succeeded, when the response is out."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hookrow import Hook
from hookrow.asgi import ApiCall, Shape
from hookrow.testing import (
    HookReceiver,
    MemoryEngine,
    allows,
    assert_fired,
)
from hosting import gate, raw, settled

Host = Callable[..., AbstractContextManager[str]]


def test_an_after_hook_gets_request_and_response(
    url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """What was sent with what was answered laid over it; a password only as null."""
    hook_engine.hooks.add(Hook(key="card", name="Card", event="after_registration", url=hook_receiver.url))
    body = {"user": {"name": "Irina", "password": "hidden", "id": None}, "source": "site"}
    httpx.post(url + "/organization/user/new", json=body)
    [request] = delivered(hook_engine, hook_receiver)
    assert request.data == {"user": {"name": "Irina", "password": None, "id": 48213}, "source": "site"}


def delivered(engine: MemoryEngine, receiver: HookReceiver) -> list[Any]:
    """What the receiver has got, once the after-event is fired and its deliveries are sent."""
    settled(engine)
    engine.deliver()
    return receiver.received


@pytest.mark.parametrize(("status", "events"), [(200, 1), (299, 1), (302, 0), (404, 0), (500, 0)])
def test_an_after_hook_is_for_2xx_only(host: Host, hook_engine: MemoryEngine, status: int, events: int) -> None:
    """What did not succeed has not happened."""
    bind = {"after_registration": ["POST /echo"]}
    with host(bind=bind) as url:
        httpx.post(url + "/echo", json={}, headers={"x-status": str(status)})
    assert len(hook_engine.fired) == events  # the server's end waits for what follows


def test_an_after_hook_delays_no_response(url: str, hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """The client has the whole response while a waiting after-hook is still being asked."""
    free = threading.Event()

    def answer(came: Any) -> Any:
        assert free.wait(10)
        return allows()

    hook_receiver.script = answer
    hook_engine.hooks.add(gate("after_registration", hook_receiver.url))
    with httpx.Client() as client:
        assert client.post(url + "/organization/user/new", json={}).status_code == 201
        hook_receiver.wait(1)
        assert hook_engine.fired == []
        assert client.post(url + "/other", json={}).status_code == 200  # on the same connection
        free.set()
        settled(hook_engine)


def test_an_after_hook_survives_its_client(host: Host, hook_engine: MemoryEngine) -> None:
    """The client leaves while the handler works: what it did has happened."""
    entered, left = threading.Event(), threading.Event()

    def handler(request: Request) -> Response:
        entered.set()
        left.wait(10)
        return JSONResponse({"user": {"id": 1}})

    app = Starlette(routes=[Route("/organization/user/new", handler, methods=["POST"])])
    with host(app) as url:
        with raw(url) as sock:
            sock.sendall(b"POST /organization/user/new HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            entered.wait(10)
        left.set()
    [firing] = assert_fired(hook_engine, "after_registration")
    assert firing.payload == {"user": {"id": 1}}


def test_a_response_passes_untouched(host: Host, hook_engine: MemoryEngine) -> None:
    """Compressed, large or in parts, with its background task; hooks see of it what they can."""
    tasks: list[str] = []
    replies = {
        "gzip": Response(
            gzip.compress(b'{"user": 1}'), headers={"content-encoding": "gzip"}, media_type="application/json"
        ),
        "long": JSONResponse({"user": "x" * 3000}, background=BackgroundTask(tasks.append, "done")),
        "text": PlainTextResponse("hello"),
        "list": JSONResponse([1]),
    }

    async def handler(request: Request) -> Response:
        return replies[request.query_params["kind"]]

    app = Starlette(routes=[Route("/organization/user/new", handler, methods=["POST"])])
    with host(app, limit=2000) as url, httpx.Client() as client:
        for count, kind in enumerate(replies, start=1):
            with client.stream("POST", f"{url}/organization/user/new?kind={kind}", json={"source": "site"}) as response:
                assert b"".join(response.iter_raw()) == replies[kind].body
            settled(hook_engine, count)
    assert [each.payload for each in hook_engine.fired] == [{"source": "site"}] * 4
    assert tasks == ["done"]


def test_a_failing_shape_of_an_after_event_is_logged(
    host: Host, hook_engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody waits for it; the client has its response."""

    def payload(call: ApiCall) -> dict[str, Any]:
        raise RuntimeError("no payload today")

    with host(shapes={"after_registration": Shape(payload)}) as url:
        assert httpx.post(url + "/organization/user/new", json={}).status_code == 201
    assert "after_registration was not fired after POST /organization/user/new" in caplog.text
