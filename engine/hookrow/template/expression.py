"""What an expression of a body or a condition is made of, and how each part is evaluated on a payload.

Written expressions are read by `hookrow.template.grammar`, which also says what the language holds. A missing name is
a `Fault` that says which, except under `is defined`, `is undefined` and `|default(…)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hookrow.hook.local_time import NOW, LocalTime
from hookrow.reasons.reason import Reason
from hookrow.template.filters import FILTERS, TESTS
from hookrow.template.values import (
    MISSING,
    Budget,
    Fault,
    calculate,
    compare,
    glue,
    is_number,
    kind,
    lookup,
    truth,
)

__all__ = [
    "Access",
    "Calculated",
    "Chosen",
    "Compared",
    "Evaluation",
    "Filtered",
    "IsTest",
    "Joined",
    "Literal",
    "Name",
    "Negative",
    "Node",
    "Not",
    "Part",
    "PathStep",
    "Several",
]


class Evaluation(Budget):
    """One rendering or test: what the names mean, and what may still be spent."""

    __slots__ = ("local", "moment", "payload", "webhook")

    def __init__(
        self,
        payload: Mapping[str, Any],
        webhook: Mapping[str, Any],
        *,
        fuel: int,
        limit: int,
        moment: LocalTime | None = None,
    ) -> None:
        super().__init__(fuel, limit)
        self.moment: Final = moment
        self.payload: Final = payload
        self.webhook: Final = webhook
        self.local: dict[str, Any] = {}

    def find(self, name: str) -> Any:
        """What a bare name means: a loop's or set's variable, a reserved name, a key of the payload, the time; else
        MISSING."""
        if name in self.local:
            return self.local[name]
        if name == "payload":
            return self.payload
        if name == "webhook":
            return self.webhook
        found = self.payload.get(name, MISSING)
        if found is MISSING and name == NOW and self.moment is not None:
            return self.moment.names()
        return found


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression. `line` is where it stands in the source, from 1: a missing name is reported there."""

    line: int

    def value(self, run: Evaluation) -> Any:
        """The value. Raises Fault."""
        raise NotImplementedError

    def maybe(self, run: Evaluation) -> Any:
        """The value, or MISSING where a name is missing. Raises Fault for all else."""
        return self.value(run)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value written out."""

    constant: Any

    def value(self, run: Evaluation) -> Any:
        return self.constant


@dataclass(frozen=True, slots=True)
class Several(Node):
    """A list literal. Its elements are scalars, so that no value can hold the same piece of a payload twice."""

    items: tuple[Node, ...]

    def value(self, run: Evaluation) -> Any:
        found = [item.value(run) for item in self.items]
        for each in found:
            if isinstance(each, Mapping | list | tuple):
                raise Fault(Reason("list_cannot_hold", kind=kind(each)))
        run.admit(sum(len(each) for each in found if isinstance(each, str)))
        return found


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A bare name: a variable, a reserved name, or a key of the payload."""

    name: str

    def value(self, run: Evaluation) -> Any:
        found = run.find(self.name)
        if found is MISSING:
            raise missing(self.name, self.line)
        return found

    def maybe(self, run: Evaluation) -> Any:
        return run.find(self.name)


@dataclass(frozen=True, slots=True)
class Part:
    """`[start:stop]` of a text or list."""

    line: int
    start: Node | None
    stop: Node | None

    def cut(self, run: Evaluation, value: object) -> Any:
        if not isinstance(value, str | list | tuple):
            raise Fault(Reason("no_part_of", kind=kind(value)))
        bounds = [None if bound is None else bound.value(run) for bound in (self.start, self.stop)]
        for bound in bounds:
            if bound is not None and (not is_number(bound) or not isinstance(bound, int)):
                raise Fault(Reason("bounds_not_whole"))
        run.spend(len(value) >> 3)
        return value[slice(*bounds)]


@dataclass(frozen=True, slots=True)
class PathStep:
    """One `.key`, `[key]` or `[start:stop]`; `written` is the source from the path's begin to here."""

    key: str | Node | Part
    written: str


