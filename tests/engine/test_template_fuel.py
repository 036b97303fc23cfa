"""Fuel pays for what it costs: what a part of the language charges grows as fast as its work does.

How long a step takes is measured by `python -m bench language`; here steps are counted, which no busy machine changes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookrow.errors import InvalidTemplate
from hookrow.template.body import Page
from hookrow.template.compiled import FUEL, Body, prepare
from hookrow.template.filters import FILTERS, TESTS
from hookrow.template.grammar import COMPARISONS
from hookrow.template.values import Fault
from template_bench import WEBHOOK, render
from template_worst import CALCULATED, FILTERED, LOOP, PARTS, TESTED, WRITTEN, payload

SMALL, TIMES = 200, 8

LINEAR = """
    numbers|join; texts|join; flags|join; floats|join; lists|join; text|lower; wide|upper; objects|map('k'); numbers|max
    texts|max; numbers|min; text|replace('', '-'); text|replace('a', 'b'); text|reverse; numbers|reverse; numbers|sort
    texts|sort; objects|sort(attribute='k'); text|split('a'); numbers|string; objects|string; text|string; keyed|string
    deep|string; numbers|sum; objects|sum('k'); floats|tojson; text|tojson; text|trim; numbers|unique; texts|unique
    text is startingwith text; text is endingwith text; text == text; numbers == numbers; objects == objects
    keyed == keyed; deep != deep; text < text; 5 in numbers; 'x' in text; text in texts; named[text] is defined
    text in named; named == named; text ~ text; text[1:]; numbers[1:]; [text]; big % divisor"""
QUADRATIC = """
    text|replace(half, ''); text|split(half); half in text; half not in text; big // part; big ~ ''
    big|string"""
CONSTANT = {"abs", "count", "d", "default", "first", "float", "int", "last", "length", "round"}
CONSTANT_TESTS = set(TESTS) - {"startingwith", "endingwith"}


def listed(expressions: str) -> list[str]:
    """One by one."""
    return [each.strip() for line in expressions.split("\n") for each in line.split(";") if each.strip()]


def data(size: int) -> dict[str, Any]:
    """Values of every kind, as large as this."""
    text = "a" * (size * 10)
    return {
        "numbers": [0] * size,
        "floats": [1.5] * size,
        "flags": [True] * size,
        "lists": [[]] * size,
        "texts": ["ж" * 40] * size,
        "objects": [{"k": 1}] * size,
        "keyed": {f"{index:05}": 0 for index in range(size)},
        "named": {text: 0},
        "deep": [[[0]]] * size,
        "text": text,
        "wide": "ß" * (size * 10),
        "half": "a" * (size * 5 - 1) + "b",
        "big": 10 ** (size * 2),
        "divisor": 10**299 + 9,
        "part": 10 ** (size * 2 - min(size, SMALL)) + 1,
    }


def steps(expression: str, values: dict[str, Any]) -> int:
    """What evaluating an expression once is charged."""
    (assigned,) = Body.compile("{% set x = " + expression + " %}0").statements[:1]
    page = Page(values, WEBHOOK, fuel=10**9, limit=10**9)
    assigned.render(page)
    return 10**9 - page.fuel


def test_every_part_has_its_worst_case_and_its_growth() -> None:
    """A new filter, test or operator comes with what the bench times and what is counted here."""
    assert set(FILTERED) == set(FILTERS)
    assert set(TESTED) == set(TESTS)
    assert set(CALCULATED) >= COMPARISONS - {"<=", ">", ">="}
    grown = LINEAR + QUADRATIC
    assert {name for name in FILTERS if f"|{name}" not in grown} == CONSTANT
    assert {name for name in TESTS if f" is {name} " not in grown} == CONSTANT_TESTS
    for body in [
        *(LOOP % each for found in PARTS.values() for each in found),
        *(b for c in WRITTEN.values() for b in c),
    ]:
        Body.compile(body)


@pytest.mark.parametrize("expression", listed(LINEAR))
def test_the_price_grows_with_the_work(expression: str) -> None:
    """Eight times the data costs eight times the steps, what is the same for any size left aside."""
    least, small, large = (steps(expression, data(size)) for size in (1, SMALL, SMALL * TIMES))
    assert large - least >= 0.95 * TIMES * (small - least) > 0


@pytest.mark.parametrize("expression", listed(QUADRATIC))
def test_the_price_of_quadratic_work_is_quadratic(expression: str) -> None:
    """Searching a short text for a piece half as long, long division, a long number's digits."""
    size = 25 if "half" in expression else SMALL
    least, small, large = (steps(expression, data(each)) for each in (1, size, size * TIMES))
    assert large - least >= TIMES**2 / 2 * (small - least) > 0


