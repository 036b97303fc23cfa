"""Bodies: what comes out is JSON and holds the payload's values, or it is an error that says where and which name."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hookrow.errors import InvalidTemplate
from hookrow.template.compiled import Body, check_body, prepare
from template_bench import ORDER, WEBHOOK, refused, render, same, value

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=2**60, max_value=2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.text(st.characters(categories=["Cs", "Cc", "Zl", "Zp"]) | st.sampled_from('"\\/{}%#'))
)
KEYS = st.text() | st.sampled_from(["items", "keys", "pop", "__class__", "get"])
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
PROPERTY = settings(max_examples=100, deadline=None)


# No payload breaks the JSON


@PROPERTY
@given(JSON)
def test_any_value_round_trips_outside_quotes(payload: Any) -> None:
    """A value outside quotes is that JSON value, down to 1 against 1.0, wherever it stands."""
    sent = json.loads(render('{"a": {{ v }}, "b": [ {{v}} ,{{ v }}], "c": {{ payload.v }}}', {"v": payload}))
    payload = json.loads(json.dumps(payload))  # two halves of a surrogate pair are one character in any JSON
    assert same(sent, {"a": payload, "b": [payload, payload], "c": payload})


@PROPERTY
@given(JSON)
def test_any_value_round_trips_inside_quotes(payload: Any) -> None:
    """Inside quotes a text is itself; anything else is its JSON text, as a piece of the text around it."""
    sent = json.loads(render('{"{{ v }}": "<{{ v }}>{{ v }}"}', {"v": payload}))
    ((key, around),) = sent.items()
    payload = json.loads(json.dumps(payload))
    assert around == f"<{key}>{key}"
    if isinstance(payload, str):
        assert key == payload
    else:
        assert same(json.loads(key), payload)


@PROPERTY
@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_the_payload_is_only_read(payload: dict[str, Any]) -> None:
    """Rendering leaves the caller's payload as it was, sorting, setting and looping included."""
    before = copy.deepcopy(payload)
    render(
        '[{% set p = payload %}{% for k in p|sort %}{{ p[k] }},{% endfor %}{{ p|reverse }}, "{{ p|default(1) }}"]',
        payload,
    )
    assert same(payload, before)


@PROPERTY
@given(JSON)
def test_what_is_sent_can_be_encoded(payload: Any) -> None:
    """Half a surrogate pair goes out escaped: the result is UTF-8 in any case."""
    json.loads(render('["{{ v }}", {{ v }}]', {"v": payload}).encode().decode())


@PROPERTY
@given(
    st.lists(st.sampled_from([*'{}%#"\\ \n-ab.|[]()=1,:', "{{ ", " }}", "{% if a %}", "{% endif %}"])).map("".join),
    JSON,
)
def test_any_template_is_json_or_refused(source: str, payload: Any) -> None:
    """Whatever somebody types, there is either JSON to send or a sentence; never another exception."""
    try:
        sent = render(source, {"a": payload, "b": 1})
    except InvalidTemplate:
        return
    json.loads(sent)


def test_text_with_quotes_in_a_text() -> None:
    """Quotes, line breaks, tabs, a NUL and markup inside quotes come back as they were."""
    comment = 'he said "x"\n</p>\t\u0000'
    assert json.loads(render('{"note":"{{order.comment}}"}', {"order": {"comment": comment}})) == {"note": comment}


def test_a_whole_object_outside_and_inside_quotes() -> None:
    """Outside quotes an object is that object, inside quotes the text of its JSON."""
    assert json.loads(render('{"data": {{payload}}}')) == {"data": ORDER}
    assert json.loads(json.loads(render('{"data": "{{payload}}"}'))["data"]) == ORDER


def test_numbers_keep_their_form() -> None:
    """Large integers stay exact, a fraction of zero stays written."""
    body = "[{{ order.big }}, {{ order.rate }}, {{ order.id }}, {{ v }}]"
    assert render(body, {**ORDER, "v": 10**80 + 1}) == f"[12345678901234567890, 1.0, 7, {10**80 + 1}]"


def test_text_is_sent_unescaped_where_json_allows() -> None:
    """Cyrillic, emoji and line separators go out as they are; what is written outside braces is untouched."""
    assert render('{ "a":\t"{{ v }}" }\n', {"v": "ж☕\u2028"}) == '{ "a":\t"ж☕\u2028" }\n'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_carry_is_not_sent(number: float) -> None:
    """NaN and infinity never become JSON, also deep inside and inside quotes."""
    for body in ("{{ v }}", "[{{ w }}]", '"{{ v }}"'):
        assert "JSON" in refused(body, {"v": number, "w": {"x": [number]}})


# Names


