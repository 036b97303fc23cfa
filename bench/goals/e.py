"""Goal E: how long a durable `fire()` takes, and how soon its request leaves at a steady load."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Iterator

from bench.measure import Bench, Row, Sample, Side, at_most, limit
from bench.sides.program import Program
from bench.sides.talk import BODY, PAYLOAD
from hookrow import AsyncHookEngine, Hook

__all__ = ["TITLE", "measure"]

TITLE = "E. Latency"
EVENT = "before_order_add"
RATE = 1000
TABLES = (
    "CREATE TABLE firing (id INTEGER PRIMARY KEY, uid TEXT, event TEXT, at_ms INTEGER, payload TEXT)",
    "CREATE TABLE delivery (id INTEGER PRIMARY KEY, firing_id INTEGER, state TEXT, due_ms INTEGER, body TEXT)",
)


def measure(bench: Bench) -> Iterator[Row]:
    """A durable `fire()` of one background hook against one transaction by hand; then an open loop."""
    yield asyncio.run(durable(bench))
    yield from steady(bench)


async def durable(bench: Bench) -> Row:
    raw = sqlite3.connect(bench.folder / "raw.db", isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", *TABLES):
        raw.execute(statement)
    text, body, count = str(PAYLOAD), BODY.decode(), bench.count(60)
    ours, theirs = Side(), Side()
    async with AsyncHookEngine(f"sqlite:///{bench.folder}/e.db", worker=False) as engine:
        await engine.hooks.add(Hook(name="h", event=EVENT, url="http://127.0.0.1:9/"))
        for _ in range(bench.rounds):
            mine: list[float] = []
            hand: list[float] = []
            for number in range(count):
                began = time.perf_counter()
                await engine.fire(EVENT, PAYLOAD)
                mine.append(time.perf_counter() - began)
                began = time.perf_counter()
                raw.execute("BEGIN IMMEDIATE")
                row = raw.execute(
                    "INSERT INTO firing (uid, event, at_ms, payload) VALUES (?, ?, ?, ?)", (number, EVENT, 0, text)
                ).lastrowid
                raw.execute(
                    "INSERT INTO delivery (firing_id, state, due_ms, body) VALUES (?, 'queued', 0, ?)", (row, body)
                )
                raw.execute("COMMIT")
                hand.append(time.perf_counter() - began)
            ours.samples.append(Sample(statistics.median(mine), 0, 1))
            theirs.samples.append(Sample(statistics.median(hand), 0, 1))
    raw.close()
    return at_most("durable await fire(), p50; a transaction by hand, FULL", ours, theirs, 2.3)


def steady(bench: Bench) -> Iterator[Row]:
    """Fired at a fixed rate, whatever comes of the earlier ones."""
    count = bench.count(RATE * 4)
    with Program("ours", [f"sqlite:///{bench.folder}/open.db", bench.receiver.url]) as program:
        warm = bench.count(200)
        for number, rate in ((warm, 200), (count, RATE)):
            before = bench.receiver.count()
            program.ask("open", count=number, rate=rate)
            bench.receiver.wait_for(before + number)
            late = sorted(bench.receiver.late())
    for percent, most in ((50, None), (99, 8.0)):
        value = late[min(len(late) - 1, len(late) * percent // 100)]
        yield limit(f"open loop, {RATE} a second: fire() to request, p{percent}", value, most, "ms")
