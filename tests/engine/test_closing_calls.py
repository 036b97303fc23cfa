"""An engine that closes while an event loop is inside its calls: they may end within the grace, then they are cut off
and recorded; who called was cancelled by nobody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from hookrow import AsyncHookEngine, Firing, Hook, HookEngine
from hookrow.core.threads.running import RunningCalls
from hookrow.errors import EngineClosed
from receivers import Receiver, hold, reply
from worker_bench import seen

pytestmark = pytest.mark.anyio
EVENT = "before_order_add"
PAYLOAD = {"order": {"id": 7}}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database of the test's own."""
    return f"sqlite:///{tmp_path}/hooks.db"


async def prepared(url: str, receiver: Receiver) -> None:
    """A hook that is waited for."""
    async with AsyncHookEngine(url, worker=False) as engine:
        await engine.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, wait_for_response=True, timeout=30))


async def recorded(url: str) -> list[str | None]:
    """The outcomes in the log."""
    async with AsyncHookEngine(url, worker=False) as later:
        return [each.outcome for each in await later.log.page()]


async def fired(engine: AsyncHookEngine | HookEngine, receiver: Receiver) -> asyncio.Task[Firing]:
    """A call whose receiver has its request."""
    call = asyncio.create_task(engine.afire(EVENT, PAYLOAD))
    await asyncio.to_thread(receiver.wait, 1)
    return call


@pytest.mark.parametrize("worker", [False, True])
async def test_a_call_under_way_may_end(url: str, worker: bool) -> None:
    """`close` waits for it; what begins meanwhile is refused."""
    go = threading.Event()
    with Receiver(reply(200, b"{}", after=go)) as receiver:
        await prepared(url, receiver)
        engine = await AsyncHookEngine(url, worker=worker).__aenter__()
        call = await fired(engine, receiver)
        closing = asyncio.create_task(engine.close(grace=60))
        await seen(lambda: engine.under_way.closing)
        own: Any = object()
        begun: list[Callable[[], Awaitable[object]]] = [
            lambda: engine.fire(EVENT, PAYLOAD),
            lambda: engine.fire("after_registration", PAYLOAD, connection=own),
            lambda: engine.replay("evt_x"),
            lambda: engine.drain(),
        ]
        for each in begun:
            with pytest.raises(EngineClosed):
                await each()
        assert not closing.done()
        go.set()
        assert (await call).outcome == "allowed"
        await asyncio.wait_for(closing, 20)
    assert await recorded(url) == ["allowed"]


@pytest.mark.parametrize("kind", [AsyncHookEngine, HookEngine])
async def test_what_takes_longer_is_cut_off_and_recorded(url: str, kind: type[AsyncHookEngine | HookEngine]) -> None:
    """The caller is told that the engine was closed; its task goes on, uncancelled."""
    with Receiver(hold) as receiver:
        await prepared(url, receiver)
        engine = kind(url, worker=False)

        async def caller() -> tuple[str, int]:
            with pytest.raises(EngineClosed):
                await engine.afire(EVENT, PAYLOAD)
            task = asyncio.current_task()
            assert task is not None
            await asyncio.sleep(0)
            return "goes on", task.cancelling()

        call = asyncio.create_task(caller())
        await asyncio.to_thread(receiver.wait, 1)
        if isinstance(engine, AsyncHookEngine):
            await engine.close(grace=0)
        else:
            await asyncio.to_thread(engine.close, 0)
        assert await call == ("goes on", 0)
    assert await recorded(url) == ["cancelled"]


async def test_a_cancellation_of_the_callers_own_stays_one(url: str) -> None:
    """Also where the engine closes at the same time."""
    with Receiver(hold) as receiver:
        await prepared(url, receiver)
        engine = AsyncHookEngine(url, worker=False)
        call = await fired(engine, receiver)
        call.cancel()
        await engine.close(grace=0)
        with pytest.raises(asyncio.CancelledError):
            await call
        assert call.cancelled()
    assert await recorded(url) == ["cancelled"]


async def test_a_limit_of_the_callers_own_stays_one() -> None:
    """A call that is cut off, and waits until its end is recorded, does not use up the cancellation of a limit."""
    calls, cut = RunningCalls(), asyncio.Event()

    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cut.set()
            await asyncio.Event().wait()

    async def caller() -> str:
        limit = asyncio.timeout(None)
        try:
            async with limit:
                limits.append(limit)
                await calls.run(slow())
        except TimeoutError:
            return "late"
        return "never"

    limits: list[asyncio.Timeout] = []
    call = asyncio.create_task(caller())
    await asyncio.sleep(0)
    closing = asyncio.create_task(calls.settle(0, None))
    await cut.wait()
    limits[0].reschedule(0)
    assert await call == "late"
    await asyncio.wait_for(closing, 20)


async def test_a_transport_of_the_hosts_own_may_call_the_engine_again(url: str) -> None:
    """An application behind `httpx.ASGITransport` fires within the call: the outer one still counts."""

    class Within(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await engine.fire("after_registration", {"n": 1})
            inside.set()
            await go.wait()
            return httpx.Response(200)

    inside, go = asyncio.Event(), asyncio.Event()
    engine = AsyncHookEngine(url, worker=False, transport=Within())
    await engine.hooks.add(Hook(name="h", event=EVENT, url="http://receiver.test/", wait_for_response=True))
    call = asyncio.create_task(engine.fire(EVENT, PAYLOAD))
    await inside.wait()
    closing = asyncio.create_task(engine.close(grace=60))
    await seen(lambda: engine.under_way.closing)
    go.set()
    assert (await call).outcome == "allowed"
    await asyncio.wait_for(closing, 20)
