"""The body's text without a screen: its pieces, the place of the cursor, names put in where they belong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.events import CATALOGUE
from hookrow.hook.local_time import LocalTime
from hookrow.template.compiled import SAMPLE_WEBHOOK, Body, prepare
from hookrow_tui.presenters.body_lexer import place_at, tokens
from hookrow_tui.presenters.form.body_names import Name, completions_of, names_of, with_name

ORDER: dict[str, Any] = {
    "order": {"id": 7, "number": "A-1", "items": [{"sku": "x", "n": 2}], "odd key": "й\n", "if": True},
    "if": 1,
    "2nd": None,
}


def put(body: str, offset: int, name: Name) -> tuple[str, int]:
    """The body and the cursor after a name was put in."""
    done = with_name(body, offset, name)
    return body[: done.start] + done.text + body[done.end :], done.start + len(done.text) - done.back


def kinds(body: str) -> list[tuple[str, str]]:
    """The pieces of a body with their kinds."""
    return [(each.kind, body[each.start : each.end]) for each in tokens(body)]


def test_a_body_in_pieces() -> None:
    """Names, texts with values in them, numbers, words, signs, braces that are open still, comments over lines."""
    assert kinds('{"a b": "x {{ y }} z", {# no\n "t" #}"n": -1.5e3, "t": true, "o": {{ q') == [
        ("sign", "{"),
        ("key", '"a b"'),
        ("sign", ":"),
        ("text", '"x '),
        ("tag", "{{ y }}"),
        ("text", ' z"'),
        ("sign", ","),
        ("comment", '{# no\n "t" #}'),
        ("key", '"n"'),
        ("sign", ":"),
        ("number", "-1.5e3"),
        ("sign", ","),
        ("key", '"t"'),
        ("sign", ":"),
        ("word", "true"),
        ("sign", ","),
        ("key", '"o"'),
        ("sign", ":"),
        ("tag", "{{ q"),
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("|", "value"),
        ("{|", "name"),
        ('{"a": |', "value"),
        ('{"a": 1|', "after"),
        ('{"a": 1, |', "name"),
        ('{"a": "x|"', "text"),
        ('{"a": "x"|', "after"),
        ('{"a": "|', "text"),
        ('{"a": {{ x }}|', "after"),
        ('{"a": {{ x|', "tag"),
        ('{"a": {{ x| }}', "tag"),
        ('{"a": "{{ x| }}', "tag"),
        ('{"a": "{{ x }}|"', "text"),
        ("[|", "value"),
        ("[1, |", "value"),
        ("[1|", "after"),
        ("{% if x| %}", "tag"),
        ("{# a| #}", "text"),
    ],
)
def test_the_place_of_the_cursor(body: str, kind: str) -> None:
    """`|` is the cursor."""
    offset = body.index("|")
    assert place_at(body.replace("|", "", 1), offset).kind == kind


def test_the_names_of_a_payload() -> None:
    """In its order, objects before what is in them, the first of a list's items, odd keys as they must be written."""
    assert [name.path for name in names_of(ORDER)] == [
        "order",
        "order.id",
        "order.number",
        "order.items",
        "order.items[0].sku",
        "order.items[0].n",
        'order["odd key"]',
        "order.if",
        'payload["if"]',
        'payload["2nd"]',
    ]


@pytest.mark.parametrize(
    ("typed", "first"), [("", "order"), ("order.n", "order.number"), ("num", "order.number"), ("order.id", "")]
)
def test_what_is_typed_is_completed(typed: str, first: str) -> None:
    """The beginning of a path, else any part of one; a path that is whole has nothing more to offer of itself."""
    found = [name.path for name in completions_of(names_of(ORDER), typed)]
    assert (found[0] if found else "") == first


@pytest.mark.parametrize(
    ("body", "becomes"),
    [
        ("|", '{\n  "id": {{ order.id }}|\n}'),
        ('{"a": |}', '{"a": {{ order.id }}|}'),
        ('{"a": "n |"}', '{"a": "n {{ order.id }}|"}'),
        ("{|}", '{\n  "id": {{ order.id }}|\n}'),
        ('{\n  "a": 1|\n}', '{\n  "a": 1,\n  "id": {{ order.id }}|\n}'),
        ('{\n  "a": 1\n  |\n}', '{\n  "a": 1,\n  "id": {{ order.id }}|\n}'),
        ('{\n  |\n  "a": 1\n}', '{\n  "id": {{ order.id }},|\n  "a": 1\n}'),
        ("[1|]", "[1, {{ order.id }}|]"),
        ("{{ or|", "{{ order.id }}|"),
        ("{{ or| }}", "{{ order.id| }}"),
        ("{{|}}", "{{ order.id|}}"),
        ('"x {{|"', '"x {{ order.id }}|"'),
        ("{% if or| %}", "{% if order.id| %}"),
    ],
)
def test_a_name_is_written_as_its_place_needs_it(body: str, becomes: str) -> None:
    """`|` is the cursor before and after."""
    offset = body.index("|")
    text, at = put(body.replace("|", "", 1), offset, Name("order.id", 7))
    assert text[:at] + "|" + text[at:] == becomes


def test_ten_names_one_after_another_are_a_body() -> None:
    """From an empty body, for every event of the catalogue: it is JSON, and holds the payload's values."""
    for event in CATALOGUE:
        names = names_of(event.sample)[:10]
        body, at = "", 0
        for name in names:
            body, at = put(body, at, name)
        made = json.loads(Body.compile(body).render(prepare(event.sample), SAMPLE_WEBHOOK))
        assert made[names[-1].last] == names[-1].value, event.code


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=4), min_size=1, max_size=6),
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
)
def test_whatever_keys_a_payload_has_their_names_can_be_put_in(payload: dict[str, Any], chosen: list[int]) -> None:
    """Keys with quotes, backslashes, line breaks, words of the language."""
    names = names_of(payload)
    body, at = "", 0
    for place in chosen:
        body, at = put(body, at, names[place % len(names)])
    made = Body.compile(body).render(prepare(payload), SAMPLE_WEBHOOK)
    assert isinstance(json.loads(made), dict)


@given(st.text(alphabet='{}[]"%#:,\\ \nab1.', max_size=40), st.integers(0, 40))
def test_no_text_is_too_odd_to_put_a_name_into(body: str, offset: int) -> None:
    """Pieces are in order and do not overlap; the insertion stays inside the text."""
    end = 0
    for each in tokens(body):
        assert end <= each.start < each.end <= len(body)
        end = each.end
    done = with_name(body, min(offset, len(body)), Name("order.id", 7))
    assert 0 <= done.start <= done.end <= len(body)
    assert 0 <= done.back <= len(done.text)


def test_the_time_is_offered_with_its_values() -> None:
    """After the payload's own names; a payload's own `now` takes its place."""
    moment = LocalTime(1_795_608_000_000)
    found = completions_of(names_of(ORDER, moment), "now")
    assert [(each.path, each.value) for each in found] == [
        ("now.hour", 12),
        ("now.weekday", 3),
        ("now.date", "2026-11-25"),
    ]
    assert [each.path for each in completions_of(names_of({"now": 1}, moment), "no")] == ["now"]
