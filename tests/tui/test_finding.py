"""Filters of the list and the log: everything visible is found, words are completed, the log's filter is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apps import in_thread, shown, until
from hypothesis import given
from hypothesis import strategies as st
from screens import drawn
from textual.widgets import Input

from hookrow import Hook, HookEngine
from hookrow.lang import use
from hookrow.records import LogFilter
from hookrow.words import outcome_code
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.presenters.hook_rows import list_completions
from hookrow_tui.presenters.log.query import NotAFilter, completions, parse, show

EVENTS = ["before_order_add", "before_registration"]
HOOKS = ["Чёрный список", "Проверка ИНН"]


@pytest.fixture
def russian() -> Any:
    """Russian words."""
    use("ru")
    yield
    use("en")


@pytest.mark.usefixtures("russian")
@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("хук:Чё", "хук:Чёрный"),
        ('хук:"Чё', 'хук:"Чёрный список"'),
        ("итог:проб", "итог:проблема"),
        ("итог:не", "итог:недоставлено"),
        ("за:вч", "за:вчера"),
        ("код:5", "код:5xx"),
        ("наблюдение:отк", "наблюдение:отказалбы"),
        ("договор соб", "договор событие:"),
        ("event:before_r", "event:before_registration"),
        ("хук:нет", ""),
        ("", ""),
        ("ключ:", ""),
    ],
)
def test_the_logs_filter_is_completed(typed: str, first: str) -> None:
    """Keys, and the values of each; a name with blanks as a whole only within quotes."""
    found = completions(typed, hooks=HOOKS, events=EVENTS)
    assert (found[0] if found else "") == first


@given(st.text(max_size=20))
def test_whatever_is_completed_begins_with_what_is_typed_and_can_be_read(typed: str) -> None:
    """No completion changes what stands there; a whole value reads back unless its hook is not known."""
    for each in completions(typed, hooks=HOOKS, events=EVENTS):
        assert each.startswith(typed)


@pytest.mark.usefixtures("russian")
def test_the_lists_filter_is_completed() -> None:
    """Its two fields, the events that occur, the states."""
    assert list_completions("со", EVENTS) == ["событие:", "состояние:"]
    assert list_completions("x событие:before_o", EVENTS) == ["x событие:before_order_add"]
    assert list_completions("состояние:вы", EVENTS) == ["состояние:выкл"]
    assert list_completions("слово:", EVENTS) == []


@pytest.mark.usefixtures("russian")
def test_anything_that_failed_is_one_word() -> None:
    """In both languages, and shown as it can be typed."""
    assert outcome_code("проблемы") == outcome_code("problem") == "problem"
    assert show(LogFilter(outcome="problem")) == "итог:проблема"
    assert parse("итог:сбои", now_ms=0) == LogFilter(outcome="problem")
    with pytest.raises(NotAFilter, match="проблема"):
        parse("итог:нечто", now_ms=0)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("order_add 20", ["Остатки склада"]),
        ("on_sub", ["Письмо о продлении"]),
        ("выкл", ["Расчёт доставки СДЭК"]),
        ("hook-3", ["Карточка клиента в 1С"]),
    ],
)
async def test_the_list_is_searched_in_everything_that_a_row_shows(words: str, names: list[str]) -> None:
    """Event, position, state, key; not only the name."""
    async with shown() as at:
        await at.press("slash")
        await at.type(words)
        assert [row.hook.name for row in at.app.screen.query_one(HookTable).rows] == names


@pytest.mark.anyio
async def test_tab_writes_what_is_suggested_and_down_shows_another() -> None:
    """Without a suggestion Tab does nothing: what is typed behind it never acts as commands."""
    async with shown() as at:
        await at.press("slash")
        await at.type("со")
        field = at.app.screen.query_one("#find", Input)
        await at.press("down", "tab")
        assert field.value == "состояние:"
        await at.type("вык")
        await at.press("tab")
        await at.press("tab")
        assert field.value == "состояние:выкл"
        assert field.has_focus
        assert len(at.app.screen.query_one(HookTable).rows) == 1


@pytest.mark.anyio
async def test_the_logs_filter_is_kept_and_takes_part_of_a_name(tmp_path: Path) -> None:
    """L, a filter by a part of a hook's name, Escape, L: the same; several that fit are named."""
    engine = HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False)

    def fill() -> None:
        for name in ("Чёрный список", "Чёрная пятница"):
            engine.hooks.add(Hook(name=name, event="before_order_add", url="https://a.example/x"))
        engine.fire("before_order_add", {"a": 1})

    in_thread(fill)
    async with shown((120, 40), engine=engine) as at:
        await at.press("L")
        await until(at.pilot, lambda: "1 срабатывание" in drawn(at.app), "the log")
        await at.press("slash")
        await at.type("хук:чёрн")
        await at.press("enter")
        await until(at.pilot, lambda: "Чёрная пятница" in drawn(at.app).splitlines()[2], "that several fit")
        await at.press("end", "ctrl+u")
        await at.type("хук:спис")
        await at.press("enter")
        await until(at.pilot, lambda: "хук:спис" in drawn(at.app).splitlines()[0], "the filter")
        await at.press("escape")
        await until(at.pilot, lambda: "Веб-хуки" in drawn(at.app).splitlines()[0], "the list")
        await at.press("L")
        await until(at.pilot, lambda: "хук:спис" in drawn(at.app).splitlines()[0], "the filter again")
