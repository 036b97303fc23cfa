"""Writing a body: names of the payload beside it and completed, mistakes at their place, finding, undo, the result."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from apps import Shown, in_thread, shown, until
from fake_engine import FakeEngine
from forms import closed, new_form, open_form
from screens import drawn
from textual import events

from hookrow import Hook, HookEngine
from hookrow.core.insight.insight import ConditionMatches
from hookrow_tui.form.body import Body
from hookrow_tui.form.page import FormPage
from hookrow_tui.form.screen import FormScreen

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("on_the_day")]

TIME = ["now", "now.hour", "now.weekday", "now.date"]
ORDER = {"order": {"id": 7, "number": "A-1", "sum": 12850, "items": [{"sku": "x"}]}, "user": {"password": "p"}}


@asynccontextmanager
async def writing(
    tmp_path: Path, size: tuple[int, int] = (120, 40), *, body: str = ""
) -> AsyncIterator[tuple[Shown, FormScreen, Body]]:
    """The form of a hook on a real engine with one recorded firing, its body focused, its names known."""
    engine = HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False)

    def fill() -> None:
        engine.hooks.add(Hook(name="Касса", event="before_order_add", url="http://127.0.0.1:9/x", body=body))
        engine.fire("before_order_add", ORDER)

    in_thread(fill)
    async with shown(size, engine=engine) as at:
        form = await open_form(at, "Касса")
        form.go_to("body")
        await until(at.pilot, lambda: bool(form.body.names), "the names")
        yield at, form, form.body


async def test_names_stand_beside_the_body_and_enter_writes_them(tmp_path: Path) -> None:
    """At 120 columns without a key; Tab goes there, Enter writes a field of its own, letters narrow, Escape returns;
    the names stay while the body is wrong."""
    async with writing(tmp_path) as (at, _, body):
        text = drawn(at.app)
        assert "Данные от" in text
        assert "│ order.number  A-1" in text
        await at.press("tab", "down", "enter", "down", "enter")
        await at.pilot.pause()
        assert body.text == '{\n  "id": {{ order.id }},\n  "number": {{ order.number }}\n}'
        await at.type("sku")
        await at.press("enter", "escape", "escape")
        await at.pilot.pause()
        assert body.has_focus
        assert '"sku": {{ order.items[0].sku }}' in body.text
        await at.type(",")
        await until(at.pilot, lambda: "лишняя запятая" in drawn(at.app), "the mistake")
        assert "│ order.number  A-1" in drawn(at.app)
        await at.press("backspace", "f2")
        await until(at.pilot, lambda: closed(at), "the list")


async def test_a_name_is_completed_after_braces(tmp_path: Path) -> None:
    """The rest is shown behind the cursor, Tab writes it; several are named in the hint; without braces Tab leaves.
    A part from the middle will do."""
    async with writing(tmp_path, (80, 24)) as (at, form, body):
        await at.type('{"n": {{ order.n')
        await at.pilot.pause()
        assert body.suggestion == "umber"
        assert "order.number — Tab" in drawn(at.app)
        await at.press("tab")
        await at.type(" }}}")
        await at.pilot.pause()
        assert body.text == '{"n": {{ order.number }}}'
        await at.press("tab")
        assert not body.has_focus
        form.go_to("body")
        await at.press("backspace", "backspace", "backspace")
        await at.type("~ {{ um")
        await at.press("tab")
        assert body.text == '{"n": {{ order.number ~ {{ order.number'


async def test_a_name_is_completed_in_a_condition(tmp_path: Path) -> None:
    """As in the body; a whole name lets Tab go on."""
    async with writing(tmp_path, (80, 24)) as (at, form, _):
        form.go_to("condition")
        await at.pilot.pause()
        await at.type("order.s")
        await at.press("tab")
        assert form.state.texts["condition"] == "order.sum"
        await at.type(" > 1000 and order.nu")
        await at.press("tab")
        assert form.state.texts["condition"] == "order.sum > 1000 and order.number"
        await at.press("tab")
        assert form.focused.code != "condition"


async def test_a_mistake_is_told_with_its_place_and_a_key_goes_there(tmp_path: Path) -> None:
    """In plain words, with what there is in the place of what is missing; F8 puts the cursor on it."""
    async with writing(tmp_path, (80, 24), body="") as (at, form, body):
        body.text = '{\n  "id": {{ order.nr }}\n}'
        await until(at.pilot, lambda: "строка 2, знак 12" in drawn(at.app), "the place")
        hint = " ".join(drawn(at.app).split())
        assert "нет order.nr; есть order." in hint
        form.go_to("name")
        await at.pilot.pause()
        await at.press("f8")
        await at.pilot.pause()
        assert body.has_focus
        assert body.cursor_location == (1, 11)


async def test_hints_advise_names_that_the_event_has(tmp_path: Path) -> None:
    """Not `order.id` for a subscription."""
    async with shown() as at:
        form = await new_form(at)
        form.state.texts["event"] = "on_subscription"
        form.sample = None
        form.read_sample()
        form.go_to("body")
        await until(at.pilot, lambda: bool(form.body.names), "the names")
        await at.pilot.pause()
        first = next(name.path for name in form.body.names if not isinstance(name.value, dict | list))
        assert first in drawn(at.app)
        assert "order.id" not in drawn(at.app)


async def test_lines_are_indented_as_the_text_is_nested(tmp_path: Path) -> None:
    """Enter after an opening bracket goes in, a closing one goes out; between the two both."""
    async with shown() as at:
        form = await new_form(at)
        form.go_to("body")
        await at.pilot.pause()
        await at.type("{")
        await at.press("enter")
        await at.type('"a": [')
        await at.press("enter")
        await at.type("1")
        await at.press("enter")
        await at.type("]")
        await at.press("enter")
        await at.type("}")
        assert form.body.text == '{\n  "a": [\n    1\n  ]\n}'
        form.body.text = "{}"
        form.body.move_cursor((0, 1))
        await at.press("enter")
        assert form.body.text == "{\n  \n}"
        assert form.body.cursor_location == (1, 2)


async def test_a_large_paste_is_one_step_of_undo() -> None:
    """Typed text before it stays; the line ends of a terminal are ours."""
    async with shown() as at:
        form = await new_form(at)
        form.go_to("body")
        await at.pilot.pause()
        await at.type("ab")
        at.app.post_message(events.Paste("\r".join(f'"{n}"' for n in range(2000))))
        await until(at.pilot, lambda: form.body.document.line_count == 2000, "the paste")
        form.body.undo()
        assert form.body.text == "ab"
        form.body.redo()
        assert form.body.text.count("\n") == 1999


async def test_finding_and_replacing(tmp_path: Path) -> None:
    """F7, in either case; Enter goes round, Enter below replaces one, F8 all in one step; Escape goes back."""
    async with writing(tmp_path, (80, 24)) as (at, form, body):
        body.text = "[Order, order, ORDER]"
        await at.pilot.pause()
        await at.press("f7")
        await at.pilot.pause()
        await at.type("order")
        await at.press("enter", "enter")
        await at.pilot.pause()
        assert body.selected_text == "order"
        assert "2 из 3" in drawn(at.app)
        await at.press("down")
        await at.type("x")
        await at.press("enter")
        await at.pilot.pause()
        assert body.text == "[Order, x, ORDER]"
        await at.press("f8")
        await at.pilot.pause()
        assert body.text == "[x, x, x]"
        await at.press("escape")
        await at.pilot.pause()
        assert body.has_focus
        body.undo()
        assert body.text == "[Order, x, ORDER]"
        assert at.app.screen is form


async def test_the_body_takes_the_whole_screen_and_gives_it_back(tmp_path: Path) -> None:
    """F6; other fields are neither seen nor reached; Escape brings the form back, and does not leave it."""
    async with writing(tmp_path, (80, 24)) as (at, form, body):
        await at.press("f6")
        await at.pilot.pause()
        assert "Наименование" not in drawn(at.app)
        assert body.size.height >= 17
        await at.press("tab")
        await at.pilot.pause()
        assert body.has_focus
        await at.press("escape")
        await at.pilot.pause()
        assert "Наименование" in drawn(at.app)
        assert at.app.screen is form
        assert not form.query(FormPage).first().zoomed


async def test_the_body_as_it_would_leave_on_a_chosen_firing(tmp_path: Path) -> None:
    """F3 shows it beside the body, as it is typed, on the newest data or on that of a firing that is chosen."""
    async with writing(tmp_path, body='{"n": {{ order.number }}}') as (at, form, body):
        at.engine.fire("before_order_add", {"order": {"number": "B-2"}})
        form.read_sample()
        await until(
            at.pilot, lambda: [n.path for n in body.names] == ["order", "order.number", *TIME], "the newest data"
        )
        await at.press("f3")
        await until(at.pilot, lambda: '"n": "B-2"' in drawn(at.app), "the body on the newest data")
        body.text = '{"m": {{ order.number }}}'
        await until(at.pilot, lambda: '"m": "B-2"' in drawn(at.app), "the body as it is typed")
        await at.press("tab", "enter")
        await until(at.pilot, lambda: "evt_" in drawn(at.app), "the firings")
        await at.press("down", "down", "enter")
        await until(at.pilot, lambda: '"m": "A-1"' in drawn(at.app), "the body on the older data")
        await at.press("escape", "f3")
        await at.pilot.pause()
        assert "order.number  A-1" in drawn(at.app)


async def test_names_and_result_come_by_a_key_on_a_narrow_screen(tmp_path: Path) -> None:
    """At 80 columns F3 shows the names, then the result, then neither."""
    async with writing(tmp_path, (80, 24), body='{"n": {{ order.number }}}') as (at, _, body):
        assert "Данные от" not in drawn(at.app)
        await at.press("f3")
        await at.pilot.pause()
        assert "│ order.number" in drawn(at.app)
        await at.press("f3")
        await until(at.pilot, lambda: '"n": "A-1"' in drawn(at.app), "the result")
        await at.press("f3")
        await at.pilot.pause()
        assert "Данные от" not in drawn(at.app)
        assert body.has_focus


async def test_private_values_are_said_to_be_so() -> None:
    """What the log holds as null is named beside the body."""
    engine = FakeEngine()
    engine.log.rows[0] = replace(engine.log.rows[0], hidden=("/user/password",))
    async with shown((200, 40), engine=engine) as at:
        form = await open_form(at)
        form.go_to("body")
        await until(at.pilot, lambda: "закрыто, здесь null: /user/password" in drawn(at.app), "the private value")


async def test_hostile_names_and_values_do_not_reach_the_terminal() -> None:
    """A payload's keys and values are its sender's: no control character of them is drawn; markup is text."""
    engine = FakeEngine()
    evil = {
        "v": "\x1b[2J[/][@click=app.quit]x",
        "a\x1b]52;c;eA\x07": 1,
        "b\u202e": {"[/]": 1},
        "длинное" * 400: "y" * 5000,
    }
    engine.log.rows = [replace(each, payload=evil) for each in engine.log.rows]
    engine.answers["condition_matches"] = lambda *_, **__: ConditionMatches(0, 0)
    async with shown((120, 40), engine=engine) as at:
        form = await open_form(at)
        form.go_to("body")
        await until(at.pilot, lambda: bool(form.body.names), "the names")
        await at.press("tab", "enter", "down", "enter", "down", "enter", "down", "enter")
        await at.pilot.pause()
        text = drawn(at.app)
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
        assert "@click=app.quit" in text


async def test_the_cursors_place_and_the_text_agree_through_any_edit() -> None:
    """Offsets and locations of a text with lines of every length."""
    body = Body("body", "аб\n\nв\n{}")
    for offset in range(len(body.text) + 1):
        assert body.offset_of(body.location_of(offset)) == offset
    assert json.dumps(body.location_of(len(body.text))) == "[3, 2]"
