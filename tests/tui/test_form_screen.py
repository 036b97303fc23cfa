"""The form: the document's page as drawn, what its fields accept and say, saving, testing, leaving, drafts."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apps import shown, until
from fake_engine import FakeEngine
from forms import closed, fill, new_form, open_form
from screens import SIZES, drawn, same_as_golden
from textual import events

from hookrow import Hook, HookEngine
from hookrow.core.insight.insight import ConditionMatches
from hookrow.records import Attempt
from hookrow_tui.form.body import Body
from hookrow_tui.form.fields import Line
from hookrow_tui.form.screen import FormScreen
from hookrow_tui.presenters.form import drafts

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("on_the_day")]

GONE = "999999999"
"""A process number that no process has."""


def kept(folder: Path, owner: str = "*") -> list[Path]:
    """The drafts in a folder."""
    return sorted(folder.glob(f"*-{owner}.json"))


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_form_as_drawn(size: tuple[int, int], lang: Any) -> None:
    """Labels, order and groups of the document, the changed mark, the neighbours in the hint, all on 80x24."""
    async with shown(size, lang=lang) as at:
        form = await open_form(at)
        await fill(at, form, "timeout", "6")
        form.go_to("position")
        await at.pilot.pause()
        same_as_golden(at.app, f"form-{size[0]}x{size[1]}-{lang}")


@pytest.mark.parametrize("lang", ["ru", "en"])
async def test_the_second_page_as_drawn(lang: Any) -> None:
    """What goes beyond the document stands on its own page."""
    async with shown(lang=lang) as at:
        await open_form(at)
        await at.press("pagedown")
        await at.pilot.pause()
        same_as_golden(at.app, f"form-second-80x24-{lang}")


async def test_a_hook_whose_secrets_can_not_be_read_says_so(tmp_path: Path) -> None:
    """In the list and below its form, with the way out."""
    url = f"sqlite:///{tmp_path / 'hooks.db'}"

    def lose_the_key() -> str:
        with HookEngine(url, worker=False) as engine:
            engine.hooks.add(Hook(key="erp", name="ERP", event="before_order_add", url="http://a/", auth_password="s"))
            key = engine.runtime.vault.ring.active_id
        (tmp_path / "hookrow.key").unlink()
        return key

    key = await asyncio.to_thread(lose_the_key)
    engine = HookEngine(url, worker=False)
    async with shown(engine=engine) as at:
        assert "Секреты не расшифровать, запросы не уходят: ERP" in " ".join(drawn(at.app).split())
        form = await open_form(at, "ERP")
        said, bad = form.hint()
    await asyncio.to_thread(engine.close)
    assert (key in said, "keys abandon" in said, bad) == (True, True, True)


async def test_a_change_is_saved_with_what_was_not_touched() -> None:
    """F2 writes only what was changed: name yes, secrets and the rest no."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Скидки 2027")
        assert "*" in drawn(at.app).splitlines()[0]
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.name, hook.position, hook.auth_login) == ("Скидки 2027", 10, "b2b")
        assert hook.auth_password.is_set


async def test_a_new_hook_has_the_documents_defaults() -> None:
    """Active and «Блок без ответа» are on, the other two off; the order is left to the engine."""
    async with shown() as at:
        form = await new_form(at)
        assert [form.state.texts[code] for code in ("active", "fire_and_forget", "wait_for_response")] == [
            True,
            True,
            False,
        ]
        await at.type("Касса")
        await fill(at, form, "url", "https://kassa.example.ru/hook")
        form.go_to("event")
        await at.pilot.pause()
        await at.press("o")
        await at.type("n_sub")
        await at.press("enter")
        await at.press("ctrl+s")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get("Касса")
        assert (hook.event, hook.fire_and_forget, hook.url) == (
            "on_subscription",
            True,
            "https://kassa.example.ru/hook",
        )


