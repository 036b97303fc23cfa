"""The interface's tests share a fake engine, goldens and a terminal: `from fake_engine import FakeEngine`."""

import asyncio
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual import app, pilot
from textual._compositor import Compositor
from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

from hookrow_tui.presenters import spans

sys.path.insert(0, str(Path(__file__).parent))
from fake_engine import DAY


@pytest.fixture
def on_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the day of the drawn screens: what is near or past stays so."""
    monkeypatch.setattr(spans, "clock", lambda: DAY)


@pytest.fixture
def painted() -> None:
    """Each change is painted, as on a terminal: for what painting meets, and what is seen behind a dialog."""


@pytest.fixture(autouse=True)
def unpainted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing is painted but what the test itself looks at (`drawn`): that is half of what many screens cost."""
    if "painted" not in request.fixturenames:
        monkeypatch.setattr(Compositor, "render_update", lambda *_, **__: None)


parsed: dict[tuple[tuple[str, str], ...], LRUCache[Any, Any]] = {}
"""The rules of each style by its colours: read once for all the interfaces that this process shows."""


@pytest.fixture(autouse=True, scope="session")
def parsed_once() -> Iterator[None]:
    """What an interface reads at its start is what the one before has read."""
    begin, change = Stylesheet.__init__, Stylesheet.set_variables

    def share(sheet: Stylesheet) -> None:
        sheet._parse_cache = parsed.setdefault(tuple(sorted(sheet._variables.items())), LRUCache(256))

    def begun(self: Stylesheet, **given: Any) -> None:
        begin(self, **given)
        share(self)

    def changed(self: Stylesheet, variables: dict[str, str]) -> None:
        self._parse_cache = LRUCache(1)  # it is emptied
        change(self, variables)
        share(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "__init__", begun)
        patch.setattr(Stylesheet, "set_variables", changed)
        yield


ANSWERS = 0.2
"""Seconds in which an answer of the engine is worth waiting for; some tests hold one back."""


async def rest(*_: float) -> None:
    """Until the loop has nothing to do."""
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(0.001)
    while loop._ready:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0)


def asks(shown: app.App[Any]) -> bool:
    """Whether the engine is asked something, or soon will be, since a cursor rests."""
    asked = any(each.group == "ask" and not each.is_finished for each in shown.workers)
    return asked or bool(shown.screen_stack and getattr(shown.screen, "resting", False))


async def pause(self: pilot.Pilot[Any], delay: float = 0.0) -> None:
    """Until every widget has dealt with what came, the engine has answered, and all is laid out."""
    await self._wait_for_screen()
    await asyncio.sleep(delay)
    limit = time.monotonic() + ANSWERS
    while asks(self.app):
        if time.monotonic() > limit:
            break
        await asyncio.sleep(0.002)
    for _ in range(3):  # what is laid out anew is told so, and may ask for more
        await rest()
        self.app.screen._on_timer_update()


@pytest.fixture(autouse=True)
def at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pilot waits for what it waits for, not until the process was idle for 20 ms, twice a key."""
    monkeypatch.setattr(app, "wait_for_idle", rest)
    monkeypatch.setattr(pilot.Pilot, "pause", pause)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Drafts of a test stay in its own folder, which this names."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "hookrow" / "drafts"
