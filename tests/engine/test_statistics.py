"""`engine.log.statistics()`: calls, errors and times of each hook, last day and last week."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_bench import Bench
from hookrow.core.insight import statistics
from hookrow.core.insight.statistics import percentile
from hookrow.store.log import figures as counted
from scripted import answer

pytestmark = pytest.mark.anyio
DAY = 24 * 3600


async def figures(bench: Bench, ref: str) -> Any:
    """The statistics of the hook that this key or name means."""
    hook = await bench.engine.hooks.get(ref)
    return (await bench.engine.log.statistics())[hook.id or 0]


async def test_calls_and_errors_of_the_last_day_and_week(bench: Bench) -> None:
    """What is older than a day counts for the week only, what is older than a week not at all."""
    bench.network.on("h", answer(), answer(500), answer(), answer(503), answer(), answer())
    await bench.gate("h")
    for ahead in (8 * DAY, 2 * DAY, 3 * DAY, 3600, 60):
        await bench.fire()
        bench.clock.forward(ahead)
    # Fired 14, 6, 4, 1 day and a minute, and a minute ago; the last two are an hour apart.
    found = await figures(bench, "h")
    assert (found.day.calls, found.day.errors) == (2, 1)
    assert (found.week.calls, found.week.errors) == (4, 2)
    assert (found.day.capped, found.week.capped) == (False, False)
    assert found.week.since_ms == bench.clock.now_ms() - 7 * DAY * 1000


async def test_a_hook_that_nobody_called_has_zeros(bench: Bench) -> None:
    """And no times; a deleted hook has no figures."""
    await bench.gate("idle", active=False)
    await bench.gate("gone", key="gone")
    await bench.fire()
    await bench.engine.hooks.remove("gone")
    [only] = (await bench.engine.log.statistics()).values()
    assert (only.day.calls, only.day.errors, only.day.p50_ms, only.day.p95_ms) == (0, 0, None, None)


async def test_a_call_is_one_share_however_many_requests_it_took(bench: Bench) -> None:
    """Retries and redeliveries by hand are the same call, what went to another address alone is none."""
    bench.network.on("h", answer(500), answer(500), answer())
    await bench.hook("h", fire_and_forget=False)
    firing = await bench.engine.send_own(await bench.fire())
    await bench.engine.redeliver(firing.deliveries[0].id, to="http://elsewhere.test/x")
    await bench.engine.redeliver(firing.deliveries[0].id)
    found = await figures(bench, "h")
    assert (found.day.calls, found.day.errors) == (1, 1)
    await bench.engine.redeliver(firing.deliveries[0].id)
    await bench.engine.replay(firing.id, to="http://elsewhere.test/x")
    found = await figures(bench, "h")
    assert (found.day.calls, found.day.errors) == (1, 0)


async def test_a_busy_hook_says_from_when_its_figures_count(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the cap only the newest deliveries are looked at; a hook with few is not touched by that."""
    monkeypatch.setattr(statistics, "IN_ALL", 6)
    monkeypatch.setattr(statistics, "AT_LEAST", 3)
    await bench.gate("busy")
    await bench.gate("rare", event="on_subscription")
    await bench.fire({"user": {"id": 1}}, event="on_subscription")
    moments = []
    for _ in range(5):
        bench.clock.forward(3600)
        moments.append(bench.clock.now_ms())
        await bench.fire()
    busy, rare = await figures(bench, "busy"), await figures(bench, "rare")
    assert (busy.week.calls, busy.week.capped, busy.week.since_ms) == (3, True, moments[2])
    assert (rare.week.calls, rare.week.capped) == (1, False)
    assert set(busy.as_json()["week"]) == {"calls", "errors", "p50_ms", "p95_ms", "since", "capped"}


async def test_a_glance_at_a_busy_hook_counts_the_newest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hook_figures` costs the same however long the log is; the last call is the newest one."""
    monkeypatch.setattr(counted, "GLANCE", 3)
    monkeypatch.setattr(counted, "AT_LEAST", 3)
    bench.network.on("h", answer(500), answer(), answer(), answer(503), answer(201))
    hook = await bench.gate("h")
    for _ in range(5):
        await bench.fire()
    found = (await bench.engine.log.hook_figures())[hook.id or 0]
    assert (found.calls, found.errors, found.last_status) == (3, 1, 201)


async def test_times_are_those_of_the_calls(bench: Bench) -> None:
    """The median and the 95th of a hundred, failed calls included."""
    await bench.gate("h")
    for _ in range(20):
        await bench.fire()
    with closing(sqlite3.connect(bench.engine.path or "")) as connection:
        rows = [number for (number,) in connection.execute("SELECT id FROM delivery ORDER BY id")]
        connection.executemany("UPDATE delivery SET ms = ? WHERE id = ?", [(10 * n, row) for n, row in enumerate(rows)])
        connection.commit()
    found = await figures(bench, "h")
    assert (found.day.p50_ms, found.day.p95_ms) == (90, 180)


@given(st.lists(st.integers(0, 30_000), min_size=1).map(sorted), st.integers(1, 100))
def test_a_percentile_is_the_nearest_rank(times: list[int], share: int) -> None:
    """At least so many per cent of the times don't exceed it, and it is the least of them for which that holds."""
    found = percentile(times, share)
    assert found in times

    def below(limit: int) -> float:
        return 100 * sum(each <= limit for each in times) / len(times)

    assert below(found or 0) >= share
    assert all(below(each) < share for each in times if each < (found or 0))
