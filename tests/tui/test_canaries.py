"""No screen shows a secret: the whole interface is walked through on a real engine whose hooks have every kind."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from apps import shown, until
from screens import drawn

from hookrow import Hook, HookEngine
from hookrow_tui.form.screen import FormScreen
from hookrow_tui.log.screen import LogScreen, ref_of
from hookrow_tui.log.view import LogView
from receivers import Receiver, reply

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("painted")]
PASSWORD, HEADER, PRIVATE, TOKEN = "canary-password", "canary-header", "canary-private", "canary-token"
ANSWER = "canary-answer"
BASIC = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()[4:-4]
PAYLOAD = {"user": {"id": 7, "name": "Irina", "password": PRIVATE}}


def filled(url: str, address: str) -> str:
    """Make a database with two hooks and their firings; gives the second one's signing secret."""
    signing = ""
    with HookEngine(url, worker=False) as engine:
        for event in ("before_registration", "after_registration"):
            waits = event.startswith("before")
            hook = engine.hooks.add(
                Hook(
                    name=event,
                    event=event,
                    url=f"{address}?key={TOKEN}",
                    auth_login="admin",
                    auth_password=PASSWORD,
                    custom_header=f"X-Key: {HEADER}",
                    fire_and_forget=False,
                    wait_for_response=waits,
                    response_has_data=True,
                )
            )
            assert hook.id is not None
            signing = engine.hooks.new_secret(hook.id)
            engine.send_own(engine.fire(event, PAYLOAD))
    return signing


def is_detailed(log: Any) -> bool:
    """Whether the detail is that of the line under the cursor."""
    return log.laid is not None and ref_of(log.laid) == log.view.row.ref


async def test_no_screen_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists, the form, every pane of the log; a URL's token is in the form alone, an answer in its own pane alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    said = json.dumps({"allow": True, "note": ANSWER}).encode()
    url = f"sqlite:///{tmp_path / 'hooks.db'}"
    with Receiver(reply(200, said, [("content-type", "application/json")])) as receiver:
        signing = await asyncio.to_thread(filled, url, receiver.url)
        screens: dict[str, str] = {}
        async with shown((120, 40), lang="en", engine=HookEngine(url, worker=False)) as at:

            async def see(name: str, *keys: str) -> None:
                await at.press(*keys)
                await at.pilot.pause()
                screens[name] = drawn(at.app)

            await see("hooks")
            await see("hooks, test", "t")
            await until(at.pilot, lambda: "200" in drawn(at.app), "the test's answer")
            await see("hooks, tested")
            await see("hooks, again", "escape")
            await at.press("enter")
            await until(at.pilot, lambda: isinstance(at.app.screen, FormScreen) and bool(at.app.screen.titles), "form")
            await see("form, 1")
            await see("form, 2", "pagedown")
            await see("form, left", "escape")
            await at.press("L")
            await until(at.pilot, lambda: isinstance(at.app.screen, LogScreen) and "Irina" in drawn(at.app), "the log")
            for step in range(4):
                at.app.screen.query_one(LogView).focus()
                await at.press("home", *["down"] * step)
                await until(at.pilot, lambda: is_detailed(at.app.screen), "its detail")
                for tab in "1234":
                    await see(f"log, {step}, pane {tab}", tab)
            await see("repeat", "up", "r")
            await see("help", "escape", "f1")
    for secret in (PASSWORD, HEADER, PRIVATE, BASIC, signing):
        assert [name for name, screen in screens.items() if secret in screen] == []
    assert {name for name, screen in screens.items() if TOKEN in screen} == {"form, 1"}
    showing = {name for name, screen in screens.items() if ANSWER in screen}
    assert {"log, 1, pane 2", "hooks, tested"} <= showing
    assert all(name.startswith(("log, 1", "log, 3", "hooks, test")) for name in showing), sorted(
        showing
    )  # its own detail only
    for path in await asyncio.to_thread(lambda: [each for each in tmp_path.rglob("*") if each.is_file()]):
        kept = path.read_bytes()
        assert not any(secret.encode() in kept for secret in (PASSWORD, HEADER, PRIVATE, signing)), path
