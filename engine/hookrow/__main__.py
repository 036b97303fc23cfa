"""`python -m hookrow`."""

from __future__ import annotations

from hookrow.cli import main

__all__: list[str] = []

main()
