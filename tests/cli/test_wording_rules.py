"""The rules of docs/contributing/writing.md over all messages: of the engine, the command line and the interface."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po

import hookrow
import hookrow_tui
from hookrow import lang
from hookrow.cli.show.layout import width
from hookrow.hook.modes import MODES, mode_sentence
from hookrow.lang import Plural, Text, filled, quoted
from hookrow_tui.actions import ACTIONS

DOCS = Path(__file__).parents[2] / "docs"
Pair = tuple[tuple[str, ...], tuple[str, ...]]
NAMES = {"feminine": "Проверка «Утро»", "masculine": "Склад", "code": "stock-2"}
NUMBERS, CODES = {"n", "shown", "done", "all", "left", "format"}, {"key", "option", "command"}
COUNTS = (0, 1, 2, 5, 11, 21, 101)


def pairs() -> Iterator[Pair]:
    """Every message with its Russian: the forms of both."""
    for package, domain in ((hookrow, "hookrow"), (hookrow_tui, "hookrow_tui")):
        catalogue = Path(str(package.__file__)).parent / "locale" / "ru" / "LC_MESSAGES" / f"{domain}.po"
        with catalogue.open("rb") as file:
            for each in read_po(file, locale="ru"):
                if each.id:
                    english = (each.id,) if isinstance(each.id, str) else tuple(each.id)
                    yield english, (each.string,) if isinstance(each.string, str) else tuple(each.string)


ALL = list(pairs())
ENGLISH = [text for forms, _ in ALL for text in forms]
RUSSIAN = [text for _, forms in ALL for text in forms]


def values_of(text: str, name: str, n: int) -> dict[str, Any]:
    """Something for every value that a message wants."""
    keys = re.findall(r"\{(\w+)[!:}]", text)
    return {key: "stock" if key in CODES else name for key in keys} | {key: n for key in keys if key in NUMBERS}


@pytest.mark.parametrize("name", NAMES)
def test_every_message_can_be_said_with_every_name_and_number(name: str) -> None:
    """In both languages, without a value left over, and quotation marks stand one within the other."""
    russian = set(RUSSIAN)
    for text in russian.union(ENGLISH):
        if "%(" in text or "{!" in text or "{%" in text:  # no values of ours
            continue
        for n in COUNTS if NUMBERS & values_of(text, name, 0).keys() else COUNTS[:1]:
            said = filled(text, values_of(text, NAMES[name], n), "ru" if text in russian else "en")
            assert not re.search(r"(?<!\{)\{\w+\}(?!\})", said) or "{{" in text, text
            if text in russian:
                assert not re.search(r"«[^»]*«", said), said


def test_counted_messages_have_a_form_for_each_number() -> None:
    """Three Russian forms; for five and more a verb before the number is singular: «будет повторено 5»."""
    for english, russian in ALL:
        if len(english) == 2:
            assert len(russian) == 3, english
            assert not re.match(r"(Будут|\w+ены|\w+аты|\w+яты)\b.*\{n\}", russian[2]), russian[2]


SUBJECT = re.compile(
    r"(?<![а-яА-Я] )(?<![а-яА-Я] «)(?<!: )\{(hook|name|who|place)\}»? (?:не )?\w+(?:л|ла|ло|ен|ена|ён|ён)\b"
)


DID = re.compile(r"\w{3,}(?:ил|ал|ел|ул|ял)а? \{(?:who|hook|name)\}")


def test_no_name_decides_the_gender_of_a_word() -> None:
    """«хук «{hook}» отклонил операцию», not «{hook}» alone: a name may be a woman's, a thing's, a code."""
    assert [text for text in RUSSIAN if SUBJECT.search(text) or DID.search(text)] == []


UNSAID = {
    "en": r"«|»|\bnobody\b|\bsealed?\b|given up|passed over|waiting hook|\bhe\b|\bhis\b|(?-i:ctrl\+)|complain",
    "ru": r"(?-i:ctrl\+)|некого|не место|гадать|сдались|работник|прогнать|запечатан|недошедш|\bпопросил",
}


@pytest.mark.parametrize("language", UNSAID)
def test_words_that_writing_has_no_place_for(language: str) -> None:
    """One word for one thing, no person for the program, the quotation marks of the language."""
    texts = ENGLISH if language == "en" else RUSSIAN
    assert [text for text in texts if re.search(UNSAID[language], text, re.IGNORECASE)] == []


PAGES = (*DOCS.glob("*.md"), *DOCS.glob("reference/*.md"), DOCS.parent / "README.md")
UNWRITTEN = (
    r"«|»|\b(?:s?he|his|sealed?|verdicts?(?!\()|drained)\b|given up|waiting hook|nobody waits for it|what came of|"
    r"what became of|front door|order key|before-event|after-event|DESIGN"
)


@pytest.mark.parametrize("page", [each for each in PAGES if ".ru." not in each.name], ids=lambda each: each.name)
def test_pages_for_users_say_it_in_the_same_words(page: Path) -> None:
    """The screens and the link to the Russian pages aside."""
    text = re.sub(r"<!-- screen: .*?<!-- end -->", "", page.read_text("utf-8"), flags=re.DOTALL)
    assert re.findall(rf".{{0,40}}(?:{UNWRITTEN}).{{0,20}}", text, re.IGNORECASE) == []


def test_no_full_stop_sticks_to_what_people_copy() -> None:
    """A path or an address at the end of a message."""
    assert [text for text in ENGLISH + RUSSIAN if re.search(r"\{(path|url)\}\.$", text)] == []


@pytest.mark.parametrize("language", ["ru", "en"])
def test_what_stands_at_a_fixed_place_fits_there(language: lang.Language) -> None:
    """26 columns for a line of the help; 72 for the sentence beside the body, with the longest timeout."""
    before = lang.current()
    lang.use(language)
    try:
        assert [str(each.help) for each in ACTIONS if each.help is not None and width(str(each.help)) > 26] == []
        sentences = {
            str(mode_sentence(mode, 29.5, failure, moment))
            for mode in MODES
            for failure in ("continue", "stop")
            for moment in ("before", "after")
        }
        assert [each for each in sentences if width(each) > 72] == []
    finally:
        lang.use(before)


def test_quotation_marks_are_the_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    """«…» with „…“ within in Russian, "…" in English; also where a message puts a value between them."""
    named = Text('hook "{hook}" vetoed: {message}', hook="Кружки «Утро»", message="нет")
    monkeypatch.setattr(lang.Speech, "language", "ru")
    assert quoted("Кружки «Утро» нет") == "«Кружки „Утро“ нет»"
    assert str(named) == "хук «Кружки „Утро“» отклонил операцию: нет"
    monkeypatch.setattr(lang.Speech, "language", "en")
    assert quoted("Cups") == '"Cups"'
    assert str(named) == 'hook "Кружки «Утро»" vetoed: нет'


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (0, "Будет повторено 0 срабатываний:"),
        (1, "Будет повторено 1 срабатывание:"),
        (2, "Будут повторены 2 срабатывания:"),
        (5, "Будет повторено 5 срабатываний:"),
        (11, "Будет повторено 11 срабатываний:"),
        (21, "Будет повторено 21 срабатывание:"),
    ],
)
def test_a_count_is_said_as_russians_say_it(monkeypatch: pytest.MonkeyPatch, n: int, said: str) -> None:
    """The verb goes with the number."""
    monkeypatch.setattr(lang.Speech, "language", "ru")
    assert str(Plural("{n} firing will be replayed:", "{n} firings will be replayed:", n)) == said
