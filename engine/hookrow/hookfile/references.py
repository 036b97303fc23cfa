"""What a file says of a secret: that it is kept or that there is none, or where it is read from; never its value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hookrow.hook.fields import Unfit
from hookrow.lang import Text
from hookrow.secrets.secret import Secret

__all__ = ["KEPT", "NONE", "OWN", "resolve"]

KEPT = "kept"
NONE = "none"
OWN = "HOOKROW_SECRET_"
"""Variables of these names are made to be read by any file of hooks."""
LONGEST = 8192
ALLOWED = Text("A file can't hold a secret: write kept, none, env:NAME or file:PATH.")


def resolve(text: str, folder: Path, environ: Mapping[str, str], *, anywhere: bool = False) -> Secret | None:
    """The secret that a reference means; `Secret.kept()` for one that stays as it is, None for none.

    Args:
        folder: that of the file, from which relative paths lead.
        anywhere: any variable and any file of this user may be read; else variables that are made for it (`OWN`), and
            files in the folder: whoever wrote the file chooses the URL that the secret is sent to as well.

    Raises:
        Unfit: it is no reference, or nothing can be read there. Never tells what was read.
    """
    kind, _, rest = text.partition(":")
    if text == KEPT:
        return Secret.kept()
    if text == NONE:
        return None
    if kind == "env" and rest and not anywhere and not rest.startswith(OWN):
        raise Unfit(Text("{name} is not a {own}… variable. To read it anyway: --allow-source", name=rest, own=OWN))
    if kind == "env" and rest:
        value = environ.get(rest)
        if not value:
            raise Unfit(Text("The variable {name} is not set.", name=rest))
        return Secret(value.removeprefix("\ufeff"))
    if kind == "file" and rest and not anywhere and not inside(folder, rest):
        raise Unfit(Text("{path} is not in the folder of this file. To read it anyway: --allow-source", path=rest))
    if kind == "file" and rest:
        return Secret(first_line(folder / rest))
    raise Unfit(ALLOWED)


def inside(folder: Path, rest: str) -> bool:
    """Whether a path really leads into this folder, whatever links and dots are in it."""
    try:
        return (folder / rest).resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # what can't be a path can't be read, and that is said then
        return True


def first_line(path: Path) -> str:
    """The one line of a small file, without its line break."""
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST + 1)
        text = raw.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise Unfit(Text("{path} can't be read: {reason}", path=path, reason=error.strerror or "")) from None
    except (UnicodeDecodeError, ValueError):  # ValueError: a path that can't be one
        raise Unfit(Text("{path} does not contain exactly one line of text.", path=path)) from None
    if not text or len(raw) > LONGEST or "\n" in text or "\r" in text:
        raise Unfit(Text("{path} does not contain exactly one line of text.", path=path))
    return text
