"""The body's and the condition's language (docs/templates.md): compiled once, rendered or tested on each payload.

    view = prepare(payload)                                   # once a firing
    Condition.compile("order.sum > 1000").test(view, webhook)
    Body.compile('{"id": {{ order.id }}, "note": "{{ order.comment }}"}').render(view, webhook)

Names are the payload's own top-level keys, `payload` for the whole, and `webhook.id`, `.type`, `.timestamp`, `.result`
(leave `result` out of the mapping where no earlier hook gave one, so that `webhook.result is defined` tells), and
`now.hour`, `.weekday`, `.date` where the view has a moment and the payload no key `now`. What the
language holds is said in `hookrow.template.grammar` and `hookrow.template.body`.

A value outside quotes becomes a JSON value, inside quotes an escaped piece of the text; whatever the payload holds,
what comes out is JSON or an error. Errors name the line and the missing name, never a value. Nothing is changed or
called, and work and length are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Literal, NoReturn

import orjson

from hookrow.errors import InvalidTemplate
from hookrow.hook.local_time import NOW, LocalTime
from hookrow.reasons.reason import Reason
from hookrow.template.body import Page, Statement, read_body, render_all
from hookrow.template.expression import Evaluation, Joined, Node
from hookrow.template.flat import Flat
from hookrow.template.grammar import Reader
from hookrow.template.values import Fault, kind, truth

__all__ = [
    "FUEL",
    "SAMPLE_WEBHOOK",
    "Body",
    "Condition",
    "View",
    "check_body",
    "check_condition",
    "prepare",
    "preview_body",
    "reads_now",
]

FUEL: Final = 1_000_000
"""Steps that one rendering or test may take: some 40 ms of one core. A body of a thousand items takes a tenth."""

LIMIT: Final = 1_048_576
"""The longest result in bytes where the setting `payload_limit` is not given; also that of a text in a condition."""

REMEMBERED: Final = 256
NEAR: Final = 200
SUGGESTED: Final = 4
"""Names that are said to be there in the place of a missing one."""
PLAIN: Final = re.compile(r"[^\W\d]\w*")
SURROGATE: Final = re.compile("[\ud800-\udfff]")

SAMPLE_WEBHOOK: Final = {"id": "evt_0", "type": "sample", "timestamp": "2026-01-01T00:00:00Z"}
"""What `webhook` is when a template is tried out: no result, as for the first hook of a row."""


@dataclass(slots=True)
class View:
    """A payload as bodies and conditions see it. It is only read: the caller's payload stays as it is."""

    payload: Mapping[str, Any]
    text: str | None = None
    moment: LocalTime | None = None


def prepare(payload: Mapping[str, Any], text: str | None = None, moment: LocalTime | None = None) -> View:
    """The view of a payload: plain JSON data, checked before. Costs nothing; make one whenever the payload changes.

    `text` is its JSON, where that is known; `moment` what `now` means.
    """
    return View(payload, text, moment)


def refuse_constant(_text: str) -> NoReturn:
    raise ValueError


# Numbers are not built, only seen: no length of theirs is refused, and nothing is lost.
CHECKER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=refuse_constant)


def is_json(text: str) -> bool:
    """Whether a strict and quick reader takes it; what it refuses is `check`'s to judge."""
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def fits(text: str, limit: int) -> bool:
    """Whether UTF-8 can hold the text, in so many bytes."""
    try:
        return len(text.encode()) <= limit
    except UnicodeEncodeError:
        return False


def check(text: str) -> None:
    """Raises ValueError, RecursionError: the text is no JSON."""
    if not is_json(text):  # or more than orjson reads: halves of surrogate pairs, a thousand levels
        CHECKER.decode(text)


