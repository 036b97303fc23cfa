"""taskiq on Redis as its guide sets it up: a stream broker with a result backend, `taskiq worker` beside it, aiohttp.

`taskiq_side.py`, told where by BENCH_REDIS and BENCH_URL.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
from talk import BODY, gathered, told_async
from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

REDIS, URL = os.environ["BENCH_REDIS"], os.environ["BENCH_URL"]
broker = RedisStreamBroker(REDIS).with_result_backend(RedisAsyncResultBackend(REDIS, result_ex_time=600))
state: dict[str, aiohttp.ClientSession] = {}


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def start(_: TaskiqState) -> None:
    """One session a worker, as aiohttp asks for."""
    state["session"] = aiohttp.ClientSession()


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def stop(_: TaskiqState) -> None:
    await state["session"].close()


@broker.task
async def post(body: str) -> int:
    """One POST; what it returns is kept by the result backend."""
    headers = {"content-type": "application/json"}
    async with state["session"].post(URL, data=body.encode(), headers=headers) as answer:
        await answer.read()
        return answer.status


async def main() -> None:
    """Enqueue as the bench says."""
    await broker.startup()
    body = BODY.decode()

    async def do(what: str, count: int, concurrency: int) -> Any:
        await gathered(lambda: post.kiq(body), count, concurrency)
        return count

    try:
        await told_async(do)
    finally:
        await broker.shutdown()


if __name__ == "__main__":
    here = str(Path(__file__).parent)
    command = [sys.executable, Path(sys.executable).with_name("taskiq"), "worker", "taskiq_side:broker"]
    command += ["--log-level", "ERROR", "--app-dir", here]
    with subprocess.Popen(command, cwd=here, env={**os.environ, "PYTHONPATH": here}, stdout=2) as working:
        import taskiq_side

        try:
            asyncio.run(taskiq_side.main())
        finally:
            working.terminate()
