"""A person's own keys and colours: `keys.toml` and `theme.toml` in `$XDG_CONFIG_HOME/hookrow/`.

What is wrong in a file is said on the list of hooks, and the standard stands in its place.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hookrow.lang import Text
from hookrow_tui import actions
from hookrow_tui.actions import ACTIONS, NO_TEXT, Action
from hookrow_tui.terminal.look import DARK
from hookrow_tui.terminal.terminal import LAYOUT, character_key
from hookrow_tui.words import Say

__all__ = ["Own", "can_change", "key_named", "read_own", "with_keys"]

COLOURS = frozenset(
    {"primary", "secondary", "warning", "error", "success", "accent", "foreground", "background", "surface", "panel"}
    | set(DARK.variables)
)
THEMES = ("dark", "light", "ansi")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
NAMED = {"esc": "escape", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown", "return": "enter"}
KEY = re.compile(
    r"(ctrl\+|shift\+)*(f([1-9]|1\d|2[0-4])|[a-z]|space|enter|tab|delete|insert|backspace|home|end|pageup|pagedown|up|down"
    r"|left|right|escape)\Z"
)


@dataclass
class Own:
    """What the files say: a theme ('' for none), colours of it by name, and what is wrong in them."""

    theme: str = ""
    colours: dict[str, str] = field(default_factory=dict)
    faults: list[Text] = field(default_factory=list)


def folder(environ: Mapping[str, str]) -> Path | None:
    """Where the files are; None for who has no home."""
    try:
        return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hookrow"
    except RuntimeError:
        return None


def read_own(environ: Mapping[str, str] = os.environ) -> Own:
    """Read both files, and give the registry of actions the keys that they name. To be called before any screen is
    imported: its keys are declared with its class."""
    own, where = Own(), folder(environ)
    if where is None:
        return own
    keys, theme = table(where / "keys.toml", own.faults), table(where / "theme.toml", own.faults)
    if keys:
        actions.ACTIONS, faults = with_keys(keys)
        own.faults += faults
    if theme:
        read_theme(theme, own)
    return own


def table(path: Path, faults: list[Text]) -> dict[str, Any]:
    """What a TOML file holds; nothing where there is none or it can't be read."""
    try:
        if not path.exists():
            return {}
        import tomllib

        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:  # a TOMLDecodeError is a ValueError, as bytes that are no UTF-8 are
        faults.append(Say("{path} can't be read: {reason}.", path=path, reason=error))
        return {}


def read_theme(theme: Mapping[str, Any], own: Own) -> None:
    for name, value in theme.items():
        if name == "theme" and value in THEMES:
            own.theme = value
        elif name == "theme":
            own.faults.append(Say("theme.toml: {name} is one of {names}.", name=name, names=", ".join(THEMES)))
        elif name == "colors" and isinstance(value, dict):
            read_colours(value, own)
        else:
            own.faults.append(Say("theme.toml: {name} is unknown.", name=name))


def read_colours(colours: Mapping[str, Any], own: Own) -> None:
    for name, code in colours.items():
        if name not in COLOURS:
            own.faults.append(Say("theme.toml: there is no colour {name}.", name=name))
        elif not isinstance(code, str) or not COLOUR.match(code):
            own.faults.append(Say("theme.toml: {name} is no colour; write #rrggbb.", name=f"{name} = {code}"))
        else:
            own.colours[name] = code


def key_named(text: str) -> str | None:
    """The name that Textual has for a key as a person writes it: `a`, `П`, `/`, `F5`, `ctrl+s`, `^S`, `Del`; None where
    it is none."""
    if len(text) == 1:
        return character_key(LAYOUT.get(text, text)) if text.isprintable() and text != " " else None
    *mods, last = text.lower().replace("^", "ctrl+").replace("ctrl-", "ctrl+").split("+")
    name = "+".join([*mods, NAMED.get(last, LAYOUT.get(last, last))])
    return name if KEY.match(name) else None


