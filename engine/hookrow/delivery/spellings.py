"""A value that must not be kept, found in a text however it is spelled there. Pure.

The spellings: as it is, in JSON, HTML, percent and base64 form, mixed or one inside the other. A value that was hashed,
cut, reversed or encrypted is not found. Texts are looked through as bytes read as Latin-1 (`raw`), so that one search
serves headers, bodies of any charset and text.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import quote, quote_plus

from hookrow.payload import MIB
from hookrow.system.lazy import cached_property

__all__ = ["Hidden", "TooMuch", "raw", "views"]

FRAGMENT = 4
"""Characters of a beginning that is taken for the value's where a text was cut; and of a piece of base64."""
DEPTH = 4
"""How many spellings may lie one inside the other."""
MOST = 4 * MIB
"""Characters that are read anew for one text."""
CHARSETS = ("windows-1251", "koi8-r", "cp866", "latin-1", "utf-16-le", "utf-16-be")
"""Besides UTF-8, in which replies may hold a value that is not ASCII; UTF-16 is looked through without its NULs."""


class TooMuch(Exception):
    """A text that may be read in too many ways to be looked through."""


def raw(text: str) -> str:
    """A text as its bytes in UTF-8, read as Latin-1."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("latin-1")


class Hidden:
    """One value, and what is put into its place."""

    def __init__(self, value: str, mask: str) -> None:
        self.value = value
        self.mask = mask

    def __repr__(self) -> str:
        return "Hidden()"

    @cached_property
    def plain(self) -> tuple[str, ...]:
        """What a text holds, read as bytes, once nothing in it is spelled in JSON's, HTML's or a URL's manner."""
        content = self.value.encode("utf-8", "surrogatepass")
        found = {raw(self.value), raw(self.value.replace(" ", "+")), *offsets(content)}
        if not self.value.isascii():
            found |= {self.value.encode(each, "replace").decode("latin-1").replace("\0", "") for each in CHARSETS}
        return tuple(each for each in found if len(each) >= FRAGMENT or each == raw(self.value))

    @cached_property
    def needles(self) -> tuple[str, ...]:
        """The usual spellings, each letter in the same manner, as text and as bytes; longest first."""
        safe = self.value.encode("utf-8", "replace").decode()
        urls = {quote(safe, safe=""), quote(safe), quote_plus(safe)}
        spelled = {json.dumps(self.value)[1:-1], json.dumps(self.value, ensure_ascii=False)[1:-1], *urls}
        spelled |= {each.replace("/", "\\/") for each in spelled}
        found = {self.value, *self.plain, *spelled, *map(raw, spelled)}
        return tuple(sorted((each for each in found if each), key=len, reverse=True))

    def is_in(self, view: str) -> bool:
        """Whether a view of a text holds it."""
        return any(each in view for each in self.plain)

    def out_of(self, text: str) -> str:
        """The text with the mask in the place of its usual spellings."""
        for needle in self.needles:
            if needle in text:
                text = text.replace(needle, self.mask)
        return text

    def off_the_end(self, text: str) -> str:
        """A text that was cut somewhere, without the value's beginning at its end."""
        for needle in self.needles:
            for size in range(min(len(needle) - 1, len(text)), FRAGMENT - 1, -1):
                if text.endswith(needle[:size]):
                    return text[:-size] + self.mask
        return text


def offsets(content: bytes) -> set[str]:
    """What base64 makes of these bytes wherever they stand in what was encoded: at three offsets, in both alphabets."""
    found = set()
    for before in range(3):
        encoded = b64encode(bytes(before) + content).decode()
        piece = encoded[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]
        found |= {piece, piece.replace("+", "-").replace("/", "_")}
    return {each for each in found if len(each) >= FRAGMENT}


def percent(match: re.Match[str]) -> str:
    code = int(match[1] or match[2], 16)
    return raw(chr(code)) if match[1] else chr(code)


def backslash(match: re.Match[str]) -> str:
    if match[1]:
        return raw(bytes.fromhex(match[1] + match[2]).decode("utf-16-be"))
    if match[3] or match[4]:
        return raw(chr(int(match[3] or match[4], 16)))
    return SHORT.get(match[5], match[5])


def entity(match: re.Match[str]) -> str:
    return raw(unescape(match[0]))


SHORT = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
CODES: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str] | str], ...] = (
    ("%", re.compile(r"%(?:u([0-9a-fA-F]{4})|([0-9a-fA-F]{2}))"), percent),
    ("&", re.compile(r"&(?:#[0-9]{1,9}|#[xX][0-9a-fA-F]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});?"), entity),
    (
        "\\",
        re.compile(
            r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})"
            r"|([^0-9A-Za-z]|[nrtbf]))",
            re.DOTALL,
        ),
        backslash,
    ),
    ("\n", re.compile(r"[ \t\r]*\n[ \t\r\n]*"), ""),  # base64 in lines
)
"""A sign without which there is nothing to do, what is spelled by it, and what that means."""


def views(text: str) -> Iterator[str]:
    """A raw text, and everything that it may be read as.

    Raises:
        TooMuch: it may be read in so many ways that it would take too long.
    """
    yield text
    seen, waiting, left = {text}, deque([(text, 0)]), MOST
    while waiting:
        view, depth = waiting.popleft()
        for sign, code, meaning in CODES if depth < DEPTH else ():
            if sign not in view:
                continue
            left -= len(view)
            if left < 0:
                raise TooMuch
            made = code.sub(meaning, view)
            if made not in seen:
                seen.add(made)
                yield made
                waiting.append((made, depth + 1))
