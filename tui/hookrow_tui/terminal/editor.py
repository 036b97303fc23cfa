"""The terminal lent to another program: the person's own editor, or pager, while the interface steps aside."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from hookrow.errors import HookrowError
from hookrow_tui.terminal.mended import lend_terminal
from hookrow_tui.words import Say

__all__ = ["NotRun", "edit_text", "page_text"]


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
        with lend_terminal(app):
            return subprocess.run([*words, str(path)], check=False).returncode
    except SuspendNotSupported:
        raise NotRun(Say("This terminal can't run another program.")) from None
    except (OSError, ValueError) as error:
        raise NotRun(Say("The program {command} can't be started: {reason}", command=command, reason=error)) from None
    finally:
        app.refresh()


def edit_text(app: App[Any], text: str, name: str) -> str:
    """What a person made of `text` in $VISUAL, $EDITOR or vi; `name` is the file's, so that the editor knows its kind.

    Raises:
        NotRun: also where the editor left no file, or it can't be written.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(text, "utf-8")
            if run(app, command, path, "VISUAL, EDITOR"):
                raise NotRun(Say("The editor ended with an error; the text stays as it was."))
            written = path.read_text("utf-8", errors="replace")
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
