"""The sample data speaks the reader's language."""

from __future__ import annotations

import re

import pytest

from cli_runs import Hookrow
from hookrow.cli.example.english import ENGLISH

CYRILLIC = re.compile("[а-яА-ЯёЁ]+")


@pytest.mark.usefixtures("kept_example")
def test_english_readers_get_english_names_and_data(hookrow: Hookrow) -> None:
    """In hooks, payloads, replies, reasons and bodies nothing is left in Russian."""
    hookrow("--lang", "en", "init", "--example")
    everything = hookrow("hooks", "list", "--json").out + hookrow("log", "--limit", "1000", "--json").out
    everything += hookrow("export").out
    assert "Morning mug" in everything
    assert sorted(set(CYRILLIC.findall(everything))) == []


@pytest.mark.usefixtures("kept_example")
def test_russian_readers_get_russian_ones(hookrow: Hookrow) -> None:
    """And the hooks have the same keys."""
    hookrow("--lang", "ru", "init", "--example")
    names = [each["name"] for each in hookrow("hooks", "list", "--json").lines]
    assert "Остатки склада" in names
    assert not set(names) & set(ENGLISH.values())


@pytest.mark.parametrize("russian", ENGLISH)
def test_an_english_text_has_no_russian_in_it(russian: str) -> None:
    """A word left over would stand in an English log."""
    assert not CYRILLIC.search(ENGLISH[russian])
