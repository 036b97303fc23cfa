"""Both drivers of an exchange: asyncio's connections on the running loop, and a thread that speaks over its socket."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hookrow.clock import SystemClock
from hookrow.hook.egress import Egress
from hookrow.transport import Transport
from hookrow.transport.straight import StraightTransport, straight

__all__ = ["DRIVERS", "asked", "closed", "transport_of"]

T = TypeVar("T")
DRIVERS = ("loop", "thread")


def transport_of(driver: str, egress: Egress | None = None, *, tls: Any = None, **how: Any) -> Transport:
    """The shipped transport, under the default policy if none is given."""
    policy, clock = egress or Egress(), SystemClock()
    if driver == "loop":
        return Transport(policy, clock, tls=tls, **how)

    def beside() -> Transport:
        return Transport(policy, clock, **how)

    made = StraightTransport(policy, clock, asyncio.run, beside)
    made.tls = tls
    return made


async def asked(transport: Any, exchange: Coroutine[Any, Any, T]) -> T:
    """What comes of an exchange over the transport."""
    if isinstance(transport, StraightTransport):
        return await asyncio.to_thread(straight, exchange)
    return await exchange


async def closed(transport: Transport) -> None:
    """Close it."""
    if isinstance(transport, StraightTransport):
        transport.close()
    else:
        await transport.aclose()
