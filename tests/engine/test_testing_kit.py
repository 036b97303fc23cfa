"""The testing kit: a throw-away engine, a receiver that remembers, a clock, and assertions that can fail."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from hookrow import Event, Hook, Vetoed
from hookrow.testing import (
    Answer,
    AsyncMemoryEngine,
    HookReceiver,
    ManualClock,
    MemoryEngine,
    allows,
    assert_allowed,
    assert_fired,
    assert_received,
    assert_vetoed,
    changes,
    delays,
    fails,
    gives,
    vetoes,
)
from hookrow.testing.fixtures import hook_clock, hook_engine, hook_receiver

__all__ = ["hook_clock", "hook_engine", "hook_receiver"]
pytestmark = pytest.mark.anyio
BEFORE, AFTER = "before_order_add", "after_registration"


def gate(url: str, key: str = "stock", **more: object) -> Hook:
    """A waiting hook that may change the payload."""
    return Hook(key=key, name=key, event=BEFORE, url=url, wait_for_response=True, response_has_data=True, **more)


def test_an_engine_leaves_nothing_behind() -> None:
    """Its folder is gone when it is closed, with the keys that it made."""
    with MemoryEngine() as engine:
        assert engine.path is not None
        folder = engine.path.parent
        engine.hooks.add(Hook(name="x", event=AFTER, url="http://127.0.0.1:1/", auth_login="a", auth_password="b"))
        assert (folder / "hookrow.key").exists()
    assert not folder.exists()


def test_two_engines_are_two_worlds() -> None:
    """Hooks and firings of one are not seen in the other."""
    with MemoryEngine() as one, MemoryEngine() as other:
        one.hooks.add(gate("http://127.0.0.1:1/"))
        assert (len(one.hooks.list()), other.hooks.list()) == (1, [])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (allows(), ("allowed", {"order": {"id": 1}}, None)),
        (changes({"order": {"sum": 5}}), ("allowed", {"order": {"id": 1, "sum": 5}}, None)),
        (gives([1]), ("allowed", {"order": {"id": 1}}, [1])),
        (vetoes("sold out", code="STOCK", status=409), ("vetoed", {"order": {"id": 1}}, None)),
        (fails(503), ("allowed", {"order": {"id": 1}}, None)),
        (delays(30), ("allowed", {"order": {"id": 1}}, None)),
    ],
    ids=["allows", "changes", "gives", "vetoes", "fails", "delays"],
)
def test_what_a_receiver_answers_is_what_a_hook_did(
    hook_engine: MemoryEngine, hook_receiver: HookReceiver, answer: Answer, expected: tuple[object, ...]
) -> None:
    """Every ready-made answer means what it is called; a delayed one outlasts the hook's timeout."""
    hook_receiver.script = answer
    hook_engine.hooks.add(gate(hook_receiver.url, timeout=1 if answer == delays(30) else 5))
    firing = hook_engine.fire(BEFORE, {"order": {"id": 1}})
    assert (firing.outcome, firing.data, firing.result) == expected
    [request] = assert_received(hook_receiver, BEFORE)
    assert (request.data, request.delivery) == ({"order": {"id": 1}}, firing.deliveries[0].id)


