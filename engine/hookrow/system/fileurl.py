"""Databases' URLs as they are written, without SQLAlchemy: the file in one, and what people may see of one.

What in the name of an SQLite file or its folders' means something in a URL is written otherwise there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

__all__ = ["file_in", "file_url", "without_password"]

SQLITE: Final = "sqlite:///"
LOGIN: Final = re.compile(r"(?<=://)([^:/]*):.*@", re.DOTALL)
"""Up to the last @: one that stands in the password should have been written as %40, and is no less secret for it."""
PARAMETER: Final = re.compile(r"(?<=[?&])((?:ssl)?password=)[^&]*", re.IGNORECASE)


def file_url(path: str | Path) -> str:
    """The URL of an SQLite file; `%` and `?` in its name or its folders' mean something in a URL."""
    return SQLITE + str(path).replace("%", "%25").replace("?", "%3F")


def file_in(url: str) -> Path | None:
    """The file of an SQLite URL; None for other databases."""
    return Path(unquote(url.removeprefix(SQLITE).partition("?")[0])) if url.startswith(SQLITE) else None


def without_password(url: str) -> str:
    """A database's URL as people may see it, also one that can't be used."""
    return PARAMETER.sub(r"\1***", LOGIN.sub(r"\1:***@", url))
