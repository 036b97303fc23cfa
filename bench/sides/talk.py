"""The side's half of the conversation: standard library only, since peers' environments import it too."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["BODY", "PAYLOAD", "gathered", "say", "told", "told_async"]

PAYLOAD: dict[str, Any] = {
    "order": {
        "id": 77120,
        "number": "A-10492",
        "sum": 3060,
        "items": [{"sku": "CF-250", "qty": 3, "price": 890.5}] * 3,
    },
    "user": {"id": 512, "login": "79161234567", "email": "buyer@example.ru"},
    "comment": "Позвонить за час, домофон 12К",
}
BODY = json.dumps({"id": "evt_0123456789abcdefghjk", "type": "before_order_add", "data": PAYLOAD}).encode()
"""What a peer posts: as large as the envelope that Hookrow makes of the payload."""


def say(**what: Any) -> None:
    """One line to the bench."""
    print(json.dumps(what), flush=True)


def told(do: Callable[..., Any]) -> None:
    """Do as each line says, and answer."""
    say(ready=True)
    for line in sys.stdin:
        given = json.loads(line)
        say(done=do(given.pop("do"), **given))


async def told_async(do: Callable[..., Awaitable[Any]]) -> None:
    """`told`, on a loop that goes on meanwhile."""
    say(ready=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        given = json.loads(line)
        say(done=await do(given.pop("do"), **given))


async def gathered(call: Callable[[], Awaitable[object]], count: int, concurrency: int) -> None:
    """So many calls, so many of them at a time."""
    left = count

    async def one_after_another() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    await asyncio.gather(*(one_after_another() for _ in range(concurrency)))
