"""Recorded firings through a hook that is not saved yet: nothing is sent, nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from engine_bench import Bench
from hookrow import Hook
from hookrow.errors import InvalidTemplate
from hookrow.records import LogFilter
from scripted import answer

EVENT = "before_order_add"


def gate(**fields: Any) -> Hook:
    """A gate that nobody has saved."""
    given = {"name": "new", "event": EVENT, "url": "http://receiver.test/new", "wait_for_response": True}
    return Hook(**{**given, **fields})


async def fired(bench: Bench, *orders: dict[str, Any]) -> list[str]:
    """The ids of firings with these orders; something has to listen, so that they are recorded."""
    if not await bench.engine.hooks.list():
        await bench.hook("any", position=900)
    found = []
    for order in orders:
        found.append((await bench.fire({"order": order})).id)
        bench.clock.forward(1)
    return found


async def test_what_would_fail_and_on_which_firing(bench: Bench) -> None:
    """Each reason once, with how often, the most frequent first, and its newest firing."""
    _, bare, last, odd = await fired(
        bench, {"phone": "1", "sum": 1}, {"sum": 1}, {"sum": 1}, {"phone": "1", "sum": "x", "number": "A-7", "id": 5}
    )
    found = await bench.engine.rehearse(gate(body='{"p": {{ order.phone }}}', condition="order.sum < 5"))
    assert (found.firings, found.called, found.failed, found.newly_called) == (4, 1, 3, 1)
    assert [(each.error, each.count, each.firing) for each in found.failures] == [
        ("template_error", 2, last),
        ("condition_error", 1, odd),
    ]
    assert "order.phone is missing" in str(next(iter(found.told())))
    assert [each.subject for each in found.failures] == ["", "order A-7"]
    assert f"(order A-7, {odd})" in str(list(found.told())[1])
    assert bare not in str([each.as_json() for each in found.failures])
    assert bench.network.requests == []


async def test_what_a_change_changes(bench: Bench) -> None:
    """Beside the saved hook: newly called, newly left out, bodies that differ with how they do."""
    hook = await bench.gate("old", condition="order.sum > 10", body='{"s": {{ order.sum }}, "v": 1}')
    small, _, large = await fired(bench, {"sum": 5}, {"sum": 20}, {"sum": 100})
    changed = hook.model_copy(update={"condition": "order.sum < 50", "body": '{"s": {{ order.sum }}, "v": 2}'})
    found = await bench.engine.rehearse(changed)
    assert (found.called, found.newly_called, found.newly_left_out, found.failed) == (2, 1, 1, 0)
    assert (found.row.event, found.row.before, found.row.after) == (EVENT, hook.timeout, hook.timeout)
    slower = await bench.engine.rehearse(changed.model_copy(update={"timeout": hook.timeout + 2}))
    assert (slower.row.before, slower.row.after) == (hook.timeout, hook.timeout + 2)
    shadowed = await bench.engine.rehearse(changed.model_copy(update={"shadow": True}))
    assert shadowed.row.after == 0
    assert (found.bodies_differ, [each.changes for each in found.bodies]) == (1, [[("/v", 1, 2)]])
    assert small not in [each.firing for each in found.bodies]
    assert large not in [each.firing for each in found.bodies]
    assert (await bench.engine.hooks.get(hook.id)).condition == "order.sum > 10"


async def test_it_sees_what_earlier_hooks_had_changed(bench: Bench) -> None:
    """As recorded; those behind its place don't count."""
    await bench.transform("first", position=10)
    await bench.transform("last", position=30)
    bench.network.on("first", answer(200, {"data": {"order": {"phone": "7"}}}))
    bench.network.on("last", answer(200, {"data": {"order": {"city": "Тверь"}}}))
    await fired(bench, {"sum": 1})
    middle = gate(position=20, body='{"p": {{ order.phone }}}')
    assert (await bench.engine.rehearse(middle)).failed == 0
    assert (await bench.engine.rehearse(middle.model_copy(update={"position": 5}))).failed == 1
    assert (await bench.engine.rehearse(gate(position=20, body='{"c": {{ order.city }}}'))).failed == 1


async def test_what_a_private_value_decides_is_not_knowable(bench: Bench) -> None:
    """Of a blocking hook, which is shown it; a background one never is, so that null is what it gets."""
    event = "before_registration"
    await bench.hook("any", event=event)
    await bench.fire({"user": {"password": "canary", "name": "Olga"}}, event=event)
    shown = await bench.engine.rehearse(gate(event=event, condition="user.password is string"))
    assert (shown.unknowable, shown.failed, shown.called) == (1, 0, 0)
    whole = await bench.engine.rehearse(gate(event=event, condition="user.name == 'Olga'", body="{{ user }}"))
    assert (whole.unknowable, whole.called) == (0, 1)
    told = gate(event=event, condition="user.password is none", wait_for_response=False, fire_and_forget=True)
    assert (await bench.engine.rehearse(told)).called == 1


async def test_which_firings_and_how_many(bench: Bench) -> None:
    """The filter's, the newest first; progress is told."""
    await fired(bench, *({"sum": number} for number in range(5)))
    seen: list[tuple[int, int]] = []
    found = await bench.engine.rehearse(gate(), limit=3, progress=lambda done, of: seen.append((done, of)))
    assert (found.firings, seen[0], seen[-1]) == (3, (0, 3), (3, 3))
    since = bench.clock.now_ms() - 1500
    assert (await bench.engine.rehearse(gate(), LogFilter(since_ms=since))).firings == 1
    assert (await bench.engine.rehearse(gate(event="on_subscription"))).firings == 0
    with pytest.raises(InvalidTemplate):
        await bench.engine.rehearse(gate().model_copy(update={"condition": "order.sum >"}))


async def test_time_is_that_of_each_firing(bench: Bench) -> None:
    """Not of the rehearsal."""
    await fired(bench, {"sum": 1})
    bench.clock.forward(24 * 3600)
    await fired(bench, {"sum": 1})
    assert (await bench.engine.rehearse(gate(condition='now.date == "2026-11-25"'))).called == 1
