"""The short way of a body that is text and values alone."""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any, Final

from hookrow.template.body import Page, PlainText, Statement, Value
from hookrow.template.expression import Access, Name, Node
from hookrow.template.values import MISSING, SHORT, Fault, encode

__all__ = ["Flat"]

DEAREST: Final = 12
"""Steps that weighing a value takes, for each character of its JSON at the most."""
DEAREST_PIECE: Final = 200
"""Steps that a piece takes beside them, at the most."""
STANDS_FOR: Final = {(True, True): "", (True, False): "", (False, True): '""', (False, False): "0"}
"""What stands for a value in the outline: inside quotes or not, a text or not."""


class Flat:
    """A body of text and values alone, as most are: written without a call for each of its steps."""

    __slots__ = ("cost", "pieces")

    def __init__(self, statements: Sequence[PlainText | Value]) -> None:
        self.cost: Final = sum(each.cost + DEAREST_PIECE for each in statements)
        self.pieces: Final[list[tuple[str, Node | None, tuple[str, ...], bool]]] = [
            (each.text, None, (), False)
            if isinstance(each, PlainText)
            else ("", each.node, keys(each.node), each.inside)
            for each in statements
        ]

    @classmethod
    def of(cls, statements: Sequence[Statement]) -> Flat | None:
        """None where there is more than that in it."""
        plain = [each for each in statements if isinstance(each, PlainText | Value)]
        return cls(plain) if len(plain) == len(statements) else None

    def write(self, page: Page) -> tuple[str, str] | None:
        """The text and its outline. None where a name is missing or a limit may be near: `render_all` tells exactly,
        and charges no more than is charged here."""
        payload, whole = page.payload, page.text
        texts: list[str] = []
        outline: list[str] = []
        size, cost = 0, self.cost
        for own, node, path, inside in self.pieces:
            if node is None:
                texts.append(own)
                outline.append(own)
                size += len(own)
                continue
            try:
                if path:
                    name = path[0]
                    if name == "payload":
                        found: Any = payload
                    else:
                        found = page.webhook if name == "webhook" else payload.get(name, MISSING)
                    for key in path[1:]:
                        found = found.get(key, MISSING) if type(found) is dict else MISSING
                    if found is MISSING:
                        return None
                else:
                    found = node.value(page)
                kind = type(found)
                if kind is str:
                    said = encode_basestring(found)
                elif found is payload and whole is not None:
                    said, cost = whole, cost + DEAREST * len(whole)
                elif kind is int and -SHORT < found < SHORT:
                    said = int.__repr__(found)
                else:
                    said = encode(page, found)
            except Fault:
                return None
            text = isinstance(found, str)
            if inside:
                said = (said if text else encode_basestring(said))[1:-1]
            texts.append(said)
            outline.append(STANDS_FOR[inside, text])
            size += len(said)
            if size > page.limit:
                return None
        return None if size > page.limit or cost + size > page.fuel else ("".join(texts), "".join(outline))


def keys(node: Node) -> tuple[str, ...]:
    """The names that lead to a value, where it is made of nothing else."""
    if isinstance(node, Name):
        return (node.name,)
    if isinstance(node, Access) and isinstance(node.base, Name):
        steps = tuple(step.key for step in node.steps if isinstance(step.key, str))
        if len(steps) == len(node.steps):
            return (node.base.name, *steps)
    return ()
