"""The README's quickstart is a program, and runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from receivers import Receiver, reply

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ru.md")


def quickstart(name: str) -> str:
    """The program in a README."""
    text = (ROOT / name).read_text("utf-8")
    [code] = re.findall(r"<!-- quickstart -->\n```python\n(.*?)```", text, re.DOTALL)
    return str(code)


@pytest.mark.parametrize("name", READMES)
def test_the_quickstart_runs_as_it_stands(name: str, tmp_path: Path) -> None:
    """From an empty folder, against a real receiver that changes the order."""
    changed = b'{"data": {"order": {"total": 1000}}}'
    with Receiver(reply(200, changed, [("content-type", "application/json")])) as receiver:
        code = quickstart(name).replace("http://127.0.0.1:8920", receiver.url.rstrip("/")) + "\nprint(order)\n"
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "{'order': {'id': 7, 'total': 1000}}", "")
        [request] = receiver.wait(1)
    assert request.json()["data"] == {"order": {"id": 7, "total": 1290}}


def test_both_readmes_show_the_same_code() -> None:
    """What a Russian reader copies is what an English reader copies."""
    without_comments = [re.sub(r" +#.*", "", quickstart(name)) for name in READMES]
    assert without_comments[0] == without_comments[1]
