"""The start: the list stands before the engine is there; keys work meanwhile; what needs the engine waits for it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from apps import TERMINAL, Shown, until
from screens import drawn
from textual.events import Key
from textual.widgets import Static

import hookrow_tui
from hookrow import Hook, HookEngine, StorageError
from hookrow.errors import NoDatabase
from hookrow.glance import glance
from hookrow.lang import use
from hookrow_tui.app import HookrowApp
from hookrow_tui.engine import Troubled, open_engine
from hookrow_tui.form.screen import FormScreen
from hookrow_tui.help import HelpScreen
from hookrow_tui.hooks.screen import HooksScreen
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.hooks.unusable import UnusablePage
from hookrow_tui.presenters.form import drafts
from hookrow_tui.terminal.look import choose
from hookrow_tui.terminal.mended import screen_of
from hookrow_tui.terminal.typeahead import SILENCE

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
DRAFT = {"hook_id": None, "revision": 0, "texts": {}, "base": {}}
HEAVY = ("sqlalchemy", "sqlmodel", "pydantic", "httpx", "alembic", "zoneinfo", "hookrow.records")


def filled(path: Path) -> str:
    """A database with three hooks, one of them off and one paused, called or not; gives its URL."""
    url = f"sqlite:///{path / 'hooks.db'}"
    with HookEngine(url, worker=False) as engine:
        for name, event in (("Third", "on_subscription"), ("First", "before_registration"), ("Second", "hook.paused")):
            engine.hooks.add(Hook(name=name, event=event, url="http://127.0.0.1:9/", active=name != "Third"))
        engine.hooks.pause("First", "repairs")
        engine.fire("before_registration", {"user": {"id": 7}})
    return url


@dataclass
class Starting(Shown):
    """An interface whose engine opens when the test says so."""

    gate: threading.Event

    @property
    def hooks(self) -> HooksScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, HooksScreen)
        return screen

    @property
    def cursor(self) -> str:
        """The name of the hook under the cursor."""
        row = self.hooks.query_one(HookTable).row
        return "" if row is None else row.hook.name

    async def stands(self) -> None:
        """Until the list is filled without the engine."""
        await until(self.pilot, lambda: bool(self.hooks.rows), "the list")
        await self.pilot.pause()
        assert self.app.engine is None

    async def opens(self) -> None:
        """Let the engine come, and its list."""
        self.gate.set()
        await until(self.pilot, lambda: self.hooks.opened, "the engine's list")
        await self.pilot.pause()


@asynccontextmanager
async def starting(url: str, fault: StorageError | None = None) -> AsyncIterator[Starting]:
    """The interface on a database, while its engine is being opened."""
    gate = threading.Event()

    def start(url: str) -> HookEngine:
        assert gate.wait(20)
        if fault is not None:
            raise fault
        return HookEngine(url, worker=False, create=False)

    use("en")
    app = HookrowApp(url, start=start, glance=glance, look=choose(TERMINAL, "utf-8"))
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            yield Starting(app, pilot, None, gate)
    finally:
        gate.set()


def lines(at: Starting) -> list[str]:
    """The screen without the line of figures that are counted later."""
    counted = at.hooks.query_one("#figures").region.y
    return [line for number, line in enumerate(drawn(at.app).splitlines()) if number != counted]


async def test_the_list_stands_before_the_engine_is_there(tmp_path: Path) -> None:
    """The same rows, order, figures and words, to the last character; a lost session's draft is told of at once."""
    url = await asyncio.to_thread(filled, tmp_path)
    (kept := drafts.path_for(url, None)).parent.mkdir(parents=True)
    kept.with_name(kept.name.replace(str(os.getpid()), "999999999")).write_text(json.dumps(DRAFT))
    async with starting(url) as at:
        await at.stands()
        early = lines(at)
        await at.opens()
        late = lines(at)
    text = "\n".join(early)
    assert "3 hooks" in text
    assert "Paused: First" in text
    assert "a new hook (n)" in text
    assert text.index("First ") < text.index("Third ") < text.index("Second ")
    assert early == late


async def test_keys_work_while_the_engine_is_opened(tmp_path: Path) -> None:
    """The cursor moves, the list is narrowed, help opens; nothing waits."""
    url = await asyncio.to_thread(filled, tmp_path)
    async with starting(url) as at:
        await at.stands()
        before = at.cursor
        await at.press("j")
        assert at.cursor != before
        await at.press("slash", *"third", "enter")
        assert at.cursor == "Third"
        await at.press("escape", "f1")
        assert isinstance(at.app.screen, HelpScreen)


