"""docs/reference/api*.md: every public name with its signature and what its docstring says of units and errors."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import hookrow
import hookrow.asgi
import hookrow.contrib.django
import hookrow.contrib.django.middleware
import hookrow.contrib.fastapi
import hookrow.contrib.flask
import hookrow.metrics
import hookrow.otel
import hookrow.testing
from hookrow.core.care.health import AsyncHealth, Health
from hookrow.core.care.keys import AsyncKeys, Keys
from hookrow.core.changes.awaited import AsyncHooks
from hookrow.core.events import Catalogue
from hookrow.core.hooks import Hooks
from hookrow.core.log import AsyncLog, Log
from hookrow.core.settings import AsyncSettings, Settings

__all__ = ["DOORS", "MODULES", "contrib_page", "documented", "engines_page", "given_page", "kit_page", "records_page"]

CONTRIB = (
    *(hookrow.contrib.django, hookrow.contrib.django.middleware, hookrow.contrib.fastapi, hookrow.contrib.flask),
    *(hookrow.metrics, hookrow.otel),
)
KIT = (hookrow.asgi, hookrow.testing)
MODULES = (hookrow, *KIT, *CONTRIB)
DOORS = {
    "hooks": (Hooks, AsyncHooks),
    "log": (Log, AsyncLog),
    "settings": (Settings, AsyncSettings),
    "keys": (Keys, AsyncKeys),
    "health": (Health, AsyncHealth),
}
"""What stands behind `engine.hooks` and its like: the methods that the async engine has, too."""
ENGINES = (hookrow.AsyncHookEngine, hookrow.HookEngine)
BOTH = (set(vars(hookrow.HookEngine)) & set(vars(hookrow.AsyncHookEngine)) | {"afire", "backup"}) - {"enqueue"}
GIVEN = ("Hook", "Event", "Secret", "KeyRing", "Egress", "Observer", "LogFilter")
"""What a caller makes; all else of `hookrow` is handed out."""
ALIASES = {
    "Json": "A JSON value: only who sent it knows its shape.",
    "JsonObject": "A JSON object, as `firing.data` and `as_json()` give it.",
    "Payload": "What `fire()` takes: a mapping of names to JSON values.",
    "CallerConnection": "What `connection=` takes: SQLAlchemy's `Connection`, `Session`, `AsyncConnection` and "
    "`AsyncSession`,\n    and Django's connection.",
}
"""Types to annotate with; at run time they hold no words of their own."""
WIDEST = 110
"""A longer call is shown on a line for each parameter."""
INTERNAL = {
    "answer",
    "ask",
    "assemble",
    "barrier",
    "before",
    "fire_as",
    "fire_by",
    "fire_here",
    "follow",
    "handle",
    "key_of",
    "matching",
    "may_mean",
    "meant",
    "report",
    "still_to_fire",
    "until_told",
}
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
            found = None if name in ALIASES else getattr(module, name)
            if inspect.isfunction(found) or inspect.isclass(found):
                yield f"{module.__name__}.{name}", found
            if inspect.isclass(found):
                yield from ((f"{module.__name__}.{name}.{each}", value) for each, value in methods(found))
    for name, (door, awaited) in DOORS.items():
        yield from ((f"engine.{name}.{each}", value) for each, value in behind(door, awaited))
    yield from ((f"engine.events.{each}", value) for each, value in methods(Catalogue))


class Shown:
    """An annotation that shows itself as it is read, not as Python's version writes it."""

    def __init__(self, annotation: Any) -> None:
        self.text = readable(annotation)

    def __repr__(self) -> str:
        return self.text


def readable(annotation: Any) -> str:
    """A type by its name: what a model's field adds to it is no matter of a caller's."""
    if isinstance(annotation, str):
        return annotation.strip("\"'")
    if get_origin(annotation) is Annotated:
        return readable(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(map(readable, get_args(annotation)))
    if isinstance(annotation, type):
        return "None" if annotation is type(None) else annotation.__name__
    return str(annotation).replace("typing.", "")


def parts_of(found: inspect.Signature) -> Iterator[str]:
    """The parameters as they stand in a definition, with the marks `/` and `*`."""
    before: Any = None
    for parameter in found.parameters.values():
        if before is inspect.Parameter.POSITIONAL_ONLY and parameter.kind is not before:
            yield "/"
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and before not in (
            inspect.Parameter.KEYWORD_ONLY,
            inspect.Parameter.VAR_POSITIONAL,
        ):
            yield "*"
        before = parameter.kind
        if parameter.name not in ("self", "cls"):
            shown = parameter.annotation is not inspect.Parameter.empty
            text = str(parameter.replace(annotation=Shown(parameter.annotation)) if shown else parameter)
            yield re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "…", text)  # a default that says nothing but where it lies
    if before is inspect.Parameter.POSITIONAL_ONLY:
        yield "/"


