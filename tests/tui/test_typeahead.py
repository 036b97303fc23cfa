"""Keys in any packets do what they do one by one; no burst confirms a question; nothing unseen acts.

The keys go as bytes through the parser that the interface reads its terminal with. The clock stands unless a person
pauses: everything of one burst comes at one moment, as over a slow line.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from apps import TERMINAL, shown, until
from fake_engine import FakeEngine, public
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from screens import drawn
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from hookrow.lang import use
from hookrow_tui.app import HookrowApp
from hookrow_tui.hooks.screen import HooksScreen
from hookrow_tui.hooks.table import HookTable
from hookrow_tui.terminal.look import choose
from hookrow_tui.terminal.mended import KeyParser
from hookrow_tui.terminal.typeahead import LATE, SILENCE
from hookrow_tui.widgets.dialogs import Question

ESC, LOOKS = "\x1b", "looks"
KEYS = [
    *("j", "k", "J", "K", " ", "n", "c", "d", "u", "p", "h", "/", "?", "q", "x", "о", "Щ", "1"),
    *("\r", "\t", ESC, "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1bOP", "\x1bOQ", "\x7f", "\x1b[5~", "\x1b[6~"),
    "\x1b[200~d\r\x1b[C\r\x1b[201~",
]
"""Bytes of keys, by the name of nothing: what terminals send for them. The last one is a paste."""
TYPED = some.lists(some.sampled_from([*KEYS, LOOKS]), min_size=1, max_size=9)


class Typing:
    """An interface that reads bytes; `now` is the moment at which they come."""

    def __init__(self, app: HookrowApp, pilot: Pilot[int], engine: FakeEngine) -> None:
        self.app = app
        self.pilot = pilot
        self.engine = engine
        self.now = 1000.0
        app.ahead.clock = lambda: self.now
        app.exit = lambda *_, **__: None  # type: ignore[method-assign,assignment]

    def packet(self, data: str) -> None:
        """Bytes that come at once."""
        parser = KeyParser()
        found = [*parser.feed(data)]
        if parser.held:
            found.append(events.Key("escape", ESC))  # the parser's patience is no matter of these tests
        for event in found:
            event.set_sender(self.app)
            event.time = self.now
            self.app.post_message(event)

    async def done(self) -> None:
        """Until everything that came has been dealt with."""
        for _ in range(3):
            await self.wait(lambda: self.app.ahead.empty)
            await asyncio.sleep(0)

    async def wait(self, holds: Callable[[], bool]) -> None:
        """Until this holds; the pilot's own waiting takes a fiftieth of a second at least."""
        limit = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < limit
            await asyncio.sleep(0.001)

    async def look(self) -> None:
        """The person waits, sees the screen, and takes a while."""
        await self.done()
        ahead = self.app.ahead
        await self.wait(lambda: all(each.painted for each in ahead.guards.values()))
        self.now += 10 * SILENCE

    async def anew(self) -> None:
        """The list as at the beginning, on the hooks of the beginning."""
        await self.look()
        while len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        self.engine.renew()
        screen = self.app.screen
        assert isinstance(screen, HooksScreen)
        screen.action_clear()
        screen.trouble = ""
        screen.table.unmark()
        screen.read_again(1)
        await self.look()

    def state(self) -> dict[str, Any]:
        """All that a key can change."""
        stack = self.app.screen_stack
        table = stack[0].query_one(HookTable)
        focused = self.app.focused
        texts = [dict(screen.state.texts) for screen in stack if hasattr(screen, "state")]
        fields = [each.value for each in self.app.screen.query(Input)] + [
            each.text for each in self.app.screen.query(TextArea)
        ]
        return {
            "screens": [type(each).__name__ for each in stack],
            "cursor": None if table.row is None else table.row.hook.id,
            "focus": (type(focused).__name__, getattr(focused, "code", None)),
            "texts": texts,
            "fields": fields,
            "saved": {number: (public(row), row.revision) for number, row in self.engine.hooks.rows.items()},
        }


async def one_by_one(typing: Typing, typed: Sequence[str]) -> dict[str, Any]:
    """Each key when the one before it is done."""
    await typing.anew()
    for key in typed:
        if key == LOOKS:
            await typing.look()
        else:
            typing.packet(key)
            await typing.done()
    await typing.done()
    return typing.state()


async def in_bursts(typing: Typing, typed: Sequence[str], cuts: Sequence[int]) -> dict[str, Any]:
    """The same keys; between two looks they come in packets that are cut anywhere, some turns of the loop apart."""
    await typing.anew()
    turns = iter([*cuts, *[0] * len(typed)])
    packet = ""
    for key in typed:
        if key == LOOKS:
            typing.packet(packet)
            packet = ""
            await typing.look()
            continue
        packet += key
        if wait := next(turns):
            typing.packet(packet)
            packet = ""
            for _ in range(wait):
                await asyncio.sleep(0)
    typing.packet(packet)
    await typing.done()
    return typing.state()


