"""A request as it leaves: its bytes, made at once of what is said, and whom they go to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import httpx

from hookrow.delivery.message import Message
from hookrow.hook.egress import literal
from hookrow.transport.dialling import Peer

__all__ = ["Outgoing"]

FRAMING = ("content-length", "transfer-encoding")


class Place(NamedTuple):
    """A URL taken apart, once, since that costs a fifth of an attempt: whom it leads to, what is asked for there."""

    url: httpx.URL
    peer: Peer
    target: str
    host: str


@lru_cache(1024)
def place_of(url: str) -> Place:
    """Credentials are left out, an address is spelled plainly. Raises httpx.InvalidURL, UnicodeError."""
    parsed = httpx.URL(url)
    host = parsed.raw_host.decode("ascii")
    address = literal(host)
    tls = parsed.scheme == "https"
    peer = Peer(
        tls, host if address is None else str(address), parsed.port or (443 if tls else 80), address is not None
    )
    return Place(parsed, peer, parsed.raw_path.decode("ascii"), parsed.netloc.decode("ascii"))


@dataclass(slots=True)
class Outgoing:
    """A request to `place`; `content` is all that goes over the wire."""

    place: Place
    content: bytes = field(repr=False)
    message: Message = field(repr=False)

    @classmethod
    def of(cls, message: Message) -> Outgoing:
        """Nothing but what the message says, framed by the length of its body.

        Raises:
            httpx.InvalidURL, UnicodeError: a URL or a header that was written past the checks of a hook's fields.
        """
        place = place_of(message.url)
        lines = [f"{message.method} {place.target} HTTP/1.1", f"Host: {place.host}"]
        lines += [f"{name}: {value}" for name, value in message.headers if name.lower() not in FRAMING]
        lines.append(f"Content-Length: {len(message.body)}")
        head = "\r\n".join(lines)
        if head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1 or "\0" in head:
            raise ValueError("a header with a line break")  # no field of a hook can hold one
        return cls(place, b"%b\r\n\r\n%b" % (head.encode("ascii"), message.body), message)

    def for_httpx(self) -> httpx.Request:
        """The same for a transport that was given: httpx has nothing left to find out or to add."""
        message = self.message
        headers = [("Host", self.place.host), *message.headers, ("Content-Length", str(len(message.body)))]
        stream = httpx.ByteStream(message.body)
        request = httpx.Request(message.method, self.place.url, headers=headers, stream=stream)
        request.read()
        return request
