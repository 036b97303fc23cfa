"""The URL of an SQLite file: what in its name or its folders' means something in a URL is written otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote

__all__ = ["file_in", "file_url"]

SQLITE: Final = "sqlite:///"


def file_url(path: str | Path) -> str:
    """The URL of an SQLite file; `%` and `?` in its name or its folders' mean something in a URL."""
    return SQLITE + str(path).replace("%", "%25").replace("?", "%3F")


def file_in(url: str) -> Path | None:
    """The file of an SQLite URL; None for other databases."""
    return Path(unquote(url.removeprefix(SQLITE).partition("?")[0])) if url.startswith(SQLITE) else None
