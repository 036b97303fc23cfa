"""docs/deployment.md: its unit is one that systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"
VERIFY = shutil.which("systemd-analyze")


@pytest.mark.skipif(VERIFY is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", ["hookrow-worker.service", "hookrow-worker@.service"])
def test_systemd_takes_the_unit(tmp_path: Path, name: str) -> None:
    """As one service, and as a template of several; only the program of the page is not on this machine."""
    [unit] = re.findall(r"```ini\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    file = tmp_path / name
    file.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit))
    ran = subprocess.run([str(VERIFY), "verify", str(file)], capture_output=True, text=True, check=False)
    assert (ran.returncode, [line for line in ran.stderr.splitlines() if name in line]) == (0, [])
