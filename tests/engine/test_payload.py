"""JSON as the engine takes, keeps and compares it."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.errors import InvalidPayload
from hookrow.payload import (
    DEPTH_LIMIT,
    admit,
    canonical_hash,
    diff,
    dumps,
    get_pointer,
    is_deep,
    merge_patch,
    normalise,
    pointer_to,
    redo,
    same,
)

MIB = 1_048_576
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBJECT = st.dictionaries(st.text(), JSON, max_size=5)


class Colour(str, Enum):  # noqa: UP042 (services have such too)
    RED = "red"


class Level(IntEnum):
    HIGH = 3


def nested(levels: int) -> Any:
    """So many dicts and lists in one another."""
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return {"a": value}


@given(OBJECT)
def test_plain_json_comes_through_as_it_is(payload: dict[str, Any]) -> None:
    """JSON data is taken in unchanged, as a copy, with its text."""
    taken, text = admit(payload, MIB)
    assert taken == payload
    assert json.loads(text) == json.loads(dumps(taken)) == payload
    assert same(taken, payload)


@pytest.mark.parametrize("value", [math.nan, [None, -math.inf], {"a": [{"b": math.nan}]}])
def test_what_is_no_number_is_no_json(value: object) -> None:
    """Nothing of ours writes a null for it."""
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps(value)


def test_nothing_is_shared_with_the_caller() -> None:
    """What the caller changes later does not reach the engine, and the other way round."""
    payload = {"order": {"items": [{"sku": "CF-250"}]}}
    taken = normalise(payload, MIB)
    payload["order"]["items"].append({"sku": "MG-01"})
    taken["order"]["items"][0]["sku"] = "X"
    assert payload["order"]["items"][0]["sku"] == "CF-250"
    assert len(taken["order"]["items"]) == 1


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (datetime(2026, 11, 25, 12, tzinfo=timezone(timedelta(hours=3))), "2026-11-25T09:00:00Z"),
        (datetime(2026, 11, 25, 12, 0, 0, 250_000, tzinfo=UTC), "2026-11-25T12:00:00.250000Z"),
        (date(2026, 11, 25), "2026-11-25"),
        (UUID("c0ffee00-1234-4abc-8def-000000000001"), "c0ffee00-1234-4abc-8def-000000000001"),
        ((1, (2, 3)), [1, [2, 3]]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (OrderedDict(b=1, a=(2,)), {"b": 1, "a": [2]}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (12345678901234567890, 12345678901234567890),
        (1.0, 1.0),
    ],
)
def test_what_has_an_obvious_form_gets_it(value: object, plain: object) -> None:
    """Aware moments, dates, UUIDs and tuples become JSON data of plain types, beside anything else."""
    taken = normalise({"x": [value], "y": (1,)}, MIB)
    assert taken == {"x": [plain], "y": [1]}
    assert type(taken["x"][0]) is type(plain)


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (Decimal("1.5"), "/order/sum"),
        (b"x", "/order/sum"),
        ({1}, "/order/sum"),
        (datetime(2026, 11, 25), "/order/sum"),  # noqa: DTZ001
        (time(12), "/order/sum"),
        (float("nan"), "/order/sum"),
        (float("inf"), "/order/sum"),
        ("\ud800", "/order/sum"),
        (object(), "/order/sum"),
        pytest.param(10**5000, "/order/sum", id="long number"),
        ([1, {"a/b~": {"c": float("-inf")}}], "/order/sum/1/a~1b~0/c"),
        ({1: "a"}, "/order/sum"),
        ({None: "a"}, "/order/sum"),
        ({"\ud800": 1}, "/order/sum/\\ud800"),
        ({True: 1}, "/order/sum"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_its_place(value: object, pointer: str) -> None:
    """Nothing is guessed or silently turned into text: the fault names the JSON Pointer, also beside good values."""
    for more in ({}, {"at": date(2026, 1, 1)}):
        with pytest.raises(InvalidPayload) as raised:
            normalise({**more, "order": {"id": 7, "sum": value}}, MIB)
        assert raised.value.pointer == pointer
        str(raised.value).encode()


@pytest.mark.parametrize("payload", [[], "x", None, 5, [("a", 1)]])
def test_a_payload_is_an_object(payload: Any) -> None:
    """A list or a scalar is no payload."""
    with pytest.raises(InvalidPayload) as raised:
        normalise(payload, MIB)
    assert raised.value.pointer == ""


def test_a_payload_that_contains_itself_is_refused() -> None:
    """Cycles are refused; the same object twice is none."""
    cycle: dict[str, Any] = {"a": []}
    cycle["a"].append(cycle)
    with pytest.raises(InvalidPayload, match="contains itself"):
        normalise(cycle, MIB)
    shared = {"x": 1}
    assert normalise({"a": shared, "b": (shared,)}, MIB) == {"a": {"x": 1}, "b": [{"x": 1}]}


@pytest.mark.parametrize("levels", [DEPTH_LIMIT, DEPTH_LIMIT * 3, 100_000])
def test_a_payload_that_is_too_deep_is_refused(levels: int) -> None:
    """Nesting has a limit of its own, well before the interpreter's."""
    with pytest.raises(InvalidPayload, match="deeper"):
        normalise(nested(levels), MIB)


def test_depth_just_at_the_limit_is_taken() -> None:
    """The limit itself is allowed, by both ways in, and brackets in strings are not nesting."""
    deepest = nested(DEPTH_LIMIT - 1)
    assert normalise(deepest, MIB) == deepest
    assert normalise({**deepest, "b": ()}, MIB) == {**deepest, "b": []}
    assert normalise({"a": "[" * 10_000}, MIB) == {"a": "[" * 10_000}
    assert not is_deep([[]] * 1000, dumps([[]] * 1000))


