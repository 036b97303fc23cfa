"""What the values of a body or a condition are and may do: kinds, truth, equality, order, arithmetic.

A value is plain JSON: None, bool, int, float, str, list, dict. It is either a piece of the payload as it stands, or a
scalar, or a list of such pieces that are all distinct; nothing here can build a value much larger than the payload.
Whatever the language would have to guess is a `Fault`. A fault names kinds, never values: it goes into the
log, which is no place for a customer's data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final, TypeGuard

from hookrow.lang import Text
from hookrow.reasons.reason import Reason

__all__ = [
    "MISSING",
    "Budget",
    "Fault",
    "calculate",
    "compare",
    "contains",
    "encode",
    "equal",
    "glue",
    "is_list",
    "is_number",
    "kind",
    "lookup",
    "plain",
    "seek",
    "truth",
    "within",
]

SHORT: Final = 2**64
"""Whole numbers up to here take no time that anybody could notice; what longer ones take is paid for by their bits."""

LONGEST_NUMBER: Final = 10**300
"""Arithmetic beyond this is refused: repeated squaring would grow without end. Numbers only passed on may be longer."""


class Missing:
    """What a name gives that the payload does not hold."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Fault(Exception):
    """The expression can't be evaluated on this payload. `line` and `column` are the template's, from 1; `name` the
    missing name."""

    def __init__(
        self, text: Text, *, name: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(text)
        self.text = text
        self.name = name
        self.line = line
        self.column = column


class Budget:
    """How much work and text one rendering may still cost: `fuel` in steps, `limit` in characters of any one text.

    A step is some 40 ns. Each operation pays for what it takes at its worst, before it takes it: `make bench` tries
    the worst case of each (tests/template_worst.py).
    """

    __slots__ = ("fuel", "limit")

    def __init__(self, fuel: int, limit: int) -> None:
        self.fuel: int = fuel
        self.limit: Final = limit

    def spend(self, steps: int) -> None:
        """Take `steps` from the fuel. Raises Fault when there is none left."""
        self.fuel -= steps
        if self.fuel < 0:
            raise Fault(Reason("too_much_work"))

    def fit(self, length: int) -> None:
        """Raises Fault if a text of `length` characters is beyond the limit."""
        if length > self.limit:
            raise Fault(Reason("text_too_long", limit=self.limit))

    def admit(self, length: int) -> None:
        """Let a text of `length` characters be made or gone through. Raises Fault beyond the limit."""
        self.fit(length)
        self.spend(length >> 3)


def kind(value: object) -> Text:
    """The kind of a value, in words."""
    if value is None:
        return Reason("kind_null")
    if isinstance(value, bool):
        return Reason("kind_flag")
    if isinstance(value, int | float):
        return Reason("kind_number")
    if isinstance(value, str):
        return Reason("kind_text")
    if isinstance(value, Mapping):
        return Reason("kind_object")
    return Reason("kind_list")


SCALARS = frozenset({str, int, float, bool, type(None)})


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether this is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_list(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether this is a list; a text is none."""
    return isinstance(value, list | tuple)


def truth(value: object) -> bool:
    """Truth as templates have it: null, false, 0, and an empty text, list or object are not true."""
    return bool(value)


def lookup(value: object, key: object) -> Any:
    """`value[key]`: an object's key, a list's index (negative ones from the end); MISSING where there is none."""
    if isinstance(value, Mapping):
        return value.get(key, MISSING) if isinstance(key, str) else MISSING
    if is_list(value) and isinstance(key, int) and not isinstance(key, bool):
        return value[key] if -len(value) <= key < len(value) else MISSING
    return MISSING


def equal(budget: Budget, left: object, right: object) -> bool:
    """Equality of JSON values: 1 and 1.0 are equal; true and 1, or "5" and 5, are not."""
    budget.spend(12 + (len(left) >> 3) if isinstance(left, str) else 12)
    if type(left) in SCALARS:  # before the question for a Mapping, which alone takes as long as all of this
        return isinstance(left, bool) == isinstance(right, bool) and left == right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        budget.spend(30 + 6 * len(left) + (sum(map(len, left)) >> 3))
        return left.keys() == right.keys() and all(equal(budget, left[key], right[key]) for key in left)
    if is_list(left) and is_list(right):
        budget.spend(30)
        return len(left) == len(right) and all(equal(budget, a, b) for a, b in zip(left, right, strict=True))
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def contains(budget: Budget, item: object, holder: object) -> bool:
    """`item in holder`: an element of a list, a key of an object, a piece of a text. Raises Fault for all else."""
    if is_list(holder):
        return any(equal(budget, item, each) for each in holder)
    if isinstance(item, str) and isinstance(holder, str | Mapping):
        if isinstance(holder, str):
            seek(budget, holder, item)
        else:
            budget.spend(len(item) >> 3)
        return item in holder
    raise Fault(Reason("cannot_look_in", item=kind(item), holder=kind(holder)))


def compare(budget: Budget, left: object, operator: str, right: object) -> bool:
    """One comparison. `<`, `>`, `<=`, `>=` take two numbers or two texts. Raises Fault for all else."""
    match operator:
        case "==":
            return equal(budget, left, right)
        case "!=":
            return not equal(budget, left, right)
        case "in":
            return contains(budget, left, right)
        case "not in":
            return not contains(budget, left, right)
    if not (is_number(left) and is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise Fault(
            Reason(
                "one_kind_needed",
                operator=operator,
                left=kind(left),
                right=kind(right),
            )
        )
    if isinstance(left, str):
        budget.spend(len(left) >> 3)
    a: Any = left
    b: Any = right
    match operator:
        case "<":
            return bool(a < b)
        case "<=":
            return bool(a <= b)
        case ">":
            return bool(a > b)
    return bool(a >= b)


def seek(budget: Budget, text: str, piece: str) -> None:
    """Pay for looking through a text for a piece. Python compares each place anew in texts under 2,500 characters, and
    under 30,000 with pieces under 100; longer ones it goes through once."""
    size, length = len(piece), len(text)
    again = size
    if length >= 2500:
        again = min(size, 100 if length < 30_000 else 6)
    budget.spend((length >> 3) + (max(length - size + 1, 0) * again >> 5))


def calculate(budget: Budget, left: object, operator: str, right: object) -> int | float:
    """`+ - * / // %` of two numbers; integers stay exact, except by `/`. Raises Fault for other kinds, 0, overflow."""
    if not is_number(left) or not is_number(right):
        raise Fault(
            Reason(
                "numbers_needed",
                operator=operator,
                left=kind(left),
                right=kind(right),
            )
        )
    a: Any = left
    b: Any = right
    if operator not in ("+", "-"):
        budget.spend(a.bit_length() * b.bit_length() >> 9 if isinstance(a, int) and isinstance(b, int) else 60)
    try:
        match operator:
            case "+":
                result = a + b
            case "-":
                result = a - b
            case "*":
                result = a * b
            case "/":
                result = a / b
            case "//":
                result = a // b
            case _:
                result = a % b
    except ZeroDivisionError:
        raise Fault(Reason("division_by_zero")) from None
    except OverflowError:
        raise Fault(Reason("number_too_large")) from None
    return within(result)


def within(number: int | float) -> int | float:
    """A calculated number, if JSON can carry it. Raises Fault else."""
    if not -LONGEST_NUMBER <= number <= LONGEST_NUMBER:
        raise Fault(Reason("number_too_large"))
    return number


def glue(budget: Budget, left: object, right: object) -> str:
    """`left ~ right`: both as text, one after the other."""
    a, b = plain(budget, left), plain(budget, right)
    budget.admit(len(a) + len(b))
    return a + b


ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


HOLDERS: Final = (dict, list, tuple)
AT_ONCE: Final = 10_000
"""Steps that a value's weighing may take before it pays."""
NAMED: dict[bool | None, str] = {None: "null", True: "true", False: "false"}


def encode(budget: Budget, value: object) -> str:
    """The value as JSON text, paid for. Raises Fault for what JSON can't carry, and for nesting too deep to write."""
    if value is None or isinstance(value, bool):
        return NAMED[value]
    weigh(budget, value)
    if type(value) is str:
        return encode_basestring(value)
    try:
        return int.__repr__(value) if type(value) is int else ENCODER.encode(value)
    except (ValueError, TypeError, RecursionError):
        raise Fault(Reason("value_not_json")) from None


def weigh(budget: Budget, value: object) -> None:
    """Pay for a value's way into JSON, each kind by what it takes, before it is written."""
    steps = 4 if isinstance(value, str) else 60  # a writer is made
    todo: list[Any] = [value] if isinstance(value, HOLDERS) else [[value]]
    for holder in todo:  # which grows meanwhile
        steps += 16 + 4 * len(holder)
        if isinstance(holder, dict):
            steps += 8 * len(holder) + (len("".join(holder)) >> 3)
            holder = holder.values()
        if steps > AT_ONCE:
            budget.spend(steps)
            steps = 0
        for each in holder:
            kind = type(each)
            if kind is str:
                steps += len(each) >> 3
            elif kind is int:
                if not -SHORT < each < SHORT:
                    steps += each.bit_length() ** 2 >> 15
            elif kind is float:
                steps += 8 if 1e-5 < abs(each) < 1e17 else 36
            elif isinstance(each, HOLDERS):
                todo.append(each)
    budget.spend(steps)


def plain(budget: Budget, value: object) -> str:
    """The value as text: a text is itself, everything else its JSON."""
    return value if isinstance(value, str) else encode(budget, value)
