"""The only HTTP: requests over connections of our own, within bounds of time, memory and reach."""

from __future__ import annotations

from hookrow.transport.dialling import Blocked
from hookrow.transport.exchange import Exchange, exchange
from hookrow.transport.names import Resolver
from hookrow.transport.outgoing import Outgoing
from hookrow.transport.wire import Transport

__all__ = ["Blocked", "Exchange", "Outgoing", "Resolver", "Transport", "exchange"]
