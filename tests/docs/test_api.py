"""The public names: each is documented, and each is at work in a program of docs/ that runs, or in every_name.py."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from docs.api_page import MODULES, documented

DOCS = Path(__file__).parents[2] / "docs"
PROGRAM = re.compile(r"<!-- (?:runs|django [^>]*) -->\n```python\n(.*?)```", re.DOTALL)
RUNS = "\n".join(
    [block for page in sorted(DOCS.glob("*.md")) for block in PROGRAM.findall(page.read_text("utf-8"))]
    + [Path(__file__).with_name("every_name.py").read_text("utf-8")]
)

UNITS = ("_ms", "days", "hours", "seconds")
"""Names that say their unit."""


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_is_what_a_module_gives(module: ModuleType) -> None:
    """Sorted, without doubles, and every name is there."""
    names = list(module.__all__)
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert [name for name in names if not hasattr(module, name)] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_at_work_in_a_program_that_runs(module: ModuleType) -> None:
    """Used, not only imported: it occurs outside of the import statements."""
    used = re.sub(r"^from \S+ import \([^)]*\)|^(from|import) .*", "", RUNS, flags=re.MULTILINE)
    assert [name for name in module.__all__ if not re.search(rf"\b{name}\b", used)] == []


def test_every_public_name_is_documented() -> None:
    """Classes, functions, methods and properties, in words of their own."""

    def words(value: Any) -> str | None:
        return value.__doc__ if not inspect.isclass(value) else vars(value).get("__doc__")

    found = dict(documented())
    assert len(found) > 150
    assert [name for name, value in found.items() if not words(value)] == []


def own_words(kind: type) -> str:
    """The docstrings of a class and of its fields."""
    texts = (node.value for node in ast.walk(ast.parse(inspect.getsource(kind))) if isinstance(node, ast.Expr))
    return " ".join(str(text.value) for text in texts if isinstance(text, ast.Constant))


def test_every_time_says_its_unit() -> None:
    """Records with milliseconds say so, and from when on moments count; whoever takes a `float` says of what."""
    silent = []
    for name, value in documented():
        if is_dataclass(value) and isinstance(value, type):
            times = {each.name for each in fields(value) if each.name.split("_")[-1] == "ms"}
            if times and "millisecond" not in own_words(value):
                silent.append(f"{name}: {sorted(times)}")
        elif inspect.isfunction(function := getattr(value, "__func__", value)):
            text = inspect.getdoc(function) or ""
            for each in inspect.signature(function).parameters.values():
                counted = re.search(r"\bfloat\b", str(each.annotation)) and not each.name.endswith(UNITS)
                if counted and not re.search(r"second|day|share|(?:as|see) `", text, re.IGNORECASE):
                    silent.append(f"{name}({each.name})")
    assert silent == []
