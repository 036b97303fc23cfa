"""What a file says of a secret: that it is kept or that there is none, or where it is read from; never its value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hookrow.hook.fields import Unfit
from hookrow.lang import Text
from hookrow.secrets.secret import Secret

__all__ = ["KEPT", "NONE", "resolve"]

KEPT = "kept"
NONE = "none"
LONGEST = 8192
ALLOWED = Text("A file can't hold a secret: write kept, none, env:NAME or file:PATH.")


def resolve(text: str, folder: Path, environ: Mapping[str, str]) -> Secret | None:
    """The secret that a reference means; `Secret.kept()` for one that stays as it is, None for none.

    Args:
        folder: that of the file, from which relative paths lead.

    Raises:
        Unfit: it is no reference, or nothing can be read there. Never tells what was read.
    """
    kind, _, rest = text.partition(":")
    if text == KEPT:
        return Secret.kept()
    if text == NONE:
        return None
    if kind == "env" and rest:
        value = environ.get(rest)
        if not value:
            raise Unfit(Text("The variable {name} is not set.", name=rest))
        return Secret(value)
    if kind == "file" and rest:
        return Secret(first_line(folder / rest))
    raise Unfit(ALLOWED)


def first_line(path: Path) -> str:
    """The one line of a small file, without its line break."""
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST + 1)
        text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise Unfit(Text("{path} can't be read: {reason}", path=path, reason=error.strerror or "")) from None
    except (UnicodeDecodeError, ValueError):  # ValueError: a path that can't be one
        raise Unfit(Text("{path} does not contain exactly one line of text.", path=path)) from None
    if not text or len(raw) > LONGEST or "\n" in text:
        raise Unfit(Text("{path} does not contain exactly one line of text.", path=path))
    return text
