"""The time zone of this machine, as a name of the tz database: what TZ and /etc/localtime say, however they say it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hookrow.lang import Text, quoted
from hookrow.safetext import visible

__all__ = ["OF_THE_MACHINE", "machine_zone"]

FIXED = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)(?P<sign>[+-]?)0*(?P<hours>\d{1,2})(?::00){0,2}"
"""An offset without summer time, as POSIX has it under TZ: `MSK-3` is three hours east of Greenwich."""
FOLDER = "/zoneinfo/"
OF_THE_MACHINE = frozenset({"localtime", "posixrules"})
"""On some systems names, too, but each machine means another zone by them."""


def machine_zone(environ: Mapping[str, str] = os.environ, etc: Path = Path("/etc")) -> tuple[str, Text | None]:
    """The zone's name; and where none could be told, so that it is UTC, the sentence that says why."""
    given = environ.get("TZ")
    if given is None:
        named = of_file(etc / "localtime") or known(first_line(etc / "timezone"))
        why = Text("neither TZ nor {path} names a time zone", path=etc / "localtime")
    else:
        wanted = given.strip().strip("\"'").removeprefix(":").strip()
        if wanted == "localtime":
            wanted = str(etc / "localtime")
        named = of_file(Path(wanted)) if wanted.startswith("/") else known(wanted) or of_offset(wanted)
        why = Text("TZ is {value}, which names no time zone", value=quoted(visible(given)))
    if named is not None:
        return named, None
    return "UTC", Text(
        "Dates are typed and shown in UTC: {why}. To change it: hookrow settings set timezone Europe/Moscow", why=why
    )


def known(name: str) -> str | None:
    """A name as the tz database has it; None where it has none."""
    try:
        return ZoneInfo(name.removeprefix("posix/")).key if name and name not in OF_THE_MACHINE else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def of_file(path: Path) -> str | None:
    """The name of a zone's file, or of the one that a link leads to."""
    for where in (os.path.realpath(path), str(path)):
        if (named := known(where.partition(FOLDER)[2])) is not None:
            return named
    return None


def of_offset(text: str) -> str | None:
    """The name of a fixed offset of whole hours; one with summer time has no name that stands for it."""
    found = re.fullmatch(FIXED, text)
    if found is None:
        return None
    hours = int(found["hours"])
    return known("UTC" if hours == 0 else f"Etc/GMT{found['sign'] or '+'}{hours}")


def first_line(path: Path) -> str:
    """What Debian keeps beside the link, also where /etc/localtime is a copy."""
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""
