"""`engine.log`: pages, details, the banner's figures, and giving up by hand."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from engine_bench import Bench
from hookrow.errors import DeliveryNotFound, FiringNotFound
from hookrow.records import LogFilter
from scripted import answer

pytestmark = pytest.mark.anyio


async def test_pages_by_key_newest_first(bench: Bench) -> None:
    """`before` and `after` are a firing's `row_id`; no firing is seen twice or left out."""
    await bench.gate("h")
    fired = [(await bench.fire()).id for _ in range(5)]
    first = await bench.engine.log.page(limit=2)
    second = await bench.engine.log.page(limit=2, before=first[-1].row_id)
    assert [each.id for each in (*first, *second)] == fired[:0:-1]
    newer = await bench.engine.log.page(after=second[0].row_id)
    assert [each.id for each in newer] == fired[:2:-1]


async def test_a_filter_limits_ids_and_pages_alike(bench: Bench) -> None:
    """By outcome and by hook."""
    bench.network.on("h", answer(), answer(body={"allow": False}))
    hook = await bench.gate("h")
    await bench.fire()
    vetoed = await bench.fire()
    wanted = LogFilter(outcome="vetoed", hook=hook.id)
    assert [each.id for each in await bench.engine.log.page(wanted)] == [vetoed.id]
    rows = await bench.engine.log.ids(wanted)
    assert [each.id for each in await bench.engine.log.by_rows(rows)] == [vetoed.id]


async def test_a_firing_is_found_by_its_deliverys_id_too(bench: Bench) -> None:
    """What is not there is named."""
    await bench.gate("h")
    firing = await bench.fire()
    assert (await bench.engine.log.get(firing.deliveries[0].id)).id == firing.id
    with pytest.raises(FiringNotFound, match="evt_nothing"):
        await bench.engine.log.get("evt_nothing")
    with pytest.raises(DeliveryNotFound, match="msg_nothing"):
        await bench.engine.log.delivery("msg_nothing")


async def test_the_banners_figures(bench: Bench) -> None:
    """Queue, what nobody sends, errors, dead, and paused hooks with `stop` first."""
    bench.network.on("bad", answer(500))
    soft, hard = await bench.gate("soft"), await bench.gate("hard", on_failure="stop")
    for hook in (soft, hard):
        await bench.engine.hooks.pause(hook.id or 0)
    await bench.hook("waits", event="after_registration")
    await bench.gate("bad", event="after_registration")
    await bench.fire({"user": {}}, event="after_registration")
    summary = await bench.engine.log.summary()
    assert (summary.queue, summary.undrained, summary.errors_last_hour, summary.dead) == (1, False, 1, 0)
    assert list(summary.paused) == [hard.id, soft.id]
    bench.clock.forward(61)
    assert (await bench.engine.log.summary()).undrained


async def test_a_hooks_last_day(bench: Bench) -> None:
    """Calls, errors and the newest attempt; what is older than 24 hours is not counted."""
    bench.network.on("h", answer(500), answer(200))
    hook = await bench.gate("h")
    await bench.fire()
    await bench.fire()
    figures = (await bench.engine.log.hook_figures())[hook.id or 0]
    assert (figures.calls, figures.errors, figures.last_status, figures.last_error) == (2, 1, 200, None)
    bench.clock.forward(24 * 3600 + 1)
    assert await bench.engine.log.hook_figures() == {}


async def test_a_dead_delivery_can_be_dropped(bench: Bench) -> None:
    """By hand, and only a dead one; who did it is noted of that one alone."""
    await bench.hook("h")
    dead = await bench.fire()
    alive = await bench.fire()
    with closing(sqlite3.connect(bench.engine.path or "")) as raw, raw:
        raw.execute("UPDATE delivery SET state = 'dead' WHERE id = ?", (dead.deliveries[0].row_id,))
    refs = [dead.deliveries[0].id, alive.deliveries[0].id]
    assert await bench.engine.log.drop(refs) == 1
    assert await bench.engine.log.drop(refs) == 0
    assert [deed.subject for deed in await bench.engine.log.deeds() if deed.action == "drop"] == refs[:1]


async def test_a_follower_sees_that_something_was_committed(bench: Bench) -> None:
    """`data_version` moves with a commit and stands without one."""
    await bench.gate("h")
    before = bench.engine.log.data_version()
    assert bench.engine.log.data_version() == before
    await bench.fire()
    assert bench.engine.log.data_version() != before
