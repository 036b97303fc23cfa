"""The command line (DESIGN 12). `main` is what the `hookrow` program runs."""

from __future__ import annotations

import sys

from hookrow.cli.app import run

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run())
