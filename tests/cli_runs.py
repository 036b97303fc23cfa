"""A run of the command line: what it came to; and the program as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warm import Warm

ROOT = Path(__file__).parents[1]
LOOKS = {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"}
"""What changes how the program writes; a test that means it says so."""


@dataclass
class Ran:
    """What a run came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Hookrow = Callable[..., Ran]


def environment(**more: str) -> dict[str, str]:
    """The environment for the program itself."""
    kept = {name: value for name, value in os.environ.items() if name not in LOOKS}
    kept = {name: value for name, value in kept.items() if not name.startswith(("HOOKROW", "LC_"))}
    path = os.pathsep.join([str(ROOT / "engine"), str(ROOT / "tui"), kept.get("PYTHONPATH", "")])
    return kept | {"PYTHONPATH": path, "LANG": "C.UTF-8"} | more


def program(*arguments: object, by_exec: bool = False, **how: Any) -> subprocess.Popen[str]:
    """The program as a process of its own; by `exec` where its start, its interpreter or its command line matters."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    env = environment(**how.pop("env", {}))
    start = subprocess.Popen if by_exec else Warm
    return start([sys.executable, "-m", "hookrow", *map(str, arguments)], env=env, **{**pipes, "text": True, **how})


def command_line(running: subprocess.Popen[str]) -> str:
    """What everybody may see of a process; for an instant after its start it is empty."""
    while not (seen := Path(f"/proc/{running.pid}/cmdline").read_text()):
        assert running.poll() is None
    return seen


def said(running: subprocess.Popen[str], words: str) -> None:
    """Wait until the program has said this on its error output; the line is taken from the pipe."""
    assert running.stderr is not None
    for line in running.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words!r}")
