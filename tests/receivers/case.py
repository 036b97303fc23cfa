"""One way in which a receiver may misbehave, and what each mode of hook makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from receivers.scripts import Script
from receivers.server import Peer

__all__ = ["Case", "flood", "raw"]


@dataclass(frozen=True, slots=True)
class Case:
    """A receiver's script and the word for it in each mode: a delivery's `error` if it has one, else its outcome.

    `transform` is as `gate` unless it says otherwise; `forget` None: what it becomes depends on how much the system
    took before the connection broke. `waits`: it ends at the hook's limit; all others end long before it.
    `large`: the payload is a megabyte. `tls`: the receiver's certificate, by its name in the test; the URL is https.
    """

    script: Script
    gate: str
    record: str
    transform: str = ""
    forget: str | None = "sent"
    status: int | None = None
    waits: bool = False
    large: bool = False


def raw(head: str, body: bytes = b"", then: str = "close") -> Script:
    r"""Read the request, send these very bytes (`\n` in the head becomes CRLF, its end is added); see `send`."""
    from receivers.scripts import send

    return send(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body, then=then)


def flood(head: bytes, piece: bytes, count: int | None = None, end: bytes = b"") -> Script:
    """Read the request, send `head` and then `piece` over and over, `count` times or for ever, and `end`."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(head)
        left = count
        while left is None or left > 0:
            peer.send(piece)
            left = None if left is None else left - 1
        peer.send(end)

    return script
