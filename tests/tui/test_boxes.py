"""Boxes over a page: what their key bar names acts in each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from apps import shown, until
from fake_engine import FakeEngine
from forms import fill, open_form
from log_fixtures import log_of, open_log

from hookrow_tui.form.secret import SecretShown
from hookrow_tui.help import HelpScreen, command_screen
from hookrow_tui.replay.many import ManyScreen
from hookrow_tui.replay.screen import ReplayScreen, ResultScreen
from hookrow_tui.widgets.check import CheckScreen
from hookrow_tui.widgets.counting import CountingScreen
from hookrow_tui.widgets.dialogs import Prompt, Question
from hookrow_tui.widgets.page import Dialog

pytestmark = pytest.mark.anyio

BOXES: dict[str, Callable[[FakeEngine], Dialog[Any]]] = {
    "help": lambda engine: HelpScreen(("hooks",)),
    "commands": lambda engine: command_screen(("hooks",)),
    "question": lambda engine: Question("?", [], [("no", "No")]),
    "prompt": lambda engine: Prompt("?", "", ""),
    "secret": lambda engine: SecretShown("whsec_x", replaces=False),
    "test": lambda engine: CheckScreen(None, {}),
    "result": lambda engine: ResultScreen([]),
}


@pytest.mark.parametrize("key", ["f10", "ctrl+q"])
@pytest.mark.parametrize("box", BOXES)
async def test_a_box_is_no_place_that_cannot_be_quit(box: str, key: str) -> None:
    """Its key bar says so."""
    async with shown() as at:
        await at.app.push_screen(BOXES[box](at.engine))
        await at.press(key)
        assert at.app._exit


@pytest.mark.parametrize("box", [name for name in BOXES if name != "help"])
async def test_a_box_has_help(box: str) -> None:
    """Of the box; Esc goes back to it."""
    async with shown() as at:
        await at.app.push_screen(opened := BOXES[box](at.engine))
        await at.press("f1")
        assert isinstance(at.app.screen, HelpScreen)
        await at.press("escape")
        assert at.app.screen is opened


async def test_the_question_about_replaying_can_be_quit() -> None:
    """Nothing is sent."""
    async with open_log() as at:
        detail = log_of(at).laid
        assert detail is not None
        await at.press("r")
        await until(at.pilot, lambda: isinstance(at.app.screen, ReplayScreen), "the question")
        await at.press("f1", "escape", "f10")
        assert at.app._exit
        assert not at.engine.calls


async def test_the_question_whether_to_quit_says_what_f10_does() -> None:
    """At once."""
    async with shown() as at:
        await at.press("ctrl+c")
        assert isinstance(at.app.screen, Question)
        await at.press("f10")
        assert at.app._exit


async def test_a_changed_form_asks_once_whether_to_save() -> None:
    """F10 in its question is the same wish, to quit; the answer fulfils it."""
    async with shown((120, 40)) as at:
        form = await open_form(at)
        await fill(at, form, "name", "X")
        await at.press("escape", "f10", "f10")
        assert [type(each) for each in at.app.screen_stack[1:]] == [type(form), Question]
        await at.press("right", "right", "enter")
        await until(at.pilot, lambda: at.app._exit, "the end")


async def test_quitting_stops_what_is_done_many_times() -> None:
    """As Esc does."""

    class Counting(CountingScreen):
        HEADING = ManyScreen.HEADING

        def act(self, engine: Any) -> None:
            assert self.halt.wait(20)

    async with shown() as at:
        await at.app.push_screen(box := Counting())
        await at.press("f10")
        assert at.app._exit
    assert box.halt.is_set()
