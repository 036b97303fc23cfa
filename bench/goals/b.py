"""Goal B: everything that a durable delivery costs, against clients that keep nothing, at concurrency 16."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import Bench, Row, at_least, delivered, interleave
from bench.sides.program import Program

__all__ = ["TITLE", "measure"]

TITLE = "B. Against clients that keep nothing, concurrency 16"
DELIVERIES = 500


def measure(bench: Bench) -> Iterator[Row]:
    """Rates against stock httpx and bare aiohttp."""
    url, count = bench.receiver.url, bench.count(DELIVERIES)
    with Program("ours", [f"sqlite:///{bench.folder}/b.db", url]) as ours, Program("bare", [url]) as bare:
        taken = interleave(
            {
                "hookrow": lambda: delivered(bench, ours, count, concurrency=16),
                "httpx": lambda: delivered(bench, bare, count, "httpx", 16),
                "aiohttp": lambda: delivered(bench, bare, count, "aiohttp", 16),
            },
            bench.rounds,
        )
    yield at_least("deliveries, stock httpx.AsyncClient", taken["hookrow"], taken["httpx"], 5.5, rate="deliveries")
    yield at_least("deliveries, bare aiohttp", taken["hookrow"], taken["aiohttp"], 0.35, rate="deliveries")
