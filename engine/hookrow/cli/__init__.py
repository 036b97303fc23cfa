"""The command line (docs/reference/cli.md). `main` is what the `hookrow` program runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from hookrow.cli.app import run

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line, else the process's own, and leave with its exit code."""
    sys.exit(run(arguments))
