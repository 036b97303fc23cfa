"""What only a terminal shows: prompts, colours, the offer after the demo. Run on a pty."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow, environment
from hookrow.cli.commands import tui
from hookrow.cli.show import output
from warm import Warm

Add = Callable[..., dict[str, Any]]
LIMIT = 30.0


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, *arguments: object, cwd: Path, **env: str) -> None:
        self.main, side = pty.openpty()
        self.seen = ""
        self.process = Warm(
            [sys.executable, "-m", "hookrow", *map(str, arguments)],
            stdin=side, stdout=side, stderr=side, cwd=cwd, on_terminal=True,
            env=environment(**{"TERM": "xterm-256color", "COLUMNS": "120", **env}),
        )  # fmt: skip
        os.close(side)

    def until(self, words: str) -> None:
        """Read until the program has written this."""
        deadline = time.monotonic() + LIMIT
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if not self.more():
                break
        assert words in self.seen, self.seen

    def more(self) -> bool:
        """Read what there is; False when the program has closed its side."""
        ready, _, _ = select.select([self.main], [], [], 0.5)
        if not ready:
            return True
        try:
            data = os.read(self.main, 65536)
        except OSError:  # Linux says EIO at the end of a terminal
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.main, text.encode())

    def interrupt(self) -> None:
        """Press ctrl+c; once more if it came in the moment between the question and the wait for an answer."""
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)

    def end(self) -> int:
        """The exit code, after all output was read."""
        deadline = time.monotonic() + LIMIT
        while self.more():
            if time.monotonic() > deadline:
                self.process.kill()
        os.close(self.main)
        return self.process.wait(LIMIT)


def test_a_password_is_asked_for_and_not_shown(add: Add, hookrow: Hookrow, made: Path) -> None:
    """`--auth-password` in a terminal asks twice, without an echo."""
    add("http://127.0.0.1:9/x")
    terminal = Terminal("hooks", "edit", 1, "--auth-login", "a", "--auth-password", cwd=made.parent)
    terminal.until("Basic auth password:")
    terminal.type("s3cret\n")
    terminal.until("Repeat for confirmation:")
    terminal.type("s3cret\n")
    assert terminal.end() == 0
    assert "s3cret" not in terminal.seen
    assert hookrow("hooks", "show", 1, "--json").json["auth_password"] == {"set": True}


@pytest.mark.parametrize(("answer", "code"), [("д", 0), ("yes", 0), ("н", 130), ("", 130)])
def test_only_a_clear_yes_is_a_yes(
    add: Add, hookrow: Hookrow, answer: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both languages; «н», which is the key of y, is a no."""
    add("http://127.0.0.1:9/x")
    monkeypatch.setattr(output, "has_keyboard", lambda: True)
    assert "[д/Н]:" in hookrow("--lang", "ru", "hooks", "rm", 1, stdin=f"{answer}\n", code=code).err
    assert (hookrow("hooks", "list", "--json").lines == []) is (code == 0)


@pytest.mark.parametrize(("answer", "code"), [("д\n", 0), (None, 130)])
def test_a_question_in_a_terminal(add: Add, made: Path, answer: str | None, code: int) -> None:
    """It is answered, or left by ctrl+c (None), which is a no."""
    add("http://127.0.0.1:9/x")
    terminal = Terminal("--lang", "ru", "hooks", "rm", 1, cwd=made.parent)
    terminal.until("[д/Н]:")
    if answer is None:
        terminal.interrupt()
    else:
        terminal.type(answer)
    assert terminal.end() == code
    assert "Traceback" not in terminal.seen


def test_colours_are_for_terminals(add: Add, hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal without NO_COLOR; never into a pipe."""
    add("http://127.0.0.1:9/x")
    terminal = Terminal("hooks", "list", cwd=made.parent)
    assert terminal.end() == 0
    assert "\x1b[" in terminal.seen
    assert "\x1b" not in hookrow("hooks", "list").out
    monkeypatch.setattr(output, "in_terminal", lambda stream=None: True)
    for name, value, coloured in (("TERM", "xterm", True), ("TERM", "dumb", False), ("NO_COLOR", "1", False)):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert ("\x1b[" in hookrow("hooks", "list").out) is coloured


def test_the_demo_offers_the_interface(folder: Path) -> None:
    """In a terminal the table is followed by an offer; no is no, exit 0."""
    terminal = Terminal("demo", cwd=folder)
    terminal.until("[Y/n]:")
    assert "on_subscription" in terminal.seen
    terminal.type("n\n")
    assert terminal.end() == 0


def test_an_empty_folder_is_offered_a_database(folder: Path, hookrow: Hookrow) -> None:
    """Before the interface opens: here one with examples."""
    terminal = Terminal(cwd=folder, LINES="24")
    terminal.until("[y/e/N]")
    terminal.type("e\n")
    terminal.until("F10")
    terminal.type("\x1b[21~")
    assert terminal.end() == 0
    assert hookrow("hooks", "list", "--json").lines


@pytest.mark.usefixtures("kept_example")
@pytest.mark.parametrize(("answer", "hooks"), [("e", True), ("y", False), ("д", False), ("n", None), ("", None)])
def test_it_is_made_as_answered(
    folder: Path, hookrow: Hookrow, answer: str, hooks: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With examples, empty, or none: asked once; anything unclear makes nothing, and nothing opens."""
    opened: list[str] = []
    monkeypatch.setattr(tui, "interactive", lambda: True)
    monkeypatch.setattr(tui, "open_on", opened.append)
    assert hookrow("tui", stdin=f"{answer}\n", code=None).err.count("[y/e/N]") == 1
    assert bool(opened) is (hooks is not None)
    if hooks is None:
        assert list(folder.iterdir()) == []
    else:
        assert bool(hookrow("hooks", "list", "--json").lines) is hooks
