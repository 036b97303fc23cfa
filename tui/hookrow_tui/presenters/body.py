"""A body of any kind as lines: JSON laid out, text as text, bytes that are neither as a hex dump."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hookrow_tui.presenters.styled import Line, json_lines, text_lines
from hookrow_tui.words import Say

__all__ = ["FIRST", "ShownBody", "kibibytes", "read_body"]

FIRST = 64 * 1024
"""Bytes of a body that are shown before somebody asks for more."""
CHARSET = re.compile(r'charset="?([\w.:-]+)', re.IGNORECASE)
LINES = 6000
"""Lines shown at once, whatever their length."""
HEX = 16


@dataclass(frozen=True, slots=True)
class ShownBody:
    """What is shown of a body; `left` bytes of it are not; `note` says how it was read where that was a guess."""

    lines: list[Line]
    left: int = 0
    note: Say | None = None


def kibibytes(count: int) -> str:
    """A length for people."""
    if count < 1024:
        return str(Say("{n} bytes", n=count))
    if count < 1024 * 1024:
        return str(Say("{n} KiB", n=round(count / 1024)))
    return str(Say("{n} MiB", n=f"{count / 1024 / 1024:.1f}"))


def read_body(body: bytes, headers: Sequence[tuple[str, str]] = (), limit: int = FIRST) -> ShownBody:
    """The first `limit` bytes of a body as lines."""
    part, left = body[:limit], max(0, len(body) - limit)
    kind = next((value.lower() for name, value in headers if name.lower() == "content-type"), "")
    text, note = decoded(part, kind, cut=left > 0)
    if text is None:
        lines = hex_lines(part)
    elif "json" in kind or text.lstrip()[:1] in ("{", "["):
        lines = json_lines(text)
    else:
        lines = text_lines(text)
    return ShownBody(lines[: LINES * -(-limit // FIRST)], left, note)


def decoded(part: bytes, kind: str, *, cut: bool) -> tuple[str | None, Say | None]:
    """The text of some bytes, None if they are none; and a remark unless they are UTF-8."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(part, final=not cut), None
    except UnicodeDecodeError:
        pass
    found = CHARSET.search(kind)
    if found is not None:
        try:
            return part.decode(found[1], "replace"), Say("read as {encoding}", encoding=found[1].lower())
        except (LookupError, UnicodeError):  # unknown, or a codec that gives no text, as base64
            pass
    broken = part.decode("utf-8", "replace")
    if "\0" in broken or broken.count("\ufffd") * 3 > len(broken):
        return None, Say("not text: shown as bytes")
    return broken, Say('not UTF-8: unreadable bytes are shown as "�"')


def hex_lines(part: bytes) -> list[Line]:
    """Sixteen bytes a line, with what of it is ASCII."""
    lines: list[Line] = []
    for start in range(0, len(part), HEX):
        row = part[start : start + HEX]
        seen = "".join(chr(each) if 32 <= each < 127 else "." for each in row)
        lines.append(((f"{start:06x}  ", "quiet"), (f"{row.hex(' '):<{3 * HEX}}", ""), (f" {seen}", "string")))
    return lines
