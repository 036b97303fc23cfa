"""`/metrics` and `/healthz` over HTTP, for a process that serves nothing else."""

from __future__ import annotations

import io
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from hookrow.clock import SystemClock
from hookrow.core.blocking import HookEngine
from hookrow.core.engine import AsyncHookEngine
from hookrow.errors import StorageError
from hookrow.metrics.collector import Metrics, Scrape, client

__all__ = ["MetricsPage"]

REAL: Final = SystemClock()
PATIENCE = 10.0
"""Seconds in which a client sends its request, and so many more in which it takes the reply."""
LONGEST = 65_536
"""Bytes of a request that are looked at."""
AT_ONCE = 32
"""Clients that are served at once: each has a thread and a descriptor, which deliveries need as well."""


class MetricsPage:
    """Serves from the moment it is made until it is closed, in threads of its own."""

    def __init__(self, metrics: Metrics, engine: HookEngine | AsyncHookEngine, host: str, port: int) -> None:
        """Listen. Raises OSError: there is no such address here, or it is taken."""
        library = client()
        registry = library.CollectorRegistry()
        metrics.register(engine, registry)
        view = Scrape(metrics, engine)

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):  # it is gone, or slow
                    self.rfile = io.BytesIO(head_of(self.connection))
                    super().handle()

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self.answer(200, library.CONTENT_TYPE_LATEST, library.generate_latest(registry))
                elif self.path == "/healthz":
                    try:
                        view.figures()
                    except StorageError as error:
                        self.answer(503, "text/plain; charset=utf-8", f"{type(error).__name__}\n".encode())
                    else:
                        self.answer(200, "text/plain; charset=utf-8", b"ok\n")
                else:
                    self.answer(404, "text/plain; charset=utf-8", b"/metrics or /healthz\n")

            def answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                return

        places = threading.Semaphore(AT_ONCE)

        class Server(ThreadingHTTPServer):
            address_family: int = socket.AF_INET6 if ":" in host else socket.AF_INET

            def process_request(self, request: Any, client_address: Any) -> None:
                if not places.acquire(blocking=False):
                    self.shutdown_request(request)
                    return
                try:
                    super().process_request(request, client_address)
                except BaseException:  # no thread can be started
                    places.release()
                    raise

            def process_request_thread(self, request: Any, client_address: Any) -> None:
                try:
                    super().process_request_thread(request, client_address)
                finally:
                    places.release()

        self.server: Final = Server((host, port), Handler)
        self.port: Final = self.server.server_port
        self.thread: Final = threading.Thread(target=self.server.serve_forever, name="hookrow-metrics", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Listen no more."""
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def head_of(connection: socket.socket) -> bytes:
    """A request's head. Raises OSError: the client takes too long, however it spreads its bytes."""
    until, head = REAL.monotonic() + PATIENCE, b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < LONGEST:
        connection.settimeout(max(until - REAL.monotonic(), 0.001))
        data = connection.recv(LONGEST)
        if not data:
            break
        head += data
    connection.settimeout(PATIENCE)
    return head
