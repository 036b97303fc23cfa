"""The middleware in WSGI, where that differs: bodies without chunks, responses in pieces, real servers of processes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import create_environ

from hookrow.errors import InvalidInput, Misuse
from hookrow.testing import AsyncMemoryEngine, HookReceiver, MemoryEngine, assert_fired
from hookrow.wsgi import ApiCall, HookMiddleware
from hosting import ADD, gate, raw, served_wsgi

NEW = "/organization/user/new"


def called(app: Any, **request: Any) -> tuple[str, bytes]:
    """Status and body of a call, made as a server of no name makes it."""
    status: list[str] = []
    parts: list[bytes] = []

    def start_response(said: str, headers: Any, exc_info: Any = None) -> Any:
        status.append(said)
        return parts.append

    response = app({**create_environ(method="POST"), **request}, start_response)
    try:
        parts.extend(response)
    finally:
        getattr(response, "close", list)()
    return status[-1], b"".join(parts)


def echo(environ: Any, start_response: Any) -> list[bytes]:
    """Sends the body back, read in every way."""
    start_response("200 OK", [])
    stream = environ["wsgi.input"]
    return [stream.read(3), stream.readline(2), stream.readline(), *stream, *stream.readlines(), stream.read()]


def test_half_a_request_is_no_request(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """A WSGI application takes the end of a connection for the end of the body: no gate would have seen it."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    reached: list[Any] = []
    with served_wsgi(HookMiddleware(lambda *call: reached.append(call), hook_engine)) as url, raw(url) as sock:
        sock.sendall(b"POST " + ADD.encode() + b" HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n")
        sock.sendall(b'content-length: 50\r\n\r\n{"order": {"sum": 5000}}')
        sock.shutdown(1)
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert (reached, hook_engine.fired, hook_receiver.received) == ([], [], [])


@pytest.mark.parametrize(
    "headers",
    [{"HTTP_TRANSFER_ENCODING": "chunked"}, {"CONTENT_LENGTH": "-1"}, {"CONTENT_LENGTH": "9" * 5000}],
    ids=["chunked", "negative", "endless"],
)
def test_a_body_without_a_length_is_unseen(
    hook_engine: MemoryEngine, hook_receiver: HookReceiver, headers: dict[str, str]
) -> None:
    """Where the server does not end it by itself, the application may have another way to ask for it."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    known = {"PATH_INFO": ADD, "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(b"{}"), **headers}
    status, body = called(HookMiddleware(echo, hook_engine), **known)
    assert (status[:3], b"unseen_body" in body) == ("411", True)
    assert hook_receiver.received == []


@pytest.mark.parametrize("limit", [1, 4, 8, 100])
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_chunked_body_reaches_the_handler_whole(hook_engine: MemoryEngine, limit: int, kind: str) -> None:
    """What hooks have looked at is given back, wherever they stopped."""
    body = b'{"a":\n1,\n\n\n"b":2\n}'
    known = {"PATH_INFO": ADD, "CONTENT_TYPE": kind, "wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    assert called(HookMiddleware(echo, hook_engine, limit=limit), **known)[1] == body


def test_a_response_in_pieces(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """While it is made `fire()` knows the call; what follows sees all of it, also what was written the old way."""
    reused: list[bool] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("201 Created", [("Content-Type", "application/json")])
        write(b'{"user": ')
        yield b'{"id":'
        reused.append(hook_engine.fire("before_user_new", {}).reused)
        yield b" 7}}"

    hook_engine.hooks.add(gate("before_user_new", hook_receiver.url))
    wrapped = HookMiddleware(app, hook_engine, bind={"before_user_new": [f"POST {NEW}"]})
    assert called(wrapped, PATH_INFO=NEW) == ("201 Created", b'{"user": {"id": 7}}')
    wrapped.settle()
    assert reused == [True]
    assert [(each.event, each.payload) for each in hook_engine.fired][-1] == ("after_registration", {"user": {"id": 7}})


def test_a_response_that_fails_has_not_happened(hook_engine: MemoryEngine) -> None:
    """Although it had begun with 201."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", [])
        yield b"begun"
        raise RuntimeError("the disk is gone")

    wrapped = HookMiddleware(app, hook_engine)
    with pytest.raises(RuntimeError, match="disk"):
        called(wrapped, PATH_INFO=NEW)
    wrapped.settle()
    assert hook_engine.fired == []


@pytest.mark.parametrize("how", ["it takes nothing more", "it finds no room for a thread"])
def test_what_no_other_thread_takes_is_fired_in_this_one(
    hook_engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Executors take nothing once the main thread has ended, where requests may still end; and it is fired once."""
    wrapped = HookMiddleware(echo, hook_engine)
    if how == "it takes nothing more":
        wrapped.followers.shutdown()
    else:

        def refused() -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(wrapped.followers, "_adjust_thread_count", refused)
    called(wrapped, PATH_INFO=NEW)
    assert_fired(hook_engine, "after_registration")
    monkeypatch.undo()
    wrapped.followers._adjust_thread_count()  # one that has room now finds it queued
    wrapped.followers.shutdown()
    assert_fired(hook_engine, "after_registration")


def test_the_path_below_a_mount_counts(hook_engine: MemoryEngine) -> None:
    """`SCRIPT_NAME` is no part of it."""
    app: Any = DispatcherMiddleware(echo, {"/api": HookMiddleware(echo, hook_engine)})
    assert called(app, PATH_INFO=f"/api{ADD}")[0] == "200 OK"
    assert called(app, PATH_INFO=ADD)[0] == "200 OK"
    assert_fired(hook_engine, "before_order_add")


def test_what_waits_on_a_loop_is_refused(hook_engine: MemoryEngine) -> None:
    """An async function, and the async engine: in words."""

    async def key(call: ApiCall) -> str:
        await asyncio.sleep(0)
        return call.path

    with pytest.raises(Misuse, match="can't be async"):
        called(HookMiddleware(echo, hook_engine, idempotency=key), PATH_INFO=ADD)

    async def wrongly_made() -> None:
        async with AsyncMemoryEngine() as engine:
            HookMiddleware(echo, engine)  # type: ignore[arg-type]

    with pytest.raises(InvalidInput, match="use HookEngine"):
        asyncio.run(wrongly_made())


def test_httpx_as_a_client_of_wsgi(hook_engine: MemoryEngine) -> None:
    """Tests of a service need no server."""
    with httpx.Client(transport=httpx.WSGITransport(HookMiddleware(echo, hook_engine)), base_url="http://x") as client:
        assert client.post(ADD, json={"a": 1}).content == b'{"a":1}'
    assert [each.payload for each in hook_engine.fired] == [{"a": 1}]
