"""`kill -9` of worker processes at random moments: nothing is lost, and little is sent twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from hookrow.store.config import hook_from
from hookrow.store.database import Database
from hookrow.store.outbox import Claimed
from hookrow.worker import Worker
from outbox_rows import Result, add_hook, fire, hook_row, result, rows

SPEED = 4
"""How fast the children's clocks run: a lease of 5.1 s lapses in 1.3."""
KILLS = 8
CONCURRENCY = 8


class FastClock:
    """The machine's clock, faster; the same in every process."""

    def now_ms(self) -> int:
        return 1_800_000_000_000 + round(time.monotonic() * 1000 * SPEED)

    def monotonic(self) -> float:
        return time.monotonic() * SPEED


def work(path: Path, log: Path) -> None:
    """A worker process: every request is one line in the receiver's log."""
    database = Database(f"sqlite:///{path}", clock=FastClock())
    receiver = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    hooks: dict[int, Any] = {}

    async def perform(claimed: Claimed, hook: Any) -> Result:
        await asyncio.sleep(0.002)
        os.write(receiver, f"{claimed.row_id}\n".encode())
        await asyncio.sleep(0.002)
        return result()

    def hook_of(number: int) -> Any:
        if number not in hooks:
            hooks[number] = hook_from(hook_row(database, number))
        return hooks[number]

    worker = Worker(database, FastClock(), perform=perform, hook_of=hook_of, concurrency=CONCURRENCY, poll=0.02)
    asyncio.run(worker.run())


def start(path: Path, log: Path) -> int:
    """Fork a worker; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work(path, log)
    finally:
        os._exit(1)


def kill(child: int) -> None:
    """End a worker without a word, and see it gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_killed_workers_lose_nothing(tmp_path: Path) -> None:
    """Every committed row is sent; twice only what was in flight at a kill; nothing more than three times."""
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    path, log = tmp_path / "hooks.db", tmp_path / "receiver.log"
    database = Database(f"sqlite:///{path}", clock=FastClock())
    hooks = [add_hook(database, key, timeout=0.1) for key in "ab"]
    ids = [row for _ in range(500) for row in fire(database, hooks, FastClock().now_ms())[1]]
    database.close()
    for _ in range(KILLS):
        child = start(path, log)
        time.sleep(dice.uniform(0.03, 0.25))  # the random moment of the kill
        kill(child)
    child = start(path, log)
    reader = Database(f"sqlite:///{path}", clock=FastClock())
    try:
        end = time.monotonic() + 60
        while time.monotonic() < end and any(row.state != "ok" for row in rows(reader).values()):
            time.sleep(0.05)
        found = list(rows(reader).values())
        states = Counter(row.state for row in found)
    finally:
        kill(child)
        reader.close()
    sent = Counter(int(line) for line in log.read_text().split())
    assert states == {"ok": len(ids)}
    assert set(sent) == set(ids), "a row was lost, or one was sent that nobody fired"
    assert sent.total() - len(ids) <= KILLS * CONCURRENCY
    assert max(sent.values()) <= 3
    assert any(row.fence > 1 for row in found), "no kill met a leased row: the test showed nothing"
    with closing(sqlite3.connect(path)) as plain, plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
