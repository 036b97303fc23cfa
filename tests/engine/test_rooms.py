"""The rooms of the code, held: how many modules stand in one, one meaning a name, no circle; and how lines read."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hookrow import errors

ROOT = Path(__file__).parents[2]
PACKAGES = {"hookrow": ROOT / "engine" / "hookrow", "hookrow_tui": ROOT / "tui" / "hookrow_tui"}
FOLDERS = sorted(
    folder for package in PACKAGES.values() for folder in (package, *package.rglob("*")) if any(folder.glob("*.py"))
)
MOST = 20
TOP = 12
"""Modules at the engine's top: what every room may use."""
REFERS = re.compile(r"\b(?:as|see) `", re.IGNORECASE)
ELSE = re.compile(r"\belse\b(?!\s*:)")
"""Of a conditional expression, or a word in a text; not of a statement."""
GENDERED = re.compile(r"\b(?:s?he|his|him|her|hers|(?:him|her)self)\b", re.IGNORECASE)


def name_of(path: Path) -> str:
    """The dotted name of a module's file."""
    for package, folder in PACKAGES.items():
        if path.is_relative_to(folder):
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            return ".".join(parts).removesuffix(".__init__")
    raise AssertionError(path)


MODULES = {name_of(path): path for package in PACKAGES.values() for path in sorted(package.rglob("*.py"))}


@cache
def tree(name: str) -> ast.Module:
    """A module's syntax."""
    return ast.parse(MODULES[name].read_text("utf-8"))


def holds_code(package: str) -> bool:
    """Whether a package's `__init__` imports anything of ours: then whoever enters by it meets that too."""
    return any(True for _ in named(package))


def named(name: str) -> Iterator[str]:
    """The modules of ours that a module names in an import, wherever in it: for types and late imports too."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def needs(name: str) -> set[str]:
    """What a module imports, and the `__init__` of each package that it enters from outside, where that holds code."""
    found = set()
    for other in named(name):
        found.add(other)
        parts = other.split(".")
        for depth in range(2, len(parts)):
            package = ".".join(parts[:depth])
            if not name.startswith(f"{package}.") and name != package and holds_code(package):
                found.add(package)
    return found - {name}


def circles() -> list[list[str]]:
    """The strongly connected components of more than one module (Tarjan)."""
    graph = {name: sorted(needs(name)) for name in MODULES}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            component = []
            while True:
                component.append(stack.pop())
                if component[-1] == name:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def classes(node: ast.AST, within: str = "") -> Iterator[str]:
    """The classes of a module; one inside another (a message of Textual's) by the name that it is spoken by."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ClassDef):
            yield f"{within}{inner.name}"
            yield from classes(inner, f"{within}{inner.name}.")
        elif not isinstance(inner, ast.expr):  # which holds no statement
            yield from classes(inner, within)


ALIKE = {"HookMiddleware"}
"""The same thing for two protocols: a service imports it from `hookrow.asgi` or `hookrow.wsgi`."""


@pytest.mark.parametrize("package", PACKAGES)
def test_a_class_name_means_one_thing(package: str) -> None:
    """No name of a class stands in two modules of the engine, nor in two of the interface."""
    homes: dict[str, list[str]] = {}
    for module in MODULES:
        if module.partition(".")[0] == package:
            for name in set(classes(tree(module))) - ALIKE:
                homes.setdefault(name, []).append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_imports_form_no_circle() -> None:
    """Whoever reads a module and what it names never comes back to it."""
    assert circles() == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: name_of(folder / "__init__.py"))
def test_a_room_can_be_overlooked(folder: Path) -> None:
    """At most twenty modules in a folder, twelve at the engine's top."""
    modules = [path.name for path in folder.glob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    assert len(modules) <= (TOP if folder == PACKAGES["hookrow"] else MOST), modules


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: name_of(folder / "__init__.py"))
def test_a_room_says_what_lives_there(folder: Path) -> None:
    """Its `__init__` has a docstring."""
    if folder.name != "versions":
        assert ast.get_docstring(tree(name_of(folder / "__init__.py")))


@pytest.mark.parametrize("package", PACKAGES)
def test_lines_are_paid_for(package: str) -> None:
    """No more lines than the decision's table allows: who needs more says there what for."""
    page = (ROOT / "docs" / "decisions" / "0015-what-the-line-bound-means.md").read_text("utf-8")
    rows = [each.split("|") for each in page.rpartition("| ceiling |")[2].splitlines()[2:]]
    ceiling = max(int(row[2 + list(PACKAGES).index(package)].replace(",", "")) for row in rows)
    lines = sum(path.read_bytes().count(b"\n") for path in PACKAGES[package].rglob("*.py"))
    assert lines <= ceiling


def choices(node: ast.AST, lines: list[int]) -> Iterator[ast.IfExp]:
    """The conditional expressions within what holds at least two of the lines on which one may have its `else`."""
    for inner in ast.iter_child_nodes(node):
        first = min([getattr(inner, "lineno", 0), *(each.lineno for each in getattr(inner, "decorator_list", ()))])
        if not first or bisect_right(lines, inner.end_lineno) - bisect_left(lines, first) > 1:
            if isinstance(inner, ast.IfExp):
                yield inner
            yield from choices(inner, lines)


def test_a_choice_within_a_choice_is_a_statement() -> None:
    """No conditional expression holds another one: in the product, its tests, its benchmarks."""
    others = [ROOT / "hatch_build.py", *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    nested = []
    for name, path in (*MODULES.items(), *(("", each) for each in others)):
        source = path.read_text("utf-8")
        lines = [source.count("\n", 0, found.start()) + 1 for found in ELSE.finditer(source)]
        if len(lines) > 1:
            nested += [
                f"{path.relative_to(ROOT)}:{outer.lineno}"
                for outer in choices(tree(name) if name else ast.parse(source), lines)
                if any(isinstance(inner, ast.IfExp) and inner is not outer for inner in ast.walk(outer))
            ]
    assert nested == []


def raised(function: ast.AST) -> Iterator[type[errors.HookrowError]]:
    """The errors of ours that a function itself raises."""
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            kind = getattr(errors, made.id, None) if isinstance(made, ast.Name) else None
            if isinstance(kind, type) and issubclass(kind, errors.HookrowError):
                yield kind


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions and methods of a module, but for what Python itself calls and those within others."""
    for node in tree(module).body:
        for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("__"):
                yield inner


def test_who_raises_says_so() -> None:
    """The docstring names the error or a wider one, or refers to another function's. A command's is its help."""
    silent = []
    for module in MODULES:
        if module.startswith("hookrow.") and not module.startswith("hookrow.cli."):
            for function in functions(module):
                text = ast.get_docstring(function) or ""
                for kind in set(raised(function)):
                    wider = kind.__mro__[: kind.__mro__.index(errors.HookrowError)]
                    if not REFERS.search(text) and not any(re.search(rf"\b{each.__name__}\b", text) for each in wider):
                        silent.append(f"{module}.{function.name}: {kind.__name__}")
    assert silent == []


def test_a_person_is_they() -> None:
    """No text, comment or docstring of the product speaks of somebody as a man or a woman."""
    found = [
        f"{name}: {line.strip()}"
        for name, path in MODULES.items()
        for line in path.read_text("utf-8").splitlines()
        if GENDERED.search(line)
    ]
    assert found == []
