"""A text in the person's own editor, while the interface steps aside."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from hookrow.errors import HookrowError
from hookrow_tui.words import Say

__all__ = ["NotEdited", "edited"]


class NotEdited(HookrowError):
    """The editor did not run, or ended with an error: the text stays as it was."""


def edited(app: App[Any], text: str, name: str) -> str:
    """What a person made of `text` in $VISUAL, $EDITOR or vi; `name` is the file's, so that the editor knows its kind.

    Raises:
        NotEdited
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, "utf-8")
        try:
            with app.suspend():
                done = subprocess.run([*shlex.split(command), str(path)], check=False)
        except (OSError, ValueError, SuspendNotSupported) as error:
            raise NotEdited(
                Say("The editor {command} can't be started: {reason}", command=command, reason=error)
            ) from None
        if done.returncode:
            raise NotEdited(Say("The editor ended with an error; the text stays as it was."))
        written = path.read_text("utf-8", errors="replace")
    return written if text.endswith("\n") else written.removesuffix("\n")
