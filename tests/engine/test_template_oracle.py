"""Where both allow a template, ours means what minijinja means: a property test with the other as the judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import minijinja
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookrow.errors import InvalidTemplate
from hookrow.template import Body, prepare

WEBHOOK = {"id": "evt_1", "type": "before_order_add", "timestamp": "2026-11-25T09:14:03Z"}
ORDER: dict[str, Any] = {
    "order": {
        "id": 7,
        "sum": 2700,
        "rate": 1.0,
        "big": 12345678901234567890,
        "comment": 'Позвонить за час: домофон "12К"',
        "nothing": None,
        "paid": True,
        "items": [{"sku": "CF-250", "qty": 2, "price": 890.5}, {"sku": "MG-01", "qty": 1, "price": 650}],
        "a-b": {"c": "dashed"},
        "empty": [],
        "pop": "key",
    },
    "user": {"login": "79161234567"},
}


def render(source: str, payload: Mapping[str, Any] = ORDER, webhook: Mapping[str, Any] = WEBHOOK, **limits: int) -> str:
    """The rendered body."""
    return Body.compile(source).render(prepare(payload), webhook, **limits)


def value(source: str, payload: Mapping[str, Any] = ORDER) -> Any:
    """What an expression gives, through JSON."""
    return json.loads(render("{{ " + source + " }}", payload))


def refused(source: str, payload: Mapping[str, Any] = ORDER, **limits: int) -> str:
    """The sentence that a body is refused with."""
    with pytest.raises(InvalidTemplate) as caught:
        render(source, payload, **limits)
    assert caught.value.code == "template_error"
    assert [problem.field for problem in caught.value.problems] == ["body"]
    return str(caught.value)


def same(left: Any, right: Any) -> bool:
    """Equality that tells 1 from 1.0 and from true, deep down."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


ORACLE = minijinja.Environment(undefined_behavior="strict", pycompat=False)
COMPARISONS = ["(a + 1 < b * 2)", "(a == b - 1)", "(not a > b)", "(a - b != -1)", "(a * 2 >= b and f <= 1.5)"]
ATOMS = st.sampled_from(["a", "b", "c.d", "c['e']", "1", "2.5", "7", "true", "false", "f", *COMPARISONS])
TERMS = st.recursive(
    ATOMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "and", "or"]), inner).map(" ".join)
        | inner.map("({})".format)
        | inner.map("not {}".format)
        | inner.map("-{}".format)
        | st.tuples(inner, inner, inner).map(lambda parts: "{} if {} else {}".format(*parts))
        | inner.map("{}|default(3)".format)
        | inner.map("{} is none".format)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(TERMS)
def test_what_is_not_refused_means_the_same_as_in_jinja(source: str) -> None:
    """Precedence and values agree with another implementation of the language, wherever ours does not refuse."""
    payload = {"a": 3, "b": 4, "c": {"d": 5, "e": 0}, "f": 1.5}
    try:
        ours = value(source, payload)
        theirs = ORACLE.eval_expr(source, **payload)
    except (InvalidTemplate, minijinja.TemplateError):
        return
    assert same(ours, theirs) or (ours == theirs and isinstance(ours, float))
