"""Kept secrets don't follow a hook to another origin unasked: the form's question, its test's, the history's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apps import Beside, Shown, shown, until
from screens import drawn
from textual.widgets import Input

from hookrow import Hook, HookEngine
from hookrow_tui.form.screen import FormScreen
from hookrow_tui.hooks.history import HistoryScreen
from hookrow_tui.widgets.dialogs import Question

pytestmark = pytest.mark.anyio
HOME, ELSEWHERE = "http://home.test/hook", "http://elsewhere.test/hook"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with a hook that has a password and a header."""
    made = f"sqlite:///{tmp_path / 'hooks.db'}"
    with HookEngine(made, worker=False) as engine:
        engine.hooks.add(
            Hook(
                key="s",
                name="S",
                event="before_order_add",
                url=HOME,
                auth_login="bob",
                auth_password="тайна",
                custom_header="X-Key: site",
            )
        )
    return made


def stored(url: str) -> Hook:
    """The hook as it is kept."""
    with HookEngine(url, worker=False) as engine:
        return Beside(engine).hooks.get("s")


def kept(hook: Hook) -> tuple[str, bool, bool]:
    """Its URL, and whether it has its password and its header."""
    return hook.url, hook.auth_password is not None, hook.custom_header_value is not None


def asked(at: Shown) -> bool:
    """Whether the question stands there."""
    return isinstance(at.app.screen, Question)


async def moved_away(at: Shown, key: str = "f2") -> FormScreen:
    """The form with another address in it, and the question after the key."""
    await at.press("enter")
    await until(at.pilot, lambda: isinstance(at.app.screen, FormScreen) and bool(at.app.screen.titles), "the form")
    form = at.app.screen
    assert isinstance(form, FormScreen)
    field = form.widget("url")
    assert isinstance(field, Input)
    field.value = ELSEWHERE
    await at.pilot.pause()
    await at.press(key)
    await until(at.pilot, lambda: asked(at), "the question")
    return form


async def answer(at: Shown, rights: int) -> None:
    """Mark an answer and take it."""
    await at.press(*["right"] * rights, "enter")


@pytest.mark.parametrize("lang", ["ru", "en"])
async def test_the_question_names_the_secrets_and_going_back_is_marked(url: str, lang: Any) -> None:
    """Enter goes back to the form; nothing was written."""
    async with shown((120, 40), lang=lang, engine=HookEngine(url, worker=False)) as at:
        form = await moved_away(at)
        shown_now = " ".join(drawn(at.app).split())
        for word in ("тайна", "site"):
            assert word not in shown_now
        assert ("пароль" if lang == "ru" else "password") in shown_now
        await at.press("enter")
        await until(at.pilot, lambda: at.app.screen is form, "the form again")
        assert form.state.texts["url"] == ELSEWHERE
    assert kept(stored(url)) == (HOME, True, True)


@pytest.mark.parametrize(
    ("rights", "after"), [(1, (ELSEWHERE, True, True)), (3, (ELSEWHERE, False, False))], ids=["keep", "remove"]
)
async def test_they_are_kept_or_removed_as_answered(url: str, rights: int, after: tuple[str, bool, bool]) -> None:
    """Either way the form is saved and closed."""
    async with shown((120, 40), engine=HookEngine(url, worker=False)) as at:
        form = await moved_away(at)
        await answer(at, rights)
        await until(at.pilot, lambda: form not in at.app.screen_stack, "the list")
    assert kept(stored(url)) == after


async def test_entering_anew_goes_to_the_field(url: str) -> None:
    """The first of them has the focus; saving asks again about what was not entered."""
    async with shown((120, 40), engine=HookEngine(url, worker=False)) as at:
        form = await moved_away(at)
        await answer(at, 2)
        await until(at.pilot, lambda: getattr(form.focused, "code", "") == "auth_password", "the password's field")
        await at.type("neu")
        await at.press("f2")
        await until(at.pilot, lambda: asked(at), "the question about the header")
        await answer(at, 3)
        await until(at.pilot, lambda: form not in at.app.screen_stack, "the list")
    assert kept(stored(url)) == (ELSEWHERE, True, False)


async def test_the_test_of_an_unsaved_address_asks_first(url: str) -> None:
    """Going back sends nothing."""
    async with shown((120, 40), engine=HookEngine(url, worker=False)) as at:
        form = await moved_away(at, "f5")
        await at.press("enter")
        await until(at.pilot, lambda: at.app.screen is form, "the form again")


@pytest.mark.parametrize(("rights", "after"), [(0, ELSEWHERE), (1, HOME)], ids=["back", "keep"])
async def test_a_rollback_asks_about_the_address_of_then(url: str, rights: int, after: str) -> None:
    """The secrets that the hook has now were entered for another address."""
    with HookEngine(url, worker=False) as engine:
        Beside(engine).hooks.update("s", url=ELSEWHERE, auth_password="neu", custom_header="X-Key: neu")
    async with shown((120, 40), engine=HookEngine(url, worker=False)) as at:
        await at.press("h")
        await until(at.pilot, lambda: isinstance(at.app.screen, HistoryScreen), "the history")
        history = at.app.screen
        await until(at.pilot, lambda: len(history.listing.rows) == 2, "both revisions")
        await at.press("end", "enter")
        await until(at.pilot, lambda: asked(at), "the question")
        first = at.app.screen
        await at.press("right", "enter")
        await until(at.pilot, lambda: asked(at) and at.app.screen is not first, "the question about the secrets")
        await answer(at, rights)
        await until(at.pilot, lambda: not asked(at), "the answer")
        await at.app.workers.wait_for_complete()
        await at.pilot.pause()
    assert kept(stored(url)) == (after, True, True)
