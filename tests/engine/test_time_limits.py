"""Time with the shipped transport and real sockets: no receiver holds a caller past the limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hookrow import AsyncHookEngine, Hook
from receivers import BlackHole, Receiver, close, drip, reply, silence

pytestmark = pytest.mark.anyio
EVENT = "before_order_add"
PAYLOAD = {"order": {"id": 7}}


@pytest.fixture
async def engine(tmp_path: Path, anyio_backend: str) -> AsyncIterator[AsyncHookEngine]:
    """With the transport that is shipped, and a worker."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db") as made:
        yield made


@pytest.fixture
def receivers() -> Iterator[ExitStack]:
    """Whatever a test opens is closed at its end."""
    with ExitStack() as stack:
        yield stack


async def timed(engine: AsyncHookEngine, **how: Any) -> tuple[Any, float]:
    """A firing, and how long it took."""
    started = time.monotonic()
    firing = await engine.fire(EVENT, PAYLOAD, **how)
    return firing, time.monotonic() - started


SLOW = {
    "dripping_body": drip(b"x" * 60, every=0.1, head=b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"),
    "dripping_headers": drip(b"HTTP/1.1 200 OK\r\nX-Header: " + b"x" * 100, every=0.1),
    "silence": silence,
}


@pytest.mark.parametrize("kind", SLOW)
async def test_the_limit_is_of_the_whole_exchange(
    engine: AsyncHookEngine, receivers: ExitStack, lag: Any, kind: str
) -> None:
    """Every byte of the response counts; then the next hook is called and the operation goes on."""
    slow = receivers.enter_context(Receiver(SLOW[kind]))
    quick = receivers.enter_context(Receiver(reply(200, b"{}")))
    for url, limit in ((slow.url, 0.6), (quick.url, 5)):
        await engine.hooks.add(Hook(name="h", event=EVENT, url=url, wait_for_response=True, timeout=limit))
    firing, elapsed = await timed(engine)
    assert [each.error or each.outcome for each in firing.deliveries] == ["timeout", "ok"]
    assert firing.allowed
    assert 0.6 <= elapsed <= lag.bound(0.6 + 0.25)


async def test_a_host_that_never_accepts_is_let_go_at_the_limit(
    engine: AsyncHookEngine, receivers: ExitStack, lag: Any
) -> None:
    """Its failure was to be ignored: the operation is allowed."""
    hole = receivers.enter_context(BlackHole())
    await engine.hooks.add(Hook(name="h", event=EVENT, url=hole.url, wait_for_response=True, timeout=0.6))
    firing, elapsed = await timed(engine)
    assert (firing.allowed, firing.deliveries[0].error) == (True, "timeout")
    assert elapsed <= lag.bound(0.6 + 0.25)


async def test_an_early_close_fails_at_once(engine: AsyncHookEngine, receivers: ExitStack, lag: Any) -> None:
    """Nobody waits for a receiver that has hung up."""
    receiver = receivers.enter_context(Receiver(close))
    await engine.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, wait_for_response=True, timeout=10))
    firing, elapsed = await timed(engine)
    assert firing.deliveries[0].error == "connect_error"
    assert elapsed <= lag.bound(1.0)


async def test_the_rows_deadline_holds_over_many_slow_hooks(
    engine: AsyncHookEngine, receivers: ExitStack, lag: Any
) -> None:
    """Hooks that are each allowed to fail don't add up past it; those not reached fail as `deadline`."""
    hole = receivers.enter_context(BlackHole())
    for _ in range(4):
        await engine.hooks.add(Hook(name="h", event=EVENT, url=hole.url, wait_for_response=True, timeout=0.3))
    firing, elapsed = await timed(engine, deadline=0.8)
    first, *middle, last = [each.error for each in firing.deliveries]
    assert (first, last) == ("timeout", "deadline")
    assert {*middle} <= {"timeout", "deadline"}  # a machine held up for a moment does not reach the second one
    assert firing.allowed
    assert elapsed <= lag.bound(0.8 + 0.25)


async def test_no_cap_below_the_hooks_own_limit(engine: AsyncHookEngine, receivers: ExitStack) -> None:
    """A receiver that takes longer than the default timeout, and less than its own, succeeds."""
    receiver = receivers.enter_context(Receiver(reply(200, b"{}", after=5.5)))
    await engine.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, wait_for_response=True, timeout=20))
    firing, elapsed = await timed(engine)
    assert (firing.deliveries[0].outcome, elapsed >= 5.5) == ("ok", True)


async def test_one_rule_of_time_for_all_events(engine: AsyncHookEngine, receivers: ExitStack) -> None:
    """Every event of the catalogue gives a hook the same time."""
    receiver = receivers.enter_context(Receiver(reply(200, b"{}", after=0.4)))
    codes = [each.code for each in engine.events if not each.system]
    for code in codes:
        await engine.hooks.add(Hook(name="h", event=code, url=receiver.url, wait_for_response=True, timeout=5))
    fired = await asyncio.gather(*(engine.fire(code, PAYLOAD) for code in codes))
    assert [each.deliveries[0].outcome for each in fired] == ["ok"] * len(codes)


async def test_waiting_for_a_slot_is_not_charged_to_the_hook(engine: AsyncHookEngine, receivers: ExitStack) -> None:
    """A hundred at once, more than there are slots: the last ones wait longer than their limit, none fails."""
    receiver = receivers.enter_context(Receiver(reply(200, b"{}", after=0.7)))
    await engine.hooks.add(
        Hook(name="h", event="after_registration", url=receiver.url, fire_and_forget=False, timeout=2)
    )
    fired = [await engine.fire("after_registration", {"user": {"id": number}}) for number in range(100)]
    await asyncio.to_thread(receiver.wait, 100, 60.0)
    async with asyncio.timeout(60):
        while (await engine.log.summary()).queue:  # noqa: ASYNC110 (other tasks' commits set no event)
            await asyncio.sleep(0.02)
    for each in fired:
        assert (await engine.log.get(each.id)).deliveries[0].attempts == 1
