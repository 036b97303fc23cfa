"""`kill -9` of worker processes at random moments: nothing is lost, and little is sent twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hookrow.store import outbox
from hookrow.store.configuration.cache import hook_from
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.outbox import Claimed
from hookrow.worker import Worker
from outbox_rows import Result, add_hook, attempts, fire, hook_row, result, rows, state

SPEED = 4
"""How fast the children's clocks run: a lease of 5.1 s lapses in 1.3."""
KILLS = 5
CONCURRENCY = 8
ROWS = 600
MOST = ROWS // (KILLS + 1)
"""Rows that a worker which is to be killed sends: so each has some, and holds some when the kill comes late."""


class FastClock:
    """The machine's clock, faster; the same in every process."""

    def now_ms(self) -> int:
        return 1_800_000_000_000 + round(time.monotonic() * 1000 * SPEED)

    def monotonic(self) -> float:
        return time.monotonic() * SPEED


def work(path: Path, log: Path, most: int) -> None:
    """A worker process: every request is one line in the receiver's log; after `most` of them all others hang."""
    database = open_database(f"sqlite:///{path}", clock=FastClock())
    receiver = os.open(log, os.O_WRONLY | os.O_APPEND)
    hooks: dict[int, Any] = {}
    begun = itertools.count()

    async def perform(claimed: Claimed, hook: Any) -> Result:
        await (asyncio.sleep(0.002) if next(begun) < most else asyncio.Event().wait())
        os.write(receiver, f"{claimed.row_id}\n".encode())
        await asyncio.sleep(0.002)
        return result()

    async def hook_of(number: int) -> Any:
        if number not in hooks:
            hooks[number] = hook_from(hook_row(database, number))
        return hooks[number]

    worker = Worker(database, database.clock, perform=perform, hook_of=hook_of, concurrency=CONCURRENCY, poll=0.02)
    asyncio.run(worker.run())


def start(path: Path, log: Path, most: int) -> int:
    """Fork a worker; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work(path, log, most)
    finally:
        os._exit(1)


def wait(true: Callable[[], bool]) -> None:
    """Wait for what another process does; five minutes are a hang, one is a machine that is busy."""
    end = time.monotonic() + 300
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def kill(child: int) -> None:
    """End a worker without a word, and see it gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_killed_workers_lose_nothing(tmp_path: Path) -> None:
    """Every committed row is sent; twice only what was in flight at a kill; each time under a claim of its own."""
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    path, log = tmp_path / "hooks.db", tmp_path / "receiver.log"
    database = open_database(f"sqlite:///{path}", clock=FastClock())
    hooks = [add_hook(database, key, timeout=0.1) for key in "ab"]
    ids = [row for _ in range(ROWS // 2) for row in fire(database, hooks, FastClock().now_ms())[1]]
    database.close()
    log.touch()
    for _ in range(KILLS):
        before = log.stat().st_size
        child = start(path, log, MOST)
        try:
            wait(lambda before=before: log.stat().st_size > before)  # type: ignore[misc]
            time.sleep(dice.uniform(0, 0.12))  # the random moment of the kill
        finally:
            kill(child)
    child = start(path, log, ROWS)
    reader = open_database(f"sqlite:///{path}", clock=FastClock())
    try:
        end = time.monotonic() + 300
        while time.monotonic() < end and any(row.state != "ok" for row in rows(reader).values()):
            time.sleep(0.1)
        found = rows(reader)
    finally:
        kill(child)
        reader.close()
    sent = Counter(int(line) for line in log.read_text().split())
    assert Counter(row.state for row in found.values()) == {"ok": len(ids)}
    assert set(sent) == set(ids), "a row was lost, or one was sent that nobody fired"
    assert sent.total() - len(ids) <= KILLS * CONCURRENCY
    assert [row for row in ids if sent[row] > found[row].fence] == [], "sent without a claim of its own"
    assert any(row.fence > 1 for row in found.values()), "no kill met a leased row: the test showed nothing"
    with closing(sqlite3.connect(path)) as plain, plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class LaterClock(FastClock):
    """The machine's clock, as much later as the test says."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_ms / 1000


def work_until_killed(url: str, ahead_ms: int, poison: int) -> None:
    """A worker process that the request of one delivery takes down; the others take their time beside it."""
    clock = LaterClock(ahead_ms)
    database = open_database(url, clock=clock)
    hooks: dict[int, Any] = {}

    async def perform(claimed: Claimed, hook: Any) -> Result:
        if claimed.row_id == poison:
            await asyncio.sleep(0.05)
            os._exit(9)
        await asyncio.sleep(0.03)
        return result()

    async def hook_of(number: int) -> Any:
        if number not in hooks:
            hooks[number] = hook_from(hook_row(database, number))
        return hooks[number]

    worker = Worker(database, database.clock, perform=perform, hook_of=hook_of, concurrency=CONCURRENCY, poll=0.02)
    asyncio.run(worker.run())


def gone(child: int) -> bool:
    """Whether this child has ended by itself."""
    return os.waitpid(child, os.WNOHANG)[0] != 0


def test_what_kills_its_worker_is_dead_after_five_and_nothing_else(database: Database) -> None:
    """On both databases: each new worker meets the same delivery, beside innocent ones, some of them fresh."""
    clock = LaterClock(0)
    hook = add_hook(database, "a", timeout=0.1)
    _, [poison] = fire(database, [hook], clock.now_ms())
    innocent = [row for _ in range(2 * CONCURRENCY) for row in fire(database, [hook], clock.now_ms())[1]]
    url = database.address.render_as_string(hide_password=False)
    deaths = 0
    while True:
        database.disconnect()
        child = os.fork()
        if not child:
            try:
                work_until_killed(url, clock.ahead_ms, poison)
            finally:
                os._exit(1)
        wait(lambda child=child: gone(child) or state(database, poison) == "dead")  # type: ignore[misc]
        if state(database, poison) == "dead":
            break
        deaths += 1
        innocent += fire(database, [hook], clock.now_ms())[1]
        lapsed = max(each.lease_ms or 0 for each in rows(database).values())
        clock.ahead_ms += max(lapsed - clock.now_ms(), 0) + 1000
        database.writer.write(lambda connection: outbox.recover(connection, clock.now_ms()))
        due = rows(database)[poison].due_ms or 0
        clock.ahead_ms += max(due - clock.now_ms(), 0) + 1000
    try:
        wait(lambda: all(row.state == "ok" for row in rows(database, innocent).values()))
    finally:
        kill(child)
    assert deaths == 6, "one of which nothing is known, and five interrupted attempts"
    kept = rows(database)[poison]
    assert (kept.error, kept.attempts, kept.takeovers) == ("interrupted", 5, 1)
    assert [each.error for each in attempts(database, poison)] == ["interrupted"] * 5
    worst = max([each.error for each in attempts(database, row)].count("interrupted") for row in innocent)
    assert worst <= 2, "no innocent row goes on counting"
