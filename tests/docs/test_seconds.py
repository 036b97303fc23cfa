"""The table of what the tests cost: it names every folder, gives the minutes, and a folder that costs more fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seconds import TABLE, exceeded

ROOT = Path(__file__).parents[2]
CPU = TABLE["cpu"]
MOST = 10
"""Minutes that `make test` may take on two quiet cores, as things stand; five are the aim, still to be reached."""
BUSY = 0.9
"""The share of two cores that the tests can keep busy, with three processes."""


def test_every_folder_of_tests_is_in_the_table() -> None:
    """A new folder says what it costs."""
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert set(CPU) == folders


def test_what_is_begun_first_is_there() -> None:
    """A file that was renamed is named anew."""
    assert [name for name in TABLE["first"] if not (ROOT / name).exists()] == []


def test_the_table_fits_the_minutes() -> None:
    """Added up, and shared by two cores, it is what `make test` says first, and no more than is allowed."""
    assert sum(CPU.values()) / 2 / BUSY / 60 <= TABLE["minutes"] <= MOST


@pytest.mark.parametrize("slowness", [0.5, 1, 4])
def test_a_folder_that_costs_more_is_named(slowness: float) -> None:
    """On a fast machine and on a slow one; that all cost more alike is the machine's."""
    spent = {name: seconds * slowness for name, seconds in CPU.items()}
    assert exceeded(spent, CPU) == {}
    spent["cli"] *= 2
    assert exceeded(spent, CPU) == {"cli": CPU["cli"] * slowness}
    assert exceeded({**spent, "new": 100 * slowness}, CPU).keys() == {"cli", "new"}


def test_a_whole_run_fails_by_it(tmp_path: Path) -> None:
    """Where a folder's tests cost more than the table says, also where other processes run them."""
    for name in ("cheap", "dear", "even"):
        (tmp_path / "tests" / name).mkdir(parents=True)
        work = "while time.process_time() < begun + 0.3: pass" if name == "dear" else "pass"
        (tmp_path / "tests" / name / f"test_{name}.py").write_text(
            f"import time\n\ndef test_it():\n    begun = time.process_time()\n    {work}\n"
        )
    plugin = "import seconds\nseconds.TABLE.update(minutes=7, cpu={'cheap': 1.0, 'dear': 0.01, 'even': 1.0})\n"
    plugin += (
        "seconds.GRACE = 0.2\n\ndef pytest_configure(config):\n    config.pluginmanager.register(seconds.Seconds())\n"
    )
    (tmp_path / "conftest.py").write_text(plugin)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\naddopts = -m 'not torture' --import-mode=importlib\n"
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environ["PYTHONPATH"] = str(ROOT / "tests")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    said = {}
    for more in (("-n", "1"), ("tests",)):
        done = subprocess.run(
            [*command, *more], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        said[more] = (done.returncode, "about 7 minutes" in done.stdout, "tests/dear cost" in done.stdout)
    assert said == {("-n", "1"): (1, True, True), ("tests",): (0, False, False)}