async def test_what_needs_the_engine_waits_for_it_and_what_follows_waits_behind_it(tmp_path: Path) -> None:
    """In the order in which it was typed, on the hook that it was typed for; the title says what it waits for."""
    url = await asyncio.to_thread(filled, tmp_path)
    async with starting(url) as at:
        await at.stands()
        chosen = at.cursor
        await at.press("enter", "end", "!", "tab")
        assert at.cursor == chosen
        assert at.app.screen is at.hooks
        assert "opening…" in drawn(at.app)
        at.gate.set()
        await until(at.pilot, lambda: isinstance(at.app.screen, FormScreen) and not at.app.ahead.queue, "the form")
        form = at.app.screen
        await until(at.pilot, lambda: form.state.texts["name"] == f"{chosen}!", "what was typed for it")
        await until(at.pilot, lambda: getattr(form.focused, "code", None) == "url", "the next field")


async def test_a_database_that_cannot_be_used_has_a_page_with_the_keys_that_work(tmp_path: Path) -> None:
    """Its reason instead of a list that looks well; what was typed for the list goes nowhere; r tries again."""
    url = await asyncio.to_thread(filled, tmp_path)
    async with starting(url, StorageError("the disk is on fire")) as at:
        await at.stands()
        await at.press("space", "enter")
        at.gate.set()
        await until(at.pilot, lambda: isinstance(at.app.screen, UnusablePage), "the page")
        await until(at.pilot, lambda: "the disk is on fire" in drawn(at.app), "the reason")
        assert "First" not in drawn(at.app)
        await at.press("n", "l", "escape")
        assert len(at.app.screen_stack) == 2
        at.app.start = lambda url: HookEngine(url, worker=False, create=False)
        await asyncio.sleep(SILENCE)
        await at.press("r")
        await until(at.pilot, lambda: at.app.screen is at.hooks and at.hooks.opened, "the list")
        assert [row.hook.revision for row in at.hooks.rows] == [2, 1, 1]  # the pause; nothing was switched off


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://svc:s3cretPW@127.0.0.1:1/shop",
        "postgresql+psycopg://svc:p@s3cretPW/?#@127.0.0.1:1/shop",
        "postgresql://svc@127.0.0.1:1/shop?password=s3cretPW",
        "postgresql://svc@127.0.0.1:1/shop?connect_timeout=1&SSLpassword=s3cretPW&user=svc",
    ],
)
async def test_a_server_that_is_down_is_named_without_its_password(url: str) -> None:
    """The page stands there at every start as long as it is down."""
    async with starting(url, StorageError("the server is down")) as at:
        at.gate.set()
        await until(at.pilot, lambda: "the server is down" in drawn(at.app), "the reason")
        assert "postgresql" in drawn(at.app)
        assert "127.0.0.1:1/shop" in drawn(at.app)
        assert "s3cretPW" not in drawn(at.app)


async def test_what_comes_as_the_app_ends_finds_no_screen_and_that_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, the engine's trouble, Ctrl+Z's return: Textual handles messages after it has taken its screens away."""
    url = await asyncio.to_thread(filled, tmp_path)
    async with starting(url, StorageError("the disk is on fire")) as at:
        await at.stands()
        app = at.app

        async def after_the_screens() -> None:
            await close_all()
            assert not app.screen_stack
            for message in (Key("f1", None), Key("\ufffd", "\ufffd"), Troubled("the disk is on fire")):
                app.post_message(message)
            app.forget_terminal()
            assert screen_of(app) is screen_of(Static()) is None

        close_all = app._close_all
        monkeypatch.setattr(app, "_close_all", after_the_screens)


async def test_where_nothing_can_be_seen_the_engine_tells(tmp_path: Path) -> None:
    """A file of another version: the list stays empty until the engine has it; keys that go to a row wait."""
    url = await asyncio.to_thread(filled, tmp_path)
    async with starting(url + "?timeout=5") as at:
        await until(at.pilot, lambda: bool(at.app.workers), "the engine's worker")
        assert not at.hooks.rows
        await at.press("j", "down")
        assert "opening…" in drawn(at.app)
        await at.opens()
        assert "3 hooks" in drawn(at.app)
        await until(at.pilot, lambda: at.hooks.query_one(HookTable).place == 2, "the third row")


def test_the_first_frame_needs_nothing_heavy() -> None:
    """No module of the first screen brings the engine, the time zones or the log's records along."""
    imports = "import sys, hookrow_tui.app, hookrow_tui.hooks.screen"
    code = f"{imports}; print([name for name in {HEAVY} if name in sys.modules])"
    path = os.pathsep.join(str(ROOT / folder) for folder in ("engine", "tui"))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_collector_is_off_only_while_the_interface_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on again when the engine was opened, whether that went well or not, and when the interface was left."""
    seen = []

    def stay(url: str, lang: str | None) -> int:
        seen.append(gc.isenabled())
        with pytest.raises(NoDatabase):
            open_engine("sqlite:///none.db")
        seen.append(gc.isenabled())
        gc.disable()
        return 0

    monkeypatch.setattr(hookrow_tui, "stay", stay)
    try:
        assert hookrow_tui.run("sqlite:///none.db") == 0
        assert [*seen, gc.isenabled()] == [False, True, True]
    finally:
        gc.enable()
        gc.unfreeze()
