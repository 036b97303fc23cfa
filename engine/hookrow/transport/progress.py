"""How far one exchange has come, and when: what times, phases and failures are told from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from hookrow.clock import Clock
from hookrow.lang import Text

__all__ = [
    "CONNECTED",
    "CONNECTING",
    "HEADED",
    "NAMED",
    "NAMING",
    "SECURED",
    "SECURING",
    "SENDING",
    "SENT",
    "Phase",
    "Progress",
]

Phase = Literal["start", "name", "connect", "tls", "send", "wait", "read"]

# httpcore's names for its trace extension; it has none for the look-up of names, which is a part of connecting there.
NAMING = "connection.look_up.started"
NAMED = "connection.look_up.complete"
CONNECTING = "connection.connect_tcp.started"
CONNECTED = "connection.connect_tcp.complete"
SECURING = "connection.start_tls.started"
SECURED = "connection.start_tls.complete"
SENDING = "http11.send_request_headers.started"
SENT = "http11.send_request_body.complete"
HEADED = "http11.receive_response_headers.complete"

BEGINS: Mapping[str, Phase] = {
    NAMING: "name",
    CONNECTING: "connect",
    SECURING: "tls",
    SECURED: "send",
    SENDING: "send",
    SENT: "wait",
    HEADED: "read",
}
SPANS: Final = (
    ("name", NAMING, NAMED),
    ("connect", CONNECTING, CONNECTED),
    ("tls", SECURING, SECURED),
    ("send", SENDING, SENT),
    ("wait", SENT, HEADED),
)


class Progress:
    """The listener of one exchange: `request.extensions["trace"]`, in httpcore's convention.

    An httpx transport awaits it; our own calls `mark`. `blocked` is why the last refused address was refused; `dialled`
    the addresses really dialled.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.began: Final = clock.monotonic()
        self.at: dict[str, float] = {}
        self.phase: Phase = "start"
        self.host = ""
        self.port: int | None = None
        self.dialled: list[str] = []
        self.address: str | None = None
        self.blocked: Text | None = None
        self.left_before: bool = False

    def mark(self, event: str) -> None:
        """An event has happened now."""
        self.at[event] = self.clock.monotonic()
        self.phase = BEGINS.get(event, self.phase)

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.mark(event)
        if event == CONNECTED and (stream := info.get("return_value")) is not None:
            self.address = endpoint(stream.get_extra_info("server_addr"))

    def restart(self) -> None:
        """The request is sent once more, on another connection: what is kept is the time gone, and that it had left."""
        self.left_before = self.left
        self.at.clear()
        self.phase = "start"
        self.dialled.clear()
        self.address = self.blocked = None

    @property
    def sending(self) -> bool:
        """Whether the request has begun to be written."""
        return SENDING in self.at

    @property
    def left(self) -> bool:
        """Whether the receiver may have got some of the request, on whatever connection."""
        return self.sending or self.left_before

    @property
    def sent(self) -> bool:
        """Whether the whole request was handed to the connection."""
        return SENT in self.at

    @property
    def reused(self) -> bool:
        """Whether the request went out on a connection that had been kept open."""
        return self.sending and CONNECTING not in self.at

    @property
    def place(self) -> str:
        """The address connected to, or tried last, or the host and port asked for."""
        return self.address or (self.dialled[-1] if self.dialled else endpoint((self.host, self.port)) or self.host)

    def times(self) -> dict[str, float]:
        """Milliseconds of each phase that ended, and `total`: name, connect, tls, send, wait, read."""
        now = self.clock.monotonic()
        at, times = self.at, {}
        for name, begun, ended in SPANS:
            if begun in at and ended in at:
                times[name] = round(max(at[ended] - at[begun], 0.0) * 1000, 1)
        if HEADED in at:
            times["read"] = round(max(now - at[HEADED], 0.0) * 1000, 1)
        times["total"] = round(max(now - self.began, 0.0) * 1000, 1)
        return times


def endpoint(address: Any) -> str | None:
    """`host:port` of a socket address, in brackets for IPv6."""
    if not isinstance(address, tuple) or len(address) < 2:
        return None
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
