"""The command line (docs/reference/cli.md). `main` is what the `hookrow` program runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from hookrow.cli.app import run
from hookrow.cli.session import Session, typed

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, else the process's own, and leave with its exit code."""
    code = run(arguments, Session(called=typed()))
    try:
        sys.stderr.flush()
    except OSError:  # nobody reads any more what was said; the interpreter's own flush would make it exit 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.exit(code)
