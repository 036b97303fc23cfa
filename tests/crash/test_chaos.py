"""Everything at once, by a seed; then the history is held against what was promised, by the receiver's own log.

Workers are killed and stopped, services killed, restarted, interrupted and cancelled, hooks edited and switched, the
database locked, full, silent, cut off and restarted, the clock set; the receiver has many faults.

`HOOKROW_SEED=7 HOOKROW_MINUTES=30 pytest -m torture tests/crash/test_chaos.py -s -k sqlite` is one run; with
`HOOKROW_TEST_FIGURES=FILE` its figures, or what it found, are a line of that file (chaos/figures.py).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.figures import append
from chaos.judge import judged
from chaos.places import FilePlace, Place, ServerPlace, own_disk
from chaos.run import Chaos

MINUTES = float(os.environ.get("HOOKROW_MINUTES", "10"))
RUNS = [
    pytest.param("sqlite", 7.0, 8, id="sqlite-check"),
    pytest.param("postgresql", 5.0, 4, id="postgresql-check"),
    pytest.param("sqlite", 60 * MINUTES, 1, id="sqlite-torture", marks=pytest.mark.torture),
    pytest.param("postgresql", 60 * MINUTES, 1, id="postgresql-torture", marks=pytest.mark.torture),
]


@pytest.fixture
def place(request: pytest.FixtureRequest, nursery: Any, tmp_path: Path, dice: random.Random) -> Iterator[Place]:
    """A database of the kind that the test's parameter names."""
    if request.param == "sqlite":
        folder = tmp_path / "disk"
        folder.mkdir()
        with own_disk(folder) as mounted:
            yield FilePlace(folder, mounted=mounted)
        return
    made = ServerPlace(request.getfixturevalue("own_postgres"), nursery, tmp_path, dice)
    yield made
    nursery.kill(made.proxy)


@pytest.fixture
def run(request: pytest.FixtureRequest, place: Place, nursery: Any, tmp_path: Path, dice: Any) -> Iterator[Chaos]:
    """A run, whose clocks are as fast as the test's parameter says; what it started ends with it."""
    made = Chaos(nursery, tmp_path, place, dice, request.param)
    yield made
    made.abandon()


@pytest.mark.parametrize(("place", "seconds", "run"), RUNS, indirect=["place", "run"])
def test_chaos(run: Chaos, seconds: float) -> None:
    """Nothing is lost or unrecorded, whoever asks is answered in time; little goes twice, and only where a process died
    or stood still, or could not record it; order is kept; off is off."""
    figures: dict[str, Any] = {
        "day": time.strftime("%Y-%m-%d"),
        "database": run.place.kind,
        "seed": run.seed,
        "seconds": round(seconds),
        "finding": None,
    }
    try:
        run.run(seconds)
        figures |= judged(run)
    except BaseException as error:
        figures["finding"] = (str(error).splitlines() or [type(error).__name__])[0]
        raise
    finally:
        print(figures)
        if path := os.environ.get("HOOKROW_TEST_FIGURES"):
            append(Path(path), figures)