async def test_a_fault_is_said_at_its_field() -> None:
    """Saving goes to the first field at fault and says what it accepts."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "url", "ftp://h/")
        form.go_to("name")
        await at.pilot.pause()
        await at.press("f2")
        await at.pilot.pause()
        assert form.focused.code == "url"
        assert "✗ Адрес: " in drawn(at.app)
        assert at.engine.hooks.get(4).url == "https://price.example.ru/discount?v=2"


async def test_a_date_alone_as_the_end_is_shown_as_the_moment_that_it_means() -> None:
    """«по» 01.11.2027 lasts to the end of that day; the hint shows the moment."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "valid_until", "01.11.2027")
        assert "= 02.11.2027 00:00 +03:00, через " in drawn(at.app)
        await fill(at, form, "valid_until", "+7д")
        assert "00:00 +03:00, через 7 д" in drawn(at.app)
        await fill(at, form, "valid_from", "01.11.2020")
        assert "= 01.11.2020 00:00 +03:00, это уже прошло" in drawn(at.app)


async def test_a_field_entered_by_keyboard_is_replaced_by_typing() -> None:
    """Tab selects what stands in a field; an arrow keeps it; ctrl+r brings back what stood there; the first field of a
    form that was just opened is not selected."""
    async with shown() as at:
        form = await open_form(at)
        await at.type("!")
        assert form.state.texts["name"] == "Скидки по договору!"
        await at.press("tab")
        await at.type("h")
        assert form.state.texts["url"] == "h"
        await at.press("ctrl+r")
        assert form.state.texts["url"] == "https://price.example.ru/discount?v=2"
        await at.press("shift+tab", "tab", "end")
        await at.type("3")
        assert form.state.texts["url"] == "https://price.example.ru/discount?v=23"


async def test_a_condition_is_tried_on_what_was_recorded_while_it_is_typed() -> None:
    """The hint says how many of the last it matches and which part is false; a fault says why."""
    engine = FakeEngine()
    seen: list[Any] = []

    def answer(event: str, condition: str, last: int) -> ConditionMatches:
        seen.append((event, condition))
        return ConditionMatches(3, 50, newest=False, unmet=("order.sum > 1000",))

    engine.answers["condition_matches"] = answer
    async with shown(engine=engine) as at:
        form = await open_form(at)
        await fill(at, form, "condition", "order.sum > 1000")
        await until(at.pilot, lambda: "- подходит 3 из последних 50; на последнем ложно:" in drawn(at.app), "the share")
        assert seen == [("before_order_add", "order.sum > 1000")]


def test_an_empty_body_is_previewed_as_the_standard_envelope(tmp_path: Path) -> None:
    """On the event's sample where nothing is recorded."""
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as engine:
        made = json.loads(engine.hooks.preview("before_order_add", " "))
        assert (made["type"], sorted(made)) == ("before_order_add", ["data", "id", "timestamp", "type"])
        assert made["data"]["order"]["number"] == "A-10492"


async def test_the_mode_is_always_said_and_overruled_flags_are_named() -> None:
    """The sentence follows the flags; a flag without effect says which one wins."""
    async with shown() as at:
        form = await open_form(at)
        assert "ждёт до 5 с" in drawn(at.app) or "waits up to 5 s" in drawn(at.app)
        form.go_to("fire_and_forget")
        await at.pilot.pause()
        await at.press("space")
        form.go_to("wait_for_response")
        await at.pilot.pause()
        assert "Не действует: включён «Блок без ответа»" in drawn(at.app)
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.fire_and_forget, hook.wait_for_response, hook.mode) == (True, True, "forget")


