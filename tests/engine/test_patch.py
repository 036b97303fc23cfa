"""JSON Patch in a reply (RFC 6902): lists changed in place, all of it or nothing."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bench import Bench
from hookrow.delivery.patching import MOST_OPERATIONS, Unpatchable, patched
from hookrow.payload import dumps
from scripted import answer

LIMIT = 10_000
PLACES = ["/order", "/order/items/0", "/order/items/-", "/order/x", "/user/name", "/user", ""]
ORDER: dict[str, Any] = {
    "order": {"items": [{"sku": "a"}, {"sku": "b"}, {"sku": "c"}], "a/b": 1, "m~n": 2, "big": 10**30, "no": None},
    "user": {"password": "canary", "name": "Olga"},
}


def op(kind: str, path: str, **more: Any) -> dict[str, Any]:
    """One operation."""
    return {"op": kind, "path": path, **more}


def after(*operations: Any, limit: int = LIMIT) -> Any:
    """The order after these operations."""
    return patched(ORDER, list(operations), limit)[0]["order"]


@pytest.mark.parametrize(
    ("operations", "pointer", "value"),
    [
        ([op("add", "/order/items/1", value={"sku": "x"})], "items", ["a", "x", "b", "c"]),
        ([op("add", "/order/items/-", value={"sku": "x"})], "items", ["a", "b", "c", "x"]),
        ([op("add", "/order/items/3", value={"sku": "x"})], "items", ["a", "b", "c", "x"]),
        ([op("remove", "/order/items/1")], "items", ["a", "c"]),
        ([op("replace", "/order/items/1/sku", value="x")], "items", ["a", "x", "c"]),
        ([{"op": "move", "from": "/order/items/0", "path": "/order/items/2"}], "items", ["b", "c", "a"]),
        ([{"op": "copy", "from": "/order/items/0", "path": "/order/items/-"}], "items", ["a", "b", "c", "a"]),
        ([op("test", "/order/items/0/sku", value="a"), op("remove", "/order/items/0")], "items", ["b", "c"]),
        ([op("replace", "/order/a~1b", value=3)], "a/b", 3),
        ([op("replace", "/order/m~0n", value=[1])], "m~n", [1]),
        ([op("add", "/order/new", value=None)], "new", None),
        ([op("test", "/order/big", value=10**30)], "big", 10**30),
    ],
)
def test_the_six_operations(operations: list[Any], pointer: str, value: Any) -> None:
    """On the payload's own pointers; numbers stay exact, and what was given stays as it was."""
    before = copy.deepcopy(ORDER)
    found = after(*operations)[pointer]
    assert ([each["sku"] for each in found] if pointer == "items" else found) == value
    assert before == ORDER


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (op("add", "", value={}), "whole payload"),
        ({"op": "copy", "from": "", "path": "/order/x"}, "whole payload"),
        (op("add", "/extra", value=1), "top-level"),
        (op("remove", "/user"), "top-level"),
        ({"op": "move", "from": "/user", "path": "/order/user"}, "top-level"),
        ({"op": "copy", "from": "/user/name", "path": "/name"}, "top-level"),
        (op("remove", "/order/none"), "not there"),
        (op("replace", "/order/none", value=1), "not there"),
        (op("add", "/order/items/4", value=1), "not there"),
        (op("add", "/order/items/01", value=1), "not there"),
        (op("remove", "/order/items/-"), "not there"),
        (op("add", "/order/no/x", value=1), "not there"),
        ({"op": "move", "from": "/order/items", "path": "/order/items/0"}, "not there"),
        (op("test", "/order/a~1b", value=True), "does not hold"),
        (op("test", "/order/a~1b", value="1"), "does not hold"),
        (op("add", "/order/x"), "not one of RFC 6902"),
        (op("add", "order/x", value=1), "not one of RFC 6902"),
        (op("add", "/order/~2", value=1), "not one of RFC 6902"),
        (op("merge", "/order", value=1), "not one of RFC 6902"),
        ("add", "not one of RFC 6902"),
        ({"op": ["add"], "path": "/order"}, "not one of RFC 6902"),
        (op("add", "/order/x", value="y" * LIMIT), "too large"),
    ],
)
def test_what_cannot_be_applied(operation: Any, why: str) -> None:
    """It says which operation, and no value."""
    with pytest.raises(Unpatchable, match=why) as caught:
        after(op("replace", "/order/no", value=1), operation)
    assert "2" in str(caught.value)
    assert "yyy" not in str(caught.value)