@dataclass(frozen=True, slots=True)
class Body:
    """A compiled body."""

    source: str
    statements: tuple[Statement, ...]
    names: frozenset[str] = frozenset()
    """The names that it reads."""
    flat: Flat | None = None
    """The same, where it is text and values alone."""

    @classmethod
    def compile(cls, source: str) -> Body:
        """Read a body; the latest ones are remembered.

        Raises:
            InvalidTemplate: with code template_error, naming the line.
        """
        return compiled_body(source)

    def render(self, view: View, webhook: Mapping[str, Any], *, limit: int = LIMIT) -> str:
        """The body for this payload: JSON text, whose UTF-8 is sent as it stands. `limit` in bytes.

        Raises:
            InvalidTemplate: with code template_error: a name is missing, a kind does not fit, what comes out is not
                JSON, too long or too much work.
        """
        try:
            return self.draw(view, webhook, limit)
        except Fault as fault:
            raise refusal(fault, self.source, "body") from None

    def draw(self, view: View, webhook: Mapping[str, Any], limit: int) -> str:
        if self.flat is not None:
            page = Page(view.payload, webhook, fuel=FUEL, limit=limit, text=view.text, moment=view.moment)
            made = self.flat.write(page)
            if made is not None and is_json(made[1]) and (made[0].isascii() or fits(made[0], limit)):
                return made[0]
        page = Page(view.payload, webhook, fuel=FUEL, limit=limit, text=view.text, moment=view.moment)
        render_all(self.statements, page)
        text = page.written()
        try:
            size = len(text.encode())
        except UnicodeEncodeError:  # half a surrogate pair: JSON can carry it escaped, UTF-8 can't
            text = SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
            size = len(text.encode())
        page.fit(size)
        outline = page.outline()
        try:
            check(outline)
        except json.JSONDecodeError as broken:
            at = broken.pos + broken.msg.startswith("Illegal trailing comma")  # from 3.13 on it points at the comma
            at, reason = what_is_wrong(outline, at, over=broken.msg == "Extra data")
            line, column = page.place_at(at)
            raise Fault(reason, line=line, column=column) from None
        except (ValueError, RecursionError):
            raise Fault(Reason("output_not_json")) from None
        return text


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    source: str
    node: Node
    names: frozenset[str] = frozenset()
    """The names that it reads."""

    @classmethod
    def compile(cls, source: str) -> Condition:
        """Read a condition; the latest ones are remembered.

        Raises:
            InvalidTemplate: with code condition_error.
        """
        return compiled_condition(source)

    def test(self, view: View, webhook: Mapping[str, Any]) -> bool:
        """Whether the condition holds for this payload.

        Raises:
            InvalidTemplate: with code condition_error: it gives neither true nor false, a name is missing, a kind does
                not fit, too much work.
        """
        try:
            return self.decide(view, webhook)
        except Fault as fault:
            raise refusal(fault, self.source, "condition") from None

    def decide(self, view: View, webhook: Mapping[str, Any]) -> bool:
        found = self.node.value(Evaluation(view.payload, webhook, fuel=FUEL, limit=LIMIT, moment=view.moment))
        if isinstance(found, bool):
            return found
        raise Fault(Reason("condition_gives", kind=kind(found)))

    def unmet(self, view: View, webhook: Mapping[str, Any]) -> tuple[str, ...]:
        """The parts that make the condition false for this payload, as they are written; none where it holds.

        Of an `and` each part that is false and can be judged, of an `or` all of its parts; else the condition itself.

        Raises:
            InvalidTemplate: as `test`.
        """
        if self.test(view, webhook):
            return ()
        run = Evaluation(view.payload, webhook, fuel=FUEL, limit=LIMIT, moment=view.moment)
        whole = self.source.strip()
        return tuple(dict.fromkeys(false_parts(self.node, whole, self.source, run))) or (whole,)


def false_parts(node: Node, written: str, source: str, run: Evaluation) -> Iterator[str]:
    """The innermost parts of a false expression that are false themselves."""
    if not isinstance(node, Joined):
        yield written
        return
    for operand, (start, end) in zip(node.operands, node.spans, strict=True):
        try:
            holds = truth(operand.value(run))
        except Fault:  # an `and` that is false without it does not look at it
            continue
        if not holds:
            yield from false_parts(operand, source[start:end], source, run)


@lru_cache(REMEMBERED)
def compiled_body(source: str) -> Body:
    try:
        statements, names = read_body(source)
    except Fault as fault:
        raise refusal(fault, source, "body") from None
    return Body(source, statements, names, Flat.of(statements))


@lru_cache(REMEMBERED)
def compiled_condition(source: str) -> Condition:
    reader = Reader(source)
    try:
        reader.start(0)
        node = reader.expression()
        reader.conclude()
    except Fault as fault:
        raise refusal(fault, source, "condition") from None
    return Condition(source, node, frozenset(reader.names))


def reads_now(body: str, condition: str) -> bool:
    """Whether a body or a condition reads the name `now`. One that can't be compiled reads nothing."""
    try:
        return (bool(body) and NOW in Body.compile(body).names) or (
            bool(condition) and NOW in Condition.compile(condition).names
        )
    except InvalidTemplate:
        return False


