"""The form while its save is under way: one save, one hook, and nothing typed that is thrown away."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from apps import Shown, shown, until
from forms import closed, fill, new_form, open_form

from hookrow.errors import DatabaseBusy
from hookrow_tui.help import HelpScreen
from hookrow_tui.widgets.dialogs import Question

pytestmark = pytest.mark.anyio


@contextmanager
def held(at: Shown, name: str, *, busy: bool = False) -> Iterator[threading.Event]:
    """The engine's call waits until this block ends, then does its work or finds the database busy; the event is set
    once it began."""
    gate, began, real = threading.Event(), threading.Event(), getattr(at.engine.hooks, name)

    def slow(*args: Any, **kwargs: Any) -> Any:
        began.set()
        assert gate.wait(20)
        if busy:
            raise DatabaseBusy("база занята")
        return real(*args, **kwargs)

    setattr(at.engine.hooks, name, slow)
    try:
        yield began
    finally:
        setattr(at.engine.hooks, name, real)
        gate.set()


async def test_keys_while_a_new_hook_is_written_make_no_second_one() -> None:
    """What is typed during the save is for the list, to which it leads; the form closes, one hook is there."""
    async with shown((120, 40)) as at:
        form = await new_form(at)
        await fill(at, form, "name", "Новый")
        await fill(at, form, "url", "http://new.test/")
        form.go_to("event")
        await at.pilot.pause()
        await at.press("o")
        await at.type("n_sub")
        await at.press("enter")
        with held(at, "add") as began:
            await at.press("f2")
            await until(at.pilot, began.is_set, "the save")
            await at.press("f1", "escape", "f1")
            assert at.app.screen is form
        await until(at.pilot, lambda: isinstance(at.app.screen, HelpScreen), "the help, over the list")
        await at.looked()
        assert [type(each) for each in at.app.screen_stack[1:]] == [HelpScreen]
        assert [hook.name for hook in at.engine.hooks.list()].count("Новый") == 1


async def test_nothing_can_be_typed_while_the_save_is_under_way() -> None:
    """What was typed for the list goes nowhere when the save is refused; the person goes on in the same field."""
    async with shown((120, 40)) as at:
        form = await open_form(at)
        await fill(at, form, "name", "Имя раз")
        with held(at, "update", busy=True) as began:
            await at.press("f2")
            await until(at.pilot, began.is_set, "the save")
            await at.press("x", "tab", "x")
            assert (form.state.texts["name"], at.app.screen) == ("Имя раз", form)
        await until(at.pilot, lambda: "занята" in form.trouble, "the refusal")
        await at.press("!")
        await until(at.pilot, lambda: form.state.texts["name"] == "Имя раз!", "the next key")
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).name == "Имя раз!"


async def test_quitting_while_the_save_is_under_way_ends_after_it() -> None:
    """F10 asks nothing: what it would ask about is being saved."""
    async with shown((120, 40)) as at:
        form = await open_form(at)
        await fill(at, form, "name", "Имя раз")
        with held(at, "update") as began:
            await at.press("f2")
            await until(at.pilot, began.is_set, "the save")
            await at.press("f10")
            await until(at.pilot, lambda: form.afterwards is not None, "the wish to quit")
            assert at.app.screen is form
        await until(at.pilot, lambda: at.app._exit, "the end")
        assert at.engine.hooks.get(4).name == "Имя раз"


async def test_a_form_closes_with_what_lies_over_it_and_only_once() -> None:
    """Textual would take away the question instead, or the list after the form."""
    async with shown((120, 40)) as at:
        form = await open_form(at)
        await at.app.push_screen(Question("?", [], [("no", "No")]))
        form.close(4)
        form.close(4)
        assert form not in at.app.screen_stack
        await until(at.pilot, lambda: closed(at), "the list")
