"""`python -m bench` (`make bench`): the table of ratios. `--rounds 1 --size 20` is a quick look that nothing rots."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import aiohttp
import httpx

from hookrow import AsyncHookEngine, Hook, HookEngine
from receivers import FastReceiver

PAYLOAD = {"order": {"id": 77120, "number": "A-10492", "sum": 3060, "items": [{"sku": "CF-250", "qty": 3}] * 3}}
EVENT = "before_order_add"


def timed(call: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def compare(name: str, unit: int, ours: Callable[[], object], reference: Callable[[], object], rounds: int) -> None:
    """Both in turn, after one warm-up of each; medians per unit in µs, and the ratio."""
    ours(), reference()
    pairs = [(timed(ours), timed(reference)) for _ in range(rounds)]
    mine, theirs = (statistics.median(pair[at] for pair in pairs) / unit * 1e6 for at in (0, 1))
    print(f"{name:52} {mine:10.0f} {theirs:10.0f} {mine / theirs:8.2f}", flush=True)


def waiting(url: str, folder: Path, size: int, rounds: int) -> None:
    """D: fire() with K waiting hooks, durable log included, against a bare httpx.Client loop."""
    client = httpx.Client()
    for hooks in (1, 5):
        with HookEngine(f"sqlite:///{folder}/waiting{hooks}.db", worker=False) as engine:
            for number in range(hooks):
                engine.hooks.add(Hook(name=f"h{number}", event=EVENT, url=url, wait_for_response=True))

            def ours(engine: HookEngine = engine) -> None:
                for _ in range(size):
                    engine.fire(EVENT, PAYLOAD)

            def bare(hooks: int = hooks) -> None:
                for _ in range(size * hooks):
                    client.post(url, json=PAYLOAD)

            compare(f"fire(), {hooks} waiting | httpx.Client, {hooks} posts", size, ours, bare, rounds)
    client.close()


def idle(folder: Path, size: int) -> None:
    """D: fire() where the event has no hook (goal: 30 µs, no write)."""

    async def main() -> float:
        async with AsyncHookEngine(f"sqlite:///{folder}/idle.db", worker=False) as engine:
            began = time.perf_counter()
            for _ in range(size * 10):
                await engine.fire(EVENT, PAYLOAD)
            return (time.perf_counter() - began) / (size * 10)

    print(f"{'await fire(), no hook for the event':52} {asyncio.run(main()) * 1e6:10.0f}")


def durable(folder: Path, size: int, rounds: int) -> None:
    """E: a durable fire() of one background hook against one raw sqlite3 transaction with synchronous=FULL."""
    raw = sqlite3.connect(folder / "raw.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("CREATE TABLE firing (id INTEGER PRIMARY KEY, payload TEXT)")
    raw.execute("CREATE TABLE delivery (id INTEGER PRIMARY KEY, firing_id INTEGER, body TEXT)")
    with HookEngine(f"sqlite:///{folder}/durable.db", worker=False) as engine:
        engine.hooks.add(Hook(name="h", event=EVENT, url="http://127.0.0.1:9/"))

        def ours() -> None:
            for _ in range(size):
                engine.fire(EVENT, PAYLOAD)

        def bare() -> None:
            for _ in range(size):
                raw.execute("BEGIN IMMEDIATE")
                number = raw.execute("INSERT INTO firing (payload) VALUES (?)", (str(PAYLOAD),)).lastrowid
                raw.execute("INSERT INTO delivery (firing_id, body) VALUES (?, ?)", (number, str(PAYLOAD)))
                raw.execute("COMMIT")

        compare("durable fire() | raw sqlite3 transaction, FULL", size, ours, bare, rounds)
    raw.close()


def background(url: str, folder: Path, size: int, rounds: int) -> None:
    """A, B: fire and deliver in process at concurrency 32, against bare aiohttp and stock httpx.AsyncClient."""
    runner = asyncio.Runner()
    gate = asyncio.Semaphore(32)

    async def many(call: Callable[[], object]) -> None:
        async def one() -> None:
            async with gate:
                await call()  # type: ignore[misc]

        await asyncio.gather(*(one() for _ in range(size * 5)))

    async def ours() -> None:
        async with AsyncHookEngine(f"sqlite:///{folder}/background.db") as engine:
            await engine.hooks.ensure(Hook(key="h", name="h", event=EVENT, url=url, fire_and_forget=False))
            await many(lambda: engine.fire(EVENT, PAYLOAD))
            while (await engine.log.summary()).queue:  # noqa: ASYNC110 (a benchmark looks as a person would)
                await asyncio.sleep(0.01)

    async def bare() -> None:
        async with aiohttp.ClientSession() as session:

            async def post() -> None:
                async with session.post(url, json=PAYLOAD) as answer:
                    await answer.read()

            await many(post)

    async def stock() -> None:
        async with httpx.AsyncClient() as client:
            await many(lambda: client.post(url, json=PAYLOAD))

    for name, reference in (("bare aiohttp", bare), ("httpx.AsyncClient", stock)):
        compare(
            f"background, durable, delivered | {name}",
            size * 5,
            lambda: runner.run(ours()),
            lambda reference=reference: runner.run(reference()),
            rounds,
        )
    runner.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=int, default=100)
    given = parser.parse_args()
    print(f"{'µs a unit, medians':52} {'hookrow':>10} {'reference':>10} {'ratio':>8}")
    with tempfile.TemporaryDirectory() as name, FastReceiver() as receiver:
        folder = Path(name)
        waiting(receiver.url, folder, given.size, given.rounds)
        idle(folder, given.size)
        durable(folder, given.size, given.rounds)
        background(receiver.url, folder, given.size, given.rounds)


if __name__ == "__main__":
    main()
