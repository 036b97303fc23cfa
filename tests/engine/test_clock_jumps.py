"""The wall clock is set, and the clocks change in spring and autumn: schedules, leases, waits and periods hold."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Connection, update

from engine_bench import Bench
from hookrow import AsyncHookEngine, Hook
from hookrow.clock import to_ms
from hookrow.errors import NotRedeliverable
from hookrow.hook.dates import parse
from hookrow.store.database.tables import BREAKERS
from hookrow.store.outbox import Note, note
from scripted import HandClock, Network, answer
from worker_bench import seen

pytestmark = pytest.mark.anyio
EVENT = "after_registration"
HOUR, YEAR = 3600, 365 * 86_400
JUMPS = pytest.mark.parametrize("jump", [-HOUR, HOUR, -YEAR, YEAR])


@pytest.fixture
async def engine(own_worker: AsyncHookEngine) -> AsyncHookEngine:
    """With a hook in background."""
    await own_worker.hooks.add(Hook(name="a", event=EVENT, url="http://receiver.test/a", fire_and_forget=False))
    return own_worker


async def looked(engine: AsyncHookEngine) -> None:
    """Wait until the worker has seen the clocks as they stand now, and done what follows."""
    worker = engine.sending.worker
    assert worker is not None
    clock = engine.runtime.clock
    now = (clock.monotonic(), clock.now_ms())
    await seen(lambda: worker.leases.seen is not None and worker.leases.seen[:2] == now)
    rounds = 0
    step = worker.step

    async def counted() -> float:
        nonlocal rounds
        pause = await step()
        rounds += 1
        return pause

    worker.step = counted  # type: ignore[method-assign]
    await seen(lambda: rounds >= 2)
    worker.step = step  # type: ignore[method-assign]


@JUMPS
async def test_a_retry_comes_in_time(engine: AsyncHookEngine, network: Network, clock: HandClock, jump: int) -> None:
    """Set back, a retry is no later than its pause of 5 s, ± 20 %; set forward, it is no later either; never twice."""
    network.on("a", answer(500), answer(200))
    firing = await engine.fire(EVENT, {})
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "retrying")
    clock.wall += jump * 1000
    await looked(engine)
    if jump < 0:
        assert len(network.requests) == 1, "set back: not at once either"
    clock.forward(6.1)
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "ok")
    assert len(network.requests) == 2


@JUMPS
async def test_what_is_in_flight_goes_once(
    engine: AsyncHookEngine, network: Network, clock: HandClock, jump: int
) -> None:
    """The clock is set while a request is under way, and again: its result is recorded, it is not sent again."""
    ended = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await ended.wait()
        return httpx.Response(200)

    network.on("a", slow)
    firing = await engine.fire(EVENT, {})
    await seen(lambda: len(network.requests) == 1)
    for _ in range(2):
        clock.wall += jump * 1000
        await looked(engine)
    ended.set()
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "ok")
    assert len(network.requests) == 1


@JUMPS
async def test_what_is_sent_by_hand_goes_once(
    engine: AsyncHookEngine, network: Network, clock: HandClock, jump: int
) -> None:
    """The clock is set while a person redelivers what waits for a retry: no worker sends it beside them."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        begun.set()
        await ended.wait()
        return httpx.Response(200)

    network.on("a", answer(500), slow)
    firing = await engine.fire(EVENT, {})
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "retrying")
    by_hand = asyncio.create_task(engine.redeliver(firing.deliveries[0].id))
    await begun.wait()
    for _ in range(2):
        clock.wall += jump * 1000
        await looked(engine)
    assert len(network.requests) == 2
    ended.set()
    await by_hand
    assert engine.log.inner.get(firing.id).deliveries[0].outcome == "ok"
    assert len(network.requests) == 2


@JUMPS
async def test_a_command_started_meanwhile_takes_nothing_over(
    engine: AsyncHookEngine, network: Network, clock: HandClock, jump: int
) -> None:
    """A process that knows no other clock than the one that was set, on the same machine, by hand or as a worker."""
    ended = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await ended.wait()
        return httpx.Response(200)

    network.on("a", slow)
    firing = await engine.fire(EVENT, {})
    await seen(lambda: len(network.requests) == 1)
    clock.wall += jump * 1000
    async with AsyncHookEngine(str(engine.runtime.database.address), transport=network, clock=clock) as other:
        with pytest.raises(NotRedeliverable):
            await other.redeliver(firing.deliveries[0].id)
        await looked(other)
    assert len(network.requests) == 1
    ended.set()
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "ok")


