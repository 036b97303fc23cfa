"""Private values in what receivers answer: only waiting hooks may know them, so an echo is not kept (DESIGN 3)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hookrow.payload import dumps, get_pointer

__all__ = ["Concealer"]

SHORTEST = 4
"""Characters: a shorter value occurs in any text by chance, so it is only recognised where it stands alone."""
HIDDEN = "***"


class Concealer:
    """Knows the values at an event's private pointers, and takes them out of what is kept."""

    def __init__(self, pointers: Iterable[str]) -> None:
        self.pointers = tuple(pointers)
        self.values: set[str] = set()

    def learn(self, payload: Mapping[str, Any]) -> None:
        """Take note of a payload's private values, before a reply to it is kept."""
        for pointer in self.pointers:
            self.values.update(leaves(get_pointer(payload, pointer, None)))

    def text(self, text: str) -> str:
        """The text with every private value replaced."""
        if text in self.values:
            return HIDDEN
        for value in sorted(self.values, key=len, reverse=True):
            if len(value) >= SHORTEST:
                text = text.replace(value, HIDDEN)
        return text

    def json(self, value: Any) -> Any:
        """A JSON value without private values; the very same one where it holds none."""
        if not self.values or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.json(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(each) for each in value]
        return HIDDEN if str(value) in self.values else value

    def holds(self, value: Any) -> bool:
        """Whether a JSON value holds a private one."""
        return bool(self.values) and bool(self.json(value) != value)

    def body(self, raw: bytes | None) -> bytes | None:
        """A response's body as it may be kept; None where a private value can't be taken out of it."""
        if raw is None or not self.values:
            return raw
        try:
            parsed = json.loads(raw)
        except (ValueError, RecursionError):
            text = raw.decode("utf-8", "replace")
            return raw if self.text(text) == text else None
        return dumps(self.json(parsed)).encode() if self.holds(parsed) else raw


def leaves(value: Any) -> Iterator[str]:
    """The strings and numbers in a private value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        yield str(value)
