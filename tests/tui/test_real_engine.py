"""The interface on a real engine and a real database: what is saved, sent, followed, and what happens in trouble."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import fake_engine
import pytest
from apps import Beside, Shown, shown, until
from screens import drawn

from hookrow import Hook, HookEngine
from hookrow.core.hooks import Hooks
from hookrow.core.log import Log
from hookrow.secrets.keyring import KeyRing
from hookrow_tui.form.screen import FormScreen
from hookrow_tui.hooks.table import HookTable
from receivers import Receiver, reply

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of the test's own: a file, or PostgreSQL where the test says so."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path / 'hooks.db'}"
        return
    monkeypatch.setenv("HOOKROW_KEYS", KeyRing.new().entries())
    with request.getfixturevalue("postgres_copies").lent() as made:
        yield made


ON_BOTH = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def colleague(url: str) -> Iterator[Any]:
    """Another process's engine on the same database."""
    with HookEngine(url, worker=False) as engine:
        yield Beside(engine)


def stock(colleague: Any, url: str = "http://127.0.0.1:9/hold", **more: Any) -> Hook:
    """A waiting hook with a password and a header."""
    return colleague.hooks.add(
        Hook.stored(
            {
                "name": "Остатки склада",
                "url": url,
                "event": "before_order_add",
                "fire_and_forget": False,
                "wait_for_response": True,
                "response_has_data": True,
                "auth_login": "b2b",
                "auth_password": "тайна",
                "custom_header": "X-Source: site",
                **more,
            }
        )
    )


async def in_form(at: Shown) -> FormScreen:
    """The form of the first hook."""
    await at.press("enter")
    await until(at.pilot, lambda: isinstance(at.app.screen, FormScreen) and bool(at.app.screen.titles), "the form")
    await at.pilot.pause()
    assert isinstance(at.app.screen, FormScreen)
    return at.app.screen


def closed(at: Shown) -> bool:
    """Whether the list is open again."""
    return type(at.app.screen).__name__ == "HooksScreen"


async def write(at: Shown, form: FormScreen, code: str, text: str) -> None:
    """Write into a field."""
    form.go_to(code)
    await at.pilot.pause()
    await at.press("end", "ctrl+u")
    await at.type(text)


async def test_an_edit_is_obeyed_by_the_next_firing_and_keeps_the_secrets(url: str, colleague: Any) -> None:
    """Name, order and timeout are changed; the receiver still gets the password and the header (B076)."""
    with Receiver(reply(200, b"{}")) as receiver:
        stock(colleague, receiver.url)
        async with shown(engine=HookEngine(url, worker=False)) as at:
            form = await in_form(at)
            await write(at, form, "name", "Склад")
            await write(at, form, "position", "40")
            await write(at, form, "timeout", "3,5")
            await at.press("f2")
            await until(at.pilot, lambda: closed(at), "the list")
        hook = colleague.hooks.get("Склад")
        assert (hook.position, hook.timeout, hook.revision) == (40, 3.5, 2)
        await asyncio.to_thread(colleague.fire, "before_order_add", {"order": {"number": "A-1"}})
        request = receiver.wait(1)[-1]
        assert request.header("authorization")
        assert request.header("x-source") == "site"


async def test_contradicting_flags_are_kept_as_they_are(url: str, colleague: Any) -> None:
    """The form may hold what a command line refuses."""
    stock(colleague)
    async with shown(engine=HookEngine(url, worker=False)) as at:
        form = await in_form(at)
        form.go_to("fire_and_forget")
        await at.pilot.pause()
        await at.press("space", "f2")
        await until(at.pilot, lambda: closed(at), "the list")
    hook = colleague.hooks.get("Остатки склада")
    assert (hook.fire_and_forget, hook.wait_for_response, hook.mode) == (True, True, "forget")


async def test_a_new_hook_is_made(url: str, colleague: Any) -> None:
    """Its order follows the event's last hook, its key is made."""
    stock(colleague)
    async with shown(engine=HookEngine(url, worker=False)) as at:
        await at.press("n")
        await until(at.pilot, lambda: isinstance(at.app.screen, FormScreen) and bool(at.app.screen.titles), "the form")
        form = at.app.screen
        assert isinstance(form, FormScreen)
        await at.pilot.pause()
        await at.type("Касса")
        await write(at, form, "url", "https://kassa.example/h")
        form.go_to("event")
        await at.pilot.pause()
        await at.press("b")
        await at.type("efore_order_add")
        await at.press("enter")
        await write(at, form, "custom_header", "X-Key: v")
        await at.press("f2")
        await until(at.pilot, lambda: closed(at), "the list")
    hook = colleague.hooks.get("Касса")
    assert (hook.position, hook.mode, hook.custom_header) == (20, "forget", "X-Key")


