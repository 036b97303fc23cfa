"""JSON Patch (RFC 6902) in a reply: a list changed in place, all of it or nothing. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from hookrow.lang import Text
from hookrow.payload import dumps, is_deep, pointer_parts, pointer_to, same
from hookrow.reasons.reason import Reason

__all__ = ["MOST_OPERATIONS", "Unpatchable", "patched"]

MOST_OPERATIONS: Final = 1000
WORK: Final = 64
"""So many times `limit` bytes may be moved about by all operations together."""
POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
ABSENT: Any = object()


class Unpatchable(Exception):
    """A patch that can't be applied. `text` says why, without a value."""

    def __init__(self, text: Text) -> None:
        super().__init__(str(text))
        self.text: Final = text


def patched(payload: dict[str, Any], operations: Any, limit: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The payload after the operations, a new one; and what was copied or moved: (pointer, pointer).

    Where the target lies in a list, it is the list's pointer: later operations may shift what is in it.

    Args:
        limit: bytes of JSON that the payload may have, held after each operation.

    Raises:
        Unpatchable: no list of operations, or one of them can't be applied; nothing is changed.
    """
    if not isinstance(operations, list) or len(operations) > MOST_OPERATIONS:
        raise Unpatchable(Reason("patch_no_list", most=MOST_OPERATIONS))
    patch = Patch(payload, limit)
    try:
        for number, operation in enumerate(operations, 1):
            patch.number = number
            patch.apply(operation)
        if is_deep(patch.data, dumps(patch.data)):
            raise patch.fault("patch_too_large")
    except RecursionError:  # copied into itself again and again
        raise patch.fault("patch_too_large") from None
    return patch.data, patch.moved


def copied(value: Any) -> Any:
    """A copy that shares nothing; numbers of any length stay exact."""
    return json.loads(dumps(value))


class Patch:
    """One patch under way, on a payload of its own."""

    def __init__(self, payload: dict[str, Any], limit: int) -> None:
        text = dumps(payload)
        self.data: dict[str, Any] = json.loads(text)
        self.limit = limit
        self.size: int = len(text.encode(errors="replace"))
        self.work: int = WORK * limit
        self.number: int = 0
        self.moved: list[tuple[str, str]] = []
        self.acts: Final[dict[str, Callable[[dict[str, Any], list[str]], None]]] = {
            "add": self.add,
            "remove": self.remove,
            "replace": self.replace,
            "move": self.move,
            "copy": self.copy,
            "test": self.test,
        }

    def fault(self, code: str, **values: object) -> Unpatchable:
        return Unpatchable(Reason(code, n=self.number, **values))

    def apply(self, operation: Any) -> None:
        """Carry out one operation. Raises Unpatchable."""
        kind = operation.get("op") if isinstance(operation, dict) else None
        act = self.acts.get(kind) if isinstance(kind, str) else None
        if act is None:
            raise self.fault("patch_operation")
        act(operation, self.path(operation, "path"))

    def path(self, operation: dict[str, Any], name: str) -> list[str]:
        """The keys of a pointer; the payload itself is none that may be changed."""
        pointer = operation.get(name)
        if not isinstance(pointer, str) or not POINTER.fullmatch(pointer):
            raise self.fault("patch_operation")
        if not pointer:
            raise self.fault("patch_root")
        return pointer_parts(pointer)

    def value(self, operation: dict[str, Any]) -> Any:
        if "value" not in operation:
            raise self.fault("patch_operation")
        return operation["value"]

    # -- places -------------------------------------------------------------------------------------------------------

    def parent(self, parts: list[str]) -> Any:
        """The object or list in which a pointer's last key lies."""
        place: Any = self.data
        for part in parts[:-1]:
            place = self.step(place, part)
        return place

    def step(self, place: Any, part: str) -> Any:
        if isinstance(place, dict) and part in place:
            return place[part]
        if isinstance(place, list):
            return place[self.index(place, part, len(place) - 1)]
        raise self.fault("patch_no_place")

    def index(self, place: list[Any], part: str, most: int) -> int:
        """A list's index as RFC 6901 writes it: digits without a zero before them."""
        if not (part.isascii() and part.isdigit()) or (part[0] == "0" and part != "0") or len(part) > 9:
            raise self.fault("patch_no_place")
        if int(part) > most:
            raise self.fault("patch_no_place")
        return int(part)

    def weigh(self, value: Any) -> int:
        """Bytes of a value as JSON; what all operations may move about is bounded."""
        size = len(dumps(value).encode(errors="replace"))
        self.work -= size
        if self.work < 0:
            raise self.fault("patch_too_large")
        return size

    def grow(self, by: int) -> None:
        self.size += by
        if self.size > self.limit:
            raise self.fault("patch_too_large")

    # -- the six operations -------------------------------------------------------------------------------------------

    def put(self, parts: list[str], value: Any, *, copy: bool = True) -> None:
        """Add a value: into a list before an index, or in the place of an object's member."""
        size = self.weigh(value)
        place, key = self.parent(parts), parts[-1]
        if isinstance(place, list):
            at = len(place) if key == "-" else self.index(place, key, len(place))
            self.grow(size + 1)
            place.insert(at, copied(value) if copy else value)
        elif isinstance(place, dict):
            if len(parts) == 1 and key not in place:
                raise self.fault("patch_top_key")
            old = place.get(key, ABSENT)
            self.grow(size + self.weigh(key) + 2 if old is ABSENT else size - self.weigh(old))
            place[key] = copied(value) if copy else value
        else:
            raise self.fault("patch_no_place")

    def take(self, parts: list[str]) -> Any:
        """Take a value out of its place."""
        place, key = self.parent(parts), parts[-1]
        if len(parts) == 1:
            raise self.fault("patch_top_key")
        value = self.step(place, key)
        self.size -= self.weigh(value) + (1 if isinstance(place, list) else self.weigh(key) + 2)
        if isinstance(place, list):
            place.pop(int(key))
        else:
            del place[key]
        return value

    def add(self, operation: dict[str, Any], parts: list[str]) -> None:
        self.put(parts, self.value(operation))

    def remove(self, operation: dict[str, Any], parts: list[str]) -> None:
        self.take(parts)

    def replace(self, operation: dict[str, Any], parts: list[str]) -> None:
        value = self.value(operation)
        place, key = self.parent(parts), parts[-1]
        old = self.step(place, key)
        self.grow(self.weigh(value) - self.weigh(old))
        place[int(key) if isinstance(place, list) else key] = copied(value)

    def move(self, operation: dict[str, Any], parts: list[str]) -> None:
        source = self.path(operation, "from")
        if parts == source:
            self.step(self.parent(parts), parts[-1])
            return
        if parts[: len(source)] == source:  # into itself
            raise self.fault("patch_no_place")
        self.put(parts, self.take(source), copy=False)
        self.note(source, parts)

    def copy(self, operation: dict[str, Any], parts: list[str]) -> None:
        source = self.path(operation, "from")
        self.put(parts, self.step(self.parent(source), source[-1]))
        self.note(source, parts)

    def test(self, operation: dict[str, Any], parts: list[str]) -> None:
        found, wanted = self.step(self.parent(parts), parts[-1]), self.value(operation)
        self.weigh(found)
        if not same(found, wanted):
            raise self.fault("patch_test")

    def note(self, source: list[str], parts: list[str]) -> None:
        """Remember where something came from and went to."""
        place: Any = self.data
        for depth, part in enumerate(parts):
            if isinstance(place, list):
                parts = parts[:depth]
                break
            place = place.get(part) if isinstance(place, dict) else None
        self.moved.append((pointer_to(tuple(source)), pointer_to(tuple(parts))))
