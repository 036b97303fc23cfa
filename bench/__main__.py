"""`python -m bench [GOAL…]` (`make bench`): the table of goals. `--full` adds growth; `--tiny` is a look for rot."""

from __future__ import annotations

import argparse
import compileall
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "tui"), str(Path(__file__).parent / "sides")]

from bench.machine import words  # noqa: E402 (the path above comes first)
from bench.measure import Bench  # noqa: E402
from bench.peers import environment, servers  # noqa: E402
from bench.receiver import Receiver  # noqa: E402
from bench.report import Report  # noqa: E402
from bench.sides import program  # noqa: E402
from warm import Warm  # noqa: E402

GOALS = (*"abcdefgh", "tls", "language")
TINY = 0.02


def main() -> int:
    """Print the table; with `--write`, keep it in docs/contributing/performance.md."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument(
        "goals", nargs="*", default=list(GOALS), metavar="GOAL", help="a to h; tls, language, many_rows, growth, soak"
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--full", action="store_true", help="5 million firings, growth and soak too")
    parser.add_argument("--tiny", action="store_true", help="each benchmark once, as small as it goes")
    parser.add_argument("--write", action="store_true", help="write docs/contributing/performance.md")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what it started ends with it
    for folder in ("engine", "tui"):  # as an installation has it: starting must not be charged with compiling
        compileall.compile_dir(ROOT / folder, quiet=1)
    goals = [name.lower() for name in given.goals]
    if given.full and goals == list(GOALS):
        goals += ["many_rows", "growth", "soak"]
    began, machine = time.monotonic(), words()
    with tempfile.TemporaryDirectory(prefix="hookrow-bench-") as folder, Receiver() as receiver:
        bench = Bench(
            receiver,
            Path(folder),
            rounds=1 if given.tiny else given.rounds,
            size=TINY if given.tiny else 1.0,
            full=given.full,
            peers=None if given.tiny else environment(),
        )
        page = ROOT / "docs" / "contributing" / "performance.md" if given.write else None
        report = Report(bench, machine, page, "make bench-full" if given.full else "make bench")
        if given.tiny:
            program.starter = Warm
            report.take(goals, load)
        else:
            with servers(bench):
                report.take(goals, load)
    report.end(time.monotonic() - began)
    return 0


def load(name: str):  # type: ignore[no-untyped-def]  # a module of this package
    """The module of a goal."""
    return import_module(f"bench.goals.{name}" if len(name) == 1 else f"bench.{name}")


if __name__ == "__main__":
    sys.exit(main())
