"""For tests of the middleware: a real server on 127.0.0.1 around an ASGI application, and one to put there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hookrow import Hook
from hookrow.asgi import fired
from hookrow.testing import MemoryEngine

__all__ = ["ADD", "ORDER", "ROUTES", "gate", "raw", "served", "settled"]

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
