"""The idempotency key: one firing for one key, whoever repeats it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine, Hook
from hookrow.errors import IdempotencyConflict
from hookrow.reasons.reason import Reason
from receivers import Receiver, reply
from scripted import answer, fails
from warm import run_warm

pytestmark = pytest.mark.anyio


async def test_a_repeated_call_gets_the_first_ones_outcome(bench: Bench) -> None:
    """An allowed firing and an explicit veto are kept: one request, one row."""
    bench.network.on("h", answer(body={"data": {"order": {"sum": 5}}}), answer(body={"allow": False, "message": "нет"}))
    await bench.transform("h")
    for key, outcome in (("a", "allowed"), ("b", "vetoed")):
        first = await bench.fire(idempotency_key=key)
        again = await bench.fire(idempotency_key=key)
        assert (first.reused, again.reused, again.id, again.outcome) == (False, True, first.id, outcome)
        assert again.data == first.data
    assert len(bench.network.requests) == 2
    assert len(await bench.engine.log.page()) == 2


async def test_a_call_joins_the_one_that_runs(bench: Bench) -> None:
    """A second call waits for the first and returns what it returns."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await go.wait()
        return httpx.Response(200, json={"result": 1})

    bench.network.on("h", slow)
    await bench.transform("h")
    first = asyncio.ensure_future(bench.fire(idempotency_key="k"))
    await arrived.wait()
    second = asyncio.ensure_future(bench.fire(idempotency_key="k"))
    assert (await bench.logged()).outcome is None  # committed as running before the first hook was called
    go.set()
    assert (await first).id == (await second).id
    assert (await second).reused
    assert len(bench.network.requests) == 1


async def test_another_payload_under_the_key_is_a_conflict(bench: Bench) -> None:
    """The order of keys does not matter, the values do."""
    await bench.gate("h")
    await bench.fire({"a": 1, "b": 2}, idempotency_key="k")
    assert (await bench.fire({"b": 2, "a": 1}, idempotency_key="k")).reused
    with pytest.raises(IdempotencyConflict, match="k"):
        await bench.fire({"a": 1, "b": 3}, idempotency_key="k")


async def test_a_refusal_by_failure_is_tried_again(bench: Bench) -> None:
    """The receiver was away; the customer's second try must have a chance."""
    bench.network.on("h", fails(httpx.ConnectError("away")), answer())
    await bench.gate("h", on_failure="stop")
    assert (await bench.fire(idempotency_key="k")).outcome == "failed"
    again = await bench.fire(idempotency_key="k")
    assert (again.outcome, again.reused) == ("allowed", False)


async def test_a_key_is_forgotten_after_ten_minutes_and_belongs_to_its_event(bench: Bench) -> None:
    """Ten minutes later, or for another event, it is a new firing."""
    await bench.gate("h")
    await bench.gate("u", event="before_user_new")
    first = await bench.fire(idempotency_key="k")
    assert not (await bench.fire(event="before_user_new", idempotency_key="k")).reused
    bench.clock.forward(599)
    assert (await bench.fire(idempotency_key="k")).id == first.id
    bench.clock.forward(2)
    assert not (await bench.fire(idempotency_key="k")).reused


async def test_one_that_never_ended_is_run_anew(bench: Bench, tmp_path: Path) -> None:
    """Its process died: after its deadline and a second, the next call runs, and the record says why it ended."""
    arrived, never = asyncio.Event(), asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await never.wait()
        return httpx.Response(200)

    bench.network.on("h", hang)
    await bench.gate("h")
    dead = asyncio.ensure_future(bench.fire(idempotency_key="k", deadline=5.0))
    await arrived.wait()
    bench.network.on("h", answer())
    bench.clock.forward(6.1)
    again = await bench.fire(idempotency_key="k")
    assert (again.outcome, again.reused) == ("allowed", False)
    _, first = await bench.engine.log.page()
    assert (first.outcome, first.allowed, first.ms) == ("cancelled", False, None)
    assert first.as_json()["warnings"] == [Reason("firing_interrupted").said("en")]
    # It had been taken for dead, and lives: what it records itself stands, and the key is the second one's.
    never.set()
    late = await dead
    assert (late.id, late.outcome) == (first.id, "allowed")
    kept = await bench.engine.log.get(first.id)
    assert (kept.outcome, list(kept.warnings)) == ("allowed", [])
    assert (await bench.fire(idempotency_key="k")).id == again.id


