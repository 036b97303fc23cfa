"""The names of a payload: offered beside the body, completed when typed, written as their place needs it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hookrow.hook.local_time import NOW, LocalTime
from hookrow_tui.presenters.body_lexer import CursorPlace, place_at
from hookrow_tui.presenters.columns import steady
from hookrow_tui.words import Say, SayPlural

__all__ = ["Insertion", "Name", "completions_of", "names_of", "with_name"]

MOST = 400
"""Names that are offered at most."""
DEEPEST = 8
SHOWN = 40
"""Characters of a value that are shown."""
PLAIN = re.compile(r"[^\W\d]\w*")
RESERVED = frozenset(
    {"payload", "webhook", "loop", "and", "or", "not", "in", "is", "if", "else"}
    | {"true", "True", "false", "False", "none", "None", "null"}
)
"""What means something else in an expression; a payload's key of this name is written `payload["if"]`."""
INDENT = "  "


@dataclass(frozen=True, slots=True)
class Name:
    """A place of the payload as it is written in an expression, and a look at what stands there."""

    path: str
    value: Any

    @property
    def last(self) -> str:
        """The last key of the path, as the name of a field of the body."""
        found = re.findall(r"""([^\W\d]\w*)|\["((?:[^"\\]|\\.)*)"\]""", self.path)
        plain, quoted = found[-1] if found else ("value", "")
        return plain or quoted

    def shown(self) -> str:
        """The value in a few characters, harmless for the terminal."""
        if isinstance(self.value, Mapping):
            return str(SayPlural("{{…}} {n} field", "{{…}} {n} fields", len(self.value)))
        if isinstance(self.value, list):
            return str(SayPlural("[…] {n} item", "[…] {n} items", len(self.value)))
        text = (
            json.dumps(self.value, ensure_ascii=False, default=str) if not isinstance(self.value, str) else self.value
        )
        return steady(text[:SHOWN].replace("\n", " ")) if text != "" else str(Say("empty text"))


def names_of(payload: Mapping[str, Any], moment: LocalTime | None = None) -> list[Name]:
    """The places of a payload in its order, an object before what is in it; of a list its first item. After them what
    `now` means at this moment, unless the payload has a key of this name."""
    now = {} if moment is None or NOW in payload else {NOW: moment.names()}
    found = list(islice(walk(payload, "", 0), MOST))
    return [*found, *walk(now, "", 0)]


def walk(value: Any, path: str, depth: int) -> Iterator[Name]:
    if depth > DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            step = path_below(path, str(key))
            yield Name(step, inner)
            yield from walk(inner, step, depth + 1)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        yield from walk(value[0], f"{path}[0]", depth + 1)


def path_below(path: str, key: str) -> str:
    """The path one key further; in brackets what no dot can reach."""
    if PLAIN.fullmatch(key) and (path or key not in RESERVED):
        return f"{path}.{key}" if path else key
    return f"{path or 'payload'}[{json.dumps(key, ensure_ascii=False)}]"


def completions_of(names: Sequence[Name], typed: str) -> list[Name]:
    """The names that what is typed may become: those that begin so, else, unless it is a name, those that hold it."""
    if not typed:
        return list(names)
    lower = typed.lower()
    begin = [name for name in names if name.path.startswith(typed)]
    if begin:
        return [name for name in begin if name.path != typed]
    return [name for name in names if lower in name.path.lower()]


@dataclass(frozen=True, slots=True)
class Insertion:
    """A change of the body: `text` in the place of `start` to `end`; the cursor ends up `back` characters before its
    end."""

    start: int
    end: int
    text: str
    back: int = 0


def with_name(body: str, offset: int, name: Name) -> Insertion:
    """A name put into the body at an offset: the path alone inside braces, braces inside quotes and where a value
    belongs, a field of its own, with name, comma and indent, where an object goes on."""
    place = place_at(body, offset)
    value = f"{{{{ {name.path} }}}}"
    if place.kind == "tag":
        return in_braces(body, offset, place, name)
    if place.kind == "text" or (place.kind == "value" and not place.empty):
        return Insertion(offset, offset, value)
    field = f"{as_body_text(name.last)}: {value}"
    if place.empty:
        return Insertion(0, len(body), f"{{\n{INDENT}{field}\n}}", 2)
    if place.around == "[":
        return Insertion(offset, offset, f", {value}")
    if place.around != "{":
        return Insertion(offset, offset, value)
    line = body.rfind("\n", 0, offset) + 1
    blank = not body[line:offset].strip()
    end = offset
    rest = body[offset:].lstrip()[:1]
    before = "," if place.kind == "after" else ""
    if place.kind == "after" and blank:  # the comma belongs behind the value, on the line where that stands
        at = len(body[:offset].rstrip())
        return Insertion(at, end, f",\n{INDENT * place.depth}{field}" + ("," if rest == '"' else ""))
    start = line if blank else offset
    pad = INDENT * place.depth if blank else f"\n{INDENT * place.depth}"
    after = "," if rest == '"' else ""
    if rest == "}" and "\n" not in body[offset : body.index("}", offset)]:
        after = f"\n{INDENT * (place.depth - 1)}"  # the bracket goes to a line of its own
    return Insertion(start, end, f"{before}{pad}{field}{after}", 0 if after == "," else len(after))


def as_body_text(text: str) -> str:
    """A text as the body holds it: no brace of it begins an expression."""
    return re.sub(r"\{(?=[{%#])", r"\\u007b", json.dumps(text, ensure_ascii=False))


def in_braces(body: str, offset: int, place: CursorPlace, name: Name) -> Insertion:
    """The path in the place of what is typed of it; the braces are closed if they are not."""
    start = offset - len(place.typed)
    tag = max(body.rfind("{{", 0, offset), body.rfind("{%", 0, offset))
    closing = " %}" if body.startswith("{%", tag) else " }}"
    gap = "" if start and body[start - 1].isspace() else " "
    ends = "" if place.closed else closing
    return Insertion(start, offset, f"{gap}{name.path}{ends}")