@JUMPS
async def test_a_row_in_its_turn_and_a_probe_come_in_time(
    engine: AsyncHookEngine, network: Network, clock: HandClock, jump: int
) -> None:
    """What is blocked behind a hook that hangs goes a second later; a breaker's probe after its rest of 30 s."""
    await engine.hooks.add(Hook(name="b", event=EVENT, url="http://receiver.test/b", fire_and_forget=False))
    ended = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await ended.wait()
        return httpx.Response(500)

    network.on("a", slow)
    firing = await engine.fire(EVENT, {})
    await seen(lambda: len(network.requests) == 1)
    clock.wall += jump * 1000
    await looked(engine)
    clock.forward(1.1)
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[1].outcome == "ok")
    ended.set()
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "retrying")
    number = firing.deliveries[0].hook.id

    def opened(connection: Connection) -> None:
        now = engine.runtime.database.clock
        connection.execute(update(BREAKERS).where(BREAKERS.c.hook_id == number).values(failures=9, since_ms=0))
        note(connection, [Note(number, success=False, countable=True)], now.now_ms(), now.lease_ms())

    engine.runtime.database.writer.write(opened)
    assert engine.log.inner.get(firing.id).deliveries[0].outcome == "parked"
    network.on("a", answer(200))
    sent = len(network.requests)
    clock.wall += jump * 1000
    await looked(engine)
    assert len(network.requests) == sent, "not before its time"
    clock.forward(31)
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "ok")


@JUMPS
async def test_a_waiting_hook_has_its_time(bench: Bench, jump: int) -> None:
    """The clock is set while it answers: neither cut short nor skipped as too late, and the next one is asked too."""

    async def answers(request: httpx.Request) -> httpx.Response:
        bench.clock.wall += jump * 1000
        return httpx.Response(200)

    await bench.gate("first")
    await bench.gate("second")
    bench.network.on("first", answers)
    firing = await bench.fire()
    assert [each.outcome for each in firing.deliveries] == ["ok", "ok"]
    assert firing.ms is not None
    assert 0 <= firing.ms < 30_000


@pytest.mark.parametrize(
    ("day", "begins", "hours"),
    [
        ("29.03.2026", datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        ("25.10.2026", datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        ("30.03.2026", datetime(2026, 3, 29, 22, tzinfo=UTC), 24),
    ],
)
async def test_a_period_is_a_local_day(bench: Bench, day: str, begins: datetime, hours: int) -> None:
    """A day typed as the period of a hook is that day in the settings' zone, be it of 23 or 25 hours."""
    await bench.engine.settings.set("timezone", "Europe/Berlin")
    zone = await bench.engine.settings.zone()
    assert zone == ZoneInfo("Europe/Berlin")
    typed = [parse(day, now=begins, zone=zone, end=end).value for end in (False, True)]
    await bench.hook("a", event=EVENT, valid_from=typed[0], valid_until=typed[1])
    first = to_ms(begins)
    outcomes = []
    for moment in (first - 1, first, first + hours * HOUR * 1000 - 1, first + hours * HOUR * 1000):
        bench.clock.wall = moment
        firing = await bench.fire({}, event=EVENT)
        outcomes.append(firing.deliveries[0].skipped)
    assert outcomes == ["not_yet_valid", None, None, "expired"]


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
async def test_a_schedule_runs_through_the_change_of_clocks(
    engine: AsyncHookEngine, network: Network, clock: HandClock, change: datetime
) -> None:
    """A retry over the hour that is left out, or comes twice, waits as long as any other."""
    await engine.settings.set("timezone", "Europe/Berlin")
    clock.wall = to_ms(change) - 2000
    await looked(engine)
    network.on("a", answer(500), answer(200))
    firing = await engine.fire(EVENT, {})
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "retrying")
    clock.forward(3.9)
    await looked(engine)
    assert len(network.requests) == 1
    clock.forward(2.2)
    await seen(lambda: engine.log.inner.get(firing.id).deliveries[0].outcome == "ok")