OTHER = """
import sys
from hookrow import HookEngine
with HookEngine(sys.argv[1], worker=False) as engine:
    firing = engine.fire("before_order_add", {"order": {"id": 7}}, idempotency_key="k")
    print(firing.id, firing.reused)
"""


async def test_another_process_joins_too(tmp_path: Path) -> None:
    """Two processes on one file, one request."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    with Receiver(reply(200, b"{}", after=0.3)) as receiver:
        async with AsyncHookEngine(url, worker=False) as engine:
            await engine.hooks.add(Hook(name="h", event="before_order_add", url=receiver.url, wait_for_response=True))
            first = asyncio.ensure_future(engine.fire("before_order_add", {"order": {"id": 7}}, idempotency_key="k"))
            await asyncio.to_thread(receiver.wait, 1)
            done = await asyncio.to_thread(run_warm, [sys.executable, "-c", OTHER, url])
            assert done.stdout.split() == [(await first).id, "True"]
        assert len(receiver.requests) == 1


async def test_an_edit_by_another_process_is_seen_by_the_next_fire(bench: Bench, tmp_path: Path) -> None:
    """No restart, no waiting: the hook cache asks the database at each fire."""
    await bench.gate("h")
    assert len((await bench.fire()).deliveries) == 1
    code = (
        "import sys; from hookrow import HookEngine\n"
        "with HookEngine(sys.argv[1], worker=False) as engine: engine.hooks.update('h', active=False)"
    )
    done = await asyncio.to_thread(run_warm, [sys.executable, "-c", code, f"sqlite:///{tmp_path}/hooks.db"])
    assert done.returncode == 0, done.stderr
    assert (await bench.fire()).deliveries[0].skipped == "inactive"


async def test_private_values_are_neither_in_the_hash_nor_lost_to_the_second_caller(bench: Bench) -> None:
    """A hash that took in a password could be tried against guesses; the caller who brings it gets it back."""
    await bench.transform("h", event="before_registration")
    await bench.fire({"user": {"id": 1, "password": "first-one"}}, event="before_registration", idempotency_key="k")
    given = {"user": {"id": 1, "password": "other-one"}}
    again = await bench.fire(given, event="before_registration", idempotency_key="k")
    assert (again.reused, again.data) == (True, given)


async def test_a_cancelled_first_frees_the_key(bench: Bench) -> None:
    """A cancelled caller decided nothing: the next one runs anew at once."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await go.wait()
        return httpx.Response(200, json={})

    bench.network.on("h", slow, answer())
    await bench.gate("h")
    first = asyncio.ensure_future(bench.fire(idempotency_key="k"))
    await arrived.wait()
    first.cancel()
    await asyncio.wait([first])
    second = await bench.fire(idempotency_key="k")
    assert (second.reused, len(bench.network.requests)) == (False, 2)
    assert [each.outcome for each in await bench.engine.log.page()] == ["allowed", "cancelled"]


async def test_a_cancelled_second_leaves_the_first_alone(bench: Bench) -> None:
    """Who only waited for another's outcome records nothing."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await go.wait()
        return httpx.Response(200, json={})

    bench.network.on("h", slow)
    await bench.gate("h")
    first = asyncio.ensure_future(bench.fire(idempotency_key="k"))
    await arrived.wait()
    second = asyncio.ensure_future(bench.fire(idempotency_key="k"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    go.set()
    assert (await first).outcome == "allowed"
    assert [each.outcome for each in await bench.engine.log.page()] == ["allowed"]


async def test_a_failure_that_was_waited_for_is_tried_anew(tmp_path: Path) -> None:
    """Another engine's firing fails while this call waits for it: the customer's second try has its chance."""
    url = f"sqlite:///{tmp_path}/hooks.db"
    payload = {"order": {"id": 7}}
    with Receiver(reply(503, b"{}", after=0.3), reply(200, b"{}")) as receiver:
        async with AsyncHookEngine(url, worker=False) as engine, AsyncHookEngine(url, worker=False) as other:
            hook = Hook(name="h", event="before_order_add", url=receiver.url, wait_for_response=True, on_failure="stop")
            await engine.hooks.add(hook)
            first = asyncio.ensure_future(engine.fire("before_order_add", payload, idempotency_key="k"))
            await asyncio.to_thread(receiver.wait, 1)
            second = await other.fire("before_order_add", payload, idempotency_key="k")
            assert ((await first).outcome, second.outcome, second.reused) == ("failed", "allowed", False)