def test_a_receiver_answers_by_path_and_by_function(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """`on` gives the path's URL; a function sees the request."""
    url = hook_receiver.on("stock", lambda came: vetoes(code=str(came.data["order"]["id"])))
    hook_engine.hooks.add(gate(url))
    with pytest.raises(Vetoed):
        hook_engine.fire(BEFORE, {"order": {"id": 7}}).raise_for_veto()
    assert_vetoed(hook_engine.fired[0], by="stock", code="7")
    hook_receiver.clear()
    assert_received(hook_receiver)


def test_fired_exactly(hook_engine: MemoryEngine) -> None:
    """Events that no hook listens to count as well; one more, one less, or another order fails, and says what was."""
    assert_fired(hook_engine)
    hook_engine.fire(BEFORE, {})
    hook_engine.fire(AFTER, {"user": {"id": 1}})
    [_, registered] = assert_fired(hook_engine, BEFORE, AFTER)
    assert registered.payload == {"user": {"id": 1}}
    for wrong in ((), (BEFORE,), (AFTER, BEFORE), (BEFORE, AFTER, AFTER)):
        with pytest.raises(AssertionError, match=f"{BEFORE} was allowed; hooks: none"):
            assert_fired(hook_engine, *wrong)


def test_vetoed_by(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """By this hook, with this code; an allowed firing, another hook, or a failure is none."""
    hook_engine.hooks.add(gate(hook_receiver.on("no", vetoes("sold out", code="STOCK", status=409))))
    firing = hook_engine.fire(BEFORE, {})
    assert assert_vetoed(firing, by="stock", code="STOCK", status=409).message == "sold out"
    for by, code, status in (("crm", None, None), ("stock", "OTHER", None), ("stock", None, 422)):
        with pytest.raises(AssertionError, match=r"vetoed by stock \(hook, 409 STOCK: sold out\)"):
            assert_vetoed(firing, by=by, code=code, status=status)
    with pytest.raises(AssertionError, match="should have been allowed"):
        assert_allowed(firing)


def test_a_failure_is_no_veto_and_no_allowance(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """A hook set to `stop` refused by failing; one set to `continue` let it pass."""
    hook_receiver.script = fails()
    hook = hook_engine.hooks.add(gate(hook_receiver.url, on_failure="stop"))
    with pytest.raises(AssertionError, match=r"by stock \(failure, 503 bad_status"):
        assert_vetoed(hook_engine.fire(BEFORE, {}), by="stock")
    hook_engine.hooks.update("stock", on_failure="continue", revision=hook.revision)
    with pytest.raises(AssertionError, match="stock: bad_status"):
        assert_allowed(hook_engine.fire(BEFORE, {}))
    hook_receiver.script = allows()
    assert_allowed(hook_engine.fire(BEFORE, {}))


def test_what_is_due_is_sent_when_the_test_says(
    hook_engine: MemoryEngine, hook_receiver: HookReceiver, hook_clock: ManualClock
) -> None:
    """Nothing leaves by itself; retries come due as the clock is moved; a row's order is kept."""
    hook_receiver.script = fails()
    for key in ("a", "b"):
        url = hook_receiver.url + key
        hook_engine.hooks.add(Hook(key=key, name=key, event=AFTER, url=url, response_has_data=True))
    firing = hook_engine.fire(AFTER, {})
    assert_received(hook_receiver)
    assert hook_engine.deliver() == 2
    assert [each.path for each in hook_receiver.received] == ["/a", "/b"]
    assert hook_engine.outcomes(firing) == {"a": "retrying", "b": "retrying"}
    assert hook_engine.deliver() == 0
    hook_receiver.script = allows()
    hook_clock.forward(7)
    assert hook_engine.deliver() == 2
    assert hook_engine.outcomes(firing) == {"a": "ok", "b": "ok"}
    assert len({each.delivery for each in hook_receiver.received}) == 2


def test_what_a_caller_rolled_back_was_not_fired(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Through the host's own connection; what it committed was."""
    hook_engine.hooks.add(Hook(key="crm", name="crm", event=AFTER, url=hook_receiver.url))
    host = create_engine(hook_engine.url)
    with host.connect() as connection:
        hook_engine.fire(AFTER, {"user": {"id": 1}}, connection=connection)
        connection.rollback()
        hook_engine.fire(AFTER, {"user": {"id": 2}}, connection=connection)
        connection.commit()
    host.dispose()
    [firing] = assert_fired(hook_engine, AFTER)
    assert firing.payload == {"user": {"id": 2}}
    hook_engine.deliver()
    assert [each.data for each in assert_received(hook_receiver, AFTER)] == [{"user": {"id": 2}}]


async def test_the_same_awaited(hook_receiver: HookReceiver) -> None:
    """`AsyncMemoryEngine`, with an event of the service's own."""
    own = Event("invoice.paid", "Invoice paid", "after")
    async with AsyncMemoryEngine(events=[own]) as engine:
        await engine.hooks.add(Hook(key="crm", name="crm", event="invoice.paid", url=hook_receiver.url))
        await engine.fire("invoice.paid", {"sum": 1})
        [firing] = assert_fired(engine, "invoice.paid")
        assert await engine.deliver() == 1
        assert await engine.outcomes(firing) == {"crm": "sent"}
    assert_received(hook_receiver, "invoice.paid")


async def test_the_engine_for_threads_can_be_awaited(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """`afire` runs on the engine's own loop and blocks nobody's."""
    await asyncio.to_thread(hook_engine.hooks.add, gate(hook_receiver.url))
    assert_allowed(await hook_engine.afire(BEFORE, {"order": {}}))
    assert_fired(hook_engine, BEFORE)


def test_waiting_for_requests_that_do_not_come_fails(hook_receiver: HookReceiver) -> None:
    """It says how many came."""
    with pytest.raises(AssertionError, match="0 of 1 requests"):
        hook_receiver.wait(1, seconds=0.01)


def test_a_clock_stands_and_moves() -> None:
    """Wall and monotonic time together."""
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    clock = ManualClock(noon)
    clock.forward(1.5)
    assert (clock.now, clock.monotonic()) == (noon + timedelta(seconds=1.5), 1.5)
    with pytest.raises(ValueError, match="naive"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused


def test_the_kit_needs_no_pytest() -> None:
    """Only its fixtures do."""
    code = "import sys, hookrow.testing; print('pytest' in sys.modules)"
    root = Path(__file__).parents[2] / "engine"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)}
    )
    assert ran.stdout.strip() == "False"
