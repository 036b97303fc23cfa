"""The row of hooks: order, what each hook sees, who may stop it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from itertools import product
from typing import Any

import httpx
import pytest

from engine_bench import Bench
from hookrow import Vetoed
from hookrow.errors import EventNotFound, InvalidPayload
from hookrow.hook.model import Hook
from hookrow.reasons.reason import Reason
from hookrow.records import Delivery, Firing
from scripted import answer, fails

pytestmark = pytest.mark.anyio
Outcomes = Callable[[Any], list[str]]


async def test_hooks_run_by_position_and_ties_by_id(bench: Bench) -> None:
    """Smaller order runs earlier; of equal ones the older hook."""
    for name, position in (("late", 30), ("first", 10), ("tie_a", 20), ("tie_b", 20)):
        await bench.gate(name, position=position)
    await bench.fire()
    assert bench.network.paths() == ["first", "tie_a", "tie_b", "late"]


async def test_a_left_out_order_goes_after_the_last_one(bench: Bench) -> None:
    """10 for the first hook, then the largest rounded down to a ten, + 10."""
    positions = [(await bench.hook("a")).position, (await bench.hook("b", position=47)).position]
    positions.append((await bench.hook("c")).position)
    assert positions == [10, 47, 50]


async def test_each_hook_sees_the_payload_as_the_earlier_ones_left_it(bench: Bench) -> None:
    """A changes the sum, B receives the changed sum and its own change wins; the log says who changed what."""
    bench.network.on("a", answer(body={"data": {"order": {"sum": 5}}}))
    bench.network.on("b", answer(body={"data": {"order": {"status": "y"}}}))
    await bench.transform("a")
    await bench.transform("b")
    firing = await bench.fire()
    assert bench.network.bodies("b")[0]["data"] == {"order": {"id": 7, "sum": 5}}
    assert firing.data == {"order": {"id": 7, "sum": 5, "status": "y"}}
    assert firing.payload == {"order": {"id": 7, "sum": 100}}
    logged = await bench.logged()
    assert [list(each.changes) for each in logged.deliveries] == [
        [("/order/sum", 100, 5)],
        [("/order/status", None, "y")],
    ]


async def test_the_last_result_stands_and_later_hooks_receive_it(bench: Bench) -> None:
    """`result` goes into the envelope and into `webhook.result` of the hooks behind."""
    bench.network.on("a", answer(body={"result": {"cost": 390}}))
    bench.network.on("b", answer(body={"result": {"cost": 400}}))
    await bench.transform("a")
    await bench.transform("b")
    await bench.transform("c", body='{"cost": {{ webhook.result.cost }}}')
    firing = await bench.fire()
    assert bench.network.bodies("b")[0]["result"] == {"cost": 390}
    assert bench.network.bodies("c") == [{"cost": 400}]
    assert firing.result == {"cost": 400}
    assert firing.has_result


async def test_a_veto_stops_the_row_and_says_why(bench: Bench, outcomes: Outcomes) -> None:
    """Nothing behind a veto is called or queued; the host gets message, code, status and errors."""
    said = {"allow": False, "message": "нет остатка", "code": "stock", "status": 409, "errors": [{"path": "/order"}]}
    bench.network.on("b", answer(body=said))
    await bench.gate("a")
    await bench.gate("b")
    await bench.gate("c")
    await bench.hook("d")
    firing = await bench.fire()
    assert outcomes(firing) == ["ok", "vetoed", "after_veto", "after_veto"]
    assert (firing.outcome, firing.allowed) == ("vetoed", False)
    assert (firing.veto.message, firing.veto.code, firing.veto.status) == ("нет остатка", "stock", 409)
    with pytest.raises(Vetoed, match="нет остатка"):
        firing.raise_for_veto()
    assert bench.network.paths() == ["a", "b"]
    assert (await bench.logged()).as_json()["veto"] == firing.as_json()["veto"]


async def test_background_before_a_veto_is_kept_and_after_it_is_not(bench: Bench, outcomes: Outcomes) -> None:
    """What stands before a waiting hook is committed before that hook is called."""
    seen: list[str] = []

    async def veto(request: httpx.Request) -> httpx.Response:
        seen.extend(each.outcome for each in (await bench.logged()).deliveries)
        return httpx.Response(200, json={"allow": False})

    bench.network.on("gate", veto)
    await bench.hook("before")
    await bench.gate("gate")
    await bench.hook("after")
    firing = await bench.fire()
    assert seen == ["queued"]
    assert outcomes(firing) == ["queued", "vetoed", "after_veto"]
    assert outcomes(await bench.logged()) == ["queued", "vetoed", "after_veto"]


async def test_background_hooks_get_the_payload_at_their_place(bench: Bench) -> None:
    """A background hook in front of a transform keeps the old sum, one behind it the new."""
    bench.network.on("change", answer(body={"data": {"order": {"sum": 5}}}))
    await bench.hook("early")
    await bench.transform("change")
    await bench.hook("late")
    firing = await bench.engine.send_own(await bench.fire())
    assert bench.network.bodies("early")[0]["data"]["order"]["sum"] == 100
    assert bench.network.bodies("late")[0]["data"]["order"]["sum"] == 5
    assert [each.outcome for each in firing.deliveries] == ["sent", "changed", "sent"]


FAILURES = {
    "timeout": fails(httpx.ReadTimeout("slow")),
    "connect_error": fails(httpx.ConnectError("refused")),
    "bad_status": answer(500),
    "redirect": answer(302, location="http://elsewhere.test/"),
    "bad_reply": answer(200, b"not json"),
}


@pytest.mark.parametrize("on_failure", ["continue", "stop"])
@pytest.mark.parametrize("error", FAILURES)
async def test_a_failed_waiting_hook_obeys_its_on_failure(
    bench: Bench, outcomes: Outcomes, error: str, on_failure: str
) -> None:
    """`continue` lets the operation go on with the failure in the log; `stop` refuses it with the fallback message."""
    bench.network.on("a", FAILURES[error])
    await bench.transform("a", on_failure=on_failure, fallback_message="Позже")
    await bench.gate("b")
    firing = await bench.fire()
    if on_failure == "continue":
        assert (firing.outcome, outcomes(firing)) == ("allowed", [error, "ok"])
    else:
        assert (firing.outcome, outcomes(firing)) == ("failed", [error, "after_veto"])
        veto = firing.as_json()["veto"]
        assert (veto["by"], veto["message"], veto["code"], veto["status"]) == ("failure", "Позже", error, 503)
        with pytest.raises(Vetoed):
            firing.raise_for_veto()
    assert (await bench.logged()).deliveries[0].outcome == "failed"


async def paused(bench: Bench, hook: Hook) -> None:
    """A person holds the hook."""
    await bench.engine.hooks.pause(hook.id or 0, "ремонт")


async def broken_condition(bench: Bench, hook: Hook) -> None:
    """The condition asks for what this payload lacks."""
    await bench.engine.hooks.update(hook.id or 0, condition='order.sum < 5 or order.number == "1"')


async def broken_body(bench: Bench, hook: Hook) -> None:
    """So does the body."""
    await bench.engine.hooks.update(hook.id or 0, body='{"n": "{{ order.number }}"}')


@pytest.mark.parametrize(
    ("breakage", "error"),
    [(paused, "paused"), (broken_condition, "condition_error"), (broken_body, "template_error")],
)
@pytest.mark.parametrize(("on_failure", "outcome"), [("stop", "failed"), ("continue", "allowed")])
async def test_a_fail_closed_hook_never_fails_open(
    bench: Bench, breakage: Any, error: str, on_failure: str, outcome: str
) -> None:
    """A hook set to `stop` that could not even be called refuses the operation; `continue` lets it pass."""
    await breakage(bench, await bench.gate("h", on_failure=on_failure))
    firing = await bench.fire()  # the sample that bodies are checked on has a number; this payload has none
    assert (firing.outcome, firing.deliveries[0].error) == (outcome, error)
    assert bench.network.requests == []


async def test_a_fail_closed_hook_refuses_when_the_deadline_has_passed(bench: Bench, outcomes: Outcomes) -> None:
    """With less than 50 ms left a hook is not called: it fails as `deadline`."""

    def slow(request: httpx.Request) -> httpx.Response:
        bench.clock.forward(2.96)
        return httpx.Response(200, json={})

    bench.network.on("slow", slow)
    await bench.gate("slow")
    await bench.gate("closed", on_failure="stop")
    firing = await bench.fire(deadline=3.0)
    assert (firing.outcome, outcomes(firing)) == ("failed", ["ok", "deadline"])
    assert firing.veto.reason == Reason("unavailable")


async def test_a_hook_gets_what_is_left_of_the_deadline(bench: Bench) -> None:
    """`hook-deadline-ms` is min(its timeout, what is left of the row's deadline)."""

    def slow(request: httpx.Request) -> httpx.Response:
        bench.clock.forward(2)
        return httpx.Response(200, json={})

    bench.network.on("a", slow)
    await bench.gate("a", timeout=10)
    await bench.gate("b", timeout=10)
    await bench.fire(deadline=5)
    assert [request.headers["hook-deadline-ms"] for request in bench.network.requests] == ["5000", "3000"]


FLAGS = ("fire_and_forget", "wait_for_response", "response_has_data")
MODES = {
    (False, False, False): "notify",
    (False, False, True): "record",
    (False, True, False): "gate",
    (False, True, True): "transform",
}
EVENTS = ("before_order_add", "after_registration", "on_subscription")


@pytest.mark.parametrize("flags", list(product((True, False), repeat=3)))
@pytest.mark.parametrize("event", EVENTS)
async def test_every_combination_of_flags_at_every_moment(
    bench: Bench, event: str, flags: tuple[bool, bool, bool]
) -> None:
    """The mode table: who waits, who may refuse, and what is kept of the response."""
    mode = "forget" if flags[0] else MODES[flags]
    waits = mode in ("gate", "transform")
    no = {"allow": False, "message": "нет"}
    bench.network.on("h", answer(body=no))
    hook = await bench.engine.hooks.add(
        Hook.stored(
            {"name": "h", "event": event, "url": "http://receiver.test/h", **dict(zip(FLAGS, flags, strict=True))}
        )
    )
    assert hook.mode == mode
    fired = await bench.fire({"order": {}}, event=event)
    assert bool(bench.network.requests) is waits
    firing = await bench.engine.send_own(fired)
    delivery = firing.deliveries[0]
    can_refuse = event.startswith("before") and waits
    assert firing.allowed is not can_refuse
    expected = {"forget": "sent", "notify": "ok", "record": "ok"}.get(mode, "vetoed" if can_refuse else "refused")
    assert (delivery.mode, delivery.outcome) == (mode, expected)
    [attempt] = await bench.engine.log.attempts(delivery.id)
    assert (attempt.status is None) is (mode == "forget")
    assert bool(attempt.response_headers) is (mode != "forget")
    assert (attempt.response_body is not None) is (mode in ("record", "gate", "transform"))


async def test_a_gate_keeps_the_body_only_of_a_veto_or_a_failure(bench: Bench) -> None:
    """An allowing answer of a gate leaves status and timing."""
    bench.network.on("g", answer(200, {"allow": True}), answer(500, {"why": "x"}))
    await bench.gate("g")
    bodies = []
    for _ in range(2):
        firing = await bench.fire()
        bodies.append((await bench.engine.log.attempts(firing.deliveries[0].id))[0].response_body)
    assert bodies == [None, b'{"why": "x"}']


async def test_after_an_event_data_and_on_failure_have_no_effect(bench: Bench, outcomes: Outcomes) -> None:
    """What has happened can be neither changed nor stopped: the row runs to its end."""
    bench.network.on("a", answer(body={"data": {"user": {"id": 8}}}))
    bench.network.on("b", answer(500))
    bench.network.on("c", answer(body={"allow": False}))
    for name in "abc":
        await bench.transform(name, event="after_registration", on_failure="stop")
    firing = await bench.fire({"user": {"id": 7}}, event="after_registration")
    assert (firing.outcome, outcomes(firing)) == ("allowed", ["ok", "bad_status", "refused"])
    assert firing.data == {"user": {"id": 7}}


async def test_conditions_choose_and_false_is_no_failure(bench: Bench, outcomes: Outcomes) -> None:
    """A condition is asked at the hook's turn, on the payload as it then stands."""
    bench.network.on("raise", answer(body={"data": {"order": {"sum": 5000}}}))
    await bench.gate("rich", condition="order.sum > 1000", on_failure="stop")
    await bench.transform("raise")
    await bench.gate("rich_now", condition="order.sum > 1000")
    firing = await bench.fire()
    assert outcomes(firing) == ["condition_false", "changed", "ok"]


async def test_the_log_says_which_part_of_a_condition_was_false(bench: Bench) -> None:
    """As it is written, for who asks why a hook did not run; `explain` says the same before."""
    await bench.gate("h", condition="order is defined and order.sum > 1000")
    [step] = await bench.engine.explain("before_order_add", {"order": {"id": 7, "sum": 100}})
    [share] = (await bench.fire()).deliveries
    [kept] = (await bench.logged()).deliveries
    assert step.detail == share.detail == kept.detail == "order.sum > 1000"


async def test_an_event_without_hooks_is_allowed_and_not_recorded(bench: Bench) -> None:
    """No hook at all: no row in the log."""
    firing = await bench.fire()
    assert (firing.outcome, firing.allowed, firing.deliveries) == ("allowed", True, ())
    assert await bench.engine.log.page() == []


async def test_hooks_that_are_all_left_out_are_recorded_with_their_reasons(bench: Bench, outcomes: Outcomes) -> None:
    """«Why did it not run?» has an answer in the log."""
    from hookrow.clock import from_ms

    now = bench.clock.now_ms()
    await bench.gate("off", active=False)
    await bench.gate("old", valid_until=from_ms(now))
    await bench.gate("new", valid_from=from_ms(now + 1))
    await bench.fire()
    assert outcomes(await bench.logged()) == ["inactive", "expired", "not_yet_valid"]


async def test_unknown_events_and_bad_payloads_are_refused_before_anything(bench: Bench) -> None:
    """The name of the event, and the pointer of the value, are said."""
    await bench.gate("a")
    with pytest.raises(EventNotFound, match="before_order_add"):
        await bench.fire(event="before_order_ad")
    with pytest.raises(InvalidPayload, match="/order/sum"):
        await bench.fire({"order": {"sum": float("nan")}})
    assert bench.network.requests == []
    assert await bench.engine.log.page() == []


async def test_what_a_firing_gives_is_frozen(bench: Bench) -> None:
    """Its records are made the quick way, and are those of the public classes all the same."""
    await bench.gate("a")
    firing = await bench.fire()
    (delivery,) = firing.deliveries
    for record, kind in ((firing, Firing), (delivery, Delivery)):
        assert type(record) is kind
        assert record == kind(**{each.name: getattr(record, each.name) for each in fields(kind)})
        with pytest.raises(FrozenInstanceError):
            record.id = "other"  # type: ignore[misc]
        with pytest.raises((AttributeError, TypeError)):
            record.more = 1  # type: ignore[union-attr]