def signature(name: str, value: Any) -> str:
    """How it is called; on a line for each parameter where one line is too long."""
    if isinstance(value, property):
        return name
    try:
        found = inspect.signature(getattr(value, "__func__", value))
    except ValueError:
        return name
    given = found.return_annotation
    arrow = "" if given is inspect.Signature.empty or inspect.isclass(value) else f" -> {readable(given)}"
    parts = list(parts_of(found))
    line = f"{name}({', '.join(parts)}){arrow}"
    if len(line) <= WIDEST:
        return line
    return "\n".join([f"{name}(", *(f"    {each}," for each in parts), f"){arrow}"])


def said(value: Any) -> str:
    """Its docstring; a class's, with what making it takes."""
    text = inspect.getdoc(value) or ""
    made = vars(value).get("__init__") if inspect.isclass(value) else None
    return f"{text}\n\n{inspect.cleandoc(made.__doc__)}" if made is not None and made.__doc__ else text


def entry(name: str, value: Any) -> list[str]:
    """One name's text."""
    return ["", *signature(name, value).split("\n"), *(f"    {line}".rstrip() for line in said(value).split("\n"))]


def part(title: str, found: list[tuple[str, Any]]) -> list[str]:
    """A heading and the names below it."""
    lines = [line for name, value in found for line in entry(name, value)]
    return ["", f"## {title}", "```text", *lines[1:], "```"]


def class_part(title: str, kind: type) -> list[str]:
    """A class with its methods. What the engine for threads only has as its sister has it is told once."""
    own = [(name, value) for name, value in methods(kind) if "As `AsyncHookEngine" not in (value.__doc__ or "")[:20]]
    return part(title, [(kind.__name__, kind), *own])


def api_of(module: ModuleType, names: Iterable[str]) -> Iterator[str]:
    """These names of a module, each class with its methods; errors and engines have their own places."""
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value):
            if not issubclass(value, Exception) and value not in ENGINES:
                yield from class_part(f"{module.__name__}.{name}", value)
        elif inspect.isfunction(value):
            yield from part(f"{module.__name__}.{name}", [(name, value)])


def engines_page(made: str) -> str:
    """docs/reference/api.md."""
    lines = [
        "# The engines",
        made,
        "Further: [what you give them](api-given.md), [what they return](api-records.md);",
        "[middleware, testing kit](api-kit.md); [frameworks, metrics, traces](api-contrib.md); [errors](errors.md).",
        "Each name is at work in a program that runs as a test: [firing.md](../firing.md).",
        "Times are milliseconds where a name ends in `ms`, else seconds; sizes are bytes. Both engines have the same",
        "methods; `AsyncHookEngine`'s are awaited.",
    ]
    for engine in ENGINES:
        lines += class_part(f"hookrow.{engine.__name__}", engine)
    for name, (door, awaited) in DOORS.items():
        lines += part(f"engine.{name}", list(behind(door, awaited)))
    lines += part("engine.events", list(methods(Catalogue)))
    return "\n".join(lines) + "\n"


def given_page(made: str) -> str:
    """docs/reference/api-given.md."""
    lines = ["# What you give to the engine", made, "The engines: [api.md](api.md)."]
    lines += api_of(hookrow, GIVEN)
    lines += ["", "## Types to annotate with", "```text"]
    lines += [line for name, text in ALIASES.items() for line in (name, f"    {text}", "")]
    return "\n".join([*lines[:-1], "```"]) + "\n"


def records_page(made: str) -> str:
    """docs/reference/api-records.md."""
    lines = [
        "# What the engine returns, A to H",
        made,
        "I to Z: [api-records-2.md](api-records-2.md). The engines: [api.md](api.md).",
    ]
    return "\n".join([*lines, *api_of(hookrow, returned(lambda name: name[0] <= "H"))]) + "\n"


def more_records_page(made: str) -> str:
    """docs/reference/api-records-2.md."""
    lines = [
        "# What the engine returns, I to Z",
        made,
        "A to H: [api-records.md](api-records.md). The engines: [api.md](api.md).",
    ]
    return "\n".join([*lines, *api_of(hookrow, returned(lambda name: name[0] > "H"))]) + "\n"


def returned(chosen: Callable[[str], bool]) -> Iterator[str]:
    """The public names of `hookrow` that a caller gets."""
    return (name for name in hookrow.__all__ if name not in (*GIVEN, *ALIASES) and chosen(name))


def kit_page(made: str) -> str:
    """docs/reference/api-kit.md."""
    about = "`hookrow.wsgi` has the same names as `hookrow.asgi`; its `settle()` blocks, its functions can't be async."
    lines = ["# Middleware and testing kit", made, f"The engines: [api.md](api.md). {about}"]
    return "\n".join([*lines, *(line for module in KIT for line in api_of(module, module.__all__))]) + "\n"


def contrib_page(made: str) -> str:
    """docs/reference/api-contrib.md."""
    lines = [
        "# Frameworks, metrics, traces",
        made,
        "The engines: [api.md](api.md). At work: [Django](../django.md), [FastAPI, Flask](../frameworks.md),",
        "[metrics and traces](../observability.md).",
    ]
    return "\n".join([*lines, *(line for module in CONTRIB for line in api_of(module, module.__all__))]) + "\n"
