"""Lines of a detail pane: pieces of text with the roles they play; wrapped by columns; JSON laid out without parsing.

A body may be cut, huge or no JSON at all: `json_lines` looks only at its tokens, so numbers, the order of keys and
doubled keys stay as they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len

from hookrow_tui.presenters.columns import steady, steady_lines

__all__ = ["Line", "json_lines", "plain", "text_lines", "wrap"]

Line = tuple[tuple[str, str], ...]
"""(text, role) pairs. Roles: '' (plain), key, string, number, good, bad, veto, quiet, head, add, gone."""

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
DEEPEST = 12
"""Levels that are indented: a body of 60,000 brackets must not become a gigabyte of spaces."""
CLOSING = {"{": "}", "[": "]"}


def plain(lines: Sequence[Line]) -> str:
    """The lines as text."""
    return "\n".join("".join(text for text, _ in line) for line in lines)


def text_lines(text: str, role: str = "") -> list[Line]:
    """Foreign text line by line."""
    return [((line, role),) if line else () for line in steady_lines(text)]


def json_lines(text: str) -> list[Line]:
    """JSON text, whole or cut, one member a line."""
    lines: list[Line] = []
    current: list[tuple[str, str]] = []
    depth = 0

    def new_line() -> None:
        if any(piece.strip() for piece, _ in current):
            lines.append(tuple(current))
        current[:] = [(" " * (2 * min(depth, DEEPEST)), "")] if depth else []

    tokens = list(TOKEN.findall(text))
    tokens.append("")
    at = 0
    while at < len(tokens) - 1:
        token, following = tokens[at], tokens[at + 1]
        at += 1
        if token in CLOSING:
            if following == CLOSING[token]:
                current.append((token + following, ""))
                at += 1
                continue
            current.append((token, ""))
            depth += 1
            new_line()
        elif token in ("}", "]"):
            depth = max(0, depth - 1)
            new_line()
            current.append((token, ""))
        elif token == ",":
            current.append((token, ""))
            new_line()
        elif token == ":":
            current.append((": ", ""))
        else:
            text = "key" if following == ":" else "string"
            role = text if token[0] == '"' else "number"
            current.append((steady(token), role))
    depth = 0
    new_line()
    return lines


def wrap(line: Line, width: int) -> Iterator[Line]:
    """The line in pieces of at most `width` columns; an empty one is one empty line."""
    width = max(2, width)
    row: list[tuple[str, str]] = []
    room = width
    for text, role in line:
        while text:
            size = len(text) if text.isascii() else cell_len(text)
            if size <= room:
                row.append((text, role))
                room -= size
                break
            end = room
            while end and cell_len(text[:end]) > room:
                end -= 1
            if end:
                row.append((text[:end], role))
                text = text[end:]
            yield tuple(row)
            row, room = [], width
    yield tuple(row)
