"""procrastinate on PostgreSQL as its guide says: an async connector with a pool, `procrastinate worker` beside it.

`procrastinate_side.py`, told where by BENCH_POSTGRES and BENCH_URL.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import procrastinate
from talk import BODY, gathered, told_async

URL = os.environ["BENCH_URL"]
CONCURRENCY = "32"
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["BENCH_POSTGRES"]))
state: dict[str, aiohttp.ClientSession] = {}


@app.task(name="post")
async def post(body: str) -> int:
    """One POST with a session that the worker keeps."""
    if "session" not in state:
        state["session"] = aiohttp.ClientSession()
    headers = {"content-type": "application/json"}
    async with state["session"].post(URL, data=body.encode(), headers=headers) as answer:
        await answer.read()
        return answer.status


async def main() -> None:
    """Enqueue as the bench says."""
    body = BODY.decode()

    async def do(what: str, count: int, concurrency: int) -> Any:
        await gathered(lambda: post.defer_async(body=body), count, concurrency)
        return count

    async with app.open_async():
        await told_async(do)


async def prepare() -> None:
    """The tables, once."""
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()


if __name__ == "__main__":
    here = str(Path(__file__).parent)
    asyncio.run(prepare())
    command = [sys.executable, Path(sys.executable).with_name("procrastinate"), "--app=procrastinate_side.app"]
    command += ["worker", f"--concurrency={CONCURRENCY}"]
    quiet = {**os.environ, "PYTHONPATH": here, "PROCRASTINATE_LOG_LEVEL": "error"}
    with subprocess.Popen(command, cwd=here, env=quiet, stdout=2, stderr=subprocess.DEVNULL) as working:
        import procrastinate_side

        try:
            asyncio.run(procrastinate_side.main())
        finally:
            working.terminate()
