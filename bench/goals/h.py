"""Goal H: the terminal interface on a real pseudo-terminal of 80x24."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from terminal import Terminal

from bench.goals.f import large_log
from bench.log_rows import make
from bench.measure import Bench, Row, Sample, at_most, interleave, limit
from bench.sides.program import HERE, ROOT

__all__ = ["TITLE", "measure"]

TITLE = "H. Terminal, 80x24"
APP = [sys.executable, "-c", "from hookrow.cli import main; main()"]
MINIMAL = [sys.executable, str(HERE / "minimal_app.py")]
LOG = [sys.executable, str(ROOT / "tests" / "tui" / "big_log.py")]


def measure(bench: Bench) -> Iterator[Row]:
    """First frame, filled, the log on a long log; then bytes."""
    small = bench.folder / "small.db"
    make(small, bench.count(10_000), bench.seeds)
    env = {"PYTHONPATH": f"{ROOT / 'engine'}:{ROOT / 'tui'}", "XDG_STATE_HOME": str(bench.folder)}
    ours = [*APP, "--lang", "en", "--db", str(small)]
    filled: list[Sample] = []
    sides = {
        "frame": lambda: opened(bench, ours, filled, env),
        "filled": lambda: filled[-1],
        "minimal": lambda: shown(bench, MINIMAL, "minimal is here", env),
        "models": lambda: shown(bench, [*MINIMAL, "models"], "minimal is here", env),
    }
    taken = interleave(sides, bench.rounds)
    yield at_most("first frame; a minimal Textual app", taken["frame"], taken["minimal"], 1.3)
    yield at_most("filled; a minimal app and our models", taken["filled"], taken["models"], 1.2)
    yield from long_log(bench, small, env)
    yield from spent(ours, env)


def started(bench: Bench, command: list[str], env: dict[str, str]) -> Terminal:
    """The program on a terminal: started anew, imports and all; tiny, forked from a process that has them."""
    return Terminal(command, env=env, by_exec=bench.rounds > 1)


def opened(bench: Bench, command: list[str], filled: list[Sample], env: dict[str, str]) -> Sample:
    """The first frame; and into `filled` when the hooks stood in it."""
    began = time.perf_counter()
    with started(bench, command, env) as terminal:
        terminal.wait_for("Webhooks", 30)
        first = time.perf_counter() - began
        terminal.wait_for("Учёт", 30)
        filled.append(Sample(time.perf_counter() - began, 0, 1))
    return Sample(first, 0, 1)


def shown(bench: Bench, command: list[str], words: str, env: dict[str, str]) -> Sample:
    """Seconds from the start of the program to these words on the screen."""
    began = time.perf_counter()
    with started(bench, command, env) as terminal:
        terminal.wait_for(words, 30)
        return Sample(time.perf_counter() - began, 0, 1)


def long_log(bench: Bench, small: Path, env: dict[str, str]) -> Iterator[Row]:
    large, count = large_log(bench)
    sides = {
        "many": lambda: shown(bench, [*LOG, str(large)], "after_registration", env),
        "few": lambda: shown(bench, [*LOG, str(small)], "after_registration", env),
    }
    taken = interleave(sides, bench.rounds)
    # Round by round: both take about a second, and the machine's mood changes between rounds by more than the limit.
    rounds = zip(taken["many"].each(), taken["few"].each(), strict=True)
    more = statistics.median(many - few for many, few in rounds) * 1000
    yield limit(f"the log opens on {count:,} firings: later than on {bench.count(10_000):,} by", more, 20, "ms")


def spent(command: list[str], env: dict[str, str]) -> Iterator[Row]:
    """Bytes that the program writes."""
    with Terminal(command, env=env) as terminal:
        terminal.wait_for("Учёт", 30)
        terminal.settle()
        terminal.spend(b"j")
        yield limit("bytes for a move by a row", max(terminal.spend(b"j") for _ in range(3)), 800, "B", digits=0)
        form = terminal.spend(b"\r", "URL")
        yield limit("bytes for the form", form / 1000, 16, "kB")
        keys = max(terminal.spend(letter) for letter in (b"a", b"b", b"c"))
        yield limit("bytes for a key in a field", keys, 200, "B", digits=0)
        tabs = max(terminal.spend(b"\t") for _ in range(4))
        yield limit("bytes for Tab", tabs, 1200, "B", digits=0)
        terminal.settle()
        before = len(terminal.raw)
        time.sleep(1.0)
        yield limit("bytes of an idle second", len(terminal.raw) - before, 0, "B", digits=0)
