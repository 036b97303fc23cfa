"""A tiny run of the benchmarks, for their tests."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from warm import run_warm

__all__ = ["ROOT", "rows_of", "tiny_bench"]

ROOT = Path(__file__).parents[1]


def tiny_bench(*arguments: str) -> str:
    """What it prints."""
    command = [sys.executable, "-m", "bench", "--tiny", *arguments]
    done = run_warm(command, cwd=ROOT, fertile=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(goals: str) -> list[str]:
    """The rows of these goals, each of which has its heading."""
    said = tiny_bench(*goals)
    assert re.findall(r"^([A-H])\. ", said, re.MULTILINE) == list(goals.upper())
    return [line for line in said.splitlines() if line.startswith("  ") and not line.startswith("   ")]
