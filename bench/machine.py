"""The machine in words: what a reader needs to judge the figures, and no path of it."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path

import psutil

__all__ = ["words"]


def words() -> str:
    """Processor, memory, system and versions, in one sentence."""
    model = "an unnamed processor"
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return (
        f"{os.cpu_count()} cores ({model}), {psutil.virtual_memory().total / 2**30:.0f} GB of memory, "
        f"{platform.system()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"load {load:.1f} when it began"
    )
