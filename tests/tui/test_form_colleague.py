"""The form while others work on the same hook, and for who may only read: no edit is lost, no secret shown."""

from __future__ import annotations

from typing import Any

import pytest
from apps import shown, until
from fake_engine import FakeEngine, Secret
from forms import closed, fill, open_form
from screens import drawn

from hookrow_tui.words import READ_ONLY

pytestmark = pytest.mark.anyio


async def test_a_colleagues_edit_is_merged_or_shown_never_overwritten() -> None:
    """What only the colleague changed is taken; what both changed is chosen field by field."""
    async with shown((120, 40)) as at:
        form = await open_form(at)
        await fill(at, form, "name", "Моё имя")
        await fill(at, form, "timeout", "7")
        at.engine.hooks.update(4, name="Имя коллеги", position=15)
        await at.press("f2")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "ConflictScreen", "the conflict")
        text = drawn(at.app)
        assert "Моё имя" in text
        assert "Имя коллеги" in text
        assert "Порядок применения" in text
        await at.press("escape")
        await at.pilot.pause()
        assert at.app.screen is form
        assert form.state.texts["name"] == "Моё имя"
        await at.press("f2")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "ConflictScreen", "the conflict again")
        await at.press("space", "tab", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.name, hook.position, hook.timeout) == ("Имя коллеги", 15, 7)


async def test_a_hook_deleted_meanwhile_can_be_brought_back_with_the_changes() -> None:
    """The first answer restores it, secrets and all, and writes what was typed."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Скидки 2027")
        at.engine.hooks.remove(4)
        await at.press("f2")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "Question", "the question")
        await at.press("enter")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.name, hook.deleted) == ("Скидки 2027", False)
        assert hook.auth_password.is_set


async def test_a_hook_deleted_meanwhile_can_be_saved_as_new() -> None:
    """The colleague's deletion is said; what was typed is not lost."""
    async with shown() as at:
        form = await open_form(at, "Письмо о продлении")
        await fill(at, form, "name", "Письмо")
        at.engine.hooks.remove(10)
        await at.press("f2")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "Question", "the question")
        await at.press("right", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get("Письмо").id == 11


@pytest.mark.parametrize(("side", "value"), [("mine", "моё"), ("theirs", None)])
async def test_a_secret_that_both_replaced_is_asked_about_without_its_value(side: str, value: str | None) -> None:
    """A colleague's new password is not overwritten unseen: «replaced by anna» stands against mine."""
    async with shown((120, 40)) as at:
        form = await open_form(at)
        form.go_to("auth_password")
        await at.pilot.pause()
        await at.type("моё")
        at.engine.hooks.who = "anna@192.0.2.9"
        at.engine.hooks.update(4, {"auth_password": Secret(True)})
        written: list[Any] = []
        update = at.engine.hooks.update
        at.engine.hooks.update = lambda ref, values, **more: (written.append(values), update(ref, values, **more))[1]
        await at.press("f2")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "ConflictScreen", "the conflict")
        text = drawn(at.app)
        assert "заменено: anna@192.0.2.9" in text
        assert "моё" not in text.replace("моё      ", "")
        if side == "theirs":
            await at.press("space")
        await at.press("tab", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert [values["auth_password"].value for values in written[1:]] == ([value] if value else [])


async def test_what_an_import_changed_meanwhile_is_named_and_taken_over() -> None:
    """The other's fields come in, who and how is said, mine are kept."""
    async with shown((120, 40)) as at:
        form = await open_form(at)
        await fill(at, form, "name", "Моё имя")
        at.engine.hooks.update(4, {"timeout": 9.0, "position": 15}, action="import")
        await at.press("f2")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "ConflictScreen", "what was changed")
        text = drawn(at.app)
        assert "olga@192.0.2.7" in text
        assert "загружен из файла: " in text
        assert "Таймаут ожидания" in text
        await at.press("enter")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.name, hook.timeout, hook.position) == ("Моё имя", 9.0, 15)


async def test_a_pause_meanwhile_is_no_conflict() -> None:
    """What the form does not hold can't be overwritten by it: the save goes through."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Моё имя")
        at.engine.hooks.pause(4)
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.name, hook.paused_by) == ("Моё имя", "person")


async def test_who_may_only_read_reads_all_of_the_form_and_changes_nothing() -> None:
    """Fields can be walked through and the body scrolled; every key that would write says why it does not."""
    engine = FakeEngine()
    engine.hooks.update(4, body="\n".join(f"строка {n}" for n in range(40)))
    engine.read_only = True
    async with shown(engine=engine) as at:
        form = await open_form(at)
        before = dict(form.state.texts)
        await at.type("я")
        assert str(READ_ONLY)[:40] in drawn(at.app)
        await at.press("backspace", "delete", "ctrl+u")
        for code, key in (("active", "space"), ("event", "o"), ("body", "x"), ("url", "ctrl+u")):
            form.go_to(code)
            await at.pilot.pause()
            await at.press(key)
        form.go_to("body")
        await at.pilot.pause()
        await at.press(*["pagedown"] * 9)
        await at.pilot.pause()
        assert "строка 39" in drawn(at.app)
        assert form.state.texts == before
        await at.press("f2")
        await at.pilot.pause()
        assert str(READ_ONLY)[:40] in drawn(at.app)
        await at.press("escape")
        await until(at.pilot, lambda: closed(at), "the list")
        assert engine.hooks.get(4).revision == 2
