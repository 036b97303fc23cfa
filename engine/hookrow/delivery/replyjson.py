"""JSON that comes from outside, read strictly: what is ambiguous, endless or no JSON is a fault with its reason.

Stricter than `json.loads`, which takes NaN, doubled keys and half characters, and gives up on deep nesting or long
numbers with errors of its own (RFC 8259 leaves all of that to the reader). Where only some members of an object are
wanted, `members` finds them beside others that are at fault.
"""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import Any

from hookrow.lang import Text
from hookrow.payload import DEPTH_LIMIT, dumps, is_deep
from hookrow.reasons.reason import Reason

__all__ = ["NotJson", "decoded", "is_blank", "members", "strict_loads", "strict_text"]

CHARSET = re.compile(
    r"(?:windows|cp)-?125[0-8]|koi8-[ru]|iso-?8859-(?:[1-9]|1[013-6])|(?:cp|ibm)-?866|utf-16(?:le|be)?", re.IGNORECASE
)
"""The charsets that a reply may declare. Python knows others, some of which are none (base64, zip, idna)."""
MARK = b"\xef\xbb\xbf"  # of byte order; `utf-8-sig` would be decoded by Python
MARKS = "\ufeff \t\r\n\v\f"
STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
OPENING = re.compile(r"\s*\{\s*")
KEY = re.compile(rf"\s*({STRING})\s*:\s*", re.DOTALL)
PIECE = re.compile(rf'[\[{{]++|[\]}}]++|,|{STRING}|"', re.DOTALL)
"""What a value ends by, and strings, in which the same characters mean nothing; a lone quote begins one without end."""
MOST_PIECES = 200_000
"""Of a value that is looked through: what has more takes too long, and is refused."""


class NotJson(ValueError):
    """Not JSON as we take it; `text` says why."""

    def __init__(self, text: Text) -> None:
        super().__init__(text)
        self.text = text


def constant(name: str) -> Any:
    raise NotJson(Reason("json_no_number", name=name))


def real(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotJson(Reason("json_number_too_large", digits=digits[:30]))
    return number


def whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise NotJson(Reason("json_digits", n=len(digits))) from None


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        double = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise NotJson(Reason("json_key_twice", key=double[:60].encode(errors="backslashreplace").decode()))
    return found


READER = json.JSONDecoder(object_pairs_hook=once, parse_constant=constant, parse_float=real, parse_int=whole)
SYNTAX = json.JSONDecoder(parse_int=float)
"""Python's own reading, which asks for nothing but the grammar."""


def strict_loads(body: bytes) -> Any:
    """The value of a JSON text in UTF-8; a byte order mark before it is passed over (RFC 8259, 8.1).

    Raises:
        NotJson: it is none, or holds what can't be kept or passed on.
    """
    try:
        return strict_text(body.removeprefix(MARK).decode())
    except UnicodeDecodeError as fault:
        raise NotJson(Reason("json_not_utf8", at=fault.start)) from None


def strict_text(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        NotJson: as `strict_loads`.
    """
    try:
        value = READER.decode(text)
        if is_deep(value, text):
            raise RecursionError
        if "\\u" in text:
            dumps(value).encode()
    except RecursionError:
        raise NotJson(Reason("json_too_deep", limit=DEPTH_LIMIT)) from None
    except json.JSONDecodeError as fault:
        raise NotJson(Reason("json_unreadable", line=fault.lineno, column=fault.colno)) from None
    except UnicodeEncodeError:
        raise NotJson(Reason("json_half_character")) from None
    return value


def is_blank(text: str) -> bool:
    """Whether there is nothing but white space and a byte order mark."""
    return not text.strip(MARKS)


def decoded(body: bytes, declared: str | None) -> tuple[str, str | None]:
    """A body as text, and the charset that it was read in where that is not UTF-8.

    UTF-8 comes first, whatever is declared; a NUL in it, which no JSON text holds, means UTF-16. Bytes that are neither
    UTF-8 nor in the declared charset stand as lone surrogates, so that nothing that holds one is taken for sound.
    """
    try:
        text = body.removeprefix(MARK).decode()
        sound = "\0" not in text
    except UnicodeDecodeError:
        text, sound = body.removeprefix(MARK).decode("utf-8", "surrogateescape"), False
    charset = (declared or "").lower()
    if sound or not CHARSET.fullmatch(charset):
        return text, None
    name = charset
    if charset == "utf-16" and body[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        name = "utf-16be" if body[:1] == b"\0" else "utf-16le"  # Python would take the machine's own order
    try:
        return body.decode(name).removeprefix("\ufeff"), charset
    except UnicodeDecodeError:
        return text, None


def members(text: str) -> list[tuple[str, str]] | None:
    """The members of a JSON object as (key, text of the value), doubled ones too; None where it is no JSON object.

    For a text that `strict_text` refuses. NaN, numbers and nesting without end, doubled keys and half characters stand
    nowhere in the way, since a value is read by who wants it. Inside a nesting that Python's reader can't follow only
    the brackets and strings are looked at.
    """
    try:
        SYNTAX.decode(text)
    except RecursionError:
        pass
    except ValueError:
        return None
    opening = OPENING.match(text)
    if opening is None:
        return None
    found: list[tuple[str, str]] = []
    place = opening.end()
    while key := KEY.match(text, place):
        end, last = value_end(text, key.end())
        if end is None:
            return None
        try:
            found.append((json.loads(key[1]), text[key.end() : end].strip()))
        except ValueError:
            return None
        if last:
            return found
        place = end + 1
    return found if not found else None


def value_end(text: str, place: int) -> tuple[int | None, bool]:
    """Where the value of a member ends, and whether it is the object's last; None where the text ends before."""
    depth = 0
    for piece in islice(PIECE.finditer(text, place), MOST_PIECES):
        found = piece[0]
        sign = found[0]
        if sign in "[{":
            depth += len(found)
        elif sign in "]}":
            if len(found) > depth:
                return piece.start() + depth, True
            depth -= len(found)
        elif found == '"':
            return None, True
        elif sign == "," and not depth:
            return piece.start(), False
    return None, True
