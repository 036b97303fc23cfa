"""`python -m bench.postgres`: the same work on SQLite and on a real PostgreSQL of its own, on this machine; the ratios.

The server runs without fsync, as in the tests: what is compared is the work, not the disks.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.receiver import Receiver
from hookrow import Hook, HookEngine
from postgres_kept import kept_postgres

EVENT = "on_subscription"
PAYLOAD = {"subscription": {"id": 905, "name": "Coffee every month", "user_id": 48213}}
CALLERS = 16


@contextmanager
def engine_on(url: str, receiver: str, *, worker: bool) -> Iterator[HookEngine]:
    """An engine with one background hook of this receiver."""
    with HookEngine(url, worker=worker) as engine:
        engine.hooks.ensure(Hook(key="bench", name="bench", event=EVENT, url=receiver))
        yield engine


def rate(count: int, work: Callable[[int], object]) -> float:
    """How many a second."""
    began = time.perf_counter()
    work(count)
    return count / (time.perf_counter() - began)


def alone(engine: HookEngine) -> Callable[[int], None]:
    """One caller, one firing after another."""

    def work(count: int) -> None:
        for _ in range(count):
            engine.fire(EVENT, PAYLOAD)

    return work


def together(engine: HookEngine) -> Callable[[int], None]:
    """Many callers at once: they are committed together."""

    def work(count: int) -> None:
        with ThreadPoolExecutor(CALLERS) as pool:
            for done in [pool.submit(engine.fire, EVENT, PAYLOAD) for _ in range(count)]:
                done.result()

    return work


def delivered(engine: HookEngine) -> Callable[[int], None]:
    """Many callers and the engine's own worker, until everything is delivered."""

    def work(count: int) -> None:
        together(engine)(count)
        while engine.log.summary().queue:
            time.sleep(0.005)

    return work


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1000, help="firings a measurement")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    kinds = (("one caller", alone, False), (f"{CALLERS} callers", together, False), ("delivered", delivered, True))
    name = f"bench{time.time_ns()}"
    with Receiver() as receiver, tempfile.TemporaryDirectory() as folder, kept_postgres(name) as server:
        urls = {"SQLite": f"sqlite:///{folder}/hooks.db", "PostgreSQL": server.url}
        print(f"{'firings a second':24} {'SQLite':>10} {'PostgreSQL':>10} {'ratio':>8}")
        for title, kind, worker in kinds:
            found: dict[str, list[float]] = {name: [] for name in urls}
            for _ in range(given.rounds):
                for database, url in urls.items():
                    with engine_on(url, receiver.url, worker=worker) as engine:
                        work = kind(engine)
                        work(max(given.size // 10, 1))
                        found[database].append(rate(given.size, work))
            ours, theirs = (statistics.median(found[name]) for name in urls)
            print(f"{title:24} {ours:10.0f} {theirs:10.0f} {theirs / ours:8.2f}", flush=True)


if __name__ == "__main__":
    main()
