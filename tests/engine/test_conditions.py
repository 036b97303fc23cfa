"""Conditions: true, false, or an error that says why; never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookrow.errors import InvalidTemplate
from hookrow.template.compiled import Condition, check_condition, prepare

WEBHOOK = {"id": "evt_1", "type": "before_order_add", "timestamp": "2026-11-25T09:14:03Z"}
ORDER: dict[str, Any] = {
    "order": {
        "id": 7,
        "sum": 2700,
        "rate": 1.0,
        "big": 12345678901234567890,
        "status": "new",
        "phone": "+79161234567",
        "nothing": None,
        "paid": True,
        "tags": ["vip", 5],
        "empty": [],
        "items": [{"sku": "CF-250", "qty": 2}, {"sku": "MG-01", "qty": 1}],
    }
}


def holds(source: str, payload: Mapping[str, Any] = ORDER, webhook: Mapping[str, Any] = WEBHOOK) -> bool:
    """What the condition says."""
    return Condition.compile(source).test(prepare(payload), webhook)


def refused(source: str, payload: Mapping[str, Any] = ORDER) -> str:
    """The sentence that it is refused with."""
    with pytest.raises(InvalidTemplate) as caught:
        holds(source, payload)
    assert caught.value.code == "condition_error"
    assert [problem.field for problem in caught.value.problems] == ["condition"]
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("order.sum > 1000", True),
        ("order.sum < 1000", False),
        ("order.sum >= 2700", True),
        ("order.sum <= 2699.5", False),
        ("order.sum == 2700.0", True),
        ("order.sum != 2700", False),
        ("order.big > 12345678901234567889", True),
        ("order.big == 12345678901234567891", False),
        ("order.rate == 1", True),
        ("'a' < 'b'", True),
        ("'10' < '9'", True),
        ("order.status == 'new'", True),
        ('order.status == "New"', False),
        ("order.paid", True),
        ("not order.paid", False),
        ("order.paid == true", True),
        ("order.paid == 1", False),
        ("0 == false", False),
        ("'5' == 5", False),
        ("order.nothing == none", True),
        ("order.nothing is none", True),
        ("order.nothing is null", True),
        ("order.nothing == 0", False),
        ("order.id is none", False),
        ("order.nope is defined", False),
        ("order.nope.deeper is defined", False),
        ("order.id.x is defined", False),
        ("nope is defined", False),
        ("nope is undefined", True),
        ("order.id is not undefined", True),
        ("order.nope is not defined", True),
        ("order.nope is defined and order.nope > 5", False),
        ("order.paid or order.nope", True),
        ("order.nope|default(0) > 5", False),
        ("not order.nope is defined", True),
        ("order.id is defined and order.id > 6", True),
        ("order.status in ['new', 'paid']", True),
        ("order.status not in ['new']", False),
        ("'vip' in order.tags", True),
        ("5 in order.tags", True),
        ("5.0 in order.tags", True),
        ("true in [1]", False),
        ("1 in [true]", False),
        ("'sum' in order", True),
        ("'+7' in order.phone", True),
        ("none in [none]", True),
        ("{} in []".replace("{}", "1"), False),
        ("order.phone is startingwith '+7'", True),
        ("order.phone is endingwith('00')", False),
        ("1 < order.id < 10", True),
        ("1 < order.id < 5", False),
        ("10 > order.id > 5 >= 5", True),
        ("1 < 2 == 2", True),
        ("not 1 < 2", False),
        ("not order.paid or order.id == 7", True),
        ("not (order.paid or order.id == 7)", False),
        ("true or true and false", True),
        ("(true or true) and false", False),
        ("1 + 1 == 2", True),
        ("2 * 3 > 5", True),
        ("order.items|length == 2", True),
        ("order.items|map(attribute='qty')|sum == 3", True),
        ("order.empty == []", True),
        ("not order.empty", True),
        ("order.tags == ['vip', 5]", True),
        ("order.tags == ['vip', 5.0]", True),
        ("order.items[0].sku == 'CF-250'", True),
        ("order.items == order.items", True),
        ("order == order.items", False),
        ("order.id is number and order.id is integer", True),
        ("order.paid is number", False),
        ("order.rate is integer", False),
        ("order.paid is boolean", True),
        ("order is mapping", True),
        ("order.tags is sequence", True),
        ("order is string", False),
        ("order.paid is true", True),
        ("order.paid is not false", True),
        ("1 is true", False),
        ("webhook.type == 'before_order_add'", True),
        ("payload.order.id == 7", True),
        ("true", True),
        ("False", False),
        ("order.paid if order.id > 5 else order.nope", True),
        ("-order.id < 0", True),
        ("order.sum / 2 > 1000\nand order.paid", True),
    ],
)
def test_what_conditions_say(source: str, expected: bool) -> None:
    """Comparisons, membership, tests and logic give what they read as."""
    assert holds(source) is expected


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("'9' > 1000", "two numbers or two strings, not a string and a number"),
        ("5 > none", "a number and null"),
        ("order.nothing > 5", "null and a number"),
        ("order.paid > 0", "true or false and a number"),
        ("true < false", "true or false"),
        ("order.tags < ['z']", "a list"),
        ("order > order", "an object"),
        ("1 < order.id < '10'", "a number and a string"),
        ("order.sum > '1000'", "a number and a string"),
        ("order.id", "gives a number"),
        ("order.status", "gives a string"),
        ("order.nothing", "gives null"),
        ("order", "gives an object"),
        ("order.tags", "gives a list"),
        ("order.paid and order.status", "gives a string"),
        ("order.empty or order.id", "gives a number"),
        ("1", "gives a number"),
        ("'true'", "gives a string"),
        ("nope", "nope is missing"),
        ("order.nope", "order.nope is missing"),
        ("order.nope == none", "order.nope is missing"),
        ("not order.nope", "order.nope is missing"),
        ("order.nope and true", "order.nope is missing"),
        ("true and order.nope", "order.nope is missing"),
        ("order.nope > 5", "order.nope is missing"),
        ("order.nope in [1]", "order.nope is missing"),
        ("order.id in order.nope", "order.nope is missing"),
        ("order.nope is none", "order.nope is missing"),
        ("order.items[2].sku == 'x'", "order.items[2] is missing"),
        ("order.nope|length == 0", "order.nope is missing"),
        ("[order.nope] == [none]", "order.nope is missing"),
        ("order.nope.x|upper is defined", "order.nope is missing"),
        ("5 in 5", "a number in a number"),
        ("5 in order.status", "a number in a string"),
        ("'x' in none", "a string in null"),
        ("1 in order", "a number in an object"),
        ("order.status + 1 > 5", "two numbers"),
        ("order.paid + 1 == 2", "two numbers"),
        ("1 / 0 > 1", "division by zero"),
        ("order.empty|first == 1", "empty"),
        ("order.empty|max > 1", "empty"),
        ("order.tags|sort == []", "only numbers or only strings"),
        ("order.status|length > '2'", "a number and a string"),
    ],
)
def test_nothing_is_guessed(source: str, says: str) -> None:
    """Kinds that can't be compared, missing names, answers neither true nor false: errors with a reason."""
    assert says in refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "",
        " ",
        "order.id >",
        "order.id = 7",
        "order.id == 7 }}",
        "{{ order.id == 7 }}",
        "order.id == 7 order.id",
        "a &&b",
        "order.id === 7",
        "!order.paid",
        "order.items[0",
        "order.items.0 == 1",
        "'open",
        "f(1)",
        "order.get('id')",
        "1 if 2",
        "x is nope",
        "1..2",
        "and",
        "not",
        "order.id is",
        "order.id not 7",
        "order.id in",
        "{% if 1 %}",
        "lambda: 1",
        "order.id == 7; 1",
        "1 <> 2",
        "a|b",
        "- ",
        "[1",
        "(1",
    ],
)
def test_what_does_not_compile(source: str) -> None:
    """What the language does not hold is refused when it is compiled, on whatever payload."""
    with pytest.raises(InvalidTemplate) as caught:
        Condition.compile(source)
    assert caught.value.code == "condition_error"


