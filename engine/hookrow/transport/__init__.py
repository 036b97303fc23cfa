"""The only HTTP: requests over aiohttp beneath httpx's interface, within bounds of time, memory and reach."""

from __future__ import annotations

from hookrow.transport.exchange import Exchange, exchange
from hookrow.transport.names import Resolver
from hookrow.transport.wire import Blocked, Transport

__all__ = ["Blocked", "Exchange", "Resolver", "Transport", "exchange"]
