"""For tests of the middleware: a real server on 127.0.0.1 around an ASGI application, and one to put there."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from werkzeug.serving import make_server

from hookrow import Hook
from hookrow.asgi import fired
from hookrow.testing import MemoryEngine

__all__ = ["ADD", "ORDER", "ROUTES", "bridged", "gate", "raw", "served", "served_wsgi", "settled"]

ADD = "/organization/order/add"
ORDER = {"order": {"id": 7, "sum": 1290}}


async def echo(request: Request) -> Response:
    """Answers with what the handler got: the body, its length by the header, and what was fired."""
    body = await request.body()
    firings = {code: firing.result for code, firing in fired(request).items()}
    kept = {name: request.headers.get(name) for name in ("content-length", "transfer-encoding", "content-encoding")}
    known = {"body": body.decode("latin-1"), **kept, "read": len(body), "fired": firings}
    return JSONResponse(known, int(request.headers.get("x-status", 200)))


async def register(request: Request) -> Response:
    """Answers as a service that made a user."""
    return JSONResponse({"user": {"id": 48213}}, 201)


ROUTES = [
    Route("/organization/user/new", register, methods=["POST"]),
    Route("/{path:path}", echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
]


def gate(event: str, url: str, **more: Any) -> Hook:
    """A waiting hook that may change the payload."""
    more = {"key": "gate", "name": "Gate", "wait_for_response": True, "response_has_data": True, **more}
    return Hook(event=event, url=url, **more)


@contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """The application behind uvicorn in a thread; gives its URL, without a slash. It is shut down in the proper way."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, **options))
    thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"  # it listens already: who connects early is served late
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()


@contextmanager
def served_wsgi(app: Any) -> Iterator[str]:
    """The application behind a server of threads; gives its URL, without a slash. It answers what it has begun."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = False  # it waits for them
    thread = threading.Thread(target=server.serve_forever, args=[0.01], name="wsgi")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
        assert not thread.is_alive()


def bridged(app: Any) -> Any:
    """An ASGI application as a WSGI one, so that both middlewares have the same handlers: one loop for each call."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        stated = None if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
        body = [environ["wsgi.input"].read() if stated is None else environ["wsgi.input"].read(stated)]
        names = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}
        names |= {key: key[5:].replace("_", "-").lower() for key in environ if key.startswith("HTTP_")}
        scope = {
            "type": "http",
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"].encode("latin-1").decode(),
            "query_string": environ["QUERY_STRING"].encode("latin-1"),
            "headers": [
                (name.encode(), environ[key].encode("latin-1")) for key, name in names.items() if key in environ
            ],
            "state": {"hookrow": environ.get("hookrow", {})},
        }
        said: list[Any] = []

        async def receive() -> Any:
            if not body:
                await asyncio.Event().wait()  # who listens for its client to leave
            return {"type": "http.request", "body": body.pop(), "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        asyncio.run(app(scope, receive, send))
        headers = [(name.decode(), value.decode("latin-1")) for name, value in said[0]["headers"]]
        start_response(f"{said[0]['status']} Said", headers)
        return [message["body"] for message in said[1:]]

    return application


@contextmanager
def raw(url: str) -> Iterator[socket.socket]:
    """A bare connection to a server."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        yield sock


def settled(engine: MemoryEngine, count: int = 1) -> None:
    """Wait until so many firings have ended: an after-event is fired when the response is out."""
    pause = threading.Event()
    for _ in range(1000):
        if len(engine.fired) >= count:
            return
        pause.wait(0.01)
    raise AssertionError(engine.fired)
