"""What the two commands promise of a run of the tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HANGING = """
import threading
def test_hangs(): threading.Event().wait()
def test_other(): pass
"""


def test_a_run_ends_though_a_test_hangs(tmp_path: Path) -> None:
    """It is named, with the line that it hangs in."""
    found = re.search(r"^HANGS = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    assert "$(HANGS)" in (ROOT / "Makefile").read_text()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(HANGING)
    flags = [
        *found[1].split(),
        "-o",
        "faulthandler_timeout=0.5",
        "-p",
        "xdist",
        "-n",
        "1",
        "--dist",
        "loadfile",
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *flags, str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "crashed while running 'test_it.py::test_hangs'" in ran.stdout
    assert re.search(r'test_it.py", line 3 in test_hangs', ran.stdout + ran.stderr)