def test_a_long_condition_says_its_line() -> None:
    """In a condition of several lines the line is named, in one of one line it would only be noise."""
    assert refused("order.paid\nand order.nope") == "condition: line 2: order.nope is missing from the payload"
    assert refused("order.nope") == "condition: order.nope is missing from the payload"


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3) | st.just([1])
SETTINGS = settings(max_examples=100, deadline=None)


@SETTINGS
@given(VALUES, VALUES)
def test_order_is_total_or_refused(a: Any, b: Any) -> None:
    """Of `<`, `==` and `>` exactly one holds for two numbers or two texts; other pairs have no order."""
    payload = {"a": a, "b": b}
    number = [isinstance(each, int | float) and not isinstance(each, bool) for each in (a, b)]
    if all(number) or (isinstance(a, str) and isinstance(b, str)):
        assert [holds(f"a {sign} b", payload) for sign in ("<", "==", ">")].count(True) == 1
        assert holds("a <= b", payload) is not holds("a > b", payload)
        assert holds("a >= b", payload) is holds("b <= a", payload)
    else:
        for sign in ("<", ">", "<=", ">="):
            refused(f"a {sign} b", payload)


@SETTINGS
@given(VALUES, VALUES)
def test_equality_is_that_of_json(a: Any, b: Any) -> None:
    """`==` is symmetric and never fails; `!=`, `in` and `not in` agree with it; true is not 1."""
    payload = {"a": a, "b": b}
    equal = holds("a == b", payload)
    assert holds("b == a", payload) is equal
    assert holds("a != b", payload) is not equal
    assert holds("a in l", {"a": a, "l": [b]}) is equal
    assert holds("a not in l", {"a": a, "l": [b]}) is not equal
    assert equal is (a == b and isinstance(a, bool) is isinstance(b, bool))


