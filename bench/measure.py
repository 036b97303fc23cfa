"""Taking samples of two or more sides in turn, and what a row of the table says of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import pace
from bench.receiver import Receiver
from bench.sides.program import Program

__all__ = [
    "Bench",
    "Row",
    "Sample",
    "Side",
    "at_least",
    "at_most",
    "delivered",
    "each",
    "interleave",
    "limit",
    "paces",
    "spread",
    "timed",
]


SETTLED = 1.5
"""Seconds in which a side ends what it began: results are recorded, and what Hookrow committed is moved into the file a
second later. Its cost belongs to the sample."""

paces: list[float] = []
"""What `pace` said before each sample, since somebody emptied it."""


@dataclass(slots=True)
class Bench:
    """What all goals share."""

    receiver: Receiver
    folder: Path
    rounds: int
    size: float
    """1 for the record; less to see that nothing rots."""
    full: bool = False
    redis: str | None = None
    postgres: str | None = None
    peers: Path | None = None
    """The interpreter of the peers' environment."""
    servers: list[int] = field(default_factory=list)
    """Processes of the peers' servers."""
    notes: list[str] = field(default_factory=list)

    def count(self, number: int) -> int:
        """So many units at full size."""
        return max(2, round(number * self.size))

    @property
    def seeds(self) -> int:
        """Real firings that a long log is made of."""
        return max(100, self.count(1000))

    def note(self, sentence: str) -> None:
        """What the reader of the table must know, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds by the clock and of processor time, of so many units."""

    seconds: float
    cpu: float
    units: int


@dataclass(slots=True)
class Side:
    """All samples of one side."""

    samples: list[Sample] = field(default_factory=list)
    memory: int = 0

    def each(self) -> list[float]:
        """Seconds a unit, sample by sample."""
        return [sample.seconds / sample.units for sample in self.samples]

    @property
    def median(self) -> float:
        """Seconds a unit."""
        return statistics.median(self.each())

    @property
    def cpu(self) -> float:
        """Seconds of processor time a unit."""
        return statistics.median(sample.cpu / sample.units for sample in self.samples)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `holds` is None where there is nothing to hold."""

    what: str
    ours: str
    reference: str
    ratio: str
    spread: str
    goal: str
    holds: bool | None
    cpu: str = ""
    memory: str = ""


def timed(call: Callable[[], object], units: int = 1) -> Sample:
    """One call in this process."""
    cpu, began = time.process_time(), time.perf_counter()
    call()
    return Sample(time.perf_counter() - began, time.process_time() - cpu, units)


def interleave(sides: Mapping[str, Callable[[], Sample]], rounds: int) -> dict[str, Side]:
    """Samples of all sides in turn, after one of each that does not count (but where there is one round only)."""
    for call in sides.values() if rounds > 1 else ():
        call()
    taken = {name: Side() for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            paces.append(pace())
            taken[name].samples.append(call())
    return taken


def delivered(bench: Bench, program: Program, count: int, do: str = "fire", concurrency: int = 32) -> Sample:
    """Until so many requests have reached the receiver, from the first one asked for; then all that it still costs.

    A few go first: a peer that polls must not be met asleep.
    """
    run(bench, program, min(16, count), do, concurrency)
    cpu, began = program.cpu(), time.perf_counter()
    run(bench, program, count, do, concurrency)
    seconds = time.perf_counter() - began
    time.sleep(SETTLED if bench.rounds > 1 else 0.15)
    return Sample(seconds, program.cpu() - cpu, count)


def run(bench: Bench, program: Program, count: int, do: str, concurrency: int) -> None:
    before = bench.receiver.count()
    program.tell(do, count=count, concurrency=concurrency)
    bench.receiver.wait_for(before + count)
    program.line()


def spoken(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def each(side: Side, rate: str = "") -> str:
    """What a unit takes, or how many a second."""
    return f"{1 / side.median:,.0f} {rate}/s" if rate else spoken(side.median)


def spread(ratios: Sequence[float]) -> str:
    return f"{min(ratios):.2f} – {max(ratios):.2f}"


def at_least(what: str, ours: Side, other: Side, times: float | None, *, rate: str, goal: str = "") -> Row:
    """Ours is so many times as fast as the other."""
    ratios = [theirs / mine for mine, theirs in zip(ours.each(), other.each(), strict=True)]
    ratio = statistics.median(ratios)
    holds = None if times is None else ratio >= times
    return row(what, ours, other, rate, ratio, ratios, goal or f"≥ {times}", holds)


def at_most(what: str, ours: Side, other: Side, times: float | None, *, goal: str = "") -> Row:
    """Ours takes at most so many times as long as the other."""
    ratios = [mine / theirs for mine, theirs in zip(ours.each(), other.each(), strict=True)]
    ratio = statistics.median(ratios)
    holds = None if times is None else ratio <= times
    return row(what, ours, other, "", ratio, ratios, goal or f"≤ {times}", holds)


def row(
    what: str, ours: Side, other: Side, rate: str, ratio: float, ratios: list[float], goal: str, holds: bool | None
) -> Row:
    cpu = f"{ours.cpu * 1e6:,.0f} | {other.cpu * 1e6:,.0f} µs" if ours.cpu and other.cpu else ""
    memory = f"{ours.memory / 1e6:.0f} | {other.memory / 1e6:.0f} MB" if ours.memory and other.memory else ""
    return Row(what, each(ours, rate), each(other, rate), f"{ratio:.2f}", spread(ratios), goal, holds, cpu, memory)


def limit(what: str, value: float, most: float | None, unit: str, *, reference: str = "—", digits: int = 1) -> Row:
    """A figure that must not exceed a limit; no ratio."""
    said = f"{value:,.{digits}f} {unit}"
    goal = "" if most is None else f"≤ {most:g} {unit}"
    return Row(what, said, reference, "—", "—", goal, None if most is None else value <= most)