async def test_a_row_that_may_outlast_the_operation_is_warned_of() -> None:
    """Waiting hooks that may take more than 30 s together are asked about before saving."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "timeout", "28")
        await at.press("f2")
        await at.pilot.pause()
        assert "33 с" in drawn(at.app)
        await at.press("right", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).timeout == 28


async def test_secrets_are_never_shown_and_can_be_replaced_removed_or_kept() -> None:
    """Dots for what is kept; the first key replaces, Delete asks and removes, ctrl+r keeps."""
    async with shown() as at:
        form = await open_form(at)
        assert "••••••••" in drawn(at.app)
        form.go_to("auth_password")
        await at.pilot.pause()
        await at.type("q1")
        assert form.state.texts["auth_password"] == "q1"
        assert "q1" not in drawn(at.app)
        await at.press("ctrl+r")
        assert form.state.texts["auth_password"] is None
        assert not form.dirty
        await at.press("delete", "right", "enter")
        await at.pilot.pause()
        assert form.state.texts["auth_password"] == ""
        form.go_to("custom_header")
        await at.pilot.pause()
        await at.type("X-Key: v")
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.auth_password, hook.custom_header) == (None, "X-Key")


async def test_a_paste_of_several_lines_is_joined_and_said() -> None:
    """Nothing of a paste is dropped in silence; the body takes all its lines."""
    async with shown() as at:
        form = await open_form(at)
        form.go_to("url")
        await at.pilot.pause()
        line = form.widget("url")
        assert isinstance(line, Line)
        line.value = ""
        at.app.post_message(events.Paste("https://a.example\n/x/\ny"))
        await until(at.pilot, lambda: line.value == "https://a.example/x/y", "the joined text")
        await until(at.pilot, lambda: "Вставлено строк: 3" in drawn(at.app), "the warning")
        body = form.widget("body")
        assert isinstance(body, Body)
        form.go_to("body")
        await at.pilot.pause()
        body.text = ""
        at.app.post_message(events.Paste("\n".join(f"{n}" for n in range(200))))
        await until(at.pilot, lambda: body.text.count("\n") == 199, "all lines of the body")


async def test_the_body_is_tried_while_it_is_typed() -> None:
    """The hint of the body shows what it becomes, or what is wrong with it."""
    async with shown() as at:
        form = await open_form(at)
        form.go_to("body")
        await until(at.pilot, lambda: '✓ { "order"' in drawn(at.app), "the preview")


async def test_the_test_shows_request_reply_and_changed_payload() -> None:
    """F5 sends what stands in the form, saves nothing, and shows what came back."""
    engine = FakeEngine()
    seen: list[Any] = []

    def answer(hook: Any) -> Any:
        seen.append(hook)
        request = SimpleNamespace(
            method="POST", url="http://127.0.0.1/x", headers=(("hook-test", "1"),), body='{"a":1}'
        )
        attempt = Attempt(1, 0, request.url, status=200, ms=12, response_body=b'{"data":{}}')
        return SimpleNamespace(
            request=request, attempt=attempt, outcome="changed", data={"sum": 900}, result=None, warnings=("осторожно",)
        )

    engine.answers["test"] = answer
    async with shown((120, 40), engine=engine) as at:
        await open_form(at)
        await at.press("f5")
        await until(at.pilot, lambda: "hook-test: 1" in drawn(at.app), "the report")
        text = drawn(at.app)
        assert all(
            part in text for part in ("Ответ · 200 · 12 мс", '"sum": 900', "осторожно", "данные изменены", "Запрос")
        )
        assert seen == [4]
        await at.press("escape")
        assert engine.hooks.get(4).revision == 1


async def test_leaving_with_changes_asks() -> None:
    """Escape offers to save, not to save, to go back; nothing is lost by Escape again."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Другое")
        await at.press("escape")
        await at.pilot.pause()
        text = drawn(at.app)
        assert all(word in text for word in ("Записать", "Не записывать", "К правке"))
        await at.press("escape")
        await at.pilot.pause()
        assert at.app.screen is form
        assert form.state.texts["name"] == "Другое"
        await at.press("escape", "left", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
        assert at.engine.hooks.get(4).name == "Скидки по договору"


def test_the_folders_of_drafts_are_their_owner_s(state_home: Path) -> None:
    """Also the upper one, and whatever the umask."""
    before = os.umask(0)
    try:
        path = drafts.write("sqlite:///x.db", 1, 1, {}, {})
    finally:
        os.umask(before)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]


