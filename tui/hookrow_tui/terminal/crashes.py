"""An error of our own: its traceback goes into a file that only its owner reads, without the values of variables."""

from __future__ import annotations

import os
import time
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path

from hookrow.errors import HookrowError
from hookrow_tui.words import Say

__all__ = ["KEPT", "keep_traceback", "mishap"]

KEPT = 10
"""Files that stay; older ones go."""


def keep_traceback(error: BaseException) -> Path | None:
    """Write the error's traceback down; gives where, None where nothing can be written."""
    try:
        folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "hookrow"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / name_of(os.getpid())
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
            file.writelines(traceback.format_exception(error))
        for old in sorted(folder.glob("crash-*.txt"))[:-KEPT]:
            with suppress(OSError):
                old.unlink()
    except (OSError, RuntimeError):
        return None
    return path


@cache
def name_of(process: int) -> str:
    """One file for all errors of a process: that of its first is the one that is told of."""
    return f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{process}.txt"


def mishap(error: BaseException) -> HookrowError:
    """An error of our own as one that can be shown: what it was, and where its details are."""
    kind, path = type(error).__name__, keep_traceback(error)
    if path is None:
        return HookrowError(Say("An error of Hookrow's own: {kind}. Its details can't be written.", kind=kind))
    return HookrowError(Say("An error of Hookrow's own: {kind}. Details: {path}", kind=kind, path=path))