@given(st.integers(0, 3 * DEPTH_LIMIT))
def test_depth_is_measured_exactly(levels: int) -> None:
    """`is_deep` says whether data has more than the limit's levels."""
    value = nested(levels)
    assert is_deep(value, dumps(value)) == (levels + 1 > DEPTH_LIMIT)


def test_size_is_counted_in_bytes() -> None:
    """The limit is that of the JSON in UTF-8, and exact."""
    payload = {"a": "ж" * 100}
    size = len(dumps(payload).encode())
    assert normalise(payload, size) == payload
    with pytest.raises(InvalidPayload, match=f"{size} bytes"):
        normalise(payload, size - 1)
    with pytest.raises(InvalidPayload, match="bytes"):
        normalise({**payload, "b": (1,)}, 20)


def test_dumps_is_compact_unicode_and_strict() -> None:
    """Letters stay letters, no spaces, and NaN is refused."""
    assert (
        dumps({"b": 1, "a": "ж", "n": 1.0, "big": 12345678901234567890})
        == '{"b":1,"a":"ж","n":1.0,"big":12345678901234567890}'
    )
    with pytest.raises(ValueError, match="JSON"):
        dumps({"a": float("nan")})


@given(OBJECT)
def test_hash_does_not_depend_on_the_order_of_keys(payload: dict[str, Any]) -> None:
    """Equal payloads have equal hashes, whatever the order of their keys."""
    turned = dict(reversed(payload.items()))
    assert canonical_hash(turned) == canonical_hash(payload)
    assert canonical_hash({**payload, "\x00more": 1}) != canonical_hash(payload)


RFC6901 = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC6901),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
        ("/foo/2", None),
        ("/foo/-", None),
        ("/foo/00", None),
        ("/foo/01", None),
        ("/foo/-1", None),
        ("/foo/٠", None),
        ("/foo/bar", None),
        ("/foo/0/x", None),
        ("/nothing", None),
        ("/foo/" + "9" * 6000, None),
    ],
)
def test_pointers_of_the_rfc(pointer: str, value: object) -> None:
    """The table of RFC 6901, section 5, and what points nowhere."""
    assert get_pointer(RFC6901, pointer) == value


def test_pointers_tell_null_from_nothing() -> None:
    """The default stands for what is not there, never for a null that is."""
    assert get_pointer({"a": None}, "/a", 5) is None
    assert get_pointer({"a": None}, "/b", 5) == 5
    with pytest.raises(ValueError, match="slash"):
        get_pointer({}, "a")


@given(st.lists(st.text(), max_size=4))
def test_a_path_becomes_a_pointer_and_back(path: list[str]) -> None:
    """Whatever keys are called, the pointer made of them finds the value."""
    value: Any = "here"
    for key in reversed(path):
        value = {key: value}
    assert get_pointer(value, pointer_to(tuple(path))) == "here"


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_of_the_rfc(target: object, patch: object, result: object) -> None:
    """The table of RFC 7396, appendix A; neither side is changed."""
    before = dumps([target, patch])
    assert merge_patch(target, patch) == result
    assert dumps([target, patch]) == before


@given(JSON, JSON)
def test_merging_twice_is_merging_once(target: Any, patch: Any) -> None:
    """A merge patch is idempotent."""
    once = merge_patch(target, patch)
    assert same(merge_patch(once, patch), once)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"order": {"sum": 12850, "id": 7}}, {"order": {"sum": 11950, "id": 7}}, [("/order/sum", 12850, 11950)]),
        ({"a": 1}, {"b": 2}, [("/a", 1, None), ("/b", None, 2)]),
        ({"a": [1, {"x": 2}]}, {"a": [1, {"x": 3}]}, [("/a/1/x", 2, 3)]),
        ({"a": [1]}, {"a": [1, 2]}, [("/a", [1], [1, 2])]),
        ({"a": 1}, {"a": True}, [("/a", 1, True)]),
        ({"a/b": 0}, {"a/b": False}, [("/a~1b", 0, False)]),
        ({"a": {}}, {"a": []}, [("/a", {}, [])]),
        (1, 1.0, []),
        (1, "1", [("", 1, "1")]),
    ],
)
def test_differences_are_named_by_their_smallest_parts(before: Any, after: Any, changes: list[Any]) -> None:
    """What the log calls «changed order.sum»: pointer, before, after."""
    assert diff(before, after) == changes


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"o": [{}]}, {"o": [{"a": [1]}]}),
        ({"o": [{"b": [{}]}]}, {"o": [{"b": [{"a": 1}]}]}),
        ({"o": [{"a": 1}, 2]}, {"o": [{"a": None}, None]}),
        ({"o": [{}]}, {"o": [{"a": None}]}),
        ({"o": {"a": 1, "b": 2}}, {"o": {"b": 3, "c": 4}}),
        ({"o": [1]}, {"o": [1, 2]}),
    ],
)
def test_changes_redone_are_what_the_hook_left(before: Any, after: Any) -> None:
    """Shadows and rehearsals see what the next hook saw, what was added to an object within a list too."""
    assert same(redo(before, diff(before, after)), after)


@given(JSON, JSON)
def test_no_difference_means_equal(one: Any, other: Any) -> None:
    """`diff` is empty exactly where the values are equal as JSON."""
    assert diff(one, one) == []
    assert diff(one, json.loads(dumps(one))) == []
    if not diff(one, other):
        assert one == other
