"""Goal A: background deliveries in process, SQLite with synchronous=FULL, concurrency 32, against task queues."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack

from bench.measure import Bench, Row, Side, at_least, delivered, interleave, limit, spread
from bench.peers import peers
from bench.sides.program import Program

__all__ = ["TITLE", "measure"]

TITLE = "A. Background, in process, SQLite FULL, concurrency 32"
DELIVERIES = 600
GOALS = {"huey": 4.0, "taskiq": 2.8}
BUSY = 0.85
"""A receiver that works for less than this share of the time is not what limits."""


def measure(bench: Bench) -> Iterator[Row]:
    """Rates against each peer, processor time against the best one, resident memory."""
    with ExitStack() as stack:
        database = f"sqlite:///{bench.folder}/a.db"
        programs = {"hookrow": stack.enter_context(Program("ours", [database, bench.receiver.url]))}
        programs |= {name: stack.enter_context(made) for name, made in peers(bench).items()}
        count = bench.count(DELIVERIES)
        sides = {name: (lambda its=its: delivered(bench, its, count)) for name, its in programs.items()}
        taken = interleave(sides, bench.rounds)
        ours = taken.pop("hookrow")
        ours.memory = programs["hookrow"].memory()
        for name, side in taken.items():
            side.memory = programs[name].memory()
        yield from against(taken, ours)
        yield limit("resident memory of the whole process", ours.memory / 1e6, 80, "MB", digits=0)
        before = bench.receiver.cpu()
        sample = delivered(bench, programs["hookrow"], count)
        load = (bench.receiver.cpu() - before) / sample.seconds
        yield limit("processor share of the receiver meanwhile", load * 100, BUSY * 100, "%", digits=0)


def against(taken: dict[str, Side], ours: Side) -> Iterator[Row]:
    best = min(taken, key=lambda name: taken[name].median, default=None)
    for name, side in taken.items():
        yield at_least(f"deliveries, {name}", ours, side, GOALS[name], rate="deliveries")
    if best is not None:
        pairs = zip(ours.samples, taken[best].samples, strict=True)
        ratios = [(mine.cpu / mine.units) / (theirs.cpu / theirs.units) for mine, theirs in pairs]
        ratio = statistics.median(ratios)
        yield Row(
            f"processor time a delivery, {best} (the best)",
            f"{ours.cpu * 1e6:,.0f} µs",
            f"{taken[best].cpu * 1e6:,.0f} µs",
            f"{ratio:.2f}",
            spread(ratios),
            "≤ 0.23",
            ratio <= 0.23,
        )
