"""Templates that mean harm: no way into Python, no endless work, no endless text."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import pytest

from hookrow.errors import InvalidTemplate
from hookrow.template.compiled import Body, prepare
from template_bench import WEBHOOK, refused, render, value


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ [].__class__.__base__.__subclasses__() }}",
        '{% include "/etc/passwd" %}',
        "{{ payload.__init__.__globals__ }}",
        "{{ order['__class__'] }}",
        "{{ order|attr('__class__') }}",
        "{{ self }}",
        "{{ cycler.__init__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ ().__class__ }}",
        "{{ webhook.__dict__ }}",
        "{{ order.comment.format(order) }}",
        "{{ '%s'|format(1) }}",
        "{{ none.__class__ }}",
        "{{ true.real }}",
    ],
)
def test_no_template_reaches_python(source: str) -> None:
    """Attributes, methods, files and globals of the interpreter do not exist in the language."""
    refused(source)


WIDE = {"l": [1] * 2000, "s": "x" * 300_000, "t": "x" * 300_000, "o": [{"k": "v" * 50, "n": 1.5}] * 500}


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}0",
        "{% for a in l %}{% for b in l %}{% set x = a * b + 1 %}{% endfor %}{% endfor %}0",
        "[{% for a in l %}{{ payload }},{% endfor %}0]",
        "{% for a in l %}{% if payload|tojson|length %}{% endif %}{% endfor %}0",
        "{% for a in l if payload == payload %}{% endfor %}0",
        "{% for a in l %}{% if s == t %}{% endif %}{% endfor %}0",
        "{% for a in l %}{% if s < t %}{% endif %}{% endfor %}0",
        "{% for a in l %}{% if s is startingwith t %}{% endif %}{% endfor %}0",
        "{% for a in l %}{% set q = l|sort %}{% endfor %}0",
        "{% for a in l %}{% set q = o|sort(attribute='k') %}{% endfor %}0",
        "{% for a in l %}{% set q = s|upper|lower|trim|reverse %}{% endfor %}0",
        "{% for a in l %}{% set q = s|split('x') %}{% endfor %}0",
        "{% for a in l %}{% set q = s[:299999] %}{% endfor %}0",
        "{% for a in l %}{% set q = 2 in l %}{% endfor %}0",
        '{% set x = s|replace("", s) %}"{{ x }}"',
        "{% set x = l|join(s) %}0",
        "{% set x = s ~ s ~ s ~ s %}0",
        '{{ "a" * 1400000000 }}',
        "{{ " + "9" * 300 + " * " + "9" * 300 + " }}",
        "{% set x = 99999999999 %}" + "{% set x = x * x %}" * 40 + "0",
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{{ " + "-" * 5000 + "1 }}",
        "{{ 1" + "|abs" * 5000 + " }}",
        "{% if true %}" * 5000 + "1" + "{% endif %}" * 5000,
        "{{ " + "l[" * 5000 + "0" + "]" * 5000 + " }}",
        "{{ " + "1 if true else " * 5000 + "1 }}",
        "{{ '" * 20_000,
    ],
)
def test_hostile_work_ends_soon(source: str) -> None:
    """Work, memory and nesting without bound are refused within 50 ms of processor time, on a machine that counts to
    a million in 12 ms: a busy one is slower at both."""
    view = prepare(WIDE)

    def spent(work: Callable[[], object]) -> float:
        before = time.thread_time()
        work()
        return time.thread_time() - before

    def refuse() -> None:
        with pytest.raises(InvalidTemplate):
            Body.compile(source).render(view, WEBHOOK)

    def count() -> None:
        for _ in range(1_000_000):
            pass

    tracer = sys.gettrace()
    sys.settrace(None)  # measuring coverage makes the same work ten times as long
    try:
        took = [(spent(count), spent(refuse)) for _ in range(3)]
    finally:
        sys.settrace(tracer)
    assert min(work / counting for counting, work in took) < 0.05 / 0.012


def test_long_chains_are_no_nesting() -> None:
    """Thousands of terms, operands, keys or branches in a row are long, not deep."""
    assert value("1" + " + 1" * 3000) == 3001
    assert value("order.paid" + " and order.paid" * 3000) is True
    assert render("{% if false %}{% elif false %}" + "{% elif false %}" * 2000 + "{% else %}1{% endif %}") == "1"
    assert "a.a.a" in refused("{{ order" + ".a" * 3000 + " }}".replace("order", "a")).replace("order.a", "a.a.a")


def test_a_large_body_is_within_bounds() -> None:
    """An order of a thousand items, looped over with sums and tests, is no abuse."""
    items = [{"sku": f"S-{number}", "qty": number, "price": 10.5} for number in range(1000)]
    source = """[{% for i in items %}{"sku": "{{ i.sku }}", "sum": {{ (i.qty * i.price)|round(2) }}
    {%- if i.qty > 500 and not loop.last %}, "many": true{% endif %}}{% if not loop.last %},{% endif %}{% endfor %}]"""
    assert len(json.loads(render(source, {"items": items}))) == 1000


def test_the_limit_counts_bytes() -> None:
    """A result of exactly the limit passes, one byte more does not; the limit is of UTF-8."""
    assert render('"{{ v }}"', {"v": "жж"}, limit=6) == '"жж"'
    assert "5 bytes" in refused('"{{ v }}"', {"v": "жж"}, limit=5)
    assert "5 bytes" in refused('"{{ v }}"', {"v": "x" * 100_000}, limit=5)
    whole = {"v": "x" * 1_000_000}
    assert json.loads(render('{"data": {{ payload }}}', whole)) == {"data": whole}
