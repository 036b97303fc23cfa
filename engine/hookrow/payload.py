"""JSON as the engine takes, keeps and compares it: what a payload may hold, pointers, merge patches, differences.

A payload is taken in once, at `fire()`: what can't survive JSON is refused there with its JSON Pointer, so
that nothing later can fail on it. All functions leave what they are given as it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, TypeAlias
from uuid import UUID

import orjson

from hookrow.errors import InvalidPayload
from hookrow.lang import Text

__all__ = [
    "DEPTH_LIMIT",
    "MIB",
    "Json",
    "JsonObject",
    "Payload",
    "admit",
    "canonical_hash",
    "diff",
    "dumps",
    "get_pointer",
    "is_deep",
    "merge_patch",
    "normalise",
    "pointer_parts",
    "pointer_to",
    "redo",
    "same",
    "storable",
    "subject_of",
    "unambiguous",
]

Json: TypeAlias = Any
"""A JSON value: only who sent it knows its shape. The one place where a type of ours says nothing."""
JsonObject: TypeAlias = dict[str, Any]
Payload: TypeAlias = Mapping[str, Any]
"""What `fire()` takes (docs/firing.md)."""

MIB = 1024 * 1024
DEPTH_LIMIT = 100
"""Levels of nesting, so that nothing that walks a payload meets the interpreter's own limit."""
LONGEST_INT_BITS = 14_000
"""Python refuses to write or read integers of more than 4,300 digits."""

COMPACT = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
PLAIN_ONLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
"""For orjson: what is no plain JSON data is not its to turn into some."""
CANONICAL = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
ABSENT: Json = object()


def unambiguous(pairs: list[tuple[str, Json]]) -> JsonObject:
    """An object's pairs, as `json.loads(…, object_pairs_hook=)` gives them.

    Raises:
        ValueError: a key comes twice.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(str(Text("the key {key} comes twice", key=double[:60])))
    return found


def storable(text: str) -> str:
    """Text from outside as every database keeps it: NUL and halves of characters become U+FFFD."""
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


def dumps(value: object) -> str:
    """Compact JSON text in Unicode. Numbers are written as orjson does, 0.000061 for 6.1e-05: equal JSON.

    Raises:
        ValueError: NaN or an infinity.
        TypeError: something that JSON has no form for.
    """
    try:
        text = orjson.dumps(value, option=PLAIN_ONLY).decode()
    except TypeError:  # as in `spelled`
        return COMPACT.encode(value)
    return COMPACT.encode(value) if "null" in text else text  # it may stand for NaN


def spelled(value: object) -> str:
    """The same of finite numbers."""
    try:
        return orjson.dumps(value, option=PLAIN_ONLY).decode()
    except TypeError:  # an integer of more than 64 bits, half a surrogate pair, a key that is no text
        return COMPACT.encode(value)


def normalise(payload: Payload, limit_bytes: int) -> JsonObject:
    """The payload as plain JSON data of its own: dicts, lists, strings, numbers, booleans, None.

    Aware datetimes (as UTC with `Z`), dates and UUIDs become strings, tuples lists.

    Raises:
        InvalidPayload: not an object, larger than `limit_bytes` as JSON in UTF-8, or holding what JSON can't carry.
    """
    return admit(payload, limit_bytes)[0]


def admit(payload: Payload, limit_bytes: int) -> tuple[JsonObject, str]:
    """`normalise`, with the JSON text that was made on the way.

    Raises:
        InvalidPayload: as `normalise`.
    """
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise InvalidPayload("", Text("A payload is a JSON object, not {kind}.", kind=type(payload).__name__))
    # A round trip through JSON is quicker than any walk. It is the whole answer if it gives back an equal value: then
    # there was no tuple, no key that had to be turned into text, nothing that JSON has no form for.
    plain: Json = None
    made, size = b"", 0
    try:
        made = orjson.dumps(payload, option=PLAIN_ONLY)
        size = len(made)
        if size <= limit_bytes:
            plain = orjson.loads(made)
        if plain != payload or is_deep(plain, made):
            plain = None
    except (TypeError, ValueError, RecursionError):
        plain = None
    text = made.decode()
    if plain is None:
        plain = convert(payload, (), set())
        text = spelled(plain)
        size = len(text.encode())
    if size > limit_bytes:
        raise InvalidPayload(
            "", Text("It is {size} bytes as JSON; at most {limit} are allowed.", size=size, limit=limit_bytes)
        )
    return plain, text


def convert(value: Json, path: tuple[str | int, ...], above: set[int]) -> Json:
    """One value as plain JSON data. Raises InvalidPayload: why not, with its place."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_text(str.__str__(value), path)
    if isinstance(value, int):
        if value.bit_length() > LONGEST_INT_BITS:
            raise InvalidPayload(pointer_to(path), Text("The number has too many digits."))
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidPayload(pointer_to(path), Text("{value} is not a JSON number.", value=repr(float(value))))
        return float(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidPayload(
                pointer_to(path), Text("A datetime without a time zone: give it one (datetime.now(UTC)).")
            )
        try:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        except OverflowError:
            raise InvalidPayload(pointer_to(path), Text("In UTC it is not of the years 1 to 9999.")) from None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        return convert_container(value, path, above)
    raise InvalidPayload(
        pointer_to(path), Text("JSON can't represent {kind}: convert it first.", kind=type(value).__name__)
    )


def convert_container(
    value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], path: tuple[str | int, ...], above: set[int]
) -> Json:
    """An object or an array as `convert` gives it. Raises InvalidPayload."""
    if id(value) in above:
        raise InvalidPayload(pointer_to(path), Text("The value contains itself."))
    if len(path) >= DEPTH_LIMIT:
        raise InvalidPayload(pointer_to(path), Text("Nested deeper than {limit} levels.", limit=DEPTH_LIMIT))
    above.add(id(value))
    plain: Json
    if isinstance(value, Mapping):
        plain = {}
        for key, member in value.items():
            if not isinstance(key, str):
                raise InvalidPayload(
                    pointer_to(path),
                    Text("The key {key} is not a string; in JSON keys are strings.", key=repr(key)[:60]),
                )
            name = check_text(str.__str__(key), (*path, key))
            plain[name] = convert(member, (*path, name), above)
    else:
        plain = [convert(member, (*path, place), above) for place, member in enumerate(value)]
    above.discard(id(value))
    return plain


