"""The table of what the tests cost: it names every folder, gives the minutes, and a folder that costs more fails."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import warm
from seconds import TABLE, exceeded, whole

ROOT = Path(__file__).parents[2]
CPU = TABLE["cpu"]
MOST = 8
"""Minutes that `make test` may take on two quiet cores, as things stand; five are the aim, still to be reached."""
BUSY = 0.9
"""The share of two cores that the tests can keep busy, with five processes."""


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
    environ |= {"PYTHONPATH": str(ROOT / "tests"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "xdist", "-n", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=600, check=False)
    said = (done.returncode, "about 7 minutes" in done.stdout, "tests/dear cost" in done.stdout)
    assert said == (1, True, True), done.stdout


def test_the_processes_of_a_run_are_forked(pytestconfig: pytest.Config) -> None:
    """From one that has imported what they all would; except for coverage, and where there is no fork to be trusted."""
    spread = "PYTEST_XDIST_WORKER" in os.environ and not pytestconfig.pluginmanager.has_plugin("_cov")
    assert (warm.inherited is not None) == (spread and sys.platform == "linux")


PART = [{"keyword": "veto"}, {"markexpr": "torture"}, {"deselect": ["x"]}, {"collectonly": True}, {"ignore": ["x"]}]


@pytest.mark.parametrize("chosen", [*PART, {"lf": True}, {"source": pytest.Config.ArgsSource.ARGS}], ids=str)
def test_a_part_is_not_held_against_the_whole(chosen: dict[str, Any]) -> None:
    """Where some of the tests are chosen, nothing is said of what all cost."""
    all_of_them = {"keyword": "", "markexpr": "not torture", "deselect": None, "collectonly": False, "ignore": None}
    all_of_them |= {"lf": False, "source": pytest.Config.ArgsSource.TESTPATHS}

    def judged(given: dict[str, Any]) -> bool:
        option = SimpleNamespace(**given)
        config: Any = SimpleNamespace(option=option, getoption=partial(getattr, option), args_source=given["source"])
        return bool(whole(config))

    assert judged(all_of_them)
    assert not judged(all_of_them | chosen)
