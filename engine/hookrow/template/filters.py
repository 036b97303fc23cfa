"""The filters and tests of the body's and the condition's language: `value|name(arguments)`, `value is name`.

Their names and arguments are Jinja's. Each refuses kinds of value that it would have to guess about, with a `Fault`,
and pays from the budget for the data that it goes through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import pairwise
from typing import Any, Final

from hookrow.reasons.reason import Reason
from hookrow.template.values import (
    MISSING,
    Budget,
    Fault,
    calculate,
    encode,
    is_list,
    is_number,
    kind,
    lookup,
    plain,
    seek,
    truth,
    within,
)

__all__ = ["FILTERS", "TESTS"]


def a_text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    raise Fault(Reason("filter_needs_text", name=name, kind=kind(value)))


def a_list(budget: Budget, value: object, name: str) -> list[Any]:
    """The elements of a list; an object gives its keys. Charged by their number, for one going through."""
    if is_list(value) or isinstance(value, Mapping):
        budget.spend(8 * len(value))
        return list(value)
    raise Fault(Reason("filter_needs_list", name=name, kind=kind(value)))


def a_number(value: object, name: str) -> Any:
    if is_number(value):
        return value
    raise Fault(Reason("filter_needs_number", name=name, kind=kind(value)))


def numbers_or_texts(budget: Budget, values: Iterable[object], name: str) -> list[Any]:
    """The values, if they can be put in an order: all numbers, or all texts."""
    found: list[Any] = list(values)
    budget.spend(6 * len(found))
    if all(is_number(each) for each in found):
        return found
    if all(isinstance(each, str) for each in found):
        budget.spend(sum(map(len, found)) >> 5)
        return found
    raise Fault(Reason("filter_needs_one_kind", name=name))


def picked(budget: Budget, values: Iterable[object], attribute: str, name: str) -> Iterator[Any]:
    """The attribute of each element of a list, dots allowed."""
    keys = attribute.split(".")
    for value in values:
        budget.spend(16 + 8 * len(keys))
        for key in keys:
            value = lookup(value, key)
            if value is MISSING:
                raise Fault(Reason("attribute_missing", name=name, attribute=attribute), name=attribute)
        yield value


def ranks(budget: Budget, keys: Sequence[Any], *, backwards: bool = False) -> list[int]:
    """The places of these keys in their order; equal ones as they come."""
    rounds = len(keys).bit_length()
    budget.spend(2 * len(keys) * rounds)
    budget.spend(rounds * (sum(map(len, keys)) if keys and isinstance(keys[0], str) else 0) >> 5)
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=backwards)


def do_abs(budget: Budget, value: object) -> Any:
    return abs(a_number(value, "abs"))


def do_default(budget: Budget, value: object, fallback: object = "", boolean: object = False) -> Any:
    """`fallback` for a missing name; with `true` as second argument also for whatever is not true."""
    if value is MISSING or (boolean is True and not truth(value)):
        return fallback
    return value


def do_first(budget: Budget, value: object) -> Any:
    return end_of(value, "first", 0)


def do_last(budget: Budget, value: object) -> Any:
    return end_of(value, "last", -1)


def end_of(value: object, name: str, index: int) -> Any:
    if isinstance(value, Mapping):
        return next(reversed(value) if index else iter(value), MISSING)
    if isinstance(value, str) or is_list(value):
        return value[index] if value else MISSING
    raise Fault(Reason("filter_needs_list", name=name, kind=kind(value)))


NUMERAL: Final = 1000
"""The longest text that is looked at as a number."""
NUMBER: Final = re.compile(r"\s*[+-]?\d{1,300}(\.\d{1,300})?([eE][+-]?\d{1,3})?\s*", re.ASCII)


def do_float(budget: Budget, value: object) -> float:
    """A number, or a text that is one, as a number with a fraction."""
    budget.spend(60)
    if isinstance(value, str) and len(value) <= NUMERAL and NUMBER.fullmatch(value):
        return float(within(float(value)))
    if isinstance(value, str):
        raise Fault(Reason("filter_needs_numeral", name="float"))
    try:
        return float(a_number(value, "float"))
    except OverflowError:
        raise Fault(Reason("number_too_large")) from None


WHOLE: Final = re.compile(r"\s*[+-]?\d{1,300}\s*", re.ASCII)


def do_int(budget: Budget, value: object) -> int:
    """A number without its fraction; a text that is a number too. Whole numbers stay exact."""
    budget.spend(60)
    if isinstance(value, str):
        if len(value) <= NUMERAL and WHOLE.fullmatch(value):
            return int(value)
        return int(do_float(budget, value))
    return int(a_number(value, "int"))


def do_join(budget: Budget, value: object, between: object = "") -> str:
    parts = [plain(budget, each) for each in a_list(budget, value, "join")]
    separator = a_text(between, "join")
    budget.admit(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def do_length(budget: Budget, value: object) -> int:
    if isinstance(value, str | Mapping) or is_list(value):
        return len(value)
    raise Fault(Reason("filter_needs_list", name="length", kind=kind(value)))


def do_lower(budget: Budget, value: object) -> str:
    return recased(budget, a_text(value, "lower"), str.lower)


def do_upper(budget: Budget, value: object) -> str:
    return recased(budget, a_text(value, "upper"), str.upper)


def recased(budget: Budget, text: str, how: Callable[[str], str]) -> str:
    budget.admit(2 * len(text) if not text.isascii() else len(text))
    return how(text)


def do_map(budget: Budget, value: object, attribute: object) -> list[Any]:
    """One attribute of each element: `order.items|map(attribute="sku")`."""
    key = a_text(attribute, "map")
    return list(picked(budget, a_list(budget, value, "map"), key, "map"))


def do_max(budget: Budget, value: object) -> Any:
    return max(numbers_or_texts(budget, a_list(budget, value, "max"), "max"), default=MISSING)


def do_min(budget: Budget, value: object) -> Any:
    return min(numbers_or_texts(budget, a_list(budget, value, "min"), "min"), default=MISSING)


def do_replace(budget: Budget, value: object, old: object, new: object) -> str:
    text, was, now = a_text(value, "replace"), a_text(old, "replace"), a_text(new, "replace")
    seek(budget, text, was)
    times = text.count(was)
    budget.admit(len(text) + times * len(now))
    budget.spend(times)
    return text.replace(was, now)


def do_reverse(budget: Budget, value: object) -> Any:
    if isinstance(value, str):
        budget.admit(len(value))
        return value[::-1]
    return a_list(budget, value, "reverse")[::-1]


def do_round(budget: Budget, value: object, precision: object = 0) -> float | int:
    """Half away from zero, to `precision` decimal places; whole numbers stay as they are."""
    budget.spend(100)
    number, places = a_number(value, "round"), a_number(precision, "round")
    if not isinstance(places, int) or not 0 <= places <= 15:
        raise Fault(Reason("round_places"))
    if isinstance(number, int):
        return number
    with localcontext() as context:
        context.prec = 400
        return float(Decimal(repr(number)).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def do_sort(budget: Budget, value: object, reverse: object = False, attribute: object = None) -> list[Any]:
    found = a_list(budget, value, "sort")
    keys = found if attribute is None else picked(budget, found, a_text(attribute, "sort"), "sort")
    order = ranks(budget, numbers_or_texts(budget, keys, "sort"), backwards=reverse is True)
    return [found[index] for index in order]


def do_split(budget: Budget, value: object, separator: object) -> list[str]:
    text, between = a_text(value, "split"), a_text(separator, "split")
    if not between:
        raise Fault(Reason("split_separator"))
    budget.fit(len(text))
    seek(budget, text, between)
    budget.spend(2 * text.count(between))
    return text.split(between)


def do_string(budget: Budget, value: object) -> str:
    text = plain(budget, value)
    budget.admit(len(text))
    return text


def do_sum(budget: Budget, value: object, attribute: object = None) -> int | float:
    total: int | float = 0
    found: Iterable[Any] = a_list(budget, value, "sum")
    if attribute is not None:
        found = picked(budget, found, a_text(attribute, "sum"), "sum")
    for each in found:
        budget.spend(8)
        total = calculate(budget, total, "+", each)
    return total


def do_tojson(budget: Budget, value: object) -> str:
    """The JSON of a value, as a text."""
    text = encode(budget, value)
    budget.admit(len(text))
    return text


def do_trim(budget: Budget, value: object) -> str:
    budget.admit(len(a_text(value, "trim")))
    return a_text(value, "trim").strip()


def do_unique(budget: Budget, value: object) -> list[Any]:
    """The distinct numbers or texts of a list, each where it comes first.

    Sorted, not looked up: a payload's author can choose any number of numbers that Python's tables take for each other.
    """
    found = numbers_or_texts(budget, a_list(budget, value, "unique"), "unique")
    order = ranks(budget, found)
    firsts = order[:1] + [index for before, index in pairwise(order) if found[before] != found[index]]
    return [found[index] for index in sorted(firsts)]


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": do_abs,
    "count": do_length,
    "d": do_default,
    "default": do_default,
    "first": do_first,
    "float": do_float,
    "int": do_int,
    "join": do_join,
    "last": do_last,
    "length": do_length,
    "lower": do_lower,
    "map": do_map,
    "max": do_max,
    "min": do_min,
    "replace": do_replace,
    "reverse": do_reverse,
    "round": do_round,
    "sort": do_sort,
    "split": do_split,
    "string": do_string,
    "sum": do_sum,
    "tojson": do_tojson,
    "trim": do_trim,
    "unique": do_unique,
    "upper": do_upper,
}
"""`value|name(arguments)`. Each takes the budget and the value first; only `default` is given MISSING."""


def starts(budget: Budget, value: object, prefix: object) -> bool:
    budget.admit(len(a_text(prefix, "startingwith")))
    return a_text(value, "startingwith").startswith(a_text(prefix, "startingwith"))


def ends(budget: Budget, value: object, suffix: object) -> bool:
    budget.admit(len(a_text(suffix, "endingwith")))
    return a_text(value, "endingwith").endswith(a_text(suffix, "endingwith"))


TESTS: Final[Mapping[str, Callable[..., bool]]] = {
    "boolean": lambda _budget, value: isinstance(value, bool),
    "defined": lambda _budget, value: value is not MISSING,
    "endingwith": ends,
    "false": lambda _budget, value: value is False,
    "integer": lambda _budget, value: is_number(value) and isinstance(value, int),
    "mapping": lambda _budget, value: isinstance(value, Mapping),
    "none": lambda _budget, value: value is None,
    "null": lambda _budget, value: value is None,
    "number": lambda _budget, value: is_number(value),
    "sequence": lambda _budget, value: is_list(value),
    "startingwith": starts,
    "string": lambda _budget, value: isinstance(value, str),
    "true": lambda _budget, value: value is True,
    "undefined": lambda _budget, value: value is MISSING,
}
"""`value is name`, or `value is name argument`. Each takes the budget and the value first; only `defined` and
`undefined` are given MISSING."""
