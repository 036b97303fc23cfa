"""docs/api*.md: every public name with its signature and what its docstring says of units and errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import hookrow
import hookrow.asgi
import hookrow.testing
from hookrow.core.catalogue import Catalogue
from hookrow.core.hooks import AsyncHooks, Hooks
from hookrow.core.logbook import AsyncLog, AsyncSettings, Log, Settings

__all__ = ["DOORS", "MODULES", "documented", "engines_page", "kit_page", "records_page"]

MODULES = (hookrow, hookrow.asgi, hookrow.testing)
DOORS = {"hooks": (Hooks, AsyncHooks), "log": (Log, AsyncLog), "settings": (Settings, AsyncSettings)}
"""What stands behind `engine.hooks` and its like: the methods that the async engine has, too."""
ENGINES = (hookrow.AsyncHookEngine, hookrow.HookEngine)
BOTH = (set(vars(hookrow.HookEngine)) & set(vars(hookrow.AsyncHookEngine)) | {"afire", "backup"}) - {"enqueue"}
INTERNAL = {"answer", "ask", "follow", "handle", "matching", "may_mean", "meant", "report", "until_told"}
"""Of the middleware and the receiver: how they work, not what one calls."""


def methods(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class, in the order of its source."""
    engine = issubclass(kind, hookrow.HookEngine | hookrow.AsyncHookEngine)
    for name, value in vars(kind).items():
        plain = getattr(value, "__func__", value)
        known = inspect.isfunction(plain) or isinstance(value, property)
        shown = name in BOTH | {"deliver", "outcomes", "fired"} if engine else True
        if known and shown and not name.startswith("_") and name not in INTERNAL:
            yield name, value


def behind(door: type, awaited: type) -> Iterator[tuple[str, Any]]:
    """The methods of `engine.hooks` and its like."""
    for name, value in vars(door).items():
        if name in vars(awaited) and not name.startswith("_"):
            yield name, value


def documented() -> Iterator[tuple[str, Any]]:
    """Everything that has to say what it gives: dotted name and object."""
    for module in MODULES:
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isfunction(found) or inspect.isclass(found):
                yield f"{module.__name__}.{name}", found
            if inspect.isclass(found):
                yield from ((f"{module.__name__}.{name}.{each}", value) for each, value in methods(found))
    for name, (door, awaited) in DOORS.items():
        yield from ((f"engine.{name}.{each}", value) for each, value in behind(door, awaited))
    yield from ((f"engine.events.{each}", value) for each, value in methods(Catalogue))


def signature(name: str, value: Any) -> str:
    """How it is called."""
    if isinstance(value, property):
        return name
    try:
        text = str(inspect.signature(getattr(value, "__func__", value)))
    except ValueError:
        return name
    return f"{name}{text}".replace("(self, ", "(").replace("(self)", "()").replace("(cls, ", "(").replace("'", "")


def said(value: Any) -> str:
    """Its docstring; a class's, with what making it takes."""
    text = inspect.getdoc(value) or ""
    made = vars(value).get("__init__") if inspect.isclass(value) else None
    return f"{text}\n\n{inspect.cleandoc(made.__doc__)}" if made is not None and made.__doc__ else text


def entry(name: str, value: Any) -> list[str]:
    """One name's text."""
    return ["", signature(name, value), *(f"    {line}".rstrip() for line in said(value).split("\n"))]


def part(title: str, found: list[tuple[str, Any]]) -> list[str]:
    """A heading and the names below it."""
    lines = [line for name, value in found for line in entry(name, value)]
    return ["", f"## {title}", "```text", *lines[1:], "```"]


def class_part(title: str, kind: type) -> list[str]:
    """A class with its methods. What the engine for threads only has as its sister has it is told once."""
    own = [(name, value) for name, value in methods(kind) if "As `AsyncHookEngine" not in (value.__doc__ or "")[:20]]
    return part(title, [(kind.__name__, kind), *own])


def api_of(module: ModuleType) -> Iterator[str]:
    """The names of a module, each class with its methods; errors and engines have their own places."""
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value):
            if not issubclass(value, Exception) and value not in ENGINES:
                yield from class_part(f"{module.__name__}.{name}", value)
        elif inspect.isfunction(value):
            yield from part(f"{module.__name__}.{name}", [(name, value)])


def engines_page(made: str) -> str:
    """docs/api.md."""
    lines = [
        "# Every public name: the engines",
        made,
        "Further: [records, hooks, events](api-records.md); [middleware, testing kit](api-kit.md);",
        "[errors](errors.md). Each name is at work in a program of [services.md](services.md) that runs as a test.",
        "Times are milliseconds where a name ends in `ms`, else seconds; sizes are bytes. Both engines have the same",
        "methods; `AsyncHookEngine`'s are awaited.",
    ]
    for engine in ENGINES:
        lines += class_part(f"hookrow.{engine.__name__}", engine)
    for name, (door, awaited) in DOORS.items():
        lines += part(f"engine.{name}", list(behind(door, awaited)))
    lines += part("engine.events", list(methods(Catalogue)))
    return "\n".join(lines) + "\n"


def records_page(made: str) -> str:
    """docs/api-records.md."""
    lines = ["# Every public name: what is given to the engine and handed out", made, "The engines: [api.md](api.md)."]
    return "\n".join([*lines, *api_of(hookrow)]) + "\n"


def kit_page(made: str) -> str:
    """docs/api-kit.md."""
    lines = ["# Every public name: middleware and testing kit", made, "The engines: [api.md](api.md)."]
    return "\n".join([*lines, *api_of(hookrow.asgi), *api_of(hookrow.testing)]) + "\n"
