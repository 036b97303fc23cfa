"""The worst that a payload can do to each part of the template language: what the bench times and a test counts.

Each case is a body that does one thing again and again to a payload of 1 MiB, until the fuel ends or the list does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

__all__ = ["CALCULATED", "FILTERED", "LOOP", "PARTS", "TESTED", "WRITTEN", "payload"]

LOOP: Final = "{%% for a in l %%}{%% set x = %s %%}{%% endfor %%}0"
ALIKE: Final = 2**61 - 1
"""Whole numbers of which Python's tables take each multiple for every other."""


def many(count: int, make: Callable[[int], Any]) -> list[Any]:
    return [make(index) for index in range(count)]


MADE: Final[Mapping[str, Callable[[], Any]]] = {
    "l": lambda: [0] * 200_000,  # what the loops go over
    "numbers": lambda: [0] * 300_000,
    "mixed": lambda: many(50_000, lambda index: index * 7919 % 50_000 * (1.0 if index % 2 else 1)),
    "alike": lambda: many(40_000, lambda index: index * ALIKE),
    "fractions": lambda: [1.7976931348623157e308] * 38_000,
    "tiny": lambda: many(30_000, lambda index: 5e-324 * (index + 1)),
    "long": lambda: [10**4199 + 7] * 200,
    "texts": lambda: many(100_000, lambda index: f"{index * 7919 % 100_000:05}"),
    "prefixed": lambda: many(200, lambda index: "я" * 2000 + f"{index * 37 % 200:03}"),
    "letters": lambda: [""] * 250_000,
    "lists": lambda: [[]] * 250_000,
    "objects": lambda: [{"k": 1}] * 100_000,
    "deep": lambda: many(5000, lambda _: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]),
    "keyed": lambda: {f"{index:x}": 0 for index in range(100_000)},
    "keyed_again": lambda: {f"{index:x}": 0 for index in range(100_000)},
    "key": lambda: {"k" * 500_000: 1},
    "key_again": lambda: {"".join(["k"] * 500_000): 1},
    "key_text": lambda: "".join(["k"] * 500_000),
    "flags": lambda: [True] * 200_000,
    "s": lambda: "a" * 500_000,
    "t": lambda: "a" * 499_999 + "b",
    "wide": lambda: "Σß" * 120_000,
    "blank": lambda: " " * 500_000 + "x",
    "short": lambda: "a" * 2499,
    "middle": lambda: "a" * 600 + "b" + "a" * 600,
    "page": lambda: "a" * 29_999,
    "line": lambda: "a" * 48 + "b" + "a" * 50,
    "five": lambda: "aabaa",
    "signs": lambda: "\x01" * 170_000,
    "big": lambda: 10**4199 + 7,
    "divisor": lambda: 10**299 + 9,
    "f": lambda: 1.7976931348623157e308,
    "g": lambda: 5e-324,
}


@cache
def piece(name: str) -> Any:
    return MADE[name]()


def payload(source: str) -> dict[str, Any]:
    """What a case's source asks for by name."""
    words = set("".join(sign if sign.isalnum() or sign == "_" else " " for sign in source).split())
    return {name: piece(name) for name in MADE if name in words}


