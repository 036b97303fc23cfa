"""The statements of a body, read with an eye on JSON: what is written outside braces, and `{{ }}`, `{% %}`, `{# #}`.

Statements are `if`, `elif`, `else`, `for … in … [if …]`, `set x = …` and their ends. A value outside quotes is written
as JSON, one inside quotes as an escaped piece of that text; so the reader follows the quotes of the written text, and
refuses whatever would leave them in doubt: a quote that is not closed, a branch or loop that opens or closes one
unevenly, a value after a half-written escape or glued to other characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hookrow.hook.local_time import LocalTime
from hookrow.lang import Text
from hookrow.reasons.reason import Reason
from hookrow.template.expression import Evaluation, Node
from hookrow.template.grammar import DEEPEST, WORDS, Reader
from hookrow.template.values import Fault, encode, is_list, kind, truth, weigh

__all__ = ["Page", "PlainText", "Statement", "Value", "read_body", "render_all"]

OPENING: Final = re.compile(r"\{([{%#])(-?)")
QUOTED: Final = re.compile(r'(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
RESERVED: Final = frozenset({"payload", "webhook", "loop"})


class Page(Evaluation):
    """What one rendering has written so far, in pieces.

    Each is its text; what stands for it in the outline, a value's `0` or `""`, since whether that is JSON need not be
    asked; the line and column that it comes from; and whether it is the template's own.
    """

    __slots__ = ("pieces", "size", "text")
    fuel: int

    def __init__(
        self,
        payload: Mapping[str, Any],
        webhook: Mapping[str, Any],
        *,
        fuel: int,
        limit: int,
        text: str | None = None,
        moment: LocalTime | None = None,
    ) -> None:
        super().__init__(payload, webhook, fuel=fuel, limit=limit, moment=moment)
        self.pieces: list[tuple[str, str, int, int, bool]] = []
        self.size: int = 0
        self.text: str | None = text
        """The payload's JSON, where it is known."""

    def write(self, text: str, line: int, column: int = 1, *, stands_for: str | None = None) -> None:
        """Add a piece; of a value with what stands for it in the outline. Raises Fault beyond the limit."""
        length = len(text)
        self.size += length
        self.fuel -= length >> 3
        if self.size > self.limit or self.fuel < 0:  # asked here, since every piece of every body comes by
            self.fit(self.size)
            self.spend(0)
        literal = stands_for is None
        self.pieces.append((text, text if stands_for is None else stands_for, line, column, literal))

    def written(self) -> str:
        """The whole text."""
        return "".join([piece[0] for piece in self.pieces])

    def outline(self) -> str:
        """The same with something plain in the place of each value."""
        return "".join([piece[1] for piece in self.pieces])

    def place_at(self, offset: int) -> tuple[int, int]:
        """The template's line and column that an offset of the outline comes from; of a value its braces'."""
        for _, text, line, column, literal in self.pieces:
            if offset < len(text):
                breaks = text.count("\n", 0, offset) if literal else 0
                if breaks:
                    return line + breaks, offset - text.rfind("\n", 0, offset)
                return line, column + offset if literal else column
            offset -= len(text)
        return self.pieces[-1][2:4] if self.pieces else (1, 1)


@dataclass(frozen=True, slots=True)
class Statement:
    """A part of a body. `line` is where it begins, from 1; `cost` the steps that it takes once."""

    line: int
    cost: int

    def render(self, page: Page) -> None:
        """Write it. Raises Fault, whose line is set."""
        try:
            page.fuel -= self.cost
            if page.fuel < 0:
                page.spend(0)
            self.act(page)
        except Fault as fault:
            fault.line = fault.line or self.line
            raise

    def act(self, page: Page) -> None:
        raise NotImplementedError


def render_all(statements: Sequence[Statement], page: Page) -> None:
    """Write statements one after another. Raises Fault, whose line is set."""
    for statement in statements:
        statement.render(page)


@dataclass(frozen=True, slots=True)
class PlainText(Statement):
    """Text that is sent as it stands."""

    text: str
    column: int

    def act(self, page: Page) -> None:
        page.write(self.text, self.line, self.column)


@dataclass(frozen=True, slots=True)
class Value(Statement):
    """`{{ … }}`: JSON outside quotes, an escaped piece of the text inside; there all but texts are their JSON."""

    node: Node
    inside: bool
    column: int

    def act(self, page: Page) -> None:
        found = self.node.value(page)
        if isinstance(found, str):
            page.fit(page.size + len(found))
        if page.text is not None and found is page.payload:
            weigh(page, found)
            text = page.text
        else:
            text = encode(page, found)
        if self.inside:
            text = (text if isinstance(found, str) else encode(page, text))[1:-1]
        empty = '""' if isinstance(found, str) else "0"
        page.write(text, self.line, self.column, stands_for="" if self.inside else empty)


