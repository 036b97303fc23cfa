r"""Text from outside that can't act on a terminal: one table of the characters that would, and their spellings.

They are controls, half characters, line and paragraph separators, and all format characters but the two joiners that
belong to words and emoji: these reorder or hide what stands beside them. docs/security.md says where texts come from.
"""

from __future__ import annotations

import re

__all__ = ["JOINERS", "UNSAFE", "covered", "in_json", "in_shell", "in_yaml", "visible", "visible_lines"]

JOINERS = frozenset("\u200c\u200d")
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def visible(text: object) -> str:
    r"""A datum as one line: what would act is spelled out, ESC as `\x1b`."""
    found = str(text)
    if found.isascii() and found.isprintable():
        return found
    return UNSAFE.sub(lambda each: each[0].encode("unicode_escape", "surrogatepass").decode("ascii"), found)


def visible_lines(text: object) -> str:
    """The same for text of several lines: line feeds and tabs are kept."""
    lines = str(text).replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in lines)


def covered(text: str) -> str:
    """One line in which a «�» stands for each character that would act, and a space for a line break or a tab.

    Where columns are few: a spelling would take several.
    """
    if text.isascii() and text.isprintable():
        return text
    return UNSAFE.sub("\ufffd", text.replace("\r\n", " ").replace("\n", " ").replace("\t", " "))


def in_json(text: str) -> str:
    """JSON, already written, with these characters as its own escapes: it reads back as the same value."""
    import json  # only now: a command's help writes none

    return UNSAFE.sub(lambda each: each[0] if each[0] == "\n" else json.dumps(each[0])[1:-1], text)


def in_yaml(text: str) -> str:
    """YAML, already written with such texts in double quotes, with these characters as its escapes."""
    return UNSAFE.sub(lambda each: each[0] if each[0] in "\n\t" else numbered(each), text)


def in_shell(text: str) -> str:
    """The inside of a shell's `$'…'`, with these characters as its escapes."""
    return UNSAFE.sub(numbered, text)


def numbered(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
