"""docs/quickstart.md: its commands, in order, in an empty folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hookrow import lang
from hookrow.cli.app import run
from receivers import Receiver, reply

PAGE = (Path(__file__).parents[2] / "docs" / "quickstart.md").read_text("utf-8")


def test_the_five_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows of a command's output is what it prints; the log then has the firing of step 4."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    commands = [re.findall(r"^\$ hookrow (.*)$|^([^$].*)$", block, re.MULTILINE) for block in blocks]
    [program] = re.findall(r"<!-- runs -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lang.Speech, "language", "en")  # which --lang sets, is set back
    with Receiver(reply(200, b"{}")) as receiver:

        def here(text: str) -> str:
            return text.replace("http://127.0.0.1:8920", receiver.url.rstrip("/"))

        def hookrow(*arguments: str) -> str:
            assert run(["--lang", "en", *arguments]) == 0
            return "".join(capsys.readouterr())

        said = ""
        for lines in commands[1:]:
            if lines[0][0] == "log":
                command = [sys.executable, "-c", here(program)]
                ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
                assert "allowed {'id': 7, 'total': 1290}" in ran.stdout
            for command, shown in lines:
                if command:
                    said = hookrow(*here(command).split())
                else:
                    assert shown in said
    assert len(receiver.requests) == 1
    assert re.search(r"before_order_add  allowed .*\n.*Stock", said)
