"""The receiver of every comparison: HTTP/1.1 with Content-Length, 200 and `{}`, no more; in a process of its own.

Run as a program it prints its port and ends with its standard input; given the file of a certificate it speaks TLS.
A request's path says how it is answered: `/20` after 20 ms, `/dead` never (the connection is closed), `/close` at once,
for the last time on its connection. `GET /count` gives the number of POSTs so far, `GET /until/N` as soon as there are
so many: asking again and again would take a tenth of the machine from what is measured. `GET /late` gives the
milliseconds between a body's `"sent_ns"` and its arrival, and forgets them. The wall clocks are one machine's.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import psutil

__all__ = ["Receiver"]

LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
SENT = re.compile(rb'"sent_ns": ?(\d+)')


class Quick(asyncio.Protocol):
    """One connection."""

    count = 0
    late: list[float] = []  # noqa: RUF012 (of all connections)
    asked: list[tuple[int, Quick]] = []  # noqa: RUF012 (the same)

    def __init__(self) -> None:
        self.data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.data[:end]).lower()
            mark = head.find(b"content-length:")
            length = int(head[mark + 15 :].split(b"\r\n", 1)[0]) if mark >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            body = bytes(self.data[end + 4 : end + 4 + length])
            del self.data[: end + 4 + length]
            self.answer(head.split(b" ", 2)[1], body)

    def answer(self, path: bytes, body: bytes) -> None:
        if path == b"/count":
            self.give(Quick.count)
        elif path == b"/late":
            self.give(Quick.late)
            Quick.late = []
        elif path.startswith(b"/until/"):
            Quick.asked.append((int(path[7:]), self))
            self.counted(0)
        elif path in (b"/dead", b"/close"):
            self.counted()
            if path == b"/close":
                self.transport.write(LAST)
            self.transport.close()
        else:
            self.counted()
            if found := SENT.search(body):
                Quick.late.append((time.time_ns() - int(found[1])) / 1e6)
            if path[1:].isdigit():
                asyncio.get_running_loop().call_later(int(path[1:]) / 1000, self.transport.write, OK)
            else:
                self.transport.write(OK)

    def counted(self, more: int = 1) -> None:
        Quick.count += more
        if Quick.asked:
            for number, connection in [each for each in Quick.asked if each[0] <= Quick.count]:
                Quick.asked.remove((number, connection))
                connection.give(Quick.count)

    def give(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def main(certificate: str | None = None) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = await loop.create_server(Quick, "127.0.0.1", 0, backlog=2048, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()


class Receiver:
    """Starts the process; a `with` block ends it."""

    def __init__(self, certificate: Path | None = None) -> None:
        given = [] if certificate is None else [certificate]
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__), *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http{'s' if given else ''}://127.0.0.1:{self.port}/"
        self.watched = psutil.Process(self.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()
            self.process.wait(10)

    def ask(self, path: str, seconds: float = 60.0) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=seconds) as answer:
            return json.loads(answer.read())

    def count(self) -> int:
        """How many POSTs have come."""
        return int(self.ask("count"))

    def late(self) -> list[float]:
        """Milliseconds from `sent_ns` to arrival, of all requests since the last look."""
        return list(self.ask("late"))

    def wait_for(self, count: int, seconds: float = 300.0) -> None:
        """Until so many POSTs have come. Raises TimeoutError."""
        try:
            self.ask(f"until/{count}", seconds)
        except TimeoutError:
            raise TimeoutError(f"{self.count()} of {count} requests came") from None

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        times = self.watched.cpu_times()
        return times.user + times.system


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