@dataclass(frozen=True, slots=True)
class Branches(Statement):
    """`if`, `elif`, `else`: the first whose condition is true; no condition is `else`."""

    branches: tuple[tuple[Node | None, tuple[Statement, ...]], ...]

    def act(self, page: Page) -> None:
        for condition, statements in self.branches:
            if condition is None or truth(condition.value(page)):
                render_all(statements, page)
                return


@dataclass(frozen=True, slots=True)
class Loop(Statement):
    """`for`: the elements of a list, the keys of an object. What is set inside is gone after each round."""

    variable: str
    source: Node
    only: Node | None
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]

    def act(self, page: Page) -> None:
        found = self.source.value(page)
        if not is_list(found) and not isinstance(found, Mapping):
            raise Fault(Reason("for_needs_list", kind=kind(found)))
        outer = page.local
        items = list(found)
        page.spend(len(items))
        try:
            if self.only is not None:
                items = [item for item in items if self.wanted(page, outer, item)]
            for index, item in enumerate(items):
                page.local = {**outer, self.variable: item, "loop": position(index, len(items))}
                page.spend(30 + 2 * len(page.local))
                render_all(self.body, page)
        finally:
            page.local = outer
        if not items:
            render_all(self.otherwise, page)

    def wanted(self, page: Page, outer: Mapping[str, Any], item: object) -> bool:
        assert self.only is not None
        page.spend(self.cost)
        page.local = {**outer, self.variable: item}
        return truth(self.only.value(page))


def position(index: int, length: int) -> dict[str, Any]:
    """What a loop's body knows of its place: index and index0, first, last, length."""
    return {"index": index + 1, "index0": index, "first": index == 0, "last": index + 1 == length, "length": length}


@dataclass(frozen=True, slots=True)
class Assigned(Statement):
    """`{% set x = … %}`."""

    variable: str
    node: Node

    def act(self, page: Page) -> None:
        page.local[self.variable] = self.node.value(page)


def read_body(source: str) -> tuple[tuple[Statement, ...], frozenset[str]]:
    """The statements of a body, and the names that it reads. Raises Fault, whose line is set."""
    body = BodyReader(source)
    statements, _ = body.block(frozenset(), Reason("statement_body"))
    if body.inside:
        raise Fault(Reason("quote_not_closed"), line=body.reader.line(body.quote))
    return statements, frozenset(body.reader.names)