def test_no_number_of_a_payload_is_looked_up_by_its_hash() -> None:
    """Forty thousand numbers that Python's tables take for each other took eight seconds of `unique`."""

    class Unhashable(int):
        __hash__ = None  # type: ignore[assignment]

    numbers = [Unhashable(each) for each in (3, 1, 3, 2**61 - 1, 2, 1, 0)]
    page = Page({"numbers": numbers}, WEBHOOK, fuel=FUEL, limit=FUEL)
    (assigned,) = Body.compile("{% set x = numbers|unique %}0").statements[:1]
    assigned.render(page)
    assert page.local["x"] == [3, 1, 2**61 - 1, 2, 0]
    with pytest.raises(InvalidTemplate, match="too much work"):
        render(LOOP % "alike|unique", payload("l alike"))


def test_unique_takes_equal_numbers_for_one() -> None:
    """1 and 1.0 are one number; the first stays. Texts as they come."""
    assert json.loads(render("{{ v|unique }}", {"v": [2, 1, 1.0, 2.5, 2]})) == [2, 1, 2.5]
    assert json.loads(render("{{ v|unique }}", {"v": ["b", "a", "b"]})) == ["b", "a"]
    assert json.loads(render("{{ v|unique }}", {"v": []})) == []


def test_a_value_is_paid_for_before_it_is_written() -> None:
    """A payload that would take long to write is refused without having been written."""
    page = Page({}, WEBHOOK, fuel=1000, limit=FUEL)
    body = Body.compile("{{ payload }}")
    page.payload = {"v": [0.1] * 1000}
    with pytest.raises(Fault, match="too much work"):
        body.statements[0].render(page)
    assert not page.pieces
    written = payload("fractions")
    with pytest.raises(InvalidTemplate, match="too much work"):
        body.render(prepare(written), WEBHOOK)


def test_ordinary_bodies_of_a_mebibyte_pass() -> None:
    """A mebibyte of orders, of text or of long numbers is no abuse."""
    orders = [{"sku": f"S-{n}", "name": "Кофе в зёрнах", "qty": n, "price": 10.5, "paid": True} for n in range(9000)]
    for value in (orders, "x" * 1_040_000, [1234567.25] * 60_000):
        assert json.loads(render('{"data": {{ v }}}', {"v": value})) == {"data": value}
    assert json.loads(render("{{ v|length }}", {"v": orders * 100})) == 900_000


def test_a_number_in_a_text_is_short() -> None:
    """What is longer than any number is not searched for one."""
    assert json.loads(render("[{{ ' 12 '|int }}, {{ ' 1.5'|float }}]", {})) == [12, 1.5]
    for name in ("int", "float"):
        with pytest.raises(InvalidTemplate, match="number"):
            render("{{ v|" + name + " }}", {"v": " " * 1000 + "1"})


def test_only_a_text_can_be_a_key() -> None:
    """Values stand in the outline that is read at the end as what they are."""
    assert json.loads(render("{ {{ v }}: 1 }", {"v": "k"})) == {"k": 1}
    for value in (1, None, [], {}):
        with pytest.raises(InvalidTemplate):
            render("{ {{ v }}: 1 }", {"v": value})