FILTERED: Final[Mapping[str, tuple[str, ...]]] = {
    "abs": ("big|abs",),
    "count": ("s|count",),
    "d": ("s|d(0)",),
    "default": ("s|default(0)",),
    "first": ("s|first", "keyed|first"),
    "float": ("blank|float", "' 1'|float", "f|float"),
    "int": ("blank|int", "f|int", "'123'|int"),
    "join": (
        "numbers|join",
        "fractions|join",
        "lists|join",
        "letters|join(s)",
        "letters|join",
        "flags|join",
        "long|join",
    ),
    "last": ("s|last", "keyed|last"),
    "length": ("s|length", "keyed|length"),
    "lower": ("wide|lower", "s|lower"),
    "map": ("objects|map('k')", "objects|map(attribute='k')"),
    "max": ("mixed|max", "prefixed|max", "numbers|max", "long|max"),
    "min": ("mixed|min", "prefixed|min", "texts|min"),
    "replace": (
        "short|replace(middle, '')",
        "page|replace(line, '')",
        "s|replace(five, '')",
        "s|replace('a', 'bb')",
        "s|replace('', '-')",
        "s|replace(line, '')",
        "s|replace('a', '')",
    ),
    "reverse": ("wide|reverse", "numbers|reverse"),
    "round": ("f|round(15)", "g|round(15)", "1.5|round"),
    "sort": ("mixed|sort", "prefixed|sort", "texts|sort", "objects|sort(attribute='k')", "alike|sort", "long|sort"),
    "split": ("short|split(middle)", "page|split(line)", "s|split('a')", "s|split(five)"),
    "string": ("fractions|string", "deep|string", "big|string", "keyed|string", "lists|string", "tiny|string"),
    "sum": ("mixed|sum", "objects|sum('k')", "numbers|sum", "alike|sum"),
    "tojson": ("fractions|tojson", "numbers|tojson", "objects|tojson", "signs|tojson", "true|tojson", "long|tojson"),
    "trim": ("blank|trim", "(' ' ~ s)|trim"),
    "unique": ("alike|unique", "mixed|unique", "texts|unique", "prefixed|unique", "fractions|unique"),
    "upper": ("wide|upper", "s|upper"),
}
TESTED: Final[Mapping[str, tuple[str, ...]]] = {
    "boolean": ("big is boolean",),
    "defined": ("key[key_text] is defined",),
    "endingwith": ("s is endingwith t", "s is endingwith s"),
    "false": ("big is false",),
    "integer": ("big is integer",),
    "mapping": ("keyed is mapping",),
    "none": ("big is none",),
    "null": ("big is null",),
    "number": ("big is number",),
    "sequence": ("numbers is sequence",),
    "startingwith": ("s is startingwith t", "wide is startingwith wide"),
    "string": ("s is string",),
    "true": ("big is true",),
    "undefined": ("key[key_text] is undefined",),
}
CALCULATED: Final[Mapping[str, tuple[str, ...]]] = {
    "==": ("s == t", "numbers == l", "keyed == keyed_again", "key == key_again", "objects == objects", "big == big"),
    "!=": ("s != t", "deep != deep", "lists != lists"),
    "<": ("s < t", "big < big", "wide < wide"),
    "in": (
        "1 in numbers",
        "middle in short",
        "line in page",
        "five in s",
        "line in s",
        "key_text in key",
        "s in letters",
    ),
    "not in": ("big not in long", "t not in s"),
    "+": ("1 + 1 + 1 + 1", "big + big"),
    "-": ("big - big", "-big"),
    "*": ("divisor * 7", "big * 0"),
    "/": ("big / big",),
    "//": ("big // big", "f // g", "divisor // 7"),
    "%": ("big % divisor", "f % g", "f % 3"),
    "~": ("s ~ ''", "f ~ f", "big ~ ''", "true ~ true"),
    "[]": ("key[key_text]", "s[1:]", "numbers[1:]", "wide[1:]", "[s]"),
    "if": ("1 if 0 else 2", "not 0 and 1 or 0"),
}
WRITTEN: Final[Mapping[str, tuple[str, ...]]] = {
    "for": (
        "{% for a in l %}{% endfor %}0",
        "{% for a in l if false %}{% endfor %}0",
        "{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}0",
        "{% for a in keyed %}{% endfor %}0",
        "{% set p = 1 %}{% set q = 1 %}{% set r = 1 %}{% set u = 1 %}{% for a in l %}{% endfor %}0",
    ),
    "text": (
        "{% for a in l %} {% endfor %}0",
        "[{% for a in l %}[],{% endfor %}0]",
        "[{% for a in l %}[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]],{% endfor %}0]",
        "[{% for a in l %}{},{% endfor %}0]",
        '[{% for a in l %}{"a":0},{% endfor %}0]',
        "[{% for a in l %}0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,{% endfor %}0]",
        "[{% for a in l %}1e9,1e9,1e9,1e9,1e9,1e9,{% endfor %}0]",
        '[{% for a in l %}"","","","","","",{% endfor %}0]',
    ),
    "value": (
        "[{% for a in l %}{{ a }},{% endfor %}0]",
        "[{% for a in numbers %}{{ true }},{% endfor %}0]",
        '"{% for a in l %}{{ a }}{% endfor %}"',
        '"{{ objects }}"',
        '"{{ signs }}"',
        '{"a": {{ fractions }}}',
        "[{{ deep }}]",
        "[{{ lists }}]",
        "[{{ numbers }}]",
        "[{{ keyed }}]",
        "[{{ alike }}, {{ long }}]",
        "[{% for a in fractions %}{{ a }},{% endfor %}0]",
        '"{% for a in fractions %}{{ a }}{% endfor %}"',
        "[{% for a in long %}{{ a }},{% endfor %}0]",
    ),
    "branches": (
        "{% for a in l %}{% if 0 %}{% elif 0 %}{% elif 0 %}{% endif %}{% endfor %}0",
        "{% for a in l %}{% if 1 %}{% endif %}{% endfor %}0",
    ),
}
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    **FILTERED,
    **{f"is {name}": found for name, found in TESTED.items()},
    **CALCULATED,
}
