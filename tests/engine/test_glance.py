"""`hookrow.glance`: the list of hooks, before the engine is imported, says what the engine says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine, Event
from hookrow.clock import from_ms
from hookrow.glance import Glance, glance
from scripted import HandClock, answer

pytestmark = pytest.mark.anyio
SAME = (
    *("id", "key", "name", "url", "event", "position", "timeout", "valid_from", "valid_until", "active", "mode"),
    *("fire_and_forget", "wait_for_response", "response_has_data", "condition", "on_failure", "state"),
    *("paused_by", "paused_reason", "paused_at"),
)


async def seen(engine: AsyncHookEngine, clock: HandClock) -> Glance:
    """The glance at the engine's file, after it was found to be what the engine says."""
    found = glance(f"sqlite:///{engine.path}", clock)
    assert found is not None
    hooks = await engine.hooks.list()
    assert {hook.id: [getattr(hook, name) for name in SAME] for hook in found.hooks} == {
        hook.id: [getattr(hook, name) for name in SAME] for hook in hooks
    }
    assert list(found.events) == [event.code for event in engine.events.list()]
    assert found.figures == await engine.log.hook_figures()
    assert found.summary == await engine.log.summary()
    assert found.zone == await engine.settings.zone()
    return found


async def test_it_says_what_the_engine_says(bench: Bench) -> None:
    """Every mode and state, figures of calls that failed and did not, a queue that nobody drains, a deleted hook."""
    bench.network.on("gate", answer(), answer(500), answer(503))
    await bench.gate("gate", on_failure="stop", condition="order.sum > 1")
    await bench.transform("data", timeout=0.5)
    await bench.hook("mail", fire_and_forget=False, response_has_data=True, position=5)
    await bench.hook("off", active=False, event="on_subscription")
    now = from_ms(bench.clock.now_ms())
    await bench.hook("early", valid_from=now + timedelta(days=3, milliseconds=1))
    await bench.hook("late", valid_from=now - timedelta(days=9), valid_until=now - timedelta(days=1))
    await bench.gate("paused")
    await bench.engine.hooks.remove((await bench.hook("gone")).id or 0)
    await seen(bench.engine, bench.clock)
    for _ in range(3):
        await bench.fire()
        bench.clock.forward(60)
    await bench.engine.hooks.pause("paused", "ремонт")
    await bench.engine.settings.set("timezone", "Asia/Yekaterinburg")
    bench.clock.forward(600)
    found = await seen(bench.engine, bench.clock)
    assert {hook.state for hook in found.hooks} == {"on", "off", "not_yet_valid", "expired", "paused"}
    assert found.summary.undrained
    assert found.summary.errors_last_hour == 2
    assert [hook.id for hook in found.hooks if hook.paused] == list(found.summary.paused)


async def test_a_services_events_stand_as_the_engine_has_them(tmp_path: Path, clock: HandClock) -> None:
    """After the document's and the engine's own, also one that takes the place of the document's."""
    own = [Event("shift_closed", "Shift closed", "on"), Event("before_order_add", "Order", "before")]
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, events=own, clock=clock) as engine:
        found = await seen(engine, clock)
    assert found.events[-1] == "shift_closed"


async def test_what_only_the_engine_can_tell(bench: Bench, tmp_path: Path) -> None:
    """A server's database, no file, no database, another version: nothing is shown, and no file is made or changed."""
    assert glance("postgresql://localhost/hooks") is None
    assert glance(f"sqlite:///{tmp_path / 'none.db'}") is None
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("this is no database, however long it goes on" * 100)
    assert glance(f"sqlite:///{tmp_path / 'text.db'}") is None
    path = bench.engine.path
    assert path is not None
    assert glance(f"sqlite:///{path}") is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE hookrow_version SET version_num = '9999'")
    assert glance(f"sqlite:///{path}") is None
