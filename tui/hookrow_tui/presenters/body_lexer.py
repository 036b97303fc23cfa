"""The body's text in pieces: what is coloured, and what kind of place the cursor stands in. Pure.

It follows the reader of the engine as far as an unfinished text allows: quotes outside braces open and close texts, and
whatever stands between `{{ }}`, `{% %}`, `{# #}` is an expression, also one that is not closed yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CursorPlace", "Kind", "Token", "place_at", "tokens"]

Kind = Literal["key", "text", "number", "word", "sign", "tag", "comment"]

PIECE = re.compile(
    r"""(?P<comment>\{\#.*?(?:\#\}|\Z))
    |(?P<tag>\{\{(?:(?!\{\{|\}\}).)*\}\}|\{%(?:(?!\{%|%\}).)*%\}|\{[{%][^\n]*)
    |(?P<escape>\\.)
    |(?P<quote>")
    |(?P<line>\n)
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d]\w*)
    |(?P<sign>[{}\[\],:])""",
    re.VERBOSE | re.DOTALL,
)
NAMED = re.compile(r"\s*:")
PATH = re.compile(r"(?:[^\W\d]\w*(?:\.\w*|\[\d*\]?)*)?$")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; `start`, `end` are offsets. A text with values in it comes in several pieces."""

    kind: Kind
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The pieces of a body, in order. A text that is not closed ends with its line, as it must in JSON."""
    done: list[Token] = []
    inside, begin = False, 0
    pieces: list[Token] = []
    """Of the text that is open."""

    def piece(end: int) -> None:
        if end > begin:
            pieces.append(Token("text", begin, end))

    def close(kind: Kind) -> None:
        done.extend(Token(kind, each.start, each.end) if each.kind == "text" else each for each in pieces)
        pieces.clear()

    for found in PIECE.finditer(text):
        kind, start, end = found.lastgroup, found.start(), found.end()
        if kind in ("tag", "comment"):
            token = Token("comment" if kind == "comment" else "tag", start, end)
            if inside:
                piece(start)
                pieces.append(token)
                begin = end
            else:
                done.append(token)
        elif kind == "quote" and inside:
            piece(end)
            close("key" if NAMED.match(text, end) else "text")
            inside = False
        elif kind == "quote":
            inside, begin = True, start
        elif kind == "line" and inside:
            piece(start)
            close("text")
            inside = False
        elif not inside and kind in ("number", "word", "sign"):
            done.append(Token(kind, start, end))  # type: ignore[arg-type]
    if inside:
        piece(len(text))
        close("text")
    return done


@dataclass(frozen=True, slots=True)
class CursorPlace:
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


def place_at(text: str, offset: int, pieces: Sequence[Token] | None = None) -> CursorPlace:
    """What kind of place an offset of the body is; `pieces` are the body's, where they are known."""
    before = TextBefore(text, offset)
    for token in tokens(text) if pieces is None else pieces:
        if token.start >= offset:
            break
        place: CursorPlace | None = None
        if token.kind == "comment" and offset < token.end:
            place = CursorPlace("text")
        elif token.kind == "tag":
            place = before.tag(token)
        elif token.kind in ("text", "key"):
            place = before.quoted(token)
        elif token.kind != "comment":
            before.bare(token)
        if place is not None:
            return place
    return before.end()


@dataclass(slots=True)
class TextBefore:
    """What stands before the cursor, read piece by piece until one holds it: that one's place is given."""

    text: str
    offset: int
    stack: list[str] = field(default_factory=list)
    """The brackets that are open."""
    last: str = ""
    """What stands there last: a sign, `key` or `value`."""
    inside: bool = False
    """Whether a text is open: one with values in it comes in several pieces."""

    def place(self, kind: Literal["text", "name", "value", "after"]) -> CursorPlace:
        around = self.stack[-1] if self.stack else ""
        empty = kind != "text" and not self.text.strip()
        return CursorPlace(kind, depth=len(self.stack), around=around, empty=empty)

    def tag(self, token: Token) -> CursorPlace | None:
        """Braces: a value where they stand between values, a part of the text where they stand in one."""
        closed = self.text[token.end - 2 : token.end] in ("}}", "%}") and token.end - token.start > 3
        if self.offset < token.end - 1 or (self.offset <= token.end and not closed):
            found = PATH.search(self.text[token.start + 2 : self.offset])
            return CursorPlace("tag", found[0] if found else "", closed)
        if not self.inside and self.text.startswith("{{", token.start):
            self.last = "value"
        return None

    def quoted(self, token: Token) -> CursorPlace | None:
        """A piece of a text or of a name."""
        opens = self.text[token.start] == '"' and not self.inside
        ends = self.text[token.end - 1] == '"' and (token.end - token.start > 1 or not opens)
        self.inside = self.inside or opens
        if self.offset < token.end or (not ends and self.offset == token.end):
            return self.place("text")
        if ends or self.text.startswith("\n", token.end):
            self.inside, self.last = False, "key" if token.kind == "key" else "value"
        return None

    def bare(self, token: Token) -> None:
        """A sign, a number or a word."""
        sign = self.text[token.start : token.end]
        if token.kind == "sign" and sign in "{[":
            self.stack.append(sign)
        elif token.kind == "sign" and sign in "}]":
            del self.stack[-1:]
        self.last = sign if token.kind == "sign" and sign not in "}]" else "value"

    def end(self) -> CursorPlace:
        """The place behind all of it."""
        if self.inside:
            return self.place("text")
        if self.last == "value":
            return self.place("after")
        return self.place("name" if self.stack[-1:] == ["{"] and self.last in ("{", ",") else "value")
