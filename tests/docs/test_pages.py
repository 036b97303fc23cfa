"""docs/ says what the code says: pages made from it, trees drawn of it, links that lead somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path

import pytest

from docs import pages
from docs.error_advice import ADVICE
from docs.pages import ERRORS, OUTCOMES, PAGES, SKIPS, below, tree
from hookrow import errors, words
from hookrow.delivery.states import DELIVERY_STATES
from warm import run_warm

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """The pages as the code says them now."""
    command = [sys.executable, str(Path(__file__).with_name("pages.py"))]
    ran = run_warm(command)
    assert (ran.returncode, ran.stderr) == (0, "")
    pages: dict[str, str] = json.loads(ran.stdout)
    return pages


@pytest.mark.parametrize("name", PAGES)
def test_a_page_made_from_the_code_is_fresh(name: str, made: dict[str, str]) -> None:
    """Every command, option, field, event, setting, word and error is documented as it is."""
    page, wanted = DOCS / name, made[name]
    if os.environ.get("UPDATE_DOCS"):
        page.write_text(wanted, "utf-8")
    assert page.read_text("utf-8") == wanted


def words_in(*files: str) -> str:
    """The source of these modules of the engine."""
    return "\n".join((ROOT / "engine" / "hookrow" / name).read_text("utf-8") for name in files)


def test_every_state_of_a_delivery_has_its_word() -> None:
    """States that wait for a worker are shown as queued or retrying, a dropped one as cancelled (records.Delivery)."""
    shown = {"blocked": "queued", "leased": "queued", "dropped": "cancelled"}
    assert {shown.get(state, state) for state in DELIVERY_STATES} == set(OUTCOMES)


def test_every_word_of_the_dictionary_is_explained() -> None:
    """Outcomes, errors, skip reasons and states have a line each in the reference, and nothing else has."""
    assert set(pages.FIRINGS) | set(OUTCOMES) == set(words.OUTCOMES)
    for told, known in ((SKIPS, words.SKIPS), (ERRORS, words.ERRORS), (pages.STATES, words.STATES)):
        assert set(told) == set(known)


def test_every_reason_and_error_word_of_the_source_is_documented() -> None:
    """What the code records as a skip reason or an error stands in the reference, and nothing else does."""
    source = words_in("delivery/plan.py", "delivery/states.py", "delivery/reply.py", "core/row.py", "core/drafts.py")
    source += words_in("core/firing.py")
    source += words_in("errors.py", "transport/attempt.py", "transport/faults.py", "transport/exchange.py")
    source += words_in("template/compiled.py", "core/arrival.py", "store/outbox/takeover.py", "store/outbox/damaged.py")
    for word in (*SKIPS, *ERRORS):
        assert re.search(rf"\"{word}\"", source), word


def test_the_error_tree_in_the_docstring_is_the_classes_tree() -> None:
    """Drawn names and their order of depth are those of the classes."""

    def tree(kind: type, depth: int = 0) -> list[tuple[int, str]]:
        found = [(depth, kind.__name__)]
        for child in kind.__subclasses__():
            if child.__module__ == "hookrow.errors":
                found += tree(child, depth + 1)
        return found

    drawn = []
    for line in ast.get_docstring(ast.parse(Path(errors.__file__).read_text("utf-8"))).split("\n"):  # type: ignore[union-attr]
        match = re.match(r"^((?:│   |    )*)(?:├── |└── )?([A-Z]\w+)", line)
        if match and (line.startswith("HookrowError") or "──" in line):
            drawn.append((len(match[1]) // 4 + ("──" in line), match[2]))
    assert drawn == tree(errors.HookrowError)


def documents() -> list[Path]:
    """Every document of the repository."""
    return [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]


def test_every_error_has_its_advice() -> None:
    """What to do about it, and whether the call is worth a retry."""
    named = {kind.__name__ for kind, _ in tree(errors.HookrowError) if not below(kind)}
    assert set(ADVICE) == named


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of every document."""
    for target in re.findall(r"\]\(([^)#\s]+)\)", document.read_text("utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_document_is_two_steps_from_the_readme() -> None:
    """A reader finds it."""
    reached, edge = {ROOT / "README.md"}, [ROOT / "README.md"]
    for _ in range(2):
        found = []
        for page in edge:
            for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text("utf-8")):
                path = (page.parent / target).resolve()
                found += path.glob("*.md") if path.is_dir() else [path]
        found = [path for path in found if path.suffix == ".md"]
        edge = [path for path in found if path not in reached and path.exists()]
        reached |= set(edge)
    assert set(documents()) - reached == set()
