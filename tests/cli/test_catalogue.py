"""The Russian catalogue of the engine and the command line: complete, with the same places for values, compiled."""

from __future__ import annotations

import ast
import io
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import hookrow
from hookrow import lang

ENGINE = Path(hookrow.__path__[0])
FOLDER = ENGINE / "locale" / "ru" / "LC_MESSAGES"
KEYWORDS = {"Text": (1,), "Plural": (1, 2)}


def source_messages() -> set[str | tuple[str, ...]]:
    """What the source says, as extraction finds it."""
    found = extract_from_dir(ENGINE, method_map=[("**.py", "python")], keywords=KEYWORDS, comment_tags=())
    return {message for _, _, message, _, _ in found}


def written_messages() -> set[str | tuple[str, ...]]:
    """What the source says, as Python reads it: inside an f-string, too, where extraction finds nothing."""
    found: set[str | tuple[str, ...]] = set()
    for path in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS:
                words = [
                    each.value for each in node.args[: len(KEYWORDS[node.func.id])] if isinstance(each, ast.Constant)
                ]
                if words:
                    found.add(words[0] if len(words) == 1 else tuple(words))
    return found


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    """The catalogue as it is kept."""
    with (FOLDER / "hookrow.po").open("rb") as file:
        return read_po(file, locale="ru", domain="hookrow", abort_invalid=True)


def messages(catalogue: Catalog) -> Iterator[Message]:
    """Every message but the header."""
    return (message for message in catalogue if message.id)


def places(text: str) -> set[str]:
    """The places for values in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_the_catalogue_is_complete(catalogue: Catalog) -> None:
    """Every message of the source is translated, and nothing else is kept; run `make i18n` after a change."""
    translated = {message.id for message in messages(catalogue) if message.string and not message.fuzzy}
    said = source_messages()
    assert written_messages() - said == set()
    assert said - translated == set()
    assert translated - said == set()


def test_every_form_is_there_with_the_same_places(catalogue: Catalog) -> None:
    """Each form of each message takes the values of the original, no others; plurals have the three Russian forms."""
    for message in messages(catalogue):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        assert len(forms) == (3 if isinstance(message.id, tuple) else 1)
        for form in forms:
            assert form, message.id
            assert places(ids[0]) & places(ids[-1]) <= places(form) <= set().union(*map(places, ids)), message.id
            assert form.count("%(") == ids[0].count("%("), message.id
        assert places(forms[-1]) == places(ids[-1]), message.id


def test_the_compiled_catalogue_is_fresh(catalogue: Catalog) -> None:
    """The .mo is what the .po compiles to."""
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    assert (FOLDER / "hookrow.mo").read_bytes() == compiled.getvalue()


@pytest.mark.parametrize(
    ("n", "words"), [(1, "Отменено доставок: 1."), (3, "Отменено доставок: 3."), (11, "Отменено доставок: 11.")]
)
def test_russian_counts(monkeypatch: pytest.MonkeyPatch, n: int, words: str) -> None:
    """The three forms follow the number."""
    monkeypatch.setattr(lang.Speech, "language", "ru")
    assert str(lang.Plural("{n} delivery discarded.", "{n} deliveries discarded.", n)) == words
