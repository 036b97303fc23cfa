"""One exchange: a request, its reply, and a limit of wall-clock time around both. The one way a request is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hookrow.clock import Clock
from hookrow.lang import Text
from hookrow.payload import MIB
from hookrow.reasons.reason import Reason
from hookrow.transport.faults import fault, faults, too_late
from hookrow.transport.head import Head
from hookrow.transport.outgoing import Outgoing
from hookrow.transport.progress import Progress
from hookrow.transport.reading import Reading, encoding_of
from hookrow.transport.taking import Late
from hookrow.transport.wire import Transport

if TYPE_CHECKING:
    import httpx

__all__ = ["Exchange", "exchange"]

THROWN_AWAY = 64 * 1024
"""Bytes of a response to `forget` that are read so that the receiver is not cut off."""
LONGEST = 64 * MIB
"""Bytes of a background hook's response that are counted; a longer one is cut off, delivered all the same."""
HEADERS_KEPT = 100
HEADER_KEPT = 2_000


@dataclass(slots=True)
class Exchange:
    """What came of it.

    `error` is a word (`hookrow.words`), None if a reply (of `forget`: the end of the sending) was reached; `detail`
    says it to people. `length` is the body's true length as far as it was read, `complete` whether its end was seen,
    `encoding` what the kept bytes still bear. `times` are milliseconds: name, connect, tls, send, wait, read, total.
    """

    error: str | None = None
    detail: Text | None = None
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    length: int = 0
    complete: bool = False
    encoding: str | None = None
    address: str | None = None
    sent: bool = False
    reused: bool = False
    times: dict[str, float] = field(default_factory=dict)


class ExchangeState:
    """How far the exchange has come."""

    def __init__(self, progress: Progress, keep: int, bound: int) -> None:
        self.progress = progress
        self.keep = keep
        self.bound = bound
        self.status: int | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        self.reading: Reading | None = None

    # -- over our own transport ---------------------------------------------------------------------------------------

    def headed(self, head: Head) -> bool:
        self.status = head.status
        if head.shown is None:
            head.shown = tuple((name, value[:HEADER_KEPT]) for name, value in head.headers[:HEADERS_KEPT])
        self.headers = head.shown
        self.reading = Reading(encoding_of(head.encoding), keep=self.keep, bound=self.bound)
        return self.reading.inflater is not None

    def took(self, piece: bytes) -> bool:
        assert self.reading is not None
        self.reading.push(piece)
        return self.reading.over

    def ended(self) -> None:
        assert self.reading is not None
        self.reading.complete = True

    async def read(self, pieces: AsyncIterator[bytes]) -> None:
        assert self.reading is not None
        await self.reading.read(pieces)

    # -- over httpx's interface ---------------------------------------------------------------------------------------

    async def hold(self, transport: httpx.AsyncBaseTransport, outgoing: Outgoing) -> None:
        """Send the request, read the reply. Raises what the transport raises."""
        request = outgoing.for_httpx()
        request.extensions = {**request.extensions, "trace": self.progress}
        response = await transport.handle_async_request(request)
        try:
            self.status = response.status_code
            self.headers = readable(response.headers)
            header = response.headers.get("content-encoding", "")
            self.reading = Reading(encoding_of(header), keep=self.keep, bound=self.bound)
            if 200 <= self.status < 600:
                await self.reading.read(response.stream)  # type: ignore[arg-type]
        finally:
            await response.stream.aclose()  # type: ignore[union-attr]

    async def limited(self, transport: httpx.AsyncBaseTransport, request: Outgoing, timeout: float) -> None:
        """The same within so many seconds. Raises Late."""
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                await self.hold(transport, request)
        except TimeoutError:
            if limit.expired():
                raise Late from None
            raise

    def told(self, error: str | None = None, detail: Text | None = None) -> Exchange:
        progress, reading = self.progress, self.reading
        return Exchange(
            error=error,
            detail=detail,
            status=self.status,
            headers=self.headers,
            body=bytes(reading.kept) if reading else b"",
            length=reading.length if reading else 0,
            complete=reading is not None and reading.complete,
            encoding=reading.encoding if reading else None,
            address=progress.address,
            sent=progress.sent or self.status is not None,
            reused=progress.reused,
            times=progress.times(),
        )


def readable(headers: httpx.Headers) -> tuple[tuple[str, str], ...]:
    """The first headers, each cut to a length that a log can hold."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1")[:HEADER_KEPT]) for name, value in headers.raw[:HEADERS_KEPT]
    )


async def exchange(
    transport: Transport | httpx.AsyncBaseTransport,
    request: Outgoing,
    *,
    timeout: float,
    limit: int,
    keep: int | None,
    clock: Clock,
    wait: Literal["reply", "sent"] = "reply",
) -> Exchange:
    """Make one request and say what came of it. A receiver's failure is a result; only cancellation is raised.

    Args:
        timeout: seconds for the whole: look-up, connection, TLS, sending, every byte of the response.
        limit: bytes; a blocking hook's longer reply is `reply_too_large`.
        keep: bytes of a background hook's response to keep: its status alone decides, so its body may be cut or break
            off. None for a blocking hook, whose whole body is needed.
        wait: `sent` for `forget`: done once the whole request was handed to the connection; the response is read and
            thrown away for as long as the time lasts, whatever it is.
    """
    progress = Progress(clock)
    if wait == "sent":
        talk = ExchangeState(progress, 0, THROWN_AWAY)
    elif keep is None:
        talk = ExchangeState(progress, limit, limit)
    else:
        talk = ExchangeState(progress, keep, LONGEST)
    error: str | None = None
    detail: Text | None = None
    try:
        if isinstance(transport, Transport):
            await transport.send(request, talk, timeout)
        else:
            await talk.limited(transport, request, timeout)
    except Late:
        error, detail = "timeout", too_late(progress, timeout)
    except faults() as broken:  # a TimeoutError of the system's own, too, of a connection
        error, detail = fault(broken, progress)
    if wait == "sent":
        if progress.sent or talk.status is not None:
            return Exchange(
                address=progress.address, sent=True, reused=progress.reused, times=progress.times(), complete=True
            )
        return talk.told(error, detail)
    if talk.status is not None and not 200 <= talk.status < 600:
        return talk.told("bad_reply", Reason("status_impossible", status=talk.status))
    if error is not None and keep is not None and talk.status is not None:
        return talk.told()
    if error is None and keep is None and talk.reading is not None and talk.reading.over:
        return talk.told("reply_too_large", Reason("reply_too_long", limit=limit))
    return talk.told(error, detail)
