"""For services' own tests: an engine that leaves nothing behind, a receiver that remembers, a clock, strict assertions.

    from hookrow import Hook
    from hookrow.testing import HookReceiver, MemoryEngine, assert_fired, assert_vetoed, vetoes

    def test_an_order_that_the_stock_refuses():
        with MemoryEngine() as engine, HookReceiver(vetoes("sold out", code="STOCK")) as stock:
            engine.hooks.add(Hook(key="stock", name="Stock", event="before_order_add", url=stock.url,
                                  wait_for_response=True))
            response = Shop(engine).order(7)
            assert response.status == 422
            [firing] = assert_fired(engine, "before_order_add")
            assert_vetoed(firing, by="stock", code="STOCK")

Nothing here needs pytest; `hookrow.testing.fixtures` holds the same as pytest's fixtures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hookrow.testing.assertions import assert_allowed, assert_fired, assert_received, assert_vetoed
    from hookrow.testing.clock import ManualClock
    from hookrow.testing.engine import AsyncMemoryEngine, MemoryEngine
    from hookrow.testing.receiver import HookReceiver, Received, allows, changes, delays, fails, gives, vetoes
    from hookrow.testing.server import Answer

__all__ = [
    "Answer",
    "AsyncMemoryEngine",
    "HookReceiver",
    "ManualClock",
    "MemoryEngine",
    "Received",
    "allows",
    "assert_allowed",
    "assert_fired",
    "assert_received",
    "assert_vetoed",
    "changes",
    "delays",
    "fails",
    "gives",
    "vetoes",
]

# At their first use (PEP 562): `hookrow listen` needs the small server alone, and no SQLAlchemy.
HOMES: dict[str, tuple[str, ...]] = {
    "assertions": ("assert_allowed", "assert_fired", "assert_received", "assert_vetoed"),
    "clock": ("ManualClock",),
    "engine": ("AsyncMemoryEngine", "MemoryEngine"),
    "receiver": ("HookReceiver", "Received", "allows", "changes", "delays", "fails", "gives", "vetoes"),
    "server": ("Answer",),
}
HOME = {name: module for module, names in HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
