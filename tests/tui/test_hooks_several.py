"""Several hooks at once in the list: marks, what is done to them, undo, the deleted ones, export; on a real engine."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from apps import Shown, in_thread, shown, until
from screens import drawn

from hookrow import Hook, HookEngine
from hookrow_tui.hooks.deleted import DeletedScreen
from hookrow_tui.hooks.screen import HooksScreen

pytestmark = pytest.mark.anyio

EVENT = "before_order_add"


@asynccontextmanager
async def listed(tmp_path: Path, size: tuple[int, int] = (80, 24), **more: Any) -> AsyncIterator[Shown]:
    """The list of four hooks, the second of which operations wait for."""
    engine = HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False)

    def fill() -> None:
        for number in range(1, 5):
            waits = {"wait_for_response": True, "on_failure": "stop"} if number == 2 else {}
            made = {"name": f"h{number}", "key": f"h{number}", "event": EVENT, "url": "https://a.example/x"}
            engine.hooks.add(Hook(**{**made, **waits, **more}))

    in_thread(fill)
    async with shown(size, engine=engine) as at:
        await until(at.pilot, lambda: "h4" in drawn(at.app), "the hooks")
        yield at


def states(at: Shown) -> list[str]:
    """The states of the hooks in their order."""
    return [hook.state for hook in at.engine.hooks.list()]


def order(at: Shown) -> list[str]:
    """The names in the order in which they run."""
    return [hook.name for hook in at.engine.hooks.list()]


def chosen(at: Shown) -> str:
    """The name of the hook under the cursor."""
    assert isinstance(at.app.screen, HooksScreen)
    return at.app.screen.chosen.name if at.app.screen.chosen else ""


async def test_marked_hooks_are_switched_off_after_a_question_that_names_them(tmp_path: Path) -> None:
    """m marks and goes on; the question says which operations wait for; the marks stay, space switches on again."""
    async with listed(tmp_path) as at:
        await at.press("m", "m")
        assert "отмечено: 2" in drawn(at.app).splitlines()[0]
        assert sum(line.startswith("+") for line in drawn(at.app).splitlines()) == 2
        await at.press("space")
        await at.pilot.pause()
        text = " ".join(drawn(at.app).replace("│", " ").split())
        assert "Выключить 2 хука?" in text
        assert "при ошибке отклоняются: «h2»" in text
        assert "В фоне: «h1»" in text
        await at.press("enter")
        await at.pilot.pause()
        assert states(at) == ["on"] * 4
        await at.press("space", "right", "enter")
        await until(at.pilot, lambda: states(at) == ["off", "off", "on", "on"], "they are off")
        await until(at.pilot, lambda: drawn(at.app).count("выкл") >= 2, "the list")
        await at.press("space")
        await until(at.pilot, lambda: states(at) == ["on"] * 4, "they are on")


async def test_a_range_all_that_is_shown_and_no_marks(tmp_path: Path) -> None:
    """M marks from the last mark to the cursor, A all that the filter shows, Escape none; hidden rows are not meant."""
    async with listed(tmp_path) as at:
        await at.press("m", "down", "M")
        assert "отмечено: 3" in drawn(at.app)
        await at.press("escape")
        assert "отмечен" not in drawn(at.app)
        await at.press("slash")
        await at.type("h3")
        await at.press("enter", "A")
        assert "отмечено: 1" in drawn(at.app) or "отмечен: 1" in drawn(at.app)
        await at.press("escape", "escape")
        await at.press("A")
        assert "отмечено: 4" in drawn(at.app)
        await at.press("slash")
        await at.type("h1")
        await at.press("enter", "d", "right", "enter")
        await until(at.pilot, lambda: order(at) == ["h2", "h3", "h4"], "only the one that is seen is deleted")


async def test_marked_hooks_are_paused_with_one_reason_and_resumed(tmp_path: Path) -> None:
    """p asks, asks why, pauses; p on paused ones resumes."""
    async with listed(tmp_path) as at:
        await at.press("A", "p", "right", "enter")
        await at.pilot.pause()
        await at.type("ремонт")
        await at.press("enter")
        await until(at.pilot, lambda: states(at) == ["paused"] * 4, "they are paused")
        assert {hook.paused_reason for hook in at.engine.hooks.list()} == {"ремонт"}
        await until(at.pilot, lambda: drawn(at.app).count("пауза") == 4, "the list")
        await at.press("p")
        await until(at.pilot, lambda: states(at) == ["on"] * 4, "they go on")


async def test_marked_hooks_move_together_and_one_undo_brings_them_back(tmp_path: Path) -> None:
    """J on two marked hooks; u shows what it takes back, and does it across everything that was one change."""
    async with listed(tmp_path) as at:
        await at.press("m", "m", "J")
        await until(at.pilot, lambda: order(at) == ["h3", "h1", "h2", "h4"], "they moved")
        await at.press("u")
        await until(at.pilot, lambda: "Отменить ваше последнее изменение?" in drawn(at.app), "the question")
        assert "Станет как было: Порядок применения." in drawn(at.app)
        await at.press("enter")
        await until(at.pilot, lambda: order(at) == ["h1", "h2", "h3", "h4"], "they are back")


async def test_deleted_hooks_come_back_by_undo_and_from_their_own_list(tmp_path: Path) -> None:
    """Three marked ones deleted, undone; one deleted, restored from the list of deleted ones after a question,
    for it is called again; the cursor is on it."""
    async with listed(tmp_path) as at:
        await at.press("m", "m", "m", "d", "right", "enter")
        await until(at.pilot, lambda: order(at) == ["h4"], "they are deleted")
        await until(at.pilot, lambda: "h1" not in drawn(at.app).partition("Удал")[0], "the list")
        await at.press("u")
        await until(at.pilot, lambda: "Отменить ваше последнее изменение?" in drawn(at.app), "the question")
        await at.press("enter")
        await until(at.pilot, lambda: len(order(at)) == 4, "they are back")
        at.engine.hooks.remove("h3")
        await at.press("D")
        await until(at.pilot, lambda: "h3" in drawn(at.app) and isinstance(at.app.screen, DeletedScreen), "the list")
        assert "Удалённые хуки" in drawn(at.app)
        assert "https://a.example/x" in drawn(at.app)
        await at.press("enter")
        assert "Вернуть «h3»?" in drawn(at.app)
        assert "отменённые" in drawn(at.app)
        await at.press("enter")
        assert isinstance(at.app.screen, DeletedScreen)
        await at.press("enter", "right", "enter")
        await until(at.pilot, lambda: isinstance(at.app.screen, HooksScreen), "the list of hooks")
        await until(at.pilot, lambda: chosen(at) == "h3", "the cursor on what came back")


async def test_undo_is_refused_where_a_colleague_was_there_since(tmp_path: Path) -> None:
    """Said with the colleague's name, without a question; nothing changes."""
    async with listed(tmp_path) as at:
        await at.press("J")
        await until(at.pilot, lambda: order(at)[1] == "h1", "it moved")
        inner = at.engine.inner
        me, inner.runtime.author_name = inner.runtime.author_name, "ivan"
        at.engine.hooks.update("h1", timeout=9)
        inner.runtime.author_name = me
        await at.press("u")
        await until(at.pilot, lambda: "ivan" in drawn(at.app), "the refusal")
        assert isinstance(at.app.screen, HooksScreen)
        assert order(at)[1] == "h1"


