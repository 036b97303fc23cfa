"""The service guide's programs run, in order, as one program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from receivers import Receiver, reply

GUIDE = Path(__file__).parents[2] / "docs" / "firing.md"


def test_the_guide_runs(tmp_path: Path) -> None:
    """From an empty folder, against a real receiver that allows everything."""
    blocks = re.findall(r"<!-- runs -->\n```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 5
    with Receiver(reply(200, b"{}")) as receiver:
        program = "\n".join(blocks).replace("http://127.0.0.1:8920", receiver.url.rstrip("/"))
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert len(receiver.wait(3)) == 3
