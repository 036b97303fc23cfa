"""A small HTTP server on 127.0.0.1 that answers as a function says: for `listen`, `demo` and the testing kit."""

from __future__ import annotations

import hmac
import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Literal, Self

from hookrow.delivery.message import sign
from hookrow.payload import MIB, Json, is_deep

__all__ = ["HOST", "Answer", "Came", "Receiver"]

HOST = "127.0.0.1"
LONGEST = 64 * MIB
"""Bytes of a body that are read."""
TOLERANCE = 300
"""Seconds that a signature may be away from now (Standard Webhooks)."""


@dataclass(frozen=True, slots=True)
class Came:
    """A request as it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Json:
        """The body as JSON; None where it is none that can be written again: NaN, endless nesting."""
        try:
            value = json.loads(self.body)
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):
            return None
        return None if is_deep(value, self.body) else value

    def signature(self, secret: str, now_s: float) -> Literal["valid", "missing", "invalid", "too_old", "too_new"]:
        """What a receiver makes of the signature (docs/receivers.md). Raises ValueError: the secret is no base64."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        given, ident, sent = (headers.get(f"webhook-{part}", "") for part in ("signature", "id", "timestamp"))
        if not given:
            return "missing"
        if not re.fullmatch("[0-9]{1,12}", sent):
            return "invalid"
        right = sign([secret], ident, int(sent), self.body).encode()
        if not any(hmac.compare_digest(right, each.encode()) for each in given.split(" ")):
            return "invalid"
        if abs(now_s - int(sent)) <= TOLERANCE:
            return "valid"
        return "too_old" if int(sent) < now_s else "too_new"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, after so many seconds."""

    status: int = 200
    body: bytes = b""
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Json, status: int = 200, seconds: float = 0.0) -> Answer:
        """A JSON answer."""
        body = json.dumps(value, ensure_ascii=False).encode()
        return cls(status, body, seconds, {"content-type": "application/json; charset=utf-8"})


class Receiver:
    """Listens on 127.0.0.1 from the moment it is made. `answer` is called in the connection's thread."""

    def __init__(self, answer: Callable[[Came], Answer], port: int = 0) -> None:
        """Listen on a port, 0 for a free one.

        Raises:
            OSError: the port is taken.
        """
        self.answer = answer
        self.closing: Final = threading.Event()
        self.server: Final = ThreadingHTTPServer((HOST, port), self.handler())
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]
        self.url: Final = f"http://{HOST}:{self.port}"
        self.thread: Final = threading.Thread(
            target=self.server.serve_forever, args=(0.1,), name="receiver", daemon=True
        )
        self.thread.start()

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """The request handler bound to this receiver."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "hookrow-listen"
            sys_version = ""
            timeout = 60
            wbufsize = 65536  # head and body leave together: apart they would wait 40 ms for each other
            disable_nagle_algorithm = True

            def respond(self) -> None:
                given = self.headers.get("content-length") or "0"
                if not (given.isascii() and given.isdigit()):
                    self.close_connection = True
                    self.send_error(400)
                    return
                length = min(int(given[:20]), LONGEST)
                came = Came(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
                answer = receiver.answer(came)
                if answer.seconds and receiver.closing.wait(answer.seconds):
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_POST = do_GET = do_PUT = do_PATCH = respond  # noqa: N815 - the names that http.server calls

            def log_message(self, format: str, *args: object) -> None:
                """The receiver's owner prints what came; the server itself says nothing."""

        return Handler

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; answers that wait are dropped."""
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
