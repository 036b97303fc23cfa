"""The interface inside tmux, where most admins meet it: its keys arrive, its screen survives a resize."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A tmux server of the test's own with the interface in it; a function that runs its commands."""
    socket = str(tmp_path / "tmux")

    def run(*command: str) -> str:
        done = subprocess.run(["tmux", "-S", socket, *command], capture_output=True, check=True, timeout=20)
        return done.stdout.decode()

    program = shlex.join([sys.executable, str(HERE / "interface_process.py"), "ru"])
    paths = os.pathsep.join([str(ROOT / "engine"), str(ROOT / "tui")])
    setting = shlex.join(
        ["env", f"PYTHONPATH={paths}", f"XDG_STATE_HOME={tmp_path}", "LC_ALL=C.UTF-8", "COLUMNS=", "LINES="]
    )
    run("-u", "-f", os.devnull, "new-session", "-d", "-x", "80", "-y", "24", f"{setting} {program}")
    try:
        yield run
    finally:
        run("kill-server")


def wait_for(tmux: Callable[..., str], wanted: str, *, gone: bool = False) -> str:
    """Wait until the pane shows this, or shows it no more."""
    limit = time.monotonic() + 20
    while (wanted in (screen := tmux("capture-pane", "-p"))) is gone:
        assert time.monotonic() < limit, screen
        time.sleep(0.05)
    return screen


def test_keys_arrive_and_the_screen_survives_a_resize(tmux: Callable[..., str]) -> None:
    """F-keys, Escape and Russian letters; another size paints the wide columns."""
    wait_for(tmux, "Проверка ИНН")
    tmux("send-keys", "о")
    wait_for(tmux, "Чёрный список →")
    tmux("send-keys", "F1")
    wait_for(tmux, "ВЕЗДЕ")
    tmux("send-keys", "Escape")
    wait_for(tmux, "ВЕЗДЕ", gone=True)
    tmux("resize-window", "-x", "120", "-y", "40")
    wait_for(tmux, "За сутки")
    tmux("send-keys", "Enter")
    wait_for(tmux, "Основные параметры")
    tmux("send-keys", "C-s")
    wait_for(tmux, "Событие: все")