@pytest.mark.anyio
@pytest.mark.usefixtures("on_the_day")
@pytest.mark.parametrize("count", [25, pytest.param(300, marks=pytest.mark.torture)])
async def test_any_burst_does_what_its_keys_do_one_by_one(count: int) -> None:
    """Over many sequences of keys and pauses, cut into any packets: the same screens, texts and saved hooks."""
    use("ru")
    engine = FakeEngine()
    engine.answers["explain"] = lambda *_, **__: []
    app = HookrowApp(engine.url, start=lambda url: engine, look=choose(TERMINAL, "utf-8"))
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "opened", False), "the list of hooks")
            typing = Typing(app, pilot, engine)
            loop = asyncio.get_running_loop()

            def check(typed: list[str], cuts: list[int]) -> None:
                async def both() -> None:
                    wanted = await one_by_one(typing, typed)
                    assert await in_bursts(typing, typed, cuts) == wanted

                asyncio.run_coroutine_threadsafe(both(), loop).result(60)

            every = given(typed=TYPED, cuts=some.lists(some.integers(0, 6), max_size=9))(check)
            strict = settings(
                max_examples=count,
                deadline=None,
                derandomize=True,
                database=None,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
            )
            await asyncio.to_thread(strict(every))
    finally:
        use("en")


BURSTS = ["d\x1b[C\r", "d\r", "jd\x1b[C\x1b[C\r\r\r", " \x1b[C\r", "p\x1b[C\r\r", "nЩ\x1b\x1b[C\x1b[C\r"]


@pytest.mark.anyio
@pytest.mark.parametrize("burst", BURSTS)
async def test_no_burst_confirms_a_question(burst: str) -> None:
    """Delete, switch a waiting hook off, pause it, leave a changed form: nothing is done, and the bar says why; after a
    silence the same keys answer."""
    async with shown(lang="en") as at:
        at.app.ahead.silence = SILENCE
        typing = Typing(at.app, at.pilot, at.engine)
        before = {number: dict(row.__dict__) for number, row in at.engine.hooks.rows.items()}
        typing.packet(burst)
        await typing.done()
        assert isinstance(at.app.screen, Question)
        assert {number: dict(row.__dict__) for number, row in at.engine.hooks.rows.items()} == before
        await until(at.pilot, lambda: "Typed too early" in drawn(at.app).splitlines()[-1], "the word")
        await typing.look()
        typing.packet(ESC)
        await typing.done()
        assert not isinstance(at.app.screen, Question)


@pytest.mark.anyio
async def test_what_opens_too_late_gets_no_keys() -> None:
    """After 5 s without an answer what was typed ahead is thrown away, and said; Esc gets out."""
    gate = threading.Event()
    async with shown(lang="en") as at:
        typing = Typing(at.app, at.pilot, at.engine)
        at.engine.answers["explain"] = lambda *_, **__: gate.wait(20) and []
        typing.packet("w")
        await until(at.pilot, lambda: type(at.app.screen).__name__ == "WhyScreen", "the page")
        held = threading.Event()
        at.app.screen.held = held.set  # type: ignore[attr-defined]  # from when on they wait, the time counts
        typing.packet("\r\r")
        await until(at.pilot, lambda: held.is_set() and len(at.app.ahead.queue) == 2, "the keys wait")
        typing.now += LATE + 1
        await until(at.pilot, lambda: not at.app.ahead.queue, "they are gone")
        await until(at.pilot, lambda: "Typed too early" in drawn(at.app).splitlines()[-1], "the word")
        typing.packet(ESC)
        await until(at.pilot, lambda: len(at.app.screen_stack) == 1, "the list")
        gate.set()


@pytest.mark.anyio
async def test_a_paste_is_never_keys() -> None:
    """On a list, in a question, on a box: it does nothing; in a field it is text."""
    async with shown(lang="en") as at:
        typing = Typing(at.app, at.pilot, at.engine)
        paste = KEYS[-1]
        for way in ("", "d", "?"):
            typing.packet(way)
            await typing.look()
            shown_before = [type(each).__name__ for each in at.app.screen_stack]
            typing.packet(paste)
            await typing.done()
            assert [type(each).__name__ for each in at.app.screen_stack] == shown_before
            assert {row.revision for row in at.engine.hooks.rows.values()} == {1}
            typing.packet(ESC)
            await typing.look()


@pytest.mark.anyio
async def test_two_quick_presses_blame_nobody() -> None:
    """Space twice on a background hook: off and on again, two revisions, no conflict."""
    async with shown(lang="en") as at:
        typing = Typing(at.app, at.pilot, at.engine)
        at.app.screen.query_one(HookTable).go(2)
        await typing.done()
        typing.packet("  ")
        await typing.done()
        row = at.engine.hooks.rows[3]
        assert (row.active, row.revision) == (True, 3)
        assert not at.app.screen.trouble


@pytest.mark.anyio
async def test_a_burst_of_moves_ends_where_its_keys_lead() -> None:
    """`JJKK` on the second of three hooks: the order is as before, no two share a number."""
    async with shown(lang="en") as at:
        typing = Typing(at.app, at.pilot, at.engine)
        table = at.app.screen.query_one(HookTable)
        table.go(next(place for place, row in enumerate(table.rows) if row.hook.id == 5))
        await typing.done()
        typing.packet("JJKK")
        await typing.done()
        row = [hook for hook in at.engine.hooks.list() if hook.event == "before_order_add"]
        assert [hook.id for hook in row][:2] in ([5, 4], [4, 5])
        assert len({hook.position for hook in row}) == len(row)
        assert table.row.hook.id == 5
