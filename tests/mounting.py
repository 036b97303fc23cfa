"""File systems of a test's own, where mounting is allowed: small disks, which can be full."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["mount"]


def mount(folder: Path, *options: str) -> str:
    """Mount; the reason if it may not be done."""
    if shutil.which("mount") is None:
        return "there is no mount"
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""
