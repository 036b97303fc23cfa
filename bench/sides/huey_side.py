"""huey on SQLite as its guide sets it up: tasks enqueued here, `huey_consumer` with threads as workers beside it.

`huey_side.py FOLDER RECEIVER_URL`. The request goes through `http.client` with a kept connection a thread: the cheapest
client that a task can use.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huey import SqliteHuey
from talk import BODY, told

WORKERS = 8
huey = SqliteHuey(filename=os.environ["BENCH_HUEY"])
target = urlsplit(os.environ["BENCH_URL"])
kept = threading.local()


@huey.task()
def post(body: str) -> int:
    """One POST; what it returns is kept by huey."""
    if not hasattr(kept, "connection"):
        kept.connection = HTTPConnection(target.hostname or "", target.port)
    kept.connection.request("POST", "/", body=body.encode(), headers={"content-type": "application/json"})
    answer = kept.connection.getresponse()
    answer.read()
    return answer.status


def do(what: str, count: int, concurrency: int) -> Any:
    """Enqueue."""
    body = BODY.decode()
    for _ in range(count):
        post(body)
    return count


if __name__ == "__main__":
    consumer = Path(sys.executable).with_name("huey_consumer")
    command = [consumer, "huey_side.huey", "-k", "thread", "-w", str(WORKERS), "-q"]
    with subprocess.Popen(
        [sys.executable, *command], env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)}, stdout=2
    ) as working:
        import huey_side

        try:
            told(huey_side.do)
        finally:
            working.terminate()
