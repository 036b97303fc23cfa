"""A request as it leaves: its bytes, made at once of what is said, and whom they go to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hookrow.delivery.message import Message
from hookrow.hook.egress import literal
from hookrow.transport.dialling import Peer

if TYPE_CHECKING:
    import httpx

__all__ = ["ImpossibleURL", "Outgoing", "place_of", "spelled_by_httpx"]

FRAMING = ("content-length", "transfer-encoding")


IN_PATH = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
PLAIN = re.compile(
    rf"(?P<scheme>https?)://(?P<host>[a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::(?P<port>[1-9][0-9]{{0,4}}))?"
    rf"(?P<path>/{IN_PATH})?(?P<query>\?(?:{IN_PATH}|\?)+)?"
)
"""URLs that go over the wire as they are written; what they leave open is spelled by httpx."""
PORTS = {"http": 80, "https": 443}


class ImpossibleURL(ValueError):
    """A URL that was written past the checks of a hook's fields, and leads nowhere."""


class Destination(NamedTuple):
    """A URL taken apart, once, since that costs a fifth of an attempt: whom it leads to, what is asked for there."""

    peer: Peer
    target: str
    host: str


@lru_cache(1024)
def place_of(url: str) -> Destination:
    """Credentials are left out, an address is spelled plainly.

    Raises:
        ImpossibleURL, UnicodeError
    """
    found = PLAIN.fullmatch(url)
    if found is None or "xn--" in found["host"] or "/." in (found["path"] or "") or found["query"] == "?":
        return spelled_by_httpx(url)
    scheme, host = found["scheme"], found["host"]
    port = int(found["port"] or PORTS[scheme])
    named = host if port == PORTS[scheme] else f"{host}:{port}"
    return Destination(peer_at(scheme, host, port), (found["path"] or "/") + (found["query"] or ""), named)


def spelled_by_httpx(url: str) -> Destination:
    """Names in other scripts, dots in paths, what must be percent-encoded. Raises as `place_of`."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ImpossibleURL(str(error)) from None
    peer = peer_at(parsed.scheme, parsed.raw_host.decode("ascii"), parsed.port or PORTS.get(parsed.scheme, 80))
    return Destination(peer, parsed.raw_path.decode("ascii"), parsed.netloc.decode("ascii"))


def peer_at(scheme: str, host: str, port: int) -> Peer:
    address = literal(host)
    return Peer(scheme == "https", host if address is None else str(address), port, address is not None)


@dataclass(slots=True)
class Outgoing:
    """A request to `place`; `content` is all that goes over the wire."""

    place: Destination
    content: bytes = field(repr=False)
    message: Message = field(repr=False)

    @classmethod
    def of(cls, message: Message) -> Outgoing:
        """Nothing but what the message says, framed by the length of its body.

        Raises:
            ImpossibleURL, UnicodeError: a URL or a header that was written past the checks of a hook's fields.
        """
        place = place_of(message.url)
        lines = [f"{message.method} {place.target} HTTP/1.1", f"Host: {place.host}"]
        lines += map(": ".join, message.headers)
        framed = "\n".join(lines).lower()
        if "content-length" in framed or "transfer-encoding" in framed:  # one look at all, since it is as good as never
            lines[2:] = [f"{name}: {value}" for name, value in message.headers if name.lower() not in FRAMING]
        lines.append(f"Content-Length: {len(message.body)}")
        head = "\r\n".join(lines)
        if head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1 or "\0" in head:
            raise ValueError("a header with a line break")  # no field of a hook can hold one
        return cls(place, b"%b\r\n\r\n%b" % (head.encode("ascii"), message.body), message)

    def for_httpx(self) -> httpx.Request:
        """The same for a transport that was given: httpx has nothing left to find out or to add."""
        import httpx

        message = self.message
        headers = [("Host", self.place.host), *message.headers, ("Content-Length", str(len(message.body)))]
        stream = httpx.ByteStream(message.body)
        request = httpx.Request(message.method, message.url, headers=headers, stream=stream)
        request.read()
        return request
