"""How receivers spell what they repeat, and what of it must be found nowhere: an oracle without the engine's code."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

__all__ = ["SPELLINGS", "Spelling", "traces"]

Spelling = Callable[[str], str]


def base64_after(before: int, *, url: bool = False) -> Spelling:
    """Base64 of a text in which the value stands behind some other bytes."""

    def spell(value: str) -> str:
        content = b"x" * before + value.encode() + b"yz"
        return (base64.urlsafe_b64encode if url else base64.b64encode)(content).decode()

    return spell


SPELLINGS: dict[str, Spelling] = {
    "as it is": lambda value: value,
    "percent": lambda value: quote(value, safe=""),
    "percent, small": lambda value: "".join(
        each if each.isalnum() and each.isascii() else "".join(f"%{byte:02x}" for byte in each.encode())
        for each in value
    ),
    "percent, a form": quote_plus,
    "percent, every letter": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "percent twice": lambda value: quote(quote(value, safe=""), safe=""),
    "HTML": html.escape,
    "HTML, numbers": lambda value: "".join(f"&#{ord(each)};" for each in value),
    "HTML, hexadecimal": lambda value: "".join(f"&#x{ord(each):X};" for each in value),
    "HTML twice": lambda value: html.escape(html.escape(value)),
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON in Unicode": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON with slashes": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda value: json.dumps(json.dumps(value))[1:-1],
    "JSON in capitals": lambda value: "".join(f"\\u{ord(each):04X}" for each in value),
    "base64": base64_after(0),
    "base64 after one": base64_after(1),
    "base64 after two": base64_after(2),
    "base64 for URLs": base64_after(1, url=True),
}


def traces(value: str) -> set[str]:
    """What a text holds that holds the whole value in one of these spellings."""
    found = {spell(value) for name, spell in SPELLINGS.items() if not name.startswith("base64")}
    content = value.encode()
    for before in range(3):
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            low = alphabet(b"\x00" * before + content + b"\x00\x00\x00").decode()
            high = alphabet(b"\xff" * before + content + b"\xff\xff\xff").decode()
            sure = [place for place, (one, other) in enumerate(zip(low, high, strict=True)) if one == other]
            found.add(low[sure[0] : sure[-1] + 1])
    return found
