"""JSON that comes from outside, read strictly: what is ambiguous, endless or no JSON is a fault with its reason.

Stricter than `json.loads`, which takes NaN, doubled keys and half characters, and gives up on deep nesting or long
numbers with errors of its own (RFC 8259 leaves all of that to the reader).
"""

from __future__ import annotations

import json
import math
from typing import Any

from hookrow.lang import Text
from hookrow.payload import DEPTH_LIMIT, dumps, is_deep
from hookrow.reasons.reason import Reason

__all__ = ["NotJson", "strict_loads"]


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


def strict_loads(body: bytes) -> Any:
    """The value of a JSON text in UTF-8; a byte order mark before it is passed over (RFC 8259, 8.1).

    Raises:
        NotJson: it is none, or holds what can't be kept or passed on.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise NotJson(Reason("json_not_utf8", at=fault.start)) from None
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
