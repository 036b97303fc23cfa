"""The benchmarks run: tiny, so that none rots."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_benchmarks_run() -> None:
    """Each prints its line."""
    command = [sys.executable, "-m", "bench", "--rounds", "1", "--size", "2"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=True)
    assert len(done.stdout.splitlines()) == 7