class BodyReader:
    """Goes through a source once. `inside` says whether the text written so far has an open quote, `quote` where."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.reader: Final = Reader(source)
        self.offset: int = 0
        self.inside: bool = False
        self.quote: int = 0
        self.trim: bool = False  # the tag before ended in `-`
        self.before: str = ""  # the last character written before this place, outside quotes; "" after a statement
        self.value_before: bool = False  # a value stands right before this place, outside quotes
        self.nested: int = 0

    def block(self, ends: frozenset[str], opener: Text) -> tuple[tuple[Statement, ...], str]:
        """Statements up to one of these words, and that word; to the end of the source if there are none."""
        self.nested += 1
        if self.nested > DEEPEST:
            raise self.reader.fault(Reason("template_too_deep"), self.offset)
        begin = self.offset
        statements: list[Statement] = []
        while True:
            tag = OPENING.search(self.source, self.offset)
            statements.extend(self.written(tag.start() if tag else len(self.source), cut=bool(tag and tag[2])))
            if tag is None:
                if ends:
                    raise self.reader.fault(Reason("statement_not_ended", statement=opener), max(begin - 1, 0))
                word = ""
                break
            if tag[1] == "#":
                self.comment(tag)
                continue
            self.reader.start(tag.end())
            if tag[1] == "{":
                statements.append(self.value(tag.start()))
                continue
            self.before, self.value_before = "", False
            word = self.word()
            if word in ends:
                break
            statements.append(self.statement(word, tag.start()))
            self.before, self.value_before = "", False
        self.nested -= 1
        return tuple(statements), word

    def written(self, end: int, *, cut: bool) -> list[Statement]:
        """The text up to an offset, if any; follows its quotes. `cut`: white space before the tag there goes."""
        start, self.offset = self.offset, end
        text = self.source[start:end]
        if self.trim:
            text = text.lstrip()
            start = end - len(text)
        self.trim = False
        if cut:
            text = text.rstrip()
        if not text:
            return []
        self.neighbours(text, start)
        self.follow(text, start)
        cost = 12 + 12 * text.count("[") + 8 * text.count("{") + 3 * text.count(",")  # it is read as JSON at the end
        return [PlainText(self.reader.line(start), cost, text, self.reader.column(start))]

    def neighbours(self, text: str, start: int) -> None:
        """Outside quotes a value stands alone between the signs of JSON: `7{{ x }}` would be another number."""
        shown = text.strip()
        if self.inside or not shown:
            return
        if self.value_before and shown[0] not in ",:]}":
            raise self.reader.fault(Reason("value_followed_by", sign=shown[0]), start)
        self.value_before = False

    def follow(self, text: str, start: int) -> None:
        at = 0
        while at < len(text):
            if not self.inside:
                opens = text.find('"', at)
                if opens < 0:
                    break
                self.inside, self.quote, at = True, start + opens, opens + 1
                continue
            at = self.quoted_end(text, at)
            if at == len(text):
                return
            if text[at] == "\\":
                raise self.reader.fault(Reason("json_escape_unknown"), start + at)
            if text[at] != '"':
                raise self.reader.fault(Reason("line_break_in_quotes"), start + at)
            self.inside, at = False, at + 1
        self.before = text.rstrip()[-1:] or self.before

    def quoted_end(self, text: str, at: int) -> int:
        found = QUOTED.match(text, at)
        assert found is not None
        return found.end()

    def comment(self, tag: re.Match[str]) -> None:
        end = self.source.find("#}", tag.end())
        if end < 0:
            raise self.reader.fault(Reason("comment_not_ended"), tag.start())
        self.trim = self.source[end - 1] == "-" and end > tag.end()
        self.offset = end + 2

    def close(self, sign: str) -> None:
        """Here the tag must end."""
        token = self.reader.token
        if token.kind != "end" or not token.text.endswith(sign):
            if token.kind == "end":
                raise self.reader.fault(Reason("other_sign_wanted", wanted=sign, found=token.text))
            raise self.reader.unexpected(sign)
        self.trim = token.text.startswith("-")
        self.offset = token.end

    def value(self, start: int) -> Value:
        if not self.inside:
            if self.value_before:
                raise self.reader.fault(Reason("values_adjacent"), start)
            if self.before and self.before not in "{[,:":
                raise self.reader.fault(Reason("value_follows", sign=self.before), start)
            self.before, self.value_before = "", True
        counted = self.reader.nodes
        node = self.reader.expression()
        self.close("}}")
        cost = self.price(counted)
        return Value(self.reader.line(start), cost, node, self.inside, self.reader.column(start))

    def price(self, counted: int) -> int:
        """The steps of a statement whose expressions are all parts that were read after so many."""
        return 12 + 8 * (self.reader.nodes - counted)

    def word(self) -> str:
        token = self.reader.token
        if token.kind != "name":
            raise self.reader.unexpected()
        return self.reader.advance().text

    def statement(self, word: str, start: int) -> Statement:
        match word:
            case "if":
                return self.branches(start)
            case "for":
                return self.loop(start)
            case "set":
                return self.assignment(start)
        raise self.reader.fault(Reason("no_such_statement", word=word), start)

    def condition(self) -> Node:
        node = self.reader.expression()
        self.close("%}")
        return node

    def branches(self, start: int) -> Branches:
        line, counted = self.reader.line(start), self.reader.nodes
        opened = self.inside
        found: list[tuple[Node | None, tuple[Statement, ...]]] = []
        afterwards: set[bool] = set()
        condition: Node | None = self.condition()
        cost = self.price(counted)
        while True:
            self.inside = opened
            ends = frozenset({"endif"} if condition is None else {"elif", "else", "endif"})
            statements, word = self.block(ends, Reason("statement_if"))
            found.append((condition, statements))
            afterwards.add(self.inside)
            if word == "endif":
                break
            counted = self.reader.nodes
            if word == "elif":
                condition = self.condition()
            else:
                condition = None
                self.close("%}")
            cost += self.price(counted)
        self.close("%}")
        if condition is not None:
            afterwards.add(opened)  # no branch at all may be taken
        self.even(afterwards, start)
        return Branches(line, cost, tuple(found))

    def even(self, afterwards: set[bool], start: int) -> None:
        if len(afterwards) > 1:
            raise self.reader.fault(Reason("branches_differ"), start)

    def variable(self) -> str:
        word = self.reader.token.text
        if word in RESERVED or word in WORDS:
            raise self.reader.fault(Reason("name_reserved", name=word))
        return self.reader.name().text

    def loop(self, start: int) -> Loop:
        line, counted, opened = self.reader.line(start), self.reader.nodes, self.inside
        variable = self.variable()
        self.reader.expect("in")
        source = self.reader.either()
        only = self.reader.expression() if self.reader.take("if") else None
        self.close("%}")
        cost = self.price(counted)
        body, word = self.block(frozenset({"else", "endfor"}), Reason("statement_for"))
        afterwards = {opened, self.inside}
        otherwise: tuple[Statement, ...] = ()
        if word == "else":
            self.close("%}")
            self.inside = opened
            otherwise, _ = self.block(frozenset({"endfor"}), Reason("statement_for"))
            afterwards.add(self.inside)
        self.close("%}")
        self.even(afterwards, start)
        return Loop(line, cost, variable, source, only, body, otherwise)

    def assignment(self, start: int) -> Assigned:
        counted = self.reader.nodes
        variable = self.variable()
        self.reader.expect("=")
        node = self.reader.expression()
        self.close("%}")
        return Assigned(self.reader.line(start), self.price(counted), variable, node)