def check_text(text: str, path: tuple[str | int, ...]) -> str:
    """The text itself. Raises InvalidPayload: no UTF-8 can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidPayload(pointer_to(path), Text("It contains a lone surrogate (half of a character).")) from None
    return text


def is_deep(value: Json, text: str | bytes) -> bool:
    """Whether JSON data is nested beyond `DEPTH_LIMIT`; its text tells at once where it can't be."""
    brackets = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if brackets <= DEPTH_LIMIT:
        return False
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(DEPTH_LIMIT):
        level = [
            member
            for container in level
            for member in (container.values() if isinstance(container, dict) else container)
            if isinstance(member, dict | list)
        ]
        if not level:
            return False
    return True


def canonical_hash(value: object) -> str:
    """SHA-256 of the JSON with sorted keys, in hexadecimal: the order of keys makes no difference."""
    return sha256(CANONICAL.encode(value).encode()).hexdigest()


def pointer_to(path: tuple[str | int, ...]) -> str:
    """The JSON Pointer of a path of keys and indexes (RFC 6901); "" is the whole.

    A lone surrogate is shown as an escape, so that the pointer itself can be printed.
    """
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in parts).encode(errors="backslashreplace").decode()


def pointer_parts(pointer: str) -> list[str]:
    """The keys that a JSON Pointer names, one after another.

    Raises:
        ValueError: it is neither empty nor begins with a slash.
    """
    if not pointer:
        return []
    if not pointer.startswith("/"):
        raise ValueError("a JSON Pointer begins with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def get_pointer(value: Json, pointer: str, default: Json = None) -> Json:
    """What stands at a JSON Pointer (RFC 6901), or the default where nothing does.

    Raises:
        ValueError: not a JSON Pointer.
    """
    for part in pointer_parts(pointer):
        if isinstance(value, dict):
            value = value.get(part, ABSENT)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and (part == "0" or part[0] != "0"):
            value = value[int(part)] if len(part) < 10 and int(part) < len(value) else ABSENT
        else:
            return default
        if value is ABSENT:
            return default
    return value


def merge_patch(target: Json, patch: Json) -> Json:
    """The target changed by a JSON Merge Patch (RFC 7396): a new value, which shares what did not change."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def same(one: Json, other: Json) -> bool:
    """Equality of JSON values: unlike Python's, true is not 1."""
    return not diff(one, other)


def diff(before: Json, after: Json, path: tuple[str | int, ...] = ()) -> list[tuple[str, Json, Json]]:
    """What differs, as (JSON Pointer, before, after), the smallest parts that can be named; None = was or is not there.

    Lists of equal length are compared member by member, others as a whole.
    """
    if before is after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in dict.fromkeys([*before, *after]):
            if key not in before or key not in after:
                found.append((pointer_to((*path, key)), before.get(key), after.get(key)))
            else:
                found += diff(before[key], after[key], (*path, key))
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        found = []
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            found += diff(old, new, (*path, place))
        return found
    if isinstance(before, bool) == isinstance(after, bool) and before == after:
        return []
    return [(pointer_to(path), before, after)]


def redo(value: Json, changes: Iterable[tuple[str, Json, Json]]) -> Json:
    """The value after changes, as `diff` names them: it is a copy where anything changed."""
    for pointer, _, after in changes:
        value = placed(value, pointer_parts(pointer), after)
    return value


def placed(value: Json, parts: list[str], leaf: Json, *, listed: bool = False) -> Json:
    """A copy with `leaf` at the end of a path; None takes away what is there, or is null within a list."""
    if not parts:
        return leaf
    key = parts[0]
    if isinstance(value, dict):
        if len(parts) == 1 and leaf is None and value.get(key) is not None and not listed:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: placed(value.get(key), parts[1:], leaf, listed=listed)}
    if isinstance(value, list) and key.isascii() and key.isdigit() and int(key) < len(value):
        place = int(key)
        return [*value[:place], placed(value[place], parts[1:], leaf, listed=True), *value[place + 1 :]]
    return value


def put(value: Json, parts: list[str], leaf: Json) -> Json:
    """A copy with `leaf` at the end of a path, where the path exists."""
    if not parts:
        return leaf
    if isinstance(value, dict) and parts[0] in value:
        return {**value, parts[0]: put(value[parts[0]], parts[1:], leaf)}
    if isinstance(value, list) and parts[0].isascii() and parts[0].isdigit() and int(parts[0]) < len(value):
        place = int(parts[0])
        return [*value[:place], put(value[place], parts[1:], leaf), *value[place + 1 :]]
    return value


SUBJECT = 60
"""Characters of a subject that are shown."""


def subject_of(payload: Payload) -> str:
    """What a payload is about, as people name it: `order A-10492`, by its first object with a `number`, else an `id`.
    Empty where there is none."""
    for name in ("number", "id"):
        for key, value in payload.items():
            found = value.get(name) if isinstance(value, dict) else None
            if isinstance(found, str | int) and not isinstance(found, bool) and found != "":
                return f"{key} {found}"[:SUBJECT]
    return ""
