"""Two languages: complete, equal in their values; the form's labels letter for letter the document's."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from apps import shown
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from screens import drawn

from hookrow_tui.hooks.table import HookTable

PACKAGE = Path(__file__).parents[2] / "tui" / "hookrow_tui"
CATALOGUE = PACKAGE / "locale" / "ru" / "LC_MESSAGES" / "hookrow_tui.po"
VALUE = re.compile(r"\{(\w+)\}")

# What the document's page shows, in its order (the third and the later lines of one row stand side by side).
DOCUMENT = (
    "Настройка веб-хуков",
    "Записать и закрыть",
    "Основные параметры",
    "Наименование",
    "Адрес",
    "Событие",
    "Порядок применения",
    "Таймаут ожидания",
    "Период действия",
    "С",
    "по",
    "Признаки",
    "Активно",
    "Блок без ответа",
    "Ожидание ответа",
    "Ответ содержит данные",
    "Тело",
    "Дополнительные параметры",
    "URL адрес базовой аутентификации и логин",
    "URL адрес базовой аутентификации и пароль",
    "Пользовательский заголовок URL",
)


@cache
def messages() -> dict[str, tuple[str, ...]]:
    """Every Russian message by its English one; the English is the msgid."""
    with CATALOGUE.open("rb") as file:
        return {
            message.id if isinstance(message.id, str) else message.id[0]: (
                (message.string,) if isinstance(message.string, str) else tuple(message.string)
            )
            for message in read_po(file, locale="ru")
            if message.id
        }


@cache
def said() -> set[str]:
    """Every message of the interface's source."""
    found = extract_from_dir(str(PACKAGE), [("**.py", "python")], keywords={"Say": (1,), "SayPlural": (1, 2)})
    return {entry[2] if isinstance(entry[2], str) else entry[2][0] for entry in found}


def test_every_message_has_its_russian() -> None:
    """Nothing of the source is missing, nothing is left over, nothing is empty."""
    russian = messages()
    assert said() - set(russian) == set()
    assert set(russian) - said() == set()
    assert [english for english, texts in russian.items() if not all(texts)] == []


def test_no_message_stands_inside_an_f_string() -> None:
    """There the extraction does not see it, and it would stay English."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                called = {ast.unparse(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
                assert not called & {"Say", "SayPlural", "Text", "Plural"}, f"{path.name}:{node.lineno}"


def test_both_languages_hold_the_same_values() -> None:
    """A value that one language forgets would be lost, one too many would fail."""
    for english, texts in messages().items():
        for text in texts:
            assert set(VALUE.findall(text)) == set(VALUE.findall(english)), english


def test_the_compiled_messages_are_fresh() -> None:
    """The .mo that is shipped holds what the .po says."""
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = {
            message.id if isinstance(message.id, str) else message.id[0]: message.string
            for message in read_mo(file)
            if message.id
        }
    assert set(compiled) == set(messages())


def test_no_message_hides_inside_an_f_string() -> None:
    """There the extraction does not look: such a message would never be translated."""
    hidden = [
        f"{path.name}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"\{Say(Plural)?\(", line)
    ]
    assert hidden == []


@pytest.mark.anyio
async def test_the_form_has_the_documents_words_in_the_documents_order() -> None:
    """The whole page, letter for letter, on 80x24."""
    async with shown() as at:
        at.app.screen.query_one(HookTable).go(3)
        await at.press("enter")
        await at.pilot.pause()
        lines = drawn(at.app).splitlines()
        place = 0
        text = " ".join(lines)
        for words in DOCUMENT:
            found = re.compile(rf"(?<!\w){re.escape(words)}(?!\w)").search(text, place)
            assert found, f"«{words}» does not come after what stands before it in the document"
            place = found.end()
