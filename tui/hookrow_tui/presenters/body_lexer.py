"""The body's text in pieces: what is coloured, and what kind of place the cursor stands in. Pure.

It follows the reader of the engine as far as an unfinished text allows: quotes outside braces open and close texts, and
whatever stands between `{{ }}`, `{% %}`, `{# #}` is an expression, also one that is not closed yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Place", "Token", "place_at", "tokens"]

Kind = Literal["key", "text", "number", "word", "sign", "tag", "comment"]

PIECE = re.compile(
    r"""(?P<comment>\{\#.*?(?:\#\}|\Z))
    |(?P<tag>\{\{(?:(?!\{\{|\}\}).)*\}\}|\{%(?:(?!\{%|%\}).)*%\}|\{[{%][^\n]*)
    |(?P<escape>\\.)
    |(?P<quote>")
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<sign>[{}\[\],:])""",
    re.VERBOSE | re.DOTALL,
)
PATH = re.compile(r"(?:[^\W\d]\w*(?:\.\w*|\[\d*\]?)*)?$")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; `start`, `end` are offsets. A text with values in it comes in several pieces."""

    kind: Kind
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """The pieces of a body, in order."""
    inside, begin = False, 0
    pieces: list[Token] = []

    def piece(end: int) -> None:
        if end > begin:
            pieces.append(Token("text", begin, end))

    for found in PIECE.finditer(text):
        kind, start, end = found.lastgroup, found.start(), found.end()
        if kind in ("tag", "comment"):
            if inside:
                piece(start)
                begin = end
            pieces.append(Token("comment" if kind == "comment" else "tag", start, end))
        elif kind == "quote":
            if inside:
                piece(end)
                named = (
                    text[end:].lstrip()[:1] == ":"
                    if len(text) - end < 200
                    else text[end : end + 200].lstrip()[:1] == ":"
                )
                yield from (
                    Token("key", each.start, each.end) if named and each.kind == "text" else each for each in pieces
                )
                pieces.clear()
            else:
                yield from pieces
                pieces.clear()
                begin = start
            inside = not inside
        elif not inside and kind in ("number", "word", "sign"):
            pieces.append(Token(kind, start, end))  # type: ignore[arg-type]
    if inside:
        piece(len(text))
    yield from pieces


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cursor stands.

    `kind` is `tag` inside braces, `text` inside quotes, `name` where an object's next name belongs, `value` where a
    value does, `after` right behind a value. `typed` is the path that is being written inside braces; `closed` whether
    they are closed further on. `depth` counts the objects and lists around it, `empty` whether nothing is written.
    """

    kind: Literal["tag", "text", "name", "value", "after"]
    typed: str = ""
    closed: bool = False
    depth: int = 0
    around: str = ""
    empty: bool = False


def place_at(text: str, offset: int) -> Place:
    """What kind of place an offset of the body is."""
    stack: list[str] = []
    last = ""
    inside = False
    for token in tokens(text):
        if token.start >= offset:
            break
        if token.kind == "comment":
            if offset < token.end:
                return Place("text")
            continue
        if token.kind == "tag":
            closed = text[token.end - 2 : token.end] in ("}}", "%}") and token.end - token.start > 3
            if offset < token.end - 1 or (offset <= token.end and not closed):
                found = PATH.search(text[token.start + 2 : offset])
                return Place("tag", found[0] if found else "", closed)
            if not inside and text.startswith("{{", token.start):
                last = "value"
            continue
        if token.kind in ("text", "key"):
            opens = text[token.start] == '"' and not inside
            ends = text[token.end - 1] == '"' and (token.end - token.start > 1 or not opens)
            if opens:
                inside = True
            if offset < token.end or not ends:
                if offset <= token.end:
                    return Place("text", depth=len(stack), around=stack[-1] if stack else "")
                continue
            inside, last = False, "key" if token.kind == "key" else "value"
            continue
        sign = text[token.start : token.end]
        if token.kind != "sign":
            last = "value"
        elif sign in "{[":
            stack.append(sign)
            last = sign
        elif sign in "}]":
            if stack:
                stack.pop()
            last = "value"
        else:
            last = sign
    if inside:
        return Place("text", depth=len(stack), around=stack[-1] if stack else "")
    around = stack[-1] if stack else ""
    if last == "value":
        kind: Literal["name", "value", "after"] = "after"
    else:
        kind = "name" if around == "{" and last in ("{", ",") else "value"
    return Place(kind, depth=len(stack), around=around, empty=not text.strip())
