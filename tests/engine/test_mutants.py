"""Rules that tests hold: each mutant of tests/mutants.json takes one out of the engine, and its tests must fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MUTANTS: list[dict[str, str]] = json.loads((ROOT / "tests" / "mutants.json").read_text("utf-8"))
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".hypothesis", ".*_cache")


def places(mutant: dict[str, str], root: Path) -> list[Path]:
    """The modules that hold the rule's text."""
    return [path for path in (root / "engine" / "hookrow").rglob("*.py") if mutant["old"] in path.read_text("utf-8")]


def test_each_rule_stands_where_it_can_be_taken_out() -> None:
    """Once in the engine: who renames a line that is entered enters it anew."""
    sources = [path.read_text("utf-8") for path in (ROOT / "engine" / "hookrow").rglob("*.py")]
    assert [mutant["id"] for mutant in MUTANTS if sum(mutant["old"] in source for source in sources) != 1] == []
    assert len({mutant["id"].partition("-")[0] for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.torture
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["id"])
def test_each_rule_is_missed_where_it_is_taken_out(mutant: dict[str, str], tmp_path: Path) -> None:
    """In a copy of the project: at least one of its tests fails. A rule that was rewritten is entered anew."""
    copy: Any = shutil.copytree(ROOT, tmp_path / "copy", ignore=LEFT_OUT)
    [place] = places(mutant, copy)
    place.write_text(place.read_text("utf-8").replace(mutant["old"], mutant["new"], 1), "utf-8")
    paths = os.pathsep.join(str(copy / name) for name in ("engine", "tui", "tests"))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant["tests"].split()]
    done = subprocess.run(
        command, cwd=copy, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout[-2000:]
