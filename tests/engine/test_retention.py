"""Retention by itself: a worker deletes what the settings no longer keep, now and then, in small batches."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update

from hookrow import AsyncHookEngine, Hook
from hookrow.reasons.reason import Reason
from hookrow.store.database.reserve import reserve_of
from hookrow.store.database.tables import FIRINGS
from hookrow.store.log import purge
from scripted import HandClock, Network, answer
from worker_bench import seen

pytestmark = pytest.mark.anyio
DAY = 86_400.0
EVENT = "after_registration"


@pytest.fixture
async def engine(own_worker: AsyncHookEngine) -> AsyncHookEngine:
    """With a hook in background."""
    await own_worker.hooks.add(Hook(name="a", event=EVENT, url="http://receiver.test/a"))
    return own_worker


async def fired(engine: AsyncHookEngine, count: int, state: str = "sent") -> list[str]:
    """Firings whose delivery has come to this state."""
    made = [(await engine.fire(EVENT, {"number": number})).id for number in range(count)]
    inner = engine.log.inner
    await seen(lambda: all(inner.get(each).deliveries[0].outcome == state for each in made))
    return made


def kept(engine: AsyncHookEngine) -> set[str]:
    """The firings that the log still holds."""
    return {each.id for each in engine.log.inner.page(limit=1000)}


async def test_old_firings_go_by_themselves(engine: AsyncHookEngine, clock: HandClock, network: Network) -> None:
    """Nobody calls anything: a month later they are gone; what failed and waits, and what is young, stays."""
    old = await fired(engine, 5)
    network.on("a", answer(500))
    await engine.hooks.update("a", {"fire_and_forget": False})
    waiting = await fired(engine, 1, "retrying")
    await engine.hooks.pause("a")
    clock.forward(31 * DAY)
    await seen(lambda: kept(engine) == set(waiting))
    assert not set(old) & kept(engine)
    assert engine.path is not None
    await seen(reserve_of(engine.path).exists)
    assert reserve_of(engine.path).stat().st_mode & 0o777 == 0o600


async def test_a_setting_is_obeyed_at_the_next_look(engine: AsyncHookEngine, clock: HandClock) -> None:
    """Ten minutes after the last look, at what the settings say then."""
    await fired(engine, 5)
    clock.forward(2 * DAY)
    retention = engine.sending.worker.retention if engine.sending.worker else None
    assert retention is not None
    await seen(lambda: retention.due > clock.monotonic())
    assert len(kept(engine)) == 5
    await engine.settings.set("retention_days", "1")
    clock.forward(601)
    await seen(lambda: kept(engine) == set())


async def test_the_size_is_kept(engine: AsyncHookEngine, clock: HandClock) -> None:
    """The oldest go when all that may go takes more than the setting, however young."""
    await engine.settings.set("retention_bytes", "1M")
    made = [(await engine.fire(EVENT, {"text": "x" * 30_000, "number": number})).id for number in range(30)]
    await seen(lambda: all(each.deliveries[0].outcome == "sent" for each in engine.log.inner.page(limit=100)))
    clock.forward(61)
    await seen(lambda: purge.size(engine.runtime.database) <= 2**20)
    left = kept(engine)
    assert 5 < len(left) < 30
    assert left == set(made[-len(left) :])


async def test_closing_waits_for_no_purge(
    engine: AsyncHookEngine, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that is closed in the middle of a purge ends it after the batch that is under way."""
    monkeypatch.setattr(purge, "BATCH", 1)
    monkeypatch.setattr("hookrow.worker.retention.PAUSE", 3600)
    await fired(engine, 5)
    clock.forward(31 * DAY)
    await seen(lambda: len(kept(engine)) == 4)
    before = kept(engine)
    async with asyncio.timeout(5):
        await engine.close()
    other = AsyncHookEngine(engine.url, worker=False, clock=clock)
    assert kept(other) == before
    await other.close()


async def test_a_firing_that_never_ended_is_ended_in_the_record(
    engine: AsyncHookEngine, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its process died while hooks were asked: the next look of any worker says so, once."""
    [died] = await fired(engine, 1)
    row = engine.log.inner.get(died).row_id
    begun = update(FIRINGS).where(FIRINGS.c.id == row).values(outcome=None)
    engine.runtime.database.writer.write(lambda connection: connection.execute(begun))
    clock.forward(601)
    await seen(lambda: engine.log.inner.get(died).outcome == "cancelled")
    assert [str(each) for each in engine.log.inner.get(died).warnings] == [Reason("firing_interrupted").said("en")]
    await seen(lambda: "had not ended" in caplog.text)  # it is said after the commit
    assert caplog.text.count("had not ended") == 1