async def test_undo_says_which_secrets_do_not_come_back(tmp_path: Path) -> None:
    """No revision holds them."""
    async with listed(tmp_path, auth_password="s") as at:
        at.engine.hooks.update("h1", auth_password=None, name="renamed")
        await at.press("u")
        await until(at.pilot, lambda: "Не вернётся" in drawn(at.app), "the question")
        assert "пароль" in drawn(at.app)
        await at.press("enter")
        await until(at.pilot, lambda: order(at)[0] == "h1", "the name is back")


async def test_marked_hooks_are_exported_to_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only they; the file is new and its owner's."""
    monkeypatch.chdir(tmp_path)
    async with listed(tmp_path) as at:
        await at.press("m", "m", "e", "enter")
        await until(at.pilot, (tmp_path / "hooks.yaml").exists, "the file")
        text = (tmp_path / "hooks.yaml").read_text("utf-8")
        assert "h2:" in text
        assert "h3:" not in text
        assert stat.S_IMODE((tmp_path / "hooks.yaml").stat().st_mode) == 0o600


async def test_a_colleagues_change_meanwhile_stops_all(tmp_path: Path) -> None:
    """While the question stands one of them is changed: none is switched off, and it is said."""
    async with listed(tmp_path) as at:
        await at.press("A", "space")
        await at.pilot.pause()
        at.engine.hooks.update("h3", name="h3 new")
        await at.press("right", "enter")
        await until(at.pilot, lambda: "h3 new" in drawn(at.app), "the refusal")
        assert states(at) == ["on"] * 4