async def test_a_draft_is_private_holds_no_secret_and_is_offered_again(state_home: Path) -> None:
    """Typed, not saved, process gone: the next form of this hook offers it."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Начатое")
        form.go_to("auth_password")
        await at.pilot.pause()
        await at.type("секрет")
        form.keep_draft()
    (path,) = kept(state_home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "секрет" not in path.read_text("utf-8")
    path.rename(path.with_name(path.name.rpartition("-")[0] + f"-{GONE}.json"))
    async with shown() as at:
        assert "Не записано, есть черновик: Скидки по договору" in drawn(at.app)
        await at.press("down", "down", "down", "enter")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "Question", "the offer")
        await at.press("enter")
        await at.pilot.pause()
        assert "Начатое" in drawn(at.app)
        assert not kept(state_home, GONE)


@pytest.mark.parametrize("taken", ["mine", "theirs"])
async def test_a_draft_of_a_hook_that_was_changed_meanwhile_asks(state_home: Path, taken: str) -> None:
    """What only the colleague changed is taken over and named, what both changed is asked. Who goes back keeps the
    draft and sees the stored hook; who decides can save without being asked again."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Начатое")
        await fill(at, form, "timeout", "7")
        form.keep_draft()
    (path,) = kept(state_home)
    gone = path.rename(path.with_name(path.name.rpartition("-")[0] + f"-{GONE}.json"))
    engine = FakeEngine()
    engine.hooks.update(4, position=15, timeout=9.0)
    async with shown((120, 40), engine=engine) as at:
        await at.press("down", "down", "down", "enter", "enter")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "ConflictScreen", "both sides")
        text = drawn(at.app)
        assert "С тех пор, как сохранён этот черновик" in text
        assert "Порядок применения" in text
        await at.press("escape")
        form = at.app.screen
        assert isinstance(form, FormScreen)
        assert not form.state.changed
        assert gone.exists()
        await at.press("escape")
        await until(at.pilot, lambda: closed(at), "the list")
        await at.press("enter", "enter")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "ConflictScreen", "both sides again")
        await at.press(*(["space"] if taken == "theirs" else []), "tab", "enter")
        await until(at.pilot, lambda: type(at.app.screen) is FormScreen, "the form")
        form = at.app.screen
        assert isinstance(form, FormScreen)
        assert form.state.texts["position"] == "15"
        assert not gone.exists()
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        hook = at.engine.hooks.get(4)
        assert (hook.name, hook.position, hook.timeout) == ("Начатое", 15, 7.0 if taken == "mine" else 9.0)


async def test_a_draft_goes_with_its_form(state_home: Path) -> None:
    """Saved or given up: no draft stays behind."""
    async with shown() as at:
        form = await open_form(at)
        await fill(at, form, "name", "Начатое")

        def whole() -> bool:
            return [json.loads(each.read_text("utf-8"))["texts"]["name"] for each in kept(state_home)] == ["Начатое"]

        await until(at.pilot, whole, "the draft, by itself")
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
        assert not kept(state_home)


def test_a_damaged_draft_is_no_trouble(state_home: Path) -> None:
    """A file that is no draft is dropped."""
    path = drafts.path_for("sqlite:///x.db", 1)
    path.parent.mkdir(parents=True)
    broken = path.with_name(path.name.rpartition("-")[0] + f"-{GONE}.json")
    broken.write_text("{", "utf-8")
    assert drafts.drafts_of("sqlite:///x.db", 1) == []
    assert not broken.exists()


def test_drafts_know_databases_and_processes_apart(
    state_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hooks.db` of another folder is another database, by its whole path it is the same one; so is a server's with
    another password. A process of a container that was started again has the number of the one before it."""
    for shop in ("a", "b"):
        (tmp_path / shop).mkdir()
    monkeypatch.chdir(tmp_path / "a")
    mine = drafts.write("sqlite:///hooks.db", 1, 1, {}, {})
    mine.rename(left := mine.with_name(f"{mine.stem.rpartition('.')[0]}.1.json"))  # an earlier process of this number
    assert [each.path for each in drafts.drafts_of(f"sqlite:///{tmp_path}/a/hooks.db", 1)] == [left]
    drafts.forget("sqlite:///hooks.db", 1)
    assert left.exists()
    monkeypatch.chdir(tmp_path / "b")
    assert not drafts.hooks_with_drafts("sqlite:///hooks.db")
    kept = [drafts.path_for(f"postgresql://me{word}@host/shop", 1) for word in ("", ":old", ":new")]
    assert kept[1] == kept[2]


async def test_foreign_text_is_no_markup() -> None:
    """A name with brackets of Textual's markup neither crashes nor becomes a link."""
    engine = FakeEngine()
    engine.hooks.update(4, name="[/] [@click=app.quit]x[/] [red]y")
    async with shown(engine=engine) as at:
        assert "[@click=app" in drawn(at.app)
        await open_form(at, "[/] [@click=app.quit]x[/] [red]y")
        assert "[/] [@click=app.quit]x[/] [red]y" in drawn(at.app).splitlines()[0]
        await at.press("escape", "d")
        assert "[red]y" in drawn(at.app)