def test_names_reach_keys_only() -> None:
    """Keys that are called like methods are keys; methods and attributes do not exist."""
    assert value("order.pop") == "key"
    assert value("order.items|length") == 2
    for name in ("keys", "get", "__class__", "__len__"):
        assert f"order.{name} is missing" in refused("{{ order." + name + " }}")
    assert value('order["a-b"].c') == "dashed"
    assert value("order.items[0].sku") == value("order.items[-2]['sku']") == "CF-250"


def test_reserved_names() -> None:
    """`payload` is the whole, `webhook` says which event this is; a payload's key of that name is under `payload`."""
    assert value("payload.order.id") == 7
    assert render("[{{ webhook.id }}, {{ webhook.type }}]") == '["evt_1", "before_order_add"]'
    assert value("payload.webhook", {"webhook": 1}) == 1
    assert render("{{ webhook.result.cost }}", ORDER, {**WEBHOOK, "result": {"cost": 390}}) == "390"


@pytest.mark.parametrize(
    ("source", "line", "name"),
    [
        ('{"a": {{ order.nope }}}', 1, "order.nope"),
        ('{\n"a": "{{ nope }}"}', 2, "nope"),
        ('{"a":\n\n{{ order.items[0].nope.deeper }}}', 3, "order.items[0].nope"),
        ("[{% for item in order.items %}\n{{ item.nope }}{% endfor %}]", 2, "item.nope"),
        ('{{ order\n["nope"]\n.x }}', 1, 'order ["nope"]'),
        ("{% if nope %}{% endif %}1", 1, "nope"),
        ("{{ [1,\n2,\norder.nope] }}", 3, "order.nope"),
        ("{{ order.items[5] }}", 1, "order.items[5]"),
        ("{{ order.id.x }}", 1, "order.id.x"),
        ("{{ webhook.nope }}", 1, "webhook.nope"),
        ("{{ payload.nope }}", 1, "payload.nope"),
        ("{{ order[order.comment] }}", 1, "order[order.comment]"),
        ("{{ 1 if order.paid else 2 }}\n{{ nope|upper }}", 2, "nope"),
    ],
)
def test_a_missing_name_is_said(source: str, line: int, name: str) -> None:
    """The refusal names the line and, as it is written there, the name that the payload lacks."""
    if "}}\n{{" in source:
        source = f"[{source.replace('}}', '}},', 1)}]"
    assert refused(source) == f"body: line {line}: {name} is missing from the payload"


def test_a_missing_name_can_be_foreseen() -> None:
    """`is defined` and `default` take a missing name, at any depth."""
    assert render("{% if order.nope is defined %}1{% else %}2{% endif %}") == "2"
    assert value("order.nope.deeper|default(0)") == 0
    assert value('nope|default("x")') == "x"
    assert value("order.nothing|default(1)") is None
    assert value("order.nothing|default(1, true)") == 1


SECRET = "S3cret-4929"


@pytest.mark.parametrize(
    "source",
    [
        "{{ v + 1 }}",
        "{{ 1 - v }}",
        "{{ -v }}",
        "{{ v > 1 }}",
        "{{ v in 5 }}",
        "{{ w[v][0] }}",
        "{{ w[v].x }}",
        "{% for x in v %}{% endfor %}",
        "{{ v|float }}",
        "{{ v|int }}",
        "{{ v|sum }}",
        "{{ [v, 1]|sort }}",
        "{{ v|round }}",
        "{{ l|map(attribute='x') }}",
        "{{ v.x }}",
        "{{ [w] }}",
        "{{ l[v:] }}",
        "{{ v",
        "{{ v }}x",
        "[{{ v }}",
        "{{ v|nope }}",
        "{{ l|join(1) }}",
        "{{ v() }}",
        "{{ w|upper }}",
        "{{ nan }}",
        "{% if v < w %}{% endif %}",
        "{{ w|map(attribute=v) }}",
        "{{ l|sort(attribute='q') }}",
        "{{ v|replace('S', w) }}",
        "{{ v|split('') }}",
    ],
)
def test_no_refusal_shows_a_value(source: str) -> None:
    """An error goes into the log and to the admin's screen: it never holds what the payload holds."""
    payload = {"v": SECRET, "w": {"k": SECRET, SECRET: 1, "q": SECRET}, "l": [{SECRET: SECRET}], "nan": math.nan}
    assert SECRET not in refused(source, payload)
    with pytest.raises(InvalidTemplate) as caught:
        check_body(source, payload)
    assert SECRET not in repr(caught.value)
    assert caught.value.__cause__ is None