@SETTINGS
@given(
    st.lists(
        st.sampled_from([*"ab.|[]()<>=!'\" 1,-+*/%~\n{}:", "and ", "or ", "not ", "in ", "is ", " if ", " else "])
    ).map("".join)
)
def test_any_condition_answers_or_is_refused(source: str) -> None:
    """Whatever is typed, the answer is true, false, or a refusal."""
    try:
        answer = holds(source, {"a": 1, "b": {"a": "x"}})
    except InvalidTemplate:
        return
    assert answer in (True, False)


def test_conditions_are_checked_on_the_example() -> None:
    """A condition that fails on the example is refused; one on an earlier hook's result is left to the firing."""
    check_condition("order.sum > 1000", ORDER)
    check_condition("order.sum > 5000", ORDER)
    check_condition("webhook.result.cost > 100", ORDER)
    for source in ("order.nope > 1000", "order.status > 1000", "order.sum", "order.sum >"):
        with pytest.raises(InvalidTemplate) as caught:
            check_condition(source, ORDER)
        assert [problem.field for problem in caught.value.problems] == ["condition"]


def test_a_condition_sees_an_earlier_result() -> None:
    """`webhook.result` is what an earlier hook gave, and is missing where none gave one."""
    assert holds("webhook.result.cost > 100", ORDER, {**WEBHOOK, "result": {"cost": 390}})
    assert not holds("webhook.result is defined")
    assert holds("webhook.result is none", ORDER, {**WEBHOOK, "result": None})


def test_a_condition_cannot_run_away() -> None:
    """Comparing a large payload with itself over and over ends as too much work."""
    payload = {"l": [[1] * 100] * 100}
    assert "too much work" in refused(" and ".join(["l == l"] * 40), payload)
