"""The terminal lent to another program: the person's own editor, or pager, while the interface steps aside."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from hookrow.errors import HookrowError
from hookrow_tui.terminal.mended import lend_terminal
from hookrow_tui.words import Say

__all__ = ["NotRun", "edit_text", "page_text"]


GRACE = 0.5
"""Seconds that the program that has the terminal is left to end by itself, when a signal has come that ends us."""


class NotRun(HookrowError):
    """The program did not run, or ended with an error: everything stays as it was."""


def run(app: App[Any], command: str, path: Path, says: str) -> int:
    """Run a program on a file, on the whole terminal; gives its exit code.

    Args:
        says: the variables that name such a program.

    Raises:
        NotRun
    """
    try:
        words = shlex.split(command)
        if not words or shutil.which(words[0]) is None:
            raise NotRun(Say("The program {command} was not found: set {variables}.", command=command, variables=says))
        with lend_terminal(app), subprocess.Popen([*words, str(path)]) as program:
            return ended(program)
    except SuspendNotSupported:
        raise NotRun(Say("This terminal can't run another program.")) from None
    except (OSError, ValueError) as error:
        raise NotRun(Say("The program {command} can't be started: {reason}", command=command, reason=error)) from None
    finally:
        app.refresh()


def ended(program: subprocess.Popen[bytes]) -> int:
    """Wait for a program; gives its exit code. SIGHUP and SIGTERM end it too, and us when it is gone.

    A lost line tells the leader of a session alone. The wait is one in turns: a signal may come to another thread, and
    what waits in the kernel does not hear of it.
    """
    came: list[int] = []
    ours = {
        each: signal.signal(each, lambda number, _: came.append(number)) for each in (signal.SIGHUP, signal.SIGTERM)
    }
    waiter = threading.Thread(target=program.wait)
    waiter.start()
    try:
        while waiter.is_alive():
            waiter.join(GRACE)
            if came:
                waiter.join(GRACE)
                program.send_signal(came.pop())
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
    return program.returncode


def edit_text(app: App[Any], text: str, name: str) -> str:
    """What a person made of `text` in $VISUAL, $EDITOR or vi; `name` is the file's, so that the editor knows its kind.

    What was saved counts also if the editor ended with an error: some do after any mistake, all where the line is lost.

    Raises:
        NotRun: also where the editor left no file, or it can't be written.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(text, "utf-8")
            failed = run(app, command, path, "VISUAL, EDITOR")
            written = path.read_text("utf-8", errors="replace")
            if failed and written in (text, ""):
                raise NotRun(Say("The editor ended with an error; the text stays as it was."))
    except OSError as error:
        raise NotRun(Say("The text stays as it was: {reason}", reason=error.strerror or error)) from None
    return written if text.endswith("\n") else written.removesuffix("\n")


def page_text(app: App[Any], text: str) -> None:
    """Show a text in $PAGER, else less.

    Raises:
        NotRun
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "hookrow.txt"
            path.write_text(text, "utf-8")
            run(app, os.environ.get("PAGER") or "less", path, "PAGER")
    except OSError as error:
        raise NotRun(Say("The text can't be shown: {reason}", reason=error.strerror or error)) from None