async def test_the_test_sends_what_stands_in_the_form_and_keeps_nothing(url: str, colleague: Any) -> None:
    """F5 with an unsaved change: the changed URL is asked, with the kept password, marked as a test."""
    with Receiver(reply(200, b'{"data": {"order": {"sum": 900}}}', [("content-type", "application/json")])) as receiver:
        stock(colleague)
        async with shown((120, 60), engine=HookEngine(url, worker=False)) as at:
            form = await in_form(at)
            await write(at, form, "url", receiver.url)
            await at.press("f5")
            await until(at.pilot, lambda: type(at.app.screen).__name__ == "Question", "the question about the secrets")
            await at.press("right", "enter")
            await until(at.pilot, lambda: '"sum": 900' in drawn(at.app), "the changed payload")
            request = receiver.wait(1)[-1]
            assert request.header("hook-test") == "1"
            assert request.header("authorization")
            assert "тайна" not in drawn(at.app)
            await at.press("escape", "escape", "right", "enter")
        assert colleague.hooks.get("Остатки склада").revision == 1
        assert colleague.log.page() == []


async def test_a_body_that_fails_on_the_events_payload_is_refused_at_its_field(url: str, colleague: Any) -> None:
    """The preview says it while it is typed, saving says it again; nothing is written."""
    stock(colleague)
    async with shown(engine=HookEngine(url, worker=False)) as at:
        form = await in_form(at)
        form.go_to("body")
        await at.pilot.pause()
        await at.type('{"n": {{ order.nothing }}}')
        await until(at.pilot, lambda: "order.nothing" in drawn(at.app).partition("Дополнительные")[2], "the preview")
        form.go_to("name")
        await at.pilot.pause()
        await at.press("f2")
        await until(at.pilot, lambda: getattr(at.app.focused, "code", "") == "body", "the body at fault")
        assert colleague.hooks.get("Остатки склада").body == ""


@ON_BOTH
async def test_two_people_lose_nothing(url: str, colleague: Any) -> None:
    """A colleague saves first: their other field is taken, the common one is asked about (B163)."""
    hook = stock(colleague)
    async with shown(engine=HookEngine(url, worker=False)) as at:
        form = await in_form(at)
        await write(at, form, "name", "Моё")
        colleague.hooks.update(hook.id or 0, name="Его", timeout=9)
        await at.press("f2")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "ConflictScreen", "the conflict")
        await at.press("tab", "enter")
        await until(at.pilot, lambda: closed(at), "the list")
    kept = colleague.hooks.get(hook.id or 0)
    assert (kept.name, kept.timeout, kept.revision) == ("Моё", 9, 3)


@ON_BOTH
async def test_another_process_is_followed(url: str, colleague: Any) -> None:
    """Hooks that appear, and the errors of a firing elsewhere, come by themselves."""
    async with shown(engine=HookEngine(url, worker=False)) as at:
        assert "Хуков пока нет" in drawn(at.app)
        stock(colleague)
        await until(at.pilot, lambda: "Остатки склада" in drawn(at.app), "the new hook")
        await asyncio.to_thread(colleague.fire, "before_order_add", {"order": {}})
        await until(at.pilot, lambda: "ошибок за час 1" in drawn(at.app), "the error")


async def test_a_locked_database_is_a_line_on_the_screen(url: str, colleague: Any, tmp_path: Path) -> None:
    """A writer that never ends: the form says so and keeps what was typed."""
    stock(colleague)
    with closing(sqlite3.connect(tmp_path / "hooks.db", isolation_level=None)) as other, other:
        async with shown(engine=HookEngine(url, worker=False)) as at:
            form = await in_form(at)
            await write(at, form, "name", "Склад")
            other.execute("BEGIN IMMEDIATE")
            await at.press("f2")
            for _ in range(40):  # the engine waits its own limit first
                await at.pilot.pause(0.5)
                if form.trouble:
                    break
            assert form.trouble
            assert form.trouble.split()[0] in drawn(at.app)
            other.execute("ROLLBACK")
            await at.press("f2")
            await until(at.pilot, lambda: closed(at), "the list")
    assert colleague.hooks.get("Склад").revision == 2


def test_the_fake_has_the_front_doors_names_and_arguments() -> None:
    """What the interface's other tests stand on takes what the real one takes."""
    for fake, real in (
        (fake_engine.FakeHooks, Hooks),
        (fake_engine.FakeLog, Log),
        (fake_engine.FakeEngine, HookEngine),
    ):
        for name, method in inspect.getmembers(fake, inspect.isfunction):
            if name.startswith("_") or name in ("append", "chosen", "asked", "renew"):
                continue
            offered = inspect.signature(getattr(real, name)).parameters
            for parameter in inspect.signature(method).parameters.values():
                flexible = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
                assert flexible or parameter.name in offered, (fake, name, parameter)


async def test_the_cursor_stays_where_the_person_is(url: str, colleague: Any) -> None:
    """A firing elsewhere does not move the list."""
    stock(colleague)
    stock(colleague, name="Второй")
    async with shown(engine=HookEngine(url, worker=False)) as at:
        await at.press("j")
        await asyncio.to_thread(colleague.fire, "before_order_add", {"order": {}})
        await until(at.pilot, lambda: "ошибок за час 2" in drawn(at.app), "the errors")
        row = at.app.screen.query_one(HookTable).row
        assert row is not None
        assert row.hook.name == "Второй"
