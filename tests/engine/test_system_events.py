"""The breaker of waiting hooks, and the engine's own events."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, select

from engine_bench import Bench
from hookrow import Hook, HookEngine
from hookrow.core.firing import write_event
from hookrow.store.database.tables import DELIVERIES
from scripted import Network, answer

pytestmark = pytest.mark.anyio


async def test_a_waiting_hook_that_fails_again_and_again_is_paused(bench: Bench) -> None:
    """Ten failures over a minute: then it fails as `paused` at once, without a request, and a hook is told."""
    bench.network.on("w", answer(503))
    await bench.gate("w")
    await bench.gate("watch", event="hook.paused")
    for _ in range(10):
        await bench.fire()
        bench.clock.forward(7)
    firing = await bench.fire()
    assert firing.deliveries[0].error == "paused"
    assert bench.network.paths() == ["w"] * 10 + ["watch"]
    told = bench.network.bodies("watch")[0]["data"]
    assert (told["hook"]["name"], told["by"], told["reason"]) == ("w", "breaker", "bad_status 503")
    assert [each.state for each in await bench.engine.hooks.list("before_order_add")] == ["paused"]


async def test_a_success_between_failures_keeps_it_going(bench: Bench) -> None:
    """Only failures in a row count."""
    bench.network.on("w", *([answer(503)] * 9), answer(), answer(503))
    await bench.gate("w")
    for _ in range(15):
        assert (await bench.fire()).deliveries[0].error != "paused"
        bench.clock.forward(7)


async def test_a_veto_is_an_answer_not_a_failure(bench: Bench) -> None:
    """A receiver that says no is well."""
    bench.network.on("w", answer(body={"allow": False}))
    await bench.gate("w")
    for _ in range(12):
        assert (await bench.fire()).outcome == "vetoed"
        bench.clock.forward(7)


async def test_a_receiver_that_is_gone_pauses_its_hook_visibly(bench: Bench) -> None:
    """410 fails this firing, pauses the hook until a person resumes it, and tells who listens."""
    bench.network.on("w", answer(410))
    await bench.gate("w", on_failure="stop")
    await bench.gate("watch", event="hook.paused")
    assert (await bench.fire()).outcome == "failed"
    hook = (await bench.engine.hooks.list("before_order_add"))[0]
    assert (hook.state, hook.paused_by) == ("paused", "gone")
    assert bench.network.paths() == ["w", "watch"]
    bench.network.on("w", answer())
    await bench.engine.hooks.resume(hook.id or 0)
    assert (await bench.fire()).outcome == "allowed"


async def test_a_pause_and_a_resume_by_hand_are_told(bench: Bench) -> None:
    """In the transaction of the change, so never without it."""
    hook = await bench.gate("w")
    await bench.hook("p", event="hook.paused")
    await bench.hook("r", event="hook.resumed")
    await bench.engine.hooks.pause(hook.id or 0, "ремонт")
    await bench.engine.hooks.resume(hook.id or 0)
    for firing in reversed(await bench.engine.log.page()):
        await bench.engine.send_own(firing)
    assert bench.network.paths() == ["p", "r"]
    assert bench.network.bodies("p")[0]["data"]["reason"] == "ремонт"


async def test_a_system_events_own_hook_raises_none(bench: Bench) -> None:
    """A listener that is itself gone is paused without telling itself again."""
    bench.network.on("w", answer(410))
    bench.network.on("watch", answer(410))
    await bench.gate("w")
    await bench.gate("watch", event="hook.paused")
    await bench.fire()
    assert bench.network.paths() == ["w", "watch"]


def test_one_that_is_written_with_its_cause_waits_for_no_lease(either_url: str) -> None:
    """Nobody hands its rows to this process's worker, which finds them by itself."""
    network = Network()
    with HookEngine(either_url, transport=network) as engine:
        engine.hooks.add(Hook(key="watch", name="watch", event="hook.paused", url="http://receiver.test/watch"))
        engine.fire("after_registration", {})
        engine.ensure_worker()
        assert engine.sending.takes_over

        def job(connection: Connection) -> list[str]:
            write_event(engine.runtime, connection, "hook.paused", {"by": "person"})
            return list(connection.execute(select(DELIVERIES.c.state)).scalars())

        assert engine.runtime.database.writer.write(job) == ["queued"]
        assert engine.drain(10)
        assert network.paths() == ["watch"]
