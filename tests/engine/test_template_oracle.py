"""Where both allow a template, ours means what minijinja means: a property test with the other as the judge."""

from __future__ import annotations

from dataclasses import replace

import minijinja
from hypothesis import given, settings
from hypothesis import strategies as st

from hookrow.errors import InvalidTemplate
from hookrow.payload import dumps
from hookrow.template.compiled import Body, prepare
from template_bench import same, value

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


@settings(max_examples=100, deadline=None)
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


PIECES = st.lists(
    st.sampled_from(['{"a": ', ", ", "}", '"x', '", "b": "', '"', "1", "[", "]", "Ж", "\n"])
    | st.sampled_from(
        ["payload", "webhook.id", "webhook", "a", "c.d", "c.e.f", "s", "s[1:]", "l", "l[0]", "no", "f", "n", "a + 1"]
    ).map("{{{{ {} }}}}".format),
    max_size=9,
).map("".join)
VALUES = {
    "a": 3,
    "c": {"d": '\u041f"\n', "e": {"f": True}},
    "s": "e\ud800",
    "l": [1, "x"],
    "f": 1e-7,
    "n": None,
    "b": 2**70,
}


@settings(max_examples=300, deadline=None)
@given(PIECES, st.sampled_from([5, 40, 300, 1 << 20]), st.booleans())
def test_a_flat_body_says_what_its_statements_say(source: str, limit: int, known: bool) -> None:
    """Text and values alone are written the short way: the same text, or the same refusal, at every limit."""
    try:
        body = Body.compile(source)
    except InvalidTemplate:
        return
    view, webhook = prepare(VALUES, dumps(VALUES) if known else None), {"id": "evt_1"}
    said: list[object] = []
    for each in (body, replace(body, flat=None)):
        try:
            said.append(each.render(view, webhook, limit=limit))
        except InvalidTemplate as refusal:
            said.append((str(refusal), refusal.problems))
    assert said[0] == said[1]
    assert body.flat is not None