def test_it_is_bounded() -> None:
    """In operations, in size after each of them although a later one makes it small again, in work, in depth."""
    some = op("replace", "/order/no", value=1)
    after(*[some] * MOST_OPERATIONS)
    with pytest.raises(Unpatchable, match="at most 1000"):
        after(*[some] * (MOST_OPERATIONS + 1))
    doubling = {"op": "copy", "from": "/order/items", "path": "/order/items/-"}
    with pytest.raises(Unpatchable, match="too large"):
        after(*[doubling] * 12, op("replace", "/order/items", value=[]))
    deeper = {"op": "copy", "from": "/order/no", "path": "/order/no"}
    nest = [op("replace", "/order/no", value={}), *[{**deeper, "path": "/order/no" + "/x" * n} for n in range(1, 900)]]
    with pytest.raises(Unpatchable, match="too large"):
        after(*nest, limit=10**9)
    big = op("replace", "/order/no", value="z" * 5000)
    with pytest.raises(Unpatchable, match="too large"):
        after(*[big] * 500)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])},
            optional={
                name: st.sampled_from(
                    ["/order", "/order/items/0", "/order/items/-", "/order/x", "/user/name", "/user", ""]
                )
                for name in ("path", "from")
            }
            | {"value": st.sampled_from([None, 1, "a", {"k": []}])},
        ),
        max_size=6,
    )
)
def test_all_of_it_or_nothing(operations: list[Any]) -> None:
    """Whatever comes: the payload that was given stays, the top-level keys stay, the size that was kept is right."""
    before = copy.deepcopy(ORDER)
    try:
        made, _ = patched(ORDER, operations, LIMIT)
    except Unpatchable:
        made = ORDER
    assert before == ORDER
    assert list(made) == list(ORDER)
    assert len(dumps(made)) <= LIMIT


BELOW = st.sampled_from(
    [
        f"/order/{rest}"
        for rest in (
            "items",
            "items/0",
            "items/1",
            "items/2",
            "items/3",
            "items/-",
            "items/0/sku",
            "items/00",
            "a~1b",
            "m~0n",
            "no",
            "new",
            "new/x",
            "items/1/sku/x",
            "big",
        )
    ]
)
VALUE = st.sampled_from([None, 2, "a", [], {"k": [3]}, {"sku": "b"}])


@given(
    st.lists(
        st.one_of(
            st.builds(op, st.sampled_from(["add", "replace", "test"]), BELOW, value=VALUE),
            st.builds(op, st.just("remove"), BELOW),
            st.builds(
                lambda kind, source, path: {"op": kind, "from": source, "path": path},
                st.sampled_from(["move", "copy"]),
                BELOW,
                BELOW,
            ),
        ),
        max_size=5,
    )
)
def test_it_says_what_the_library_says(operations: list[Any]) -> None:
    """jsonpatch as the oracle, below the top level, where we allow what RFC 6902 allows."""
    try:
        theirs = jsonpatch.apply_patch(ORDER, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
        theirs = None
    try:
        ours, _ = patched(ORDER, operations, LIMIT)
    except Unpatchable:
        ours = None
    assert ours == theirs


async def test_a_transform_changes_a_list_in_place(bench: Bench) -> None:
    """Its changes are shown like any; both ways at once, or a gate's patch, are none."""
    await bench.transform("t")
    bench.network.on("t", answer(200, {"patch": [op("replace", "/order/items/1/n", value=5)]}))
    firing = await bench.fire({"order": {"items": [{"n": 1}, {"n": 2}]}})
    assert firing.data == {"order": {"items": [{"n": 1}, {"n": 5}]}}
    assert list(firing.deliveries[0].changes) == [("/order/items/1/n", 2, 5)]
    bench.network.on("t", answer(200, {"patch": [op("remove", "/order/x")], "data": {"order": {}}}))
    [failed] = (await bench.fire({"order": {"x": 1}})).deliveries
    assert (failed.error, failed.detail) == ("bad_reply", "the response has both `data` and `patch`")
    await bench.engine.hooks.remove("t")
    await bench.gate("g")
    bench.network.on("g", answer(200, {"patch": []}))
    firing = await bench.fire()
    assert (firing.deliveries[0].outcome, len(firing.warnings)) == ("ok", 1)


@pytest.mark.parametrize("kind", ["copy", "move"])
async def test_what_is_private_stays_so_where_it_is_put(bench: Bench, kind: str) -> None:
    """Short values, too, and in a list: neither the log nor a hook in background sees it."""
    await bench.transform("t", event="before_registration")
    await bench.hook("told", event="before_registration", fire_and_forget=False)
    moves = [
        {"op": kind, "from": "/user/password", "path": "/user/tags/0"},
        {"op": "copy", "from": "/user/tags/0", "path": "/user/again"},
    ]
    bench.network.on("t", answer(200, {"patch": moves}))
    firing = await bench.fire({"user": {"password": "pw", "tags": ["x"]}}, event="before_registration")
    assert firing.data["user"]["again"] == "pw"
    assert "pw" not in dumps([list(each.changes) for each in firing.deliveries])
    await bench.engine.send_own(firing)
    sent = bench.network.bodies("told")[0]["data"]["user"]
    assert (sent["tags"], sent["again"]) == (None, None)
    assert '"pw"' not in dumps((await bench.logged()).data)
