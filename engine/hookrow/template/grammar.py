"""Reads the expressions of bodies and conditions: a documented part of Jinja's language.

    names        order.items[0].sku, order["a-b"], order.comment[:100]; reserved: payload, webhook, loop
    literals     1, 2.5, "text", 'text', true, false, none (or null), [1, "two"] (scalars only)
    operators    or, and, not; == != < <= > >= in, not in, also chained; + - * / // %; ~ (joins texts); a if b else c
    filters      value|name(arguments): `hookrow.template.filters.FILTERS`
    tests        value is [not] name: `hookrow.template.filters.TESTS`

There are no calls, no methods, no attributes: a name reaches a key of the payload and nothing else. Precedence is
Jinja's. What differs from Jinja does so on purpose: `<` and the like take only two numbers or two texts,
`true` is never equal to 1, arithmetic is for numbers only, and numbers of any length stay exact.
"""

from __future__ import annotations

import inspect
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hookrow.lang import Text
from hookrow.reasons.reason import Reason
from hookrow.template.expression import (
    Access,
    Calculated,
    Chosen,
    Compared,
    Filtered,
    IsTest,
    Joined,
    Literal,
    Name,
    Negative,
    Node,
    Not,
    Part,
    PathStep,
    Several,
)
from hookrow.template.filters import FILTERS, TESTS
from hookrow.template.values import Fault

__all__ = ["DEEPEST", "WORDS", "Reader", "Token"]

DEEPEST: Final = 20
"""Levels of nesting that an expression may have; keeps reading and evaluating far from Python's recursion limit."""

TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<end>-?[%}]\})
    |(?P<float>\d{1,300}(?:\.\d{1,300}(?:[eE][+-]?\d{1,3})?|[eE][+-]?\d{1,3}))
    |(?P<int>\d{1,300})
    |(?P<name>[^\W\d]\w*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<sign>==|!=|<=|>=|//|[-+*/%~<>()\[\].,|:=])""",
    re.VERBOSE | re.DOTALL,
)
ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
LITERALS: Final[Mapping[str, object]] = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "none": None,
    "None": None,
    "null": None,
}
WORDS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else", *LITERALS})
COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
NAMED: Final = re.compile(r"\s*=(?!=)")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the language; `kind` is a group of TOKEN, or `stop` after the last one. `start`, `end` are offsets."""

    kind: str
    text: str
    start: int
    end: int


class Reader:
    """Reads expressions out of a source, from any place in it.

    `nodes` counts what was read, `names` are the bare ones among it.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.breaks: Final = [found.start() for found in re.finditer("\n", source)]
        self.nodes: int = 0
        self.names: set[str] = set()
        self.depth: int = 0
        self.token: Token = Token("stop", "", 0, 0)
        self.past: int = 0
        """Where the last word that was stepped over ends."""

    def line(self, offset: int) -> int:
        """The line of an offset, from 1."""
        return bisect_right(self.breaks, offset - 1) + 1

    def column(self, offset: int) -> int:
        """The column of an offset in its line, from 1."""
        return offset - self.source.rfind("\n", 0, offset)

    def fault(self, text: Text, offset: int | None = None) -> Fault:
        """A fault at an offset, or at the current word."""
        offset = self.token.start if offset is None else offset
        return Fault(text, line=self.line(offset), column=self.column(offset))

    def start(self, offset: int) -> None:
        """Go to an offset and read the word there. Raises Fault for what is no word."""
        while True:
            if offset >= len(self.source):
                self.token = Token("stop", "", len(self.source), len(self.source))
                return
            found = TOKEN.match(self.source, offset)
            if found is None:
                raise self.fault(Reason("sign_misplaced", sign=self.source[offset]), offset)
            offset = found.end()
            if found.lastgroup != "space":
                self.token = Token(str(found.lastgroup), found.group(), found.start(), found.end())
                return

    def advance(self) -> Token:
        """The current word; the next one becomes current."""
        token = self.token
        self.past = token.end
        self.start(token.end)
        return token

    def at(self, *texts: str) -> bool:
        """Whether the current word is one of these signs or words (a text in quotes is neither)."""
        return self.token.kind in ("sign", "name") and self.token.text in texts

    def take(self, *texts: str) -> bool:
        """PathStep over the current word if it is one of these."""
        if self.at(*texts):
            self.advance()
            return True
        return False

    def expect(self, text: str) -> Token:
        """PathStep over this sign or word. Raises Fault if another stands here."""
        if not self.at(text):
            raise self.unexpected(text)
        return self.advance()

    def unexpected(self, wanted: str = "") -> Fault:
        found = self.token.text
        if self.token.kind == "stop" or self.token.kind == "end":
            return self.fault(Reason("expression_incomplete"))
        if wanted:
            return self.fault(Reason("other_sign_wanted", wanted=wanted, found=found))
        return self.fault(Reason("sign_misplaced", sign=found))

    def name(self) -> Token:
        """PathStep over a name that is no word of the language. Raises Fault for anything else."""
        if self.token.kind != "name" or self.token.text in WORDS:
            raise self.unexpected()
        return self.advance()

    def expression(self) -> Node:
        """Read one expression. Raises Fault."""
        self.deepen()
        node = self.either()
        if self.take("if"):
            condition = self.either()
            self.expect("else")
            node = Chosen(node.line, condition, node, self.expression())
        self.depth -= 1
        return node

    def deepen(self) -> None:
        self.nodes += 1
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fault(Reason("template_too_deep"))

    def either(self) -> Node:
        """An expression without `… if … else`: what a loop's list is."""
        return self.joined("or", self.both)

    def both(self) -> Node:
        return self.joined("and", self.negation)

    def joined(self, word: str, operand: Callable[[], Node]) -> Node:
        """Operands with this word between them; each with its place in the source."""
        operands, spans = [], []
        while True:
            start = self.token.start
            operands.append(operand())
            spans.append((start, self.past))
            if not self.take(word):
                break
        return (
            operands[0] if len(operands) == 1 else Joined(operands[0].line, tuple(operands), word == "or", tuple(spans))
        )

    def negation(self) -> Node:
        if not self.at("not"):
            return self.comparison()
        self.deepen()
        line = self.line(self.advance().start)
        node = Not(line, self.negation())
        self.depth -= 1
        return node

    def comparison(self) -> Node:
        first = self.sum()
        rest: list[tuple[str, Node]] = []
        while True:
            if self.take("not"):
                self.expect("in")
                operator = "not in"
            elif self.at(*COMPARISONS):
                operator = self.advance().text
            else:
                break
            rest.append((operator, self.sum()))
        return Compared(first.line, first, tuple(rest)) if rest else first

    def sum(self) -> Node:
        first = self.concatenation()
        rest: list[tuple[str, Node]] = []
        while self.at("+", "-"):
            rest.append((self.advance().text, self.concatenation()))
        return Calculated(first.line, first, tuple(rest)) if rest else first

    def concatenation(self) -> Node:
        first = self.product()
        rest: list[tuple[str, Node]] = []
        while self.at("~"):
            rest.append((self.advance().text, self.product()))
        return Calculated(first.line, first, tuple(rest)) if rest else first

    def product(self) -> Node:
        first = self.filtered()
        rest: list[tuple[str, Node]] = []
        while self.at("*", "/", "//", "%"):
            rest.append((self.advance().text, self.filtered()))
        return Calculated(first.line, first, tuple(rest)) if rest else first

    def filtered(self) -> Node:
        """A value with its filters and tests; they bind tighter than any operator but a sign."""
        node = self.signed()
        depth = self.depth
        while True:
            if self.take("|"):
                node = self.filter(node)
            elif self.take("is"):
                node = self.test(node)
            else:
                self.depth = depth
                return node
            self.deepen()

    def filter(self, base: Node) -> Node:
        word = self.name()
        if word.text not in FILTERS:
            raise self.fault(Reason("no_such_filter", name=word.text), word.start)
        args: list[Node] = []
        named: list[tuple[str, Node]] = []
        if self.take("("):
            while not self.at(")"):
                if self.token.kind == "name" and NAMED.match(self.source, self.token.end):
                    keyword = self.name().text
                    self.expect("=")
                    named.append((keyword, self.expression()))
                elif named:
                    raise self.unexpected()
                else:
                    args.append(self.expression())
                if not self.at(")"):
                    self.expect(",")
            self.advance()
        try:
            bound = inspect.signature(FILTERS[word.text]).bind(None, None, *args, **dict(named)).arguments
        except TypeError:
            raise self.fault(Reason("other_arguments", name=word.text), word.start) from None
        attribute = bound.get("attribute", Literal(1, ""))
        if not isinstance(attribute, Literal) or not isinstance(attribute.constant, str):
            # Errors name the attribute, so it may not come out of a payload.
            raise self.fault(Reason("attribute_not_quoted"), word.start)
        return Filtered(self.line(word.start), base, word.text, tuple(args), tuple(named))

    def test(self, base: Node) -> Node:
        negated = self.take("not")
        if self.token.kind != "name" or self.token.text not in TESTS:
            raise self.fault(Reason("no_such_test", name=self.token.text))
        word = self.advance()
        wanted = len(inspect.signature(TESTS[word.text]).parameters) > 2
        args = (self.signed(),) if wanted else ()
        return IsTest(self.line(word.start), base, word.text, args, negated)

    def signed(self) -> Node:
        if not self.at("-", "+"):
            return self.path()
        self.deepen()
        sign = self.advance()
        operand = self.signed()
        self.depth -= 1
        return Negative(self.line(sign.start), operand) if sign.text == "-" else operand

    def path(self) -> Node:
        """A primary value and the keys after it."""
        first = self.token.start
        base = self.primary()
        steps: list[PathStep] = []
        while self.at(".", "["):
            if self.take("."):
                if self.token.kind != "name":
                    raise self.unexpected()
                word = self.advance()
                key: str | Node | Part = word.text
                end = word.end
            else:
                self.advance()
                key = self.key()
                end = self.expect("]").end
            steps.append(PathStep(key, " ".join(self.source[first:end].split())))
            self.nodes += 1
        if self.at("("):
            raise self.fault(Reason("no_calls"))
        return Access(base.line, base, tuple(steps)) if steps else base

    def key(self) -> str | Node | Part:
        """What stands in brackets: a key, an index, or the bounds of a part."""
        line = self.line(self.token.start)
        start = None if self.at(":") else self.expression()
        if self.take(":"):
            return Part(line, start, None if self.at("]") else self.expression())
        assert start is not None
        return start.constant if isinstance(start, Literal) and isinstance(start.constant, str) else start

    def primary(self) -> Node:
        self.nodes += 1
        token = self.token
        line = self.line(token.start)
        if token.kind == "name" and token.text in LITERALS:
            return Literal(line, LITERALS[self.advance().text])
        match token.kind:
            case "name":
                name = self.name().text
                self.names.add(name)
                return Name(line, name)
            case "int":
                return Literal(line, int(self.advance().text))
            case "float":
                return Literal(line, self.number())
            case "string":
                return Literal(line, self.string())
        if self.take("("):
            node = self.expression()
            self.expect(")")
            return node
        if self.take("["):
            items: list[Node] = []
            while not self.at("]"):
                items.append(self.expression())
                if not self.at("]"):
                    self.expect(",")
            self.advance()
            return Several(line, tuple(items))
        raise self.unexpected()

    def number(self) -> float:
        value = float(self.token.text)
        if value == float("inf"):
            raise self.fault(Reason("number_too_large"))
        self.advance()
        return value

    def string(self) -> str:
        token = self.token

        def unescape(found: re.Match[str]) -> str:
            mark = found[1]
            if len(mark) == 5:
                return chr(int(mark[1:], 16))
            if mark not in ESCAPED:
                raise self.fault(Reason("escape_unknown", mark=mark), token.start)
            return ESCAPED[mark]

        value = ESCAPE.sub(unescape, token.text[1:-1])
        self.advance()
        return value

    def conclude(self) -> None:
        """Nothing may stand after the expression. Raises Fault."""
        if self.token.kind != "stop":
            raise self.unexpected()
