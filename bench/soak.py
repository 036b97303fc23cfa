"""Soak: ten minutes of steady background firing; memory must stay where it is. `make bench-full`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.measure import Bench, Row, limit
from bench.plot import Plot
from bench.sides.program import Program

__all__ = ["TITLE", "measure"]

TITLE = "Soak"
SECONDS = 600
RATE = 100
LOOK = 5.0
SETTLED = 5
"""The first part in so many fills caches and pools."""


def measure(bench: Bench) -> Iterator[Row | Plot]:
    """Resident memory over the time."""
    seconds = max(3, SECONDS * bench.size)
    pause = min(LOOK, seconds / 10)
    with Program("ours", [f"sqlite:///{bench.folder}/soak.db", bench.receiver.url]) as program:
        before, began = bench.receiver.count(), time.monotonic()
        program.tell("open", count=int(seconds * RATE), rate=RATE)
        found: list[tuple[float, float]] = []
        while time.monotonic() - began < seconds:
            time.sleep(pause)
            found.append((round(time.monotonic() - began), program.memory() / 1e6))
        most = program.line()["done"]
        bench.receiver.wait_for(before + int(seconds * RATE))
    settled = [size for _, size in found[len(found) // SETTLED :]]
    half = len(settled) // 2
    grown = statistics.median(settled[half:]) - statistics.median(settled[:half] or settled)
    what = f"{seconds / 60:.0f} minutes at {RATE} a second: memory of the second half over the first"
    yield limit(what, grown, 3, "MB", reference=f"{statistics.median(settled):.0f} MB")
    yield Row("… firings under way at once, at the most", f"{most}", "", "", "", "", None)
    yield Plot("soak", "Resident memory", "seconds", "MB", found, steps=False)
