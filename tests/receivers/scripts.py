"""Ready-made scripts: what a receiver may do with a connection. Each factory gives a function of a `Peer`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from receivers.server import Peer

__all__ = ["Script", "close", "drip", "hold", "reply", "reset", "response", "send", "silence"]

Script = Callable[[Peer], None]


def response(
    status: int = 200, body: bytes = b"", headers: Iterable[tuple[str, str]] = (), *, length: bool = True
) -> bytes:
    """The bytes of a whole reply; `length=False` leaves Content-Length out."""
    lines = [f"HTTP/1.1 {status} Any"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def reply(
    status: int = 200,
    body: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
    *,
    after: float | threading.Event = 0.0,
    keep_alive: bool = True,
) -> Script:
    """Read the request, answer it properly; `after` some seconds, or after an event that the test sets."""
    data = response(status, body, [*headers] if keep_alive else [*headers, ("Connection", "close")])

    def script(peer: Peer) -> None:
        peer.read()
        if isinstance(after, threading.Event):
            peer.wait(after)
        elif after:
            peer.pause(after)
        peer.send(data)
        if not keep_alive:
            peer.close()

    return script


def send(*pieces: bytes, then: str = "close") -> Script:
    """Read the request, send raw bytes; then `close`, `reset`, `keep` open for the next request, or `hold` it open."""

    def script(peer: Peer) -> None:
        peer.read()
        for piece in pieces:
            peer.send(piece)
        if then == "hold":
            peer.wait_left()
        elif then == "reset":
            peer.reset()
        elif then == "close":
            peer.close()

    return script


def drip(data: bytes, *, every: float = 0.2, head: bytes = b"") -> Script:
    """Read the request, send `head` at once and then `data` one byte at a time."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(head)
        for byte in data:
            peer.send(bytes([byte]))
            peer.pause(every)

    return script


def silence(peer: Peer) -> None:
    """Read whatever comes, answer nothing, until the other side leaves."""
    peer.wait_left()


def hold(peer: Peer) -> None:
    """Read one request, answer nothing, until the other side leaves."""
    peer.read()
    peer.wait_left()


def close(peer: Peer) -> None:
    """Close at once, before reading anything."""
    peer.close()


def reset(peer: Peer) -> None:
    """Read the request, then close by RST."""
    peer.read()
    peer.reset()
