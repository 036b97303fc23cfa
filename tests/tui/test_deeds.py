"""Who did what, read in the interface: drops, redeliveries, settings, hooks; newest first, in both languages."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from apps import shown, until
from screens import drawn

from hookrow import Hook, HookEngine
from hookrow_tui.log.deeds import DONE, DeedsScreen
from hookrow_tui.log.screen import LogScreen
from hookrow_tui.widgets.pane import Pane

pytestmark = pytest.mark.anyio
EVENT = "before_order_add"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HookEngine:
    """An engine whose log somebody worked on by hand, over SSH."""
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    engine = HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False)
    engine.hooks.add(Hook(key="erp", name="ERP", event=EVENT, url="http://127.0.0.1:9/", body="{{ order.status }}"))
    dead = engine.fire(EVENT, {"order": {}}).deliveries[0]  # its template fails on this payload
    engine.log.drop([dead.id])
    engine.settings.set("retention_days", "30")
    engine.hooks.pause("erp", "\x1b]0;owned\x07")
    return engine


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ["Who did what", "4 lines", "hook: created", "hook: paused", "delivery discarded", "setting changed"]),
        ("ru", ["Кто что сделал", "4 строки", "хук: создан", "доставка отменена", "настройка изменена"]),
    ],
)
async def test_who_did_what_is_read_from_the_log(engine: HookEngine, lang: Any, words: list[str]) -> None:
    """By a key of the log; below it the whole of the chosen one; Esc goes back."""
    async with shown((120, 40), lang=lang, engine=engine) as at:
        await at.press("L")
        await until(at.pilot, lambda: isinstance(at.app.screen, LogScreen), "the log")
        await until(at.pilot, lambda: at.app.screen.feed.reader is not None, "its rows")  # type: ignore[attr-defined]
        await at.press("d")
        await until(at.pilot, lambda: "retention_days = 30" in drawn(at.app), "the deeds")
        seen = drawn(at.app)
        for word in [*words, "@192.0.2.7", "erp"]:
            assert word in seen
        assert seen.index("setting" if lang == "en" else "настройка") < seen.index(
            words[4] if lang == "en" else words[3]
        )
        assert "\x1b" not in seen
        await at.press("escape")
        assert isinstance(at.app.screen, LogScreen)


async def test_the_pane_stays_where_it_was_scrolled_to(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is read again whenever somebody commits; another row is told of from its top."""
    monkeypatch.setattr(DeedsScreen, "about", lambda self, row: [((str(line), ""),) for line in range(99)])
    async with shown(engine=engine) as at:
        at.app.push_screen(page := DeedsScreen(zone=UTC))
        await until(at.pilot, lambda: bool(page.listing.rows), "the deeds")
        pane = page.query_one(Pane)
        pane.go(3)
        page.take([*page.listing.rows])
        await at.pilot.pause()
        assert pane.at == 3
        page.listing.go(1)
        await at.pilot.pause()
        assert pane.at == 0


def test_every_deed_that_is_noted_has_its_words() -> None:
    """What the engine notes (`deeds.note`) is said in words."""
    engine = Path(__file__).parents[2] / "engine" / "hookrow"
    noted = {
        line.split("deeds.note(connection, author, ")[1].split('"')[1]
        for file in engine.rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if "deeds.note(connection, author, " in line
    }
    assert noted == set(DONE)
    assert DeedsScreen.GROUPS == ("deeds",)