# The language


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("7 // 2", 3),
        ("7 / 2", 3.5),
        ("7 % 4", 3),
        ("-order.id", -7),
        ("(1 + 2) * 3", 9),
        ("1 ~ 'a' ~ order.nothing", "1anull"),
        ("'x' if order.paid else 'y'", "x"),
        ("order.comment[:9]", "Позвонить"),
        ("order.items[1:][0].sku", "MG-01"),
        ("order.items|map(attribute='sku')|join(', ')", "CF-250, MG-01"),
        ("order.items|sum(attribute='qty')", 3),
        ("order.items|map(attribute='price')|max", 890.5),
        ("'aXb'|lower", "axb"),
        ("order.items|sort(attribute='qty')|first", ORDER["order"]["items"][1]),
        ("'ab'|upper", "AB"),
        ("[3, 1, 2]|sort(reverse=true)", [3, 2, 1]),
        ("[1, 2, 1]|unique", [1, 2]),
        ("'a,b'|split(',')|last", "b"),
        ("' x '|trim", "x"),
        ("'aab'|replace('a', 'c')", "ccb"),
        ("2.345|round(2)", 2.35),
        ("-2.5|round", -3.0),
        ("5|round", 5),
        ("'12'|int + '1.5'|float", 13.5),
        ("order.big|int", 12345678901234567890),
        ("order.big + 1", 12345678901234567891),
        ("1.9|int", 1),
        ("-3|abs", 3),
        ("order.empty|length", 0),
        ("order|length", 11),
        ("[1, 2]|reverse", [2, 1]),
        ("'abc'|reverse", "cba"),
        ("order.items|tojson", json.dumps(ORDER["order"]["items"], separators=(",", ":"))),
        ("1.0|string", "1.0"),
        ('"q\\"\\u0436\\n"', 'q"ж\n'),
        ("0 or 'x'", "x"),
        ("1 and 2", 2),
        ("not 0", True),
        ("[1, 2]|min", 1),
        ("order.nothing is none", True),
        ("[]", []),
        ("'й' < 'я'", True),
        ("none", None),
        ("1e3", 1000.0),
        ("5 if order.nope is defined else 6", 6),
        ("[order.id, order.comment[:1]]", [7, "П"]),
    ],
)
def test_expressions(source: str, expected: Any) -> None:
    """Each operator, filter and literal gives what it says, as a JSON value of the right kind."""
    assert same(value(source), expected)


def test_statements() -> None:
    """Loops with their place, filters and else; branches; sets, which end with their round; comments; white space."""
    assert (
        render("[{% for i in order.items %}{{ loop.index }}{% if not loop.last %},{% endif %}{% endfor %}]") == "[1,2]"
    )
    assert render("[{% for i in order.items if i.qty > 1 %}{{ i.sku }}{% endfor %}]") == '["CF-250"]'
    assert render("[{% for i in order.empty %}1{% else %}2{% endfor %}]") == "[2]"
    assert render("[{% for k in order['a-b'] %}{{ k }}{% endfor %}]") == '["c"]'
    assert render("{% if order.id < 5 %}1{% elif order.id < 9 %}2{% else %}3{% endif %}") == "2"
    assert render("{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}") == "2"
    assert render("{% set x = 1 %}{% for i in order.items %}{% set x = 2 %}{% endfor %}{{ x }}") == "1"
    assert render("{# say {{ nothing }} #}1") == "1"
    assert render('"a {%- if true -%} b {% endif -%}  c"') == '"ab c"'
    assert render("[{{ order.id -}} , 1]") == "[7, 1]"
    assert render('"{% for i in order.items %}{{ i.sku }};{% endfor %}"') == '"CF-250;MG-01;"'
    assert render('{% if order.paid %}"yes{% else %}"no{% endif %}!"') == '"yes!"'
    assert render('{"a": "}} %} #}"}') == '{"a": "}} %} #}"}'
    assert render('["{{ "}}" }}"]') == '["}}"]'


# What is refused when it is saved