def with_keys(wanted: Mapping[str, Any]) -> tuple[tuple[Action, ...], list[Text]]:
    """The registry with these keys, `{"hooks": {"new": "a"}}`, and what could not be done."""
    by_id, faults = {each.id: each for each in ACTIONS}, list[Text]()
    keys: dict[str, tuple[str, ...]] = {}
    for group, entries in wanted.items():
        for name, value in entries.items() if isinstance(entries, dict) else [("", None)]:
            action = by_id.get(f"{group}.{name}")
            typed = [value] if isinstance(value, str) else value
            if action is None or not can_change(action):
                place = f"{group}.{name}".rstrip(".")
                faults.append(Say("keys.toml: there is no action {name} whose keys can be changed.", name=place))
            elif not isinstance(typed, list) or not typed or not all(isinstance(each, str) for each in typed):
                faults.append(Say("keys.toml: {name} takes a key or a list of keys.", name=action.id))
            elif bad := next((each for each in typed if not fits(action, key_named(each))), None):
                faults.append(Say("keys.toml: {key} is no key for {name}.", key=bad, name=action.id))
            else:
                keys[action.id] = tuple(key for each in typed if (key := key_named(each)) is not None)
    while (clash := clashes(keys)) is not None:
        name, key, other = clash
        del keys[name]
        text = Say("keys.toml: {name} is not changed, {key} means {other}.", name=name, key=key_label(key), other=other)
        faults.append(text)
    return tuple(with_caps(each, keys) for each in ACTIONS), faults


def can_change(action: Action) -> bool:
    """Whether its keys can be changed: not those that a focused widget takes, the digits, Esc and Tab."""
    return action.bound and bool({*action.keys} - {"escape", "tab", "shift+tab"}) and "(" not in action.id


def fits(action: Action, key: str | None) -> bool:
    """Whether this can be a key of the action: what is text in the form's fields is none there."""
    return key is not None and (action.group not in ("form", "replay") or NO_TEXT.match(key) is not None)


def clashes(keys: Mapping[str, tuple[str, ...]]) -> tuple[str, str, str] | None:
    """A changed action, and the key of it that another one has at the same place."""
    for each in ACTIONS:
        for other in ACTIONS if each.id in keys else ():
            together = other is not each and (other.group == each.group or "everywhere" in (each.group, other.group))
            taken = set(keys.get(other.id, other.keys)) if together else set()
            if both := [key for key in keys[each.id] if key in taken and key not in each.keys]:
                return each.id, both[0], other.id
    return None


def with_caps(action: Action, keys: Mapping[str, tuple[str, ...]]) -> Action:
    """The action with its new keys, and with those that the key bar and the help draw for its group."""
    signs: dict[str, str] = {}
    for each in ACTIONS:
        if each.group == action.group and each.id in keys:
            new = [key_label(key) for key in keys[each.id]]
            for place, old in enumerate(each.keys):
                sign = new[place] if place < len(new) else ""
                signs |= {key_label(old): sign, key_label(old).replace("^", "Ctrl+"): sign}
    if not signs:
        return action

    def drawn(text: Text | str) -> str:
        return "".join(signs.get(part, part) for part in re.split(r"( +)", str(text))).strip()

    return replace(action, keys=keys.get(action.id, action.keys), cap=drawn(action.cap), caps=drawn(action.caps))


def key_label(key: str) -> str:
    """A key as the key bar draws it."""
    from textual.keys import format_key

    *mods, last = key.split("+")
    words = {"space": Say("Space"), "enter": Say("Enter"), "insert": "Ins", "pageup": "PgUp", "pagedown": "PgDn"}
    name = str(words.get(last) or format_key(last))
    name = name if len(name) < 2 else name[0].upper() + name[1:]
    if "ctrl" in mods:
        return f"^{name.upper()}"
    return f"⇧{name}" if "shift" in mods else name