@dataclass(frozen=True, slots=True)
class Access(Node):
    """A value and the keys after it."""

    base: Node
    steps: tuple[PathStep, ...]

    def value(self, run: Evaluation) -> Any:
        return self.walk(run, self.base.value(run), strict=True)

    def maybe(self, run: Evaluation) -> Any:
        return self.walk(run, self.base.maybe(run), strict=False)

    def walk(self, run: Evaluation, value: Any, *, strict: bool) -> Any:
        for step in self.steps:
            if value is MISSING:
                return MISSING
            key = step.key
            if isinstance(key, Part):
                value = key.cut(run, value)
            else:
                if not isinstance(key, str):
                    key = key.value(run)
                    if isinstance(key, str):
                        run.spend(len(key) >> 3)
                value = lookup(value, key)
                if strict and value is MISSING:
                    raise missing(step.written, self.line)
        return value


def missing(name: str, line: int) -> Fault:
    return Fault(Reason("value_missing", name=name), name=name, line=line)


@dataclass(frozen=True, slots=True)
class Filtered(Node):
    """`base|name(args, key=named)`."""

    base: Node
    name: str
    args: tuple[Node, ...]
    named: tuple[tuple[str, Node], ...]

    def maybe(self, run: Evaluation) -> Any:
        lenient = self.name in ("default", "d")
        value = self.base.maybe(run) if lenient else self.base.value(run)
        args = [arg.value(run) for arg in self.args]
        named = {name: arg.value(run) for name, arg in self.named}
        return FILTERS[self.name](run, value, *args, **named)

    def value(self, run: Evaluation) -> Any:
        found = self.maybe(run)
        if found is MISSING:
            raise Fault(Reason("list_empty", name=self.name))
        return found


@dataclass(frozen=True, slots=True)
class IsTest(Node):
    """`base is name`, `base is not name`."""

    base: Node
    name: str
    args: tuple[Node, ...]
    negated: bool

    def value(self, run: Evaluation) -> Any:
        value = self.base.maybe(run) if self.name in ("defined", "undefined") else self.base.value(run)
        return TESTS[self.name](run, value, *(arg.value(run) for arg in self.args)) is not self.negated


@dataclass(frozen=True, slots=True)
class Compared(Node):
    """`a < b <= c`: every neighbouring pair holds."""

    first: Node
    rest: tuple[tuple[str, Node], ...]

    def value(self, run: Evaluation) -> Any:
        left = self.first.value(run)
        for operator, node in self.rest:
            right = node.value(run)
            if not compare(run, left, operator, right):
                return False
            left = right
        return True


@dataclass(frozen=True, slots=True)
class Calculated(Node):
    """Operators of the same precedence, from left to right."""

    first: Node
    rest: tuple[tuple[str, Node], ...]

    def value(self, run: Evaluation) -> Any:
        total = self.first.value(run)
        for operator, node in self.rest:
            right = node.value(run)
            total = glue(run, total, right) if operator == "~" else calculate(run, total, operator, right)
        return total


@dataclass(frozen=True, slots=True)
class Negative(Node):
    """`-operand`."""

    operand: Node

    def value(self, run: Evaluation) -> Any:
        found = self.operand.value(run)
        if not is_number(found):
            raise Fault(Reason("number_needed", operator="-", kind=kind(found)))
        return -found


@dataclass(frozen=True, slots=True)
class Not(Node):
    """`not operand`: the opposite of its truth."""

    operand: Node

    def value(self, run: Evaluation) -> Any:
        return not truth(self.operand.value(run))


@dataclass(frozen=True, slots=True)
class Joined(Node):
    """`and` or `or`: as in Jinja the value that decides, the rest not looked at. `spans`: each operand's place in the
    source."""

    operands: tuple[Node, ...]
    stops_at: bool
    spans: tuple[tuple[int, int], ...]

    def value(self, run: Evaluation) -> Any:
        found: Any = None
        for operand in self.operands:
            found = operand.value(run)
            if truth(found) is self.stops_at:
                break
        return found


@dataclass(frozen=True, slots=True)
class Chosen(Node):
    """`then if condition else otherwise`."""

    condition: Node
    then: Node
    otherwise: Node

    def value(self, run: Evaluation) -> Any:
        return (self.then if truth(self.condition.value(run)) else self.otherwise).value(run)

    def maybe(self, run: Evaluation) -> Any:
        return (self.then if truth(self.condition.value(run)) else self.otherwise).maybe(run)