@pytest.mark.parametrize(
    ("source", "line", "says"),
    [
        ('{"a": "x}', 1, "not closed"),
        ('{"a":\n"x}', 2, "not closed"),
        ('{"a": "{% if order.id %}x"{% endif %}}', 1, "quote"),
        ('{"a": {% for i in order.items %}"x{% endfor %}"}', 1, "quote"),
        ('{"a": "{% for i in order.items %}x{% else %}"{% endfor %}}', 1, "quote"),
        ('{"a": "{% if order.id %}"{% elif order.sum %}x{% else %}"{% endif %}}', 1, "quote"),
        ('{"a": "x\ny"}', 1, "line break"),
        ('{"a": "\\{{ order.id }}"}', 1, "escape"),
        ('{"a": "\\u00{{ order.id }}"}', 1, "escape"),
        ('{"a": "\\x"}', 1, "escape"),
        ('{"a": 1{{ order.id }}}', 1, "can't follow 1"),
        ('{"a": "x"{{ order.id }}}', 1, "can't follow \""),
        ('{"a": {{ order.id }}5}', 1, "followed by 5"),
        ('{"a": {{ order.id }}\n"x"}', 1, 'followed by "'),
        ("[{{ order.id }} {{ order.id }}]", 1, "need a separator"),
        ("[{{ order.id }}{# #}{{ order.id }}]", 1, "need a separator"),
        ("{{ order.id }", 1, "}"),
        ("{{ order.id", 1, "not complete"),
        ("{{ }}", 1, "not complete"),
        ("\n{{ order.id %}", 2, "}}"),
        ("{{ order..id }}", 1, "."),
        ("{{ order.id order.id }}", 1, "order"),
        ("{{ (order.id }}", 1, "not complete"),
        ("{{ 'x }}", 1, "'"),
        ("{{ order.id & 1 }}", 1, "&"),
        ("{{ 2 ** 3 }}", 1, "*"),
        ("{{ {'a': 1} }}", 1, "{"),
        ("{{ order|nope }}", 1, "nope"),
        ("{{ order is nope }}", 1, "nope"),
        ("{{ order|join(1, 2, 3) }}", 1, "arguments"),
        ("{{ order|sort(nope=1) }}", 1, "arguments"),
        ("{{ order|map }}", 1, "arguments"),
        ("{{ order.get('id') }}", 1, "no function calls"),
        ("{{ range(10) }}", 1, "no function calls"),
        ("{{ debug() }}", 1, "no function calls"),
        ("1\n{% if order.id %}", 2, "not closed"),
        ("{% for i in order.items %}{% if i %}{% endfor %}", 1, "endfor"),
        ("{% endif %}", 1, "endif"),
        ("{% else %}", 1, "else"),
        ("{% if order.id %}{% else %}{% elif 1 %}{% endif %}", 1, "elif"),
        ("{% for a, b in order.items %}{% endfor %}", 1, ","),
        ("{% for i of order.items %}{% endfor %}", 1, "in"),
        ("{% set payload = 1 %}", 1, "payload"),
        ("{% for loop in order.items %}{% endfor %}", 1, "loop"),
        ("{% set x %}1{% endset %}", 1, "not complete"),
        ("{# never", 1, "comment"),
        ("plain text", 1, "not JSON"),
        ('{"a": 1}\n{"b": 2}', 2, "not JSON"),
        ("{'a': 1}", 1, "not JSON"),
        ("[NaN]", None, "not JSON"),
        ("[1,]", 1, "not JSON"),
        ('{"a":\n{{ order.id }},\n{{ order.id }}: 2}', 3, "not JSON"),
        ("", 1, "not JSON"),
        *[
            (f'{{% {word} "/etc/passwd" %}}', 1, word)
            for word in (
                "include",
                "extends",
                "import",
                "from",
                "macro",
                "block",
                "raw",
                "call",
                "filter",
                "with",
                "autoescape",
                "do",
            )
        ],
    ],
)
def test_what_cannot_be_saved(source: str, line: int | None, says: str) -> None:
    """A body that could ever break its JSON, or that the language does not hold, is refused with line and reason."""
    with pytest.raises(InvalidTemplate) as caught:
        check_body(source, ORDER)
    assert says in str(caught.value)
    if line is not None:
        assert str(caught.value).startswith(f"body: line {line}: ")


def test_a_payload_never_shows_what_a_template_hides() -> None:
    """Braces in a payload are data: nothing in it is read as a template."""
    hostile = "{{ payload }}{% include 'x' %}{# \" #}"
    assert json.loads(render('["{{ v }}", {{ v }}]', {"v": hostile})) == [hostile, hostile]


def test_a_body_is_checked_on_the_example() -> None:
    """What the example lacks is refused; what only an earlier hook's result can give is left to the firing."""
    check_body('{"id": {{ order.id }}}', ORDER)
    with pytest.raises(InvalidTemplate, match=r"order\.nope"):
        check_body('{"id": {{ order.nope }}}', ORDER)
    check_body("{{ webhook.result.cost }}", ORDER)
    check_body("{% set r = webhook.result %}{{ r.cost }}", ORDER)
    check_body("{{ webhook.result.cost if webhook.result is defined else 0 }}", ORDER)
    with pytest.raises(InvalidTemplate):
        check_body("{{ webhook.result.cost ", ORDER)


# Hostile templates


def test_bodies_are_compiled_once() -> None:
    """The same source gives the same compiled body; a body can be rendered any number of times."""
    body = Body.compile('{"id": {{ order.id }}}')
    assert Body.compile('{"id": {{ order.id }}}') is body
    assert [body.render(prepare({"order": {"id": number}}), WEBHOOK) for number in range(3)] == [
        f'{{"id": {number}}}' for number in range(3)
    ]
