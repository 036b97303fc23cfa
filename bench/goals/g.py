"""Goal G: how long the command line takes to start."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from bench.goals.f import large_log
from bench.measure import Bench, Row, Sample, at_most, interleave, timed
from bench.sides.program import begin

__all__ = ["TITLE", "measure"]

TITLE = "G. Start"
CLICK = ["-c", "import click"]
MAIN = ["-c", "from hookrow.cli import main; main()"]


def measure(bench: Bench) -> Iterator[Row]:
    """Help against `import click`; the log of a large database against the list of hooks."""
    for arguments in (["--help"], ["replay", "--help"]):
        sides = {"ours": lambda given=arguments: started([*MAIN, *given]), "click": lambda: started(CLICK)}
        taken = interleave(sides, bench.rounds * 2)
        yield at_most(f"hookrow {' '.join(arguments)}; python -c 'import click'", taken["ours"], taken["click"], 1.5)
    path, count = large_log(bench)
    base = [*MAIN, "--db", str(path)]
    sides = {"ours": lambda: started([*base, "log"]), "list": lambda: started([*base, "hooks", "list"])}
    taken = interleave(sides, bench.rounds)
    yield at_most(f"hookrow log of {count:,} firings; hookrow hooks list", taken["ours"], taken["list"], 2)


def started(arguments: list[str]) -> Sample:
    """One run of an interpreter."""

    def ran() -> None:
        with begin(arguments, stdout=subprocess.DEVNULL) as process:
            assert process.wait() == 0

    return timed(ran)
