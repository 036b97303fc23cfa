"""The public names: each is documented, and each is at work in a program of docs/ that runs, or in every_name.py."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from docs.api_page import MODULES, documented

DOCS = Path(__file__).parents[2] / "docs"
PROGRAM = re.compile(r"<!-- runs -->\n```python\n(.*?)```", re.DOTALL)
RUNS = "\n".join(
    [block for page in sorted(DOCS.glob("*.md")) for block in PROGRAM.findall(page.read_text("utf-8"))]
    + [Path(__file__).with_name("every_name.py").read_text("utf-8")]
)


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
