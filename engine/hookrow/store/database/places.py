"""Where a database file lies: file systems on which SQLite's locks don't hold, or its shared memory is not shared."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from hookrow.lang import Text

__all__ = ["misplaced"]

MOUNTS: Final = "/proc/self/mountinfo"
UNSAFE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "vboxsf", "virtiofs"})
"""Kinds that other machines may write to at the same time (https://sqlite.org/howtocorrupt.html, section 2)."""


def misplaced(path: Path | None) -> Text | None:
    """Why a database file is not safe where it lies, or would; None where it is, or where nothing lists the mounts."""
    kind = None if path is None else kind_of(Path(os.path.realpath(path)).parent)
    if kind not in UNSAFE:
        return None
    return Text(
        "{path} is on {kind}, where locks don't hold between machines and rows can be lost: use a local disk, or "
        "PostgreSQL",
        path=path,
        kind=kind,
    )


def kind_of(folder: Path) -> str | None:
    """The kind of the mount that a folder without links lies in; of two at one place the later one covers the other."""
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            mounts = [line.split() for line in file]
    except OSError:
        return None
    found: tuple[int, str] | None = None
    for words in mounts:  # proc(5): the fifth is the place; behind «-» comes the kind
        place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[4]).rstrip("/")
        if f"{folder}/".startswith(f"{place}/") and (found is None or len(place) >= found[0]):
            found = len(place), words[words.index("-") + 1]
    return None if found is None else found[1]
