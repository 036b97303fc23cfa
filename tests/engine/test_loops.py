"""A guard against loops: requests say how many hooks they come through, and past `loop_depth` none is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine

from hookrow import Hook, HookEngine
from hookrow.cli.show.findings import find
from hookrow.core.arrival import depth_of
from hookrow.testing import HookReceiver, MemoryEngine, fails
from hookrow.testing.fixtures import hook_clock, hook_engine, hook_receiver
from hosting import gate

__all__ = ["hook_clock", "hook_engine", "hook_receiver"]
BEFORE, AFTER = "before_order_update", "after_registration"


@pytest.mark.parametrize(
    ("header", "depth"),
    [("3", 3), ("0", 0), (None, 0), ("", 0), ("-1", 0), ("1e3", 0), ("٣", 0), ("9" * 10, 0), ("1, 7", 0), (7, 7)],
)
def test_a_header_that_can_not_be_read_counts_as_nothing(header: Any, depth: int) -> None:
    """Anybody can send it: it may refuse, and never skip."""
    assert depth_of(header) == depth


def test_of_several_headers_the_largest_counts() -> None:
    """A proxy may add one."""
    assert depth_of("1", "7", "x") == 7
    assert depth_of() == 0


def test_every_request_says_how_deep_it_is(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """One more than the call that led to it: waiting, queued, retried and redelivered; a replay begins anew."""
    hook_engine.hooks.add(gate(BEFORE, hook_receiver.url))
    hook_engine.hooks.add(Hook(key="erp", name="ERP", event=BEFORE, url=hook_receiver.on("erp", fails()), position=90))
    hook_engine.hooks.update("erp", fire_and_forget=False)
    firing = hook_engine.fire(BEFORE, {"order": {"id": 7}}, depth="2")
    hook_engine.deliver()
    hook_engine.clock.forward(10)
    hook_engine.deliver()
    hook_engine.redeliver(firing.deliveries[1].id)
    hook_engine.replay(firing.id)
    hook_engine.fire(BEFORE, {})
    assert (firing.depth, hook_engine.log.get(firing.id).depth) == (2, 2)
    assert firing.as_json()["depth"] == 2
    assert [each.headers["hook-depth"] for each in hook_receiver.received] == ["3", "3", "3", "3", "1", "1"]


def test_past_the_setting_a_before_event_is_refused(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Under `continue` as well, whatever kind of hooks it has; nothing is sent or queued."""
    hook_engine.hooks.add(Hook(key="erp", name="ERP", event=BEFORE, url=hook_receiver.url))
    for depth, outcome in ((5, "allowed"), (6, "failed"), ("6", "failed"), (None, "allowed")):
        assert hook_engine.fire(BEFORE, {}, depth=depth).outcome == outcome
    hook_engine.hooks.add(gate(BEFORE, hook_receiver.url))
    hook_engine.hooks.add(gate(BEFORE, hook_receiver.url, key="off", active=False))
    firing = hook_engine.log.get(hook_engine.fire(BEFORE, {}, depth=6).id)
    assert firing.veto is not None
    assert (firing.veto.by, firing.veto.code, firing.veto.status) == ("failure", "loop", 508)
    assert hook_engine.outcomes(firing) == {"erp": "loop", "gate": "failed", "off": "inactive"}
    assert [each.error for each in firing.deliveries] == [None, "loop", None]
    hook_engine.settings.set("loop_depth", "6")
    assert hook_engine.fire(BEFORE, {}, depth=6).allowed


def test_without_a_hook_in_force_there_is_no_loop(hook_engine: MemoryEngine, hook_receiver: HookReceiver) -> None:
    """Nothing would be called, so nothing is refused."""
    hook_engine.hooks.add(gate(BEFORE, hook_receiver.url, active=False))
    assert hook_engine.fire(BEFORE, {}, depth=99).allowed
    assert hook_engine.fire("before_order_add", {}, depth=99).allowed


@pytest.fixture
def engine(either_url: str) -> Iterator[HookEngine]:
    """An engine on each kind of database, without a worker."""
    with HookEngine(either_url, worker=False) as made:
        yield made


def test_what_has_happened_is_recorded_and_calls_nobody(
    engine: HookEngine, either_url: str, hook_receiver: HookReceiver
) -> None:
    """On after-events: waiting hooks have failed, background ones are left out; finished, and nobody is told «dead».

    In the caller's own transaction, too.
    """
    engine.hooks.add(gate(AFTER, hook_receiver.url, on_failure="stop"))
    engine.hooks.add(Hook(key="erp", name="ERP", event=AFTER, url=hook_receiver.url))
    engine.hooks.add(Hook(key="dead", name="Dead", event="delivery.dead", url=hook_receiver.url))
    firing = engine.fire(AFTER, {}, depth=6)
    assert firing.allowed
    found = engine.log.get(firing.id)
    assert [(each.outcome, each.error, each.skipped) for each in found.deliveries] == [
        ("failed", "loop", None),
        ("skipped", None, "loop"),
    ]
    database = create_engine(either_url)
    with database.begin() as connection:
        within = engine.fire(AFTER, {}, connection=connection, depth=6)
    database.dispose()
    assert {(each.outcome, each.skipped) for each in engine.log.get(within.id).deliveries} == {("skipped", "loop")}
    assert engine.log.get(within.id).depth == 6
    assert engine.send_own(firing).deliveries == found.deliveries
    assert (engine.log.summary().dead, hook_receiver.received) == (0, [])


def test_the_log_knows_hooks_that_go_round(engine: HookEngine, hook_receiver: HookReceiver) -> None:
    """From three hooks on; `doctor` names them."""
    for event, depth in ((BEFORE, 2), (AFTER, 3), ("on_subscription", 6)):
        engine.hooks.add(Hook(key=str(depth), name="Hook", event=event, url=hook_receiver.url))
        engine.fire(event, {}, depth=depth)
    assert {hook.key for hook in engine.hooks.list() if hook.id in engine.log.deep_hooks()} == {"3", "6"}
    found = [each for each in find(engine) if each.code == "loop"]
    assert [each.hook.key for each in found if each.hook is not None] == ["3", "6"]


def test_a_queued_delivery_keeps_its_depth(engine: HookEngine, hook_receiver: HookReceiver) -> None:
    """It is read from the database by whoever sends it."""
    engine.hooks.add(Hook(key="erp", name="ERP", event=AFTER, url=hook_receiver.url))
    engine.send_own(engine.fire(AFTER, {}, depth=4))
    assert hook_receiver.received[0].headers["hook-depth"] == "5"
