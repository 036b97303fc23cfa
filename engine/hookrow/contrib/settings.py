"""The setting `HOOKROW` of a Django or Flask service: what may stand in it, and the engine that is made by it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from hookrow.errors import InvalidInput, Problem
from hookrow.lang import Text

if TYPE_CHECKING:
    from hookrow.core.blocking import HookEngine

__all__ = ["NAMES", "checked", "engine_for"]

NAMES: dict[str, tuple[type, ...]] = {
    "URL": (str, os.PathLike),
    "WORKER": (bool,),
    "EVENTS": (str, Iterable),
    "OBSERVERS": (str, Iterable),
    "EGRESS": (str,),
    "KEYS": (str,),
}
"""What `HookEngine` takes under the same names in small letters (docs/services.md)."""
NAMED = ("EVENTS", "OBSERVERS")
"""May be named where they are, `shop.hooks.EVENTS`: Django's settings can't import them."""


def checked(given: object, more: Iterable[str] = ()) -> Mapping[str, Any]:
    """The setting as it was given.

    Args:
        more: names of texts that this framework has besides.

    Raises:
        InvalidInput: it is no mapping, a name is none of those, a value is of a wrong type. No value is repeated.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput([Problem("HOOKROW", Text("a mapping of names to values"))])
    known = {**NAMES, **dict.fromkeys(more, (str,))}
    problems = []
    for name, value in given.items():
        if name not in known:
            problems.append(Problem(f"HOOKROW[{name!r}]", no_setting(str(name), known)))
        elif not isinstance(value, known[name]):
            kinds = ", ".join(kind.__name__ for kind in known[name])
            problems.append(Problem(f"HOOKROW[{name!r}]", Text("it must be of the type {kinds}", kinds=kinds)))
    if problems:
        raise InvalidInput(problems)
    return given


def no_setting(name: str, known: Iterable[str]) -> Text:
    close = get_close_matches(name.upper(), known, 1)
    return (
        Text("there is no such setting; did you mean {name}?", name=close[0])
        if close
        else Text("there is no such setting")
    )


def engine_for(settings: Mapping[str, Any], url: str | os.PathLike[str]) -> HookEngine:
    """The engine by settings that were checked. Raises InvalidInput, and as `HookEngine` does."""
    from hookrow.core.blocking import HookEngine

    return HookEngine(
        url,
        worker=settings.get("WORKER", True),
        events=several("EVENTS", settings),
        observers=several("OBSERVERS", settings),
        egress=settings.get("EGRESS"),
        keys=settings.get("KEYS"),
    )


def several(name: str, settings: Mapping[str, Any]) -> Iterable[Any]:
    """Objects, or those at the place that is named. Raises InvalidInput: there is nothing."""
    given = settings.get(name, ())
    if not isinstance(given, str):
        return tuple(given)
    from werkzeug.utils import ImportStringError, import_string

    try:
        return tuple(import_string(given))
    except ImportStringError as error:
        raise InvalidInput([Problem(f"HOOKROW[{name!r}]", str(error.exception))]) from error
