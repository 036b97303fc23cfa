"""Goal D: a waiting `fire()` with K hooks in order, its durable log included, against a bare httpx loop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bench.measure import Bench, Row, Sample, at_most, interleave, limit, timed
from bench.sides.talk import PAYLOAD
from hookrow import AsyncHookEngine, Hook, HookEngine

__all__ = ["TITLE", "measure"]

TITLE = "D. A waiting fire() with K hooks, against K posts with httpx"
EVENT = "before_order_add"
SYNC = {1: 2.4, 5: 1.0, 20: 0.7}
ASYNC = {1: 1.2, 5: 0.5, 20: 0.32}
POSTS = 100
"""Posts a sample, whatever K is."""
SLOW_MS = 20
TOGETHER = 5
"""Gates that are asked at the same time."""
ALONE = "before_order_update"
MEMORY = Path("/dev/shm")
"""A file system in memory: a commit there costs its statements, but no disk."""


def hooks(count: int, url: str) -> list[Hook]:
    return [Hook(key=f"h{n}", name=f"h{n}", event=EVENT, url=url, wait_for_response=True) for n in range(count)]


def measure(bench: Bench) -> Iterator[Row]:
    """Sync and async, with and without a disk beneath the log, with a slow receiver; and an event without hooks."""
    for number, goal in SYNC.items():
        yield from blocking(bench, bench.folder, number, goal, "")
    if MEMORY.is_dir() and os.access(MEMORY, os.W_OK):
        with TemporaryDirectory(prefix="hookrow-bench-", dir=MEMORY) as folder:
            yield from blocking(bench, Path(folder), 1, None, ", log in memory")
    for number, goal in ASYNC.items():
        yield asyncio.run(awaited(bench, number, goal))
    yield from blocking(bench, bench.folder, 1, 1.05, f", receiver takes {SLOW_MS} ms", slow=SLOW_MS)
    yield at_once(bench)
    yield asyncio.run(unheard(bench))


def blocking(bench: Bench, folder: Path, number: int, goal: float | None, more: str, slow: int = 0) -> Iterator[Row]:
    url = f"{bench.receiver.url}{slow or ''}"
    times = bench.count(POSTS // number // (4 if slow else 1))
    path = folder / f"hookrow-bench-d{os.getpid()}-{number}-{slow}.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine, httpx.Client() as client:
        for hook in hooks(number, url):
            engine.hooks.add(hook)

        def ours() -> None:
            for _ in range(times):
                engine.fire(EVENT, PAYLOAD)

        def bare() -> None:
            for _ in range(times * number):
                client.post(url, json=PAYLOAD)

        sides = {"ours": lambda: timed(ours, times), "bare": lambda: timed(bare, times)}
        taken = interleave(sides, bench.rounds)
    yield at_most(f"fire(), K = {number}{more}", taken["ours"], taken["bare"], goal, goal="" if goal else "—")


def at_once(bench: Bench) -> Row:
    """Gates of one position that are asked together, against one of them alone."""
    url, times = f"{bench.receiver.url}{SLOW_MS}", bench.count(POSTS // 4)
    with HookEngine(f"sqlite:///{bench.folder}/dt.db", worker=False) as engine:
        engine.settings.set(f"together:{EVENT}", "on")
        for event, number in ((EVENT, TOGETHER), (ALONE, 1)):
            for n in range(number):
                key = f"{event}-{n}".replace("_", "-")
                engine.hooks.add(Hook(key=key, name=key, event=event, url=url, wait_for_response=True, position=10))

        def fired(event: str) -> Sample:
            return timed(lambda: [engine.fire(event, PAYLOAD) for _ in range(times)], times)

        taken = interleave({"ours": lambda: fired(EVENT), "one": lambda: fired(ALONE)}, bench.rounds)
    return at_most(f"{TOGETHER} gates of {SLOW_MS} ms asked together, against one", taken["ours"], taken["one"], 1.2)


async def awaited(bench: Bench, number: int, goal: float) -> Row:
    url, times = bench.receiver.url, bench.count(POSTS // number)
    async with (
        AsyncHookEngine(f"sqlite:///{bench.folder}/da{number}.db", worker=False) as engine,
        httpx.AsyncClient() as client,
    ):
        for hook in hooks(number, url):
            await engine.hooks.add(hook)

        async def sample(ours: bool) -> Sample:
            cpu, began = time.process_time(), time.perf_counter()
            for _ in range(times if ours else times * number):
                if ours:
                    await engine.fire(EVENT, PAYLOAD)
                else:
                    await client.post(url, json=PAYLOAD)
            return Sample(time.perf_counter() - began, time.process_time() - cpu, times)

        kept: dict[bool, list[Sample]] = {True: [], False: []}
        for _ in range(bench.rounds + (bench.rounds > 1)):
            for ours, samples in kept.items():
                samples.append(await sample(ours))
        iterators = {ours: iter(samples) for ours, samples in kept.items()}
        sides = {"ours": lambda: next(iterators[True]), "bare": lambda: next(iterators[False])}
        taken = interleave(sides, bench.rounds)
    return at_most(f"await fire(), K = {number}", taken["ours"], taken["bare"], goal)


async def unheard(bench: Bench) -> Row:
    """An event that no hook listens to."""
    count = bench.count(2000)
    async with AsyncHookEngine(f"sqlite:///{bench.folder}/idle.db", worker=False) as engine:
        await engine.fire(EVENT, PAYLOAD)
        best = float("inf")
        for _ in range(bench.rounds):
            began = time.perf_counter()
            for _ in range(count):
                await engine.fire(EVENT, PAYLOAD)
            best = min(best, (time.perf_counter() - began) / count)
        assert not await engine.log.page()
    return limit("await fire(), no hook for the event; nothing written", best * 1e6, 30, "µs")