def refusal(fault: Fault, source: str, field: Literal["body", "condition"]) -> InvalidTemplate:
    """The fault as the engine raises it. A condition of one line, as they mostly are, needs no line number."""
    text, column = fault.text, fault.column
    if fault.name is not None and fault.line is not None and column is None:
        column = source.split("\n")[fault.line - 1].find(fault.name) + 1 or None
    if fault.line is not None and (field == "body" or "\n" in source):
        text = Reason("template_line", line=fault.line, reason=text)
    code = "template_error" if field == "body" else "condition_error"
    return InvalidTemplate(code, text, field=field, line=fault.line, column=column, reason=fault.text)


def what_is_wrong(text: str, at: int, *, over: bool) -> tuple[int, Reason]:
    """Where and why a text is no JSON, in words for its writer, from the place at which a reader of JSON gave up.

    Args:
        over: whether a whole value stands before that place.
    """
    here = len(text) - len(text[at:].lstrip()) if at < len(text) else at
    before = len(text[:here].rstrip()) - 1
    last, sign = text[before : before + 1], text[here : here + 1]
    if not text.strip():
        return 0, Reason("json_nothing")
    if not sign:
        return max(before, 0), Reason("json_ends_early")
    if over:
        return here, Reason("json_too_many", sign=sign)
    if last == "," and sign in "}]":
        return before, Reason("json_comma_before", sign=sign)
    if last == ":" and sign in ",}]":
        return before, Reason("json_value_before", sign=sign)
    if sign == "'":
        return here, Reason("json_quotes")
    if last in "{," and sign not in '"}':
        return here, Reason("json_name")
    if (last in '"}]' or last.isalnum()) and (sign in '"{[-' or sign.isalnum()):
        return before, Reason("json_comma_after")
    return here, Reason("output_here_not_json")


def explained(fault: Fault, example: Mapping[str, Any]) -> Fault:
    """The fault with the names that the example has in the place of a missing one. For people who write a body or a
    condition: what goes into the log names no keys of a payload."""
    if fault.name is None or needs_result(fault):
        return fault
    parent, dot, wanted = fault.name.rpartition(".")
    place: Any = example
    for step in parent.split(".") if dot else ():
        place = place.get(step) if isinstance(place, Mapping) else None
    known = [str(key) for key in place if PLAIN.fullmatch(str(key))] if isinstance(place, Mapping) else []
    known = known[:NEAR]  # how near a name is takes long
    near = get_close_matches(wanted, known, n=3, cutoff=0.5) or known[:SUGGESTED]
    if near:
        there = ", ".join(f"{parent}{dot}{key}" for key in near)
        fault.text = Reason("value_missing_near", name=fault.name, near=there)
    return fault


def check_body(source: str, example: Mapping[str, Any], *, limit: int = LIMIT, moment: LocalTime | None = None) -> None:
    """Compile a body and render it on an example payload, as saving it asks for.

    What depends on `webhook.result` can't be known then: from there on only the firing checks.

    Raises:
        InvalidTemplate: as `Body.compile` and `Body.render`.
    """
    body = Body.compile(source)
    try:
        body.draw(prepare(example, moment=moment), SAMPLE_WEBHOOK, limit)
    except Fault as fault:
        if not needs_result(fault):
            raise refusal(explained(fault, example), source, "body") from None


def preview_body(
    source: str, example: Mapping[str, Any], *, limit: int = LIMIT, moment: LocalTime | None = None
) -> str:
    """What a body becomes on an example payload, for the person who writes it.

    Raises:
        InvalidTemplate: as `check_body`.
    """
    try:
        return Body.compile(source).draw(prepare(example, moment=moment), SAMPLE_WEBHOOK, limit)
    except Fault as fault:
        raise refusal(explained(fault, example), source, "body") from None


def check_condition(source: str, example: Mapping[str, Any], *, moment: LocalTime | None = None) -> None:
    """Compile a condition and test it on an example payload, as `check_body` does for bodies.

    Raises:
        InvalidTemplate: as `Condition.compile` and `Condition.test`.
    """
    condition = Condition.compile(source)
    try:
        condition.decide(prepare(example, moment=moment), SAMPLE_WEBHOOK)
    except Fault as fault:
        if not needs_result(fault):
            raise refusal(explained(fault, example), source, "condition") from None


def needs_result(fault: Fault) -> bool:
    return fault.name == "webhook.result"
