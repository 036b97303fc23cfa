"""The receiver itself: a listening socket, a thread for each connection, what came in."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["BlackHole", "Peer", "Receiver", "Request"]

PATIENCE = 60.0
"""Seconds after which what a test waits for does not come any more, on the busiest machine."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came. `at` is `time.monotonic()` when its last byte was read; `connection` counts from 1."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float
    connection: int
    head: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The first header of this name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        return json.loads(self.body)


class Gone(Exception):
    """The other side closed, or the receiver is being closed: the script ends here."""


class Peer:
    """One accepted connection, as a script sees it."""

    def __init__(self, receiver: Receiver, sock: socket.socket, number: int) -> None:
        self.receiver = receiver
        self.sock = sock
        self.number = number
        self.rest = b""
        self.open = True

    def more(self) -> bytes:
        """Some bytes from the other side; `Gone` at the end."""
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        return data

    def until(self, mark: bytes) -> bytes:
        """All bytes up to and with `mark`."""
        while mark not in self.rest:
            self.rest += self.more()
        head, _, self.rest = self.rest.partition(mark)
        return head + mark

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes."""
        while len(self.rest) < count:
            self.rest += self.more()
        data, self.rest = self.rest[:count], self.rest[count:]
        return data

    def read(self) -> Request:
        """Read one whole request and record it. `Gone` if the other side closes before its end."""
        head = self.until(b"\r\n\r\n")
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        known = {name.lower(): value for name, value in headers}
        if known.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size)
                self.exactly(2)
            self.until(b"\r\n")
        else:
            body = self.exactly(int(known.get("content-length", "0")))
        request = Request(method, path, headers, body, time.monotonic(), self.number, head)
        self.receiver.record(request)
        return request

    def send(self, data: bytes) -> None:
        """Send all of it; `Gone` if the other side has left."""
        self.sock.sendall(data)

    def pause(self, seconds: float) -> None:
        """Let time pass; `Gone` at once when the receiver is being closed."""
        if self.receiver.closing.wait(seconds):
            raise Gone

    def wait(self, event: threading.Event) -> None:
        """Wait until a test sets `event`; `Gone` at once when the receiver is being closed."""
        while not event.wait(0.02):
            if self.receiver.closing.is_set():
                raise Gone

    def wait_left(self) -> None:
        """Wait until the other side closes, throwing away what it sends."""
        while True:
            self.more()

    def close(self) -> None:
        """Close in the ordinary way. What was not read makes the system answer with a reset."""
        self.open = False
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.open = False
        # Shutting down would send a FIN first: the socket is closed by its thread at once.


def answer(peer: Peer) -> None:
    """What a receiver does that was told nothing: 200, nothing more."""
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


class Receiver:
    """A server on 127.0.0.1 that plays scripts, one a request, in the order given; the last one is played from then on.

    `url` ends in a slash. A connection's first script starts when it is accepted, the later ones when bytes arrive.
    `window`: bytes that the system takes in for a script that does not read.
    An error in a script (not a connection that broke) is raised by `close()`, at the end of the `with` block.
    """

    def __init__(
        self,
        *scripts: Callable[[Peer], None],
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        window: int = 0,
    ) -> None:
        self.scripts = list(scripts) or [answer]
        self.tls = tls
        self.requests: list[Request] = []
        self.connections = 0
        self.errors: list[Exception] = []
        self.closing = threading.Event()
        self.changed = threading.Condition()
        self.peers: dict[Peer, threading.Thread] = {}
        self.listener = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
        )
        if window:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}/"
        self.thread = threading.Thread(target=self.accept, name="receiver", daemon=True)
        self.thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def play(self, *scripts: Callable[[Peer], None]) -> None:
        """From now on play these."""
        with self.changed:
            self.scripts = list(scripts)

    def record(self, request: Request) -> None:
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def wait(self, count: int = 1, timeout: float = PATIENCE) -> list[Request]:
        """Block until `count` requests have come in whole; they are returned. Fails after `timeout` seconds."""
        with self.changed:
            done = self.changed.wait_for(lambda: len(self.requests) >= count, timeout)
            assert done, f"{len(self.requests)} of {count} requests came within {timeout} s"
            return list(self.requests)

    def wait_connections(self, count: int, timeout: float = PATIENCE) -> None:
        """Block until `count` connections have been accepted in all."""
        with self.changed:
            done = self.changed.wait_for(lambda: self.connections >= count, timeout)
            assert done, f"{self.connections} of {count} connections came within {timeout} s"

    def wait_idle(self, timeout: float = PATIENCE) -> None:
        """Block until every connection is closed: whatever was cut off has really let go."""
        with self.changed:
            done = self.changed.wait_for(lambda: not self.peers, timeout)
            assert done, f"{len(self.peers)} connections were still open after {timeout} s"

    def hang_up(self) -> None:
        """Close every connection, as a server does with idle ones, and wait until it is done."""

        def closed() -> bool:
            for peer in self.peers:  # one that was accepted meanwhile, too
                peer.close()
            return not self.peers

        with self.changed:
            done = self.changed.wait_for(closed, PATIENCE)
        assert done, f"{len(self.peers)} connections were still open after {PATIENCE} s"

    def close(self) -> None:
        """Stop; raise the first error of a script."""
        self.closing.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.listener.close()
        for peer, thread in list(self.peers.items()):
            peer.close()
            thread.join(10)
        if self.errors:
            raise self.errors[0]

    def accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
                peer = Peer(self, sock, self.connections)
                thread = threading.Thread(target=self.serve, args=(peer,), name="receiver-peer", daemon=True)
                self.peers[peer] = thread
                self.changed.notify_all()
            thread.start()

    def next_script(self) -> Callable[[Peer], None]:
        with self.changed:
            return self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]

    def serve(self, peer: Peer) -> None:
        try:
            with peer.sock:
                peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self.tls is not None:
                    peer.sock = self.tls.wrap_socket(peer.sock, server_side=True)
                with peer.sock:
                    self.next_script()(peer)
                    while peer.open:
                        if not peer.rest:
                            peer.rest = peer.more()
                        self.next_script()(peer)
        except (Gone, OSError):
            pass
        except Exception as error:  # noqa: BLE001 - raised by close()
            self.errors.append(error)
        finally:
            with self.changed:
                del self.peers[peer]
                self.changed.notify_all()


class BlackHole:
    """A listening socket that never accepts and whose backlog is full: connecting to it never ends."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.listener = socket.socket()
        self.listener.bind((host, port))
        self.listener.listen(0)
        self.port: int = self.listener.getsockname()[1]
        self.url = f"http://{host}:{self.port}/"
        self.fillers: list[socket.socket] = []
        for _ in range(64):
            filler = socket.socket()
            filler.setblocking(False)
            self.fillers.append(filler)
            filler.connect_ex((host, self.port))
            if not select.select([], [filler], [], 0.05)[1]:
                return
        raise AssertionError("the backlog takes every connection: no black hole on this system")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for sock in (*self.fillers, self.listener):
            sock.close()
