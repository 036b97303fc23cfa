"""Where a body or a condition is at fault, and why, in words for the person who writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow import HookEngine
from hookrow.errors import InvalidTemplate
from hookrow.template.compiled import check_body, check_condition, preview_body

ORDER: dict[str, Any] = {"order": {"number": "A-1", "sum": 5, "items": []}, "user": {"id": 1}}


@pytest.mark.parametrize(
    ("body", "line", "column", "reason"),
    [
        ('{"a": 1,\n}', 1, 8, "a comma too many before }"),
        ('{"a": [1, ],\n}', 1, 9, "a comma too many before ]"),
        ('{\n  "a": {{ order.sum }},\n}', 2, 23, "a comma too many before }"),
        ('{\n  "a": 1\n  "b": 2\n}', 2, 8, "a comma or a colon is missing after this"),
        ('{"a": {{ order.sum }}\n "b": 2}', 1, 22, "can't be followed by"),
        ('{"a" 1}', 1, 4, "a comma or a colon is missing after this"),
        ('{"a": }', 1, 5, "a value is missing before }"),
        ("{'a': 1}", 1, 2, "double quotes"),
        ("{a: 1}", 1, 2, "a name in double quotes belongs here"),
        ('{"a": 1', 1, 7, "it ends too soon"),
        ('{"a": 1}}', 1, 9, "} is too many here"),
        ('{"a": {{ order.id }}}', 1, 10, "order.id is missing; there is order."),
        ('{\n"a": {{ user.ib }}}', 2, 9, "user.ib is missing; there is user.id"),
        ("{{ oder }}", 1, 4, "oder is missing; there is order"),
        ('{"a": {{ order. }}}', 1, 17, "not complete"),
        ('{"a": {{ order.sum|nope }}}', 1, 20, "there is no filter nope"),
    ],
)
def test_a_body_at_fault_is_told_with_line_column_and_reason(body: str, line: int, column: int, reason: str) -> None:
    """The place is where a person would mend it: the comma, not what comes after it."""
    for check in (check_body, preview_body):
        with pytest.raises(InvalidTemplate) as caught:
            check(body, ORDER)
        assert (caught.value.line, caught.value.column) == (line, column)
        assert reason in str(caught.value.reason)
        assert str(caught.value.reason) in str(caught.value)


def test_a_condition_at_fault_names_what_there_is() -> None:
    """Close names first; none that the payload does not hold."""
    with pytest.raises(InvalidTemplate, match=r"order\.sun is missing; there is order\.sum") as caught:
        check_condition("order.sun > 1", ORDER)
    assert (caught.value.line, caught.value.column) == (1, 1)


def test_what_is_recorded_names_no_keys_of_a_payload(tmp_path: Any) -> None:
    """A payload's keys may be people's data: only who writes a body is told of them, the log is not."""
    from hookrow.template.compiled import SAMPLE_WEBHOOK, Body, prepare

    with pytest.raises(InvalidTemplate) as caught:
        Body.compile("{{ order.id }}").render(prepare(ORDER), SAMPLE_WEBHOOK)
    assert "number" not in str(caught.value)


def test_a_body_is_previewed_on_the_payload_that_is_given(tmp_path: Any) -> None:
    """Not on the last one, nor on the sample."""
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as engine:
        made = engine.hooks.preview("before_order_add", '{"n": {{ order.number }}}', ORDER)
        assert json.loads(made) == {"n": "A-1"}


@given(st.text(alphabet="{}[]\",:\\ \n1a-'", max_size=30))
def test_whatever_is_no_json_is_told_with_a_place_inside_the_body(text: str) -> None:
    """No text makes the explanation fail."""
    line, column = None, None
    try:
        check_body(text, ORDER)
    except InvalidTemplate as fault:
        line, column = fault.line, fault.column
    lines = text.split("\n")
    assert line is None or 1 <= line <= len(lines)
    assert line is None or column is None or 1 <= column <= len(lines[line - 1]) + 1
