"""docs/quickstart.md: its commands, in order, in an empty folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from receivers import Receiver, reply

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text("utf-8")


def test_the_five_steps(tmp_path: Path) -> None:
    """What the page shows of a command's output is what it prints; the log then has the firing of step 4."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [re.findall(r"^\$ hookrow (.*)$|^([^$].*)$", block, re.MULTILINE) for block in blocks]
    [program] = re.findall(r"<!-- runs -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    with Receiver(reply(200, b"{}")) as receiver:

        def here(text: str) -> str:
            return text.replace("http://127.0.0.1:8920", receiver.url.rstrip("/"))

        def run(*arguments: str) -> str:
            command = [sys.executable, *arguments]
            ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
            assert ran.returncode == 0, ran.stderr
            return ran.stdout + ran.stderr

        said = ""
        for lines in commands[1:]:
            if lines[0][0] == "log":
                assert "allowed {'id': 7, 'total': 1290}" in run("-c", here(program))
            for command, shown in lines:
                if command:
                    said = run("-m", "hookrow", "--lang", "en", *here(command).split())
                else:
                    assert shown in said
    assert len(receiver.requests) == 1
    assert re.search(r"before_order_add  allowed .*\n.*Stock", said)
