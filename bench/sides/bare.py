"""Clients that keep nothing: `bare.py RECEIVER_URL`; does `aiohttp` and `httpx`, so many POSTs at a concurrency."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp
import httpx
from talk import BODY, gathered, told_async

HEADERS = {"content-type": "application/json"}


async def main(url: str) -> None:
    """Post as the bench says."""
    async with aiohttp.ClientSession() as session, httpx.AsyncClient() as client:

        async def by_aiohttp() -> None:
            async with session.post(url, data=BODY, headers=HEADERS) as answer:
                await answer.read()

        async def by_httpx() -> None:
            await client.post(url, content=BODY, headers=HEADERS)

        async def do(what: str, count: int, concurrency: int) -> Any:
            await gathered({"aiohttp": by_aiohttp, "httpx": by_httpx}[what], count, concurrency)
            return count

        await told_async(do)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
