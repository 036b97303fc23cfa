"""The interface in a test: on the fake engine, or on a real one with a database of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from fake_engine import FakeEngine
from textual.pilot import Pilot

from hookrow.lang import Language, use
from hookrow_tui.app import HookrowApp
from hookrow_tui.terminal.look import choose
from hookrow_tui.terminal.typeahead import UNPAINTED

__all__ = ["Beside", "Shown", "shown", "until"]

TERMINAL = {"TERM": "xterm-256color", "LANG": "ru_RU.UTF-8", "HOOKROW_THEME": "dark"}


@dataclass
class Shown:
    """A running interface."""

    app: HookrowApp
    pilot: Pilot[int]
    engine: Any

    async def press(self, *keys: str) -> None:
        """Press keys as a person does who looks: each when the one before has shown what it does, or waits."""
        for key in keys:
            await self.looked()
            await self.app._press_keys([key])  # `press` asks each widget for a sign of life, twice
        await self.looked()
        if self.app.is_running:
            await self.pilot.pause()

    async def looked(self) -> None:
        """Until nothing is under way but what the engine works at, and what stands there was painted."""
        ahead = self.app.ahead

        def seen() -> bool:
            guard = ahead.guards.get(self.app.screen) if self.app.is_running else None
            return guard is None or guard.painted is not None or ahead.clock() > guard.since + UNPAINTED

        def rests() -> bool:
            return not ahead.works() and (not ahead.queue or ahead.waits(ahead.queue[0]))

        await turned(self.pilot, lambda: not self.app.is_running or (rests() and seen()), "the keys are done")

    async def type(self, text: str) -> None:
        """Press the keys of a text."""
        await self.press(*("space" if char == " " else char for char in text))


async def until(pilot: Pilot[Any], holds: Callable[[], bool], what: str) -> None:
    """Let the interface work until this holds, and what came with it is done."""
    if not holds():
        await turned(pilot, holds, what)
        await pilot.pause()


async def turned(pilot: Pilot[Any], holds: Callable[[], bool], what: str) -> None:
    """Let the interface work until this holds. What does not come at once is asked for more seldom: each time the
    screen may be drawn for it."""
    limit, step = time.monotonic() + 30, 0.002
    while not holds():
        assert time.monotonic() < limit, f"it never came to this: {what}"
        await asyncio.sleep(step)
        step = min(1.5 * step, 0.02)
        pilot.app.screen._on_timer_update()


@asynccontextmanager
async def shown(
    size: tuple[int, int] = (80, 24),
    *,
    lang: Language = "ru",
    engine: Any = None,
    environ: dict[str, str] | None = None,
) -> AsyncIterator[Shown]:
    """The interface with its list of hooks read."""
    used = FakeEngine(lang=lang) if engine is None else engine
    use(lang)
    app = HookrowApp(used.url, start=lambda url: used, look=choose(environ or TERMINAL, "utf-8"))
    app.ahead.silence = 0.0  # whoever looks waits for the painting only
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: getattr(app.screen, "summary", None) is not None, "the list of hooks")
            await pilot.pause()
            yield Shown(app, pilot, used if isinstance(used, FakeEngine) else Beside(used))
    finally:
        use("en")


class Beside:
    """A blocking engine for a test on a loop: what is called runs in a thread of its own, and is waited for.

    A colleague's process is no part of the interface's loop; so it is not stopped by the engine's own guard.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name in ("hooks", "log", "settings", "events"):
            return Beside(found)
        return partial(in_thread, found) if callable(found) else found


def in_thread(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the call gives, or raises, in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *args, **kwargs).result()
