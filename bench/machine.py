"""The machine in words: what a reader needs to judge the figures, and no path of it."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from pathlib import Path

import psutil

__all__ = ["pace", "words"]

PIECES = 3


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


def pace() -> float:
    """Milliseconds of processor time that a fixed piece of work takes now.

    A neighbour outside this machine that shares a core with it shows in no load and no figure of the system, but the
    same work takes up to twice its processor time, for tenths of a second or for minutes.
    """
    taken = []
    for _ in range(PIECES):
        began = time.thread_time()
        total = 0
        for number in range(30_000):
            total += number & 7
        taken.append(time.thread_time() - began)
    return min(taken) * 1000
