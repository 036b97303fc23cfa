"""Foreign text in columns: every character that is drawn has one width, the same in every terminal.

Terminals disagree about emoji that are joined or changed by invisible characters, so a name that holds some would push
its neighbours aside. Here such a sequence is taken apart; each part is drawn by itself.
"""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len

from hookrow.safetext import covered

__all__ = ["fit", "steady", "steady_lines"]

JOINERS = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c\u200d\u3164\ufe00-\ufe0f\uffa0\U0001f3fb-\U0001f3ff]"
)
"""Variation selectors, joiners, fillers, skin tones: they have a width only together with what stands before."""
FLAGS = re.compile("[\U0001f1e6-\U0001f1ff]")
MARKS = 2
"""Combining marks kept after one character: languages need them, a column of fifty is an attack."""


def steady(text: str) -> str:
    """One line of foreign text: harmless (see `hookrow.safetext`) and of a width that all terminals agree on."""
    if text.isascii() and text.isprintable():
        return text
    return settled(covered(text))


def steady_lines(text: str, tab: int = 4) -> list[str]:
    """The same for text that has lines of its own; tabs become spaces."""
    lines = text.replace("\r\n", "\n").split("\n")
    return [steady(line.expandtabs(tab) if "\t" in line else line) for line in lines]


def settled(text: str) -> str:
    text = FLAGS.sub(lambda found: chr(ord(found[0]) - 0x1F1E6 + ord("A")), JOINERS.sub("", text))
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    if not any(unicodedata.combining(char) or unicodedata.category(char) in ("Me", "Mn") for char in set(text)):
        return text
    kept: list[str] = []
    marks = MARKS  # none stands free at the beginning
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
            if marks > MARKS:
                continue
        else:
            marks = 0
        kept.append(char)
    return "".join(kept)


def fit(text: str, width: int, *, right: bool = False, more: str = "…") -> str:
    """Text that is already steady in exactly `width` columns: padded, or cut with a sign that something is missing."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        room = max(0, width - len(more))
        text = text[:room]  # no character is narrower than nothing: at most this many fit
        while text and cell_len(text) > room:
            text = text[:-1]
        text = (text + more)[: max(0, width)]
        length = cell_len(text)
    gap = " " * max(0, width - length)
    return gap + text if right else text + gap
