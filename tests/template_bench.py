"""What the tests of the template language share: an order, and short ways to render, to evaluate, to be refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from hookrow.errors import InvalidTemplate
from hookrow.template.compiled import Body, prepare

__all__ = ["ORDER", "WEBHOOK", "refused", "render", "same", "value"]

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
