"""Hookrow in a process of its own: `ours.py DATABASE_URL RECEIVER_URL [KIND…]`.

KIND: `producer` fires without a worker of its own; `pad=N` makes payloads of N bytes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from talk import PAYLOAD, gathered, told_async

from hookrow import AsyncHookEngine, Hook

EVENT = "before_order_add"
BODY = '{"id": "{{ webhook.id }}", "type": "{{ webhook.type }}", "number": "{{ order.number }}", "data": {{ payload }}}'


async def ready(engine: AsyncHookEngine, url: str) -> None:
    """One background hook with all that costs: template, signature, sealed secrets, the response kept."""
    found = [hook.key for hook in await engine.hooks.list()]
    if "bench" not in found:
        await engine.hooks.ensure(
            Hook(
                key="bench",
                name="Bench",
                event=EVENT,
                url=url,
                body=BODY,
                fire_and_forget=False,
                response_has_data=True,
                auth_login="shop",
                auth_password="correct horse battery staple",
                custom_header="X-Source: bench",
                signing_secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            )
        )


async def main(database: str, url: str, *kind: str) -> None:
    """Fire as the bench says."""
    payload = dict(PAYLOAD)
    for word in kind:
        if word.startswith("pad="):
            payload["pad"] = "x" * max(0, int(word[4:]) - len(BODY))
    async with AsyncHookEngine(database, worker="producer" not in kind) as engine:
        await ready(engine, url)

        async def do(what: str, count: int = 0, concurrency: int = 32, rate: int = 0) -> Any:
            if what == "fire":
                await gathered(lambda: engine.fire(EVENT, payload), count, concurrency)
                return count
            if what == "open":
                return await at_rate(engine, count, rate)
            if what == "queue":
                return (await engine.log.summary()).queue
            raise ValueError(what)

        await told_async(do)


async def at_rate(engine: AsyncHookEngine, count: int, rate: int) -> int:
    """Fire so many a second, whatever comes of the earlier ones; gives how many were under way at once at the most."""
    began, most = time.perf_counter(), 0
    running: set[asyncio.Task[None]] = set()

    async def one() -> None:
        await engine.fire(EVENT, {**PAYLOAD, "sent_ns": time.time_ns()})

    for number in range(count):
        wait = began + number / rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one())
        running.add(task)
        task.add_done_callback(running.discard)
        most = max(most, len(running))
    await asyncio.gather(*running)
    return most


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
