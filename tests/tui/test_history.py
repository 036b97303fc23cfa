"""The history of a hook: who changed what, and the way back; a rollback never overwrites what nobody has looked at."""

from __future__ import annotations

import threading
from datetime import UTC
from typing import Any

import pytest
from apps import Shown, shown, until
from fake_engine import FakeEngine, Secret
from screen_data import told
from screens import SIZES, drawn, same_as_golden

from hookrow import StorageError
from hookrow.records import Revision
from hookrow_tui.hooks.history import HistoryScreen
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.presenters.changes import back_to, changed_codes, detail, summary
from hookrow_tui.presenters.styled import plain
from hookrow_tui.words import READ_ONLY

pytestmark = pytest.mark.anyio


def busy_engine(lang: Any = "ru") -> FakeEngine:
    """The drawn hooks; the fourth was edited by two people, paused and resumed."""
    engine = FakeEngine(lang=lang)
    name = engine.hooks.get(4).name
    engine.hooks.update(4, {"timeout": 3.0, "name": told("Скидки", lang)})
    engine.hooks.who = "anna"
    engine.hooks.update(4, {"auth_password": Secret(True), "body": '{\n  "order": "{{ order.id }}"\n}'})
    engine.hooks.pause(4, told("ремонт", lang))
    engine.hooks.resume(4)
    engine.hooks.who = "olga@192.0.2.7"
    engine.hooks.update(4, {"timeout": 5.0, "name": name})
    return engine


async def open_history(at: Shown) -> HistoryScreen:
    """The history of the drawn form's hook."""
    table = at.app.screen.query_one(HookTable)
    table.go(next(place for place, row in enumerate(table.rows) if row.hook.id == 4))
    await at.press("h")
    await until(at.pilot, lambda: "olga" in drawn(at.app), "the history")
    await at.pilot.pause()
    assert isinstance(at.app.screen, HistoryScreen)
    return at.app.screen


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_history_as_drawn(size: tuple[int, int], lang: Any) -> None:
    """Revisions with time, person, deed; below them what the chosen one changed; a secret only as replaced."""
    async with shown(size, lang=lang, engine=busy_engine(lang)) as at:
        await open_history(at)
        await at.press("down", "down", "down")
        await at.pilot.pause()
        same_as_golden(at.app, f"history-{size[0]}x{size[1]}-{lang}")


@pytest.mark.parametrize(("lang", "word"), [("ru", "Чтение…"), ("en", "Reading…")])
async def test_it_says_that_it_is_being_read(lang: Any, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list is no answer: until there is one a line says so, and no longer."""
    engine, gate = busy_engine(), threading.Event()
    history = engine.hooks.history
    monkeypatch.setattr(engine.hooks, "history", lambda ref: gate.wait(20) and history(ref))
    async with shown((80, 24), lang=lang, engine=engine) as at:
        await at.press("h")
        await until(at.pilot, lambda: word in drawn(at.app), "the word")
        gate.set()
        await until(at.pilot, lambda: word not in drawn(at.app), "the history")
        assert isinstance(at.app.screen, HistoryScreen)
        assert at.app.screen.listing.rows


async def test_it_does_not_say_so_when_it_could_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason stands there instead."""
    engine = busy_engine()

    def broken(ref: int) -> Any:
        raise StorageError("the disk is on fire")

    monkeypatch.setattr(engine.hooks, "history", broken)
    async with shown((80, 24), lang="en", engine=engine) as at:
        await at.press("h")
        await until(at.pilot, lambda: "the disk is on fire" in drawn(at.app), "the reason")
        assert "Reading…" not in drawn(at.app)


async def test_a_rollback_is_asked_about_with_what_it_changes_and_made() -> None:
    """Enter shows the fields that would change, «No» marked; yes makes the hook what it was."""
    async with shown((120, 40), engine=busy_engine()) as at:
        await open_history(at)
        await at.press("down", "down", "down", "down", "enter")
        await at.pilot.pause()
        text = drawn(at.app)
        assert "Таймаут ожидания: 5 с → 3 с" in text
        assert "Секреты останутся" in text
        await at.press("enter")
        assert at.engine.hooks.get(4).timeout == 5.0
        await at.press("enter", "right", "enter")
        await until(at.pilot, lambda: at.engine.hooks.get(4).timeout == 3.0, "the rollback")
        assert at.engine.hooks.history(4)[0].action == "rollback"


async def test_a_rollback_to_what_stands_is_no_change() -> None:
    """The newest revision has nothing to take back, and the screen says so."""
    async with shown(engine=busy_engine()) as at:
        await open_history(at)
        await at.press("enter")
        assert "возвращать нечего" in drawn(at.app)
        assert at.engine.hooks.get(4).revision == 6


async def test_a_rollback_stops_at_a_change_that_nobody_looked_at() -> None:
    """A colleague saved while the question stood: nothing is written, their revision appears."""
    async with shown((120, 40), engine=busy_engine()) as at:
        await open_history(at)
        await at.press("end", "enter", "right")
        at.engine.hooks.update(4, {"timeout": 9.0})
        await at.press("enter")
        await until(at.pilot, lambda: "посмотрите ещё раз" in drawn(at.app), "the sentence")
        assert at.engine.hooks.get(4).timeout == 9.0
        await until(at.pilot, lambda: "7 изменений" in drawn(at.app), "their revision")


async def test_who_may_only_read_sees_the_history_and_takes_nothing_back() -> None:
    """Enter says why not."""
    engine = busy_engine()
    engine.read_only = True
    async with shown(engine=engine) as at:
        await open_history(at)
        await at.press("end", "enter")
        assert str(READ_ONLY) in drawn(at.app)
        assert engine.hooks.get(4).revision == 6


def revision(number: int, before: dict[str, Any] | None, after: dict[str, Any], action: str = "edit") -> Revision:
    """A revision of these fields."""
    return Revision(number, 0, "olga", action, before, after)


def test_a_secrets_value_is_in_no_line() -> None:
    """Set, replaced, removed: each is said, whatever else the revision might hold."""
    unset, kept, new = {"set": False}, {"set": True}, {"set": True, "changed": True}
    for before, after, word in ((unset, kept, "set"), (kept, new, "replaced"), (kept, unset, "removed")):
        change = revision(2, {"auth_password": before}, {"auth_password": after})
        assert word in plain(detail(change, UTC))
        assert changed_codes([change]) == ["auth_password"]


def test_a_rollback_shows_no_field_that_it_leaves_alone() -> None:
    """Secrets, the custom header and the pause stay as they are now."""
    then = revision(1, None, {"name": "a", "auth_password": {"set": True}, "custom_header": "X-A", "paused_by": None})
    newest = revision(
        2, then.after, {"name": "b", "auth_password": {"set": False}, "custom_header": "", "paused_by": "person"}
    )
    assert plain(back_to(then, newest, UTC)) == "Name: b → a"


def test_a_period_is_called_by_its_whole_name() -> None:
    """«С» and «по» alone would say nothing."""
    change = revision(2, {"valid_until": None}, {"valid_until": "2026-11-01T00:00:00Z"})
    assert "Valid until" in summary(change)
    assert "01.11.2026 00:00 +00:00" in plain(detail(change, UTC))
