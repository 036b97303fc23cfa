"""Hooks in shadow: asked in background after the row, for what their answers would have done; they decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from engine_bench import Bench
from hookrow.glance import glance
from hookrow.records import Delivery
from scripted import answer, fails


async def asked(bench: Bench, **how: Any) -> list[Delivery]:
    """A firing's deliveries after its queue was sent once."""
    firing = await bench.fire(**how)
    return list((await bench.engine.send_own(firing)).deliveries)


@pytest.mark.parametrize(
    ("script", "state", "would", "error"),
    [
        (answer(200, {"allow": True}), "ok", "allow", None),
        (answer(200, {"data": {"order": {"sum": 90}}}), "ok", "change", None),
        (answer(422, {"allow": False, "message": "no"}), "ok", "veto", None),
        (answer(500), "failed", "fail", "bad_status"),
        (answer(410), "failed", "fail", "bad_status"),
        (answer(200, b"oops"), "failed", "fail", "bad_reply"),
        (fails(httpx.ReadTimeout("late")), "failed", "fail", "timeout"),
    ],
)
async def test_what_the_answer_would_have_done(
    bench: Bench, script: Any, state: str, would: str, error: str | None
) -> None:
    """The operation goes on whatever it says; nothing is tried again, and a 410 pauses nobody."""
    hook = await bench.transform("new", shadow=True, on_failure="stop")
    bench.network.on("new", script)
    firing = await bench.fire()
    assert (firing.allowed, firing.data) == (True, firing.payload)
    assert (firing.deliveries[0].outcome, firing.deliveries[0].shadow) == ("queued", True)
    [done] = (await bench.engine.send_own(firing)).deliveries
    assert (done.state, done.would, done.error, done.attempts, done.failed) == (state, would, error, 1, False)
    assert list(done.changes) == ([("/order/sum", 100, 90)] if would == "change" else [])
    assert done.as_json()["would"] == would
    assert (await bench.engine.hooks.get(hook.id)).state == "on"
    bench.clock.forward(3600)
    await bench.engine.send_own(firing)
    assert bench.network.paths() == ["new"]


async def test_it_is_asked_on_the_payload_of_its_turn(bench: Bench) -> None:
    """As the hooks before it left it, without private values; its request says what it is."""
    await bench.transform("price")
    await bench.gate("new", shadow=True, timeout=2, body='{"sum": {{ order.sum }}}')
    await bench.transform("rest")
    bench.network.on("price", answer(200, {"data": {"order": {"sum": 90}}}))
    bench.network.on("rest", answer(200, {"data": {"order": {"sum": 80}}}))
    await asked(bench)
    assert bench.network.paths() == ["price", "rest", "new"]
    [request] = [each for each in bench.network.requests if each.url.path == "/new"]
    assert request.content == b'{"sum": 90}'
    assert (request.headers["hook-shadow"], request.headers["hook-deadline-ms"]) == ("1", "2000")
    assert request.headers["hook-mode"] == "gate"


async def test_private_values_are_not_sent(bench: Bench) -> None:
    """What waits in the queue holds none."""
    await bench.gate("new", event="before_registration", shadow=True)
    await asked(bench, payload={"user": {"password": "canary"}}, event="before_registration")
    assert bench.network.bodies("new")[0]["data"] == {"user": {"password": None}}


async def test_after_a_veto_it_is_left_out_like_any(bench: Bench) -> None:
    """Before one it is asked; conditions leave it out, too."""
    await bench.gate("first", shadow=True)
    await bench.gate("no")
    await bench.gate("last", shadow=True)
    await bench.gate("never", shadow=True, condition="false", position=1)
    bench.network.on("no", answer(200, {"allow": False}))
    never, first, no, last = await asked(bench)
    assert [each.skipped or each.state for each in (never, first, no, last)] == [
        "condition_false",
        "ok",
        "vetoed",
        "after_veto",
    ]
    assert last.would is None


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"body": '{"x": {{ order.none }}}'}, "template_error"), ({"condition": "order.sum"}, "condition_error")],
)
async def test_what_fails_before_a_request_would_have_failed(bench: Bench, fields: Any, error: str) -> None:
    """A body, a condition; under `stop`, too, the operation goes on."""
    hook = await bench.gate("new", shadow=True, on_failure="stop")
    await bench.fire({"order": {"none": 1, "sum": True}})
    await bench.engine.hooks.update(hook.id, **fields)
    firing = await bench.fire()
    [each] = firing.deliveries
    assert (firing.allowed, each.state, each.would, each.error) == (True, "failed", "fail", error)


async def test_a_paused_one_would_have_failed(bench: Bench) -> None:
    """Nothing waits for its end, as with blocking hooks."""
    hook = await bench.gate("new", shadow=True)
    await bench.engine.hooks.pause(hook.id)
    [each] = (await bench.fire()).deliveries
    assert (each.state, each.would, each.error) == ("failed", "fail", "paused")


async def test_little_time_is_left_for_it(bench: Bench) -> None:
    """As much as a blocking hook would have had: with none it would have failed."""
    await bench.gate("slow")
    await bench.gate("new", shadow=True)

    def late(request: httpx.Request) -> httpx.Response:
        bench.clock.forward(2.98)
        return httpx.Response(200)

    bench.network.on("slow", late)
    [_, new] = await asked(bench, deadline=3)
    assert (new.state, new.would, new.error) == ("failed", "fail", "deadline")


async def test_its_figures_stand_apart(bench: Bench) -> None:
    """Neither calls nor errors of its own; counted as what it would have done, failures under `stop` as refusals."""
    hook = await bench.gate("new", shadow=True, on_failure="stop")
    bench.network.on("new", answer(200, {"allow": False}), answer(500), answer())
    fired = []
    for _ in range(3):
        firing = await bench.fire()
        await bench.engine.send_own(firing)
        fired.append(firing.id)
        bench.clock.forward(1)
    week = (await bench.engine.log.statistics())[hook.id].week
    assert (week.calls, week.errors) == (0, 0)
    found = await bench.engine.log.shadow(hook.id)
    assert (found.asked, found.refusals, found.vetoes, found.failures) == (3, 2, 1, 1)
    assert list(found.firings) == [fired[1], fired[0]]
    await bench.engine.hooks.update(hook.id, on_failure="continue")
    found = await bench.engine.log.shadow(hook.id)
    assert (found.refusals, list(found.firings)) == (1, [fired[0]])


async def test_the_first_list_and_the_banner_leave_it_out(bench: Bench, tmp_path: Path) -> None:
    """The list before the engine is there knows it as well; its failures are no errors of the last hour."""
    await bench.gate("new", shadow=True)
    bench.network.on("new", answer(500))
    await asked(bench)
    seen = glance(f"sqlite:///{tmp_path}/hooks.db", bench.clock)
    assert seen is not None
    assert [(hook.shadow, hook.active, hook.condition, hook.mode) for hook in seen.hooks] == [(True, True, "", "gate")]
    assert (seen.summary.errors_last_hour, seen.figures) == (0, {})
    assert (await bench.engine.log.summary()).errors_last_hour == 0


async def test_the_breaker_takes_no_note(bench: Bench) -> None:
    """Whatever it answers, and however often."""
    hook = await bench.gate("new", shadow=True)
    bench.network.on("new", answer(500))
    for _ in range(12):
        await asked(bench)
        bench.clock.forward(10)
    assert (await bench.engine.hooks.get(hook.id)).state == "on"


async def test_a_background_mode_and_a_past_event_know_no_shadow(bench: Bench) -> None:
    """Their hooks run as they would without it."""
    await bench.hook("told", shadow=True)
    [told] = await asked(bench)
    assert (told.outcome, told.shadow) == ("sent", False)
    await bench.gate("after", event="after_registration", shadow=True)
    [after] = (await bench.fire({}, event="after_registration")).deliveries
    assert (after.outcome, after.shadow) == ("ok", False)


async def test_kept_back_by_defer_it_goes_at_enqueue(bench: Bench) -> None:
    """Never enqueued, it is not asked."""
    await bench.gate("new", shadow=True)
    firing = await bench.fire(defer=True)
    assert firing.deliveries[0].skipped == "not_enqueued"
    await firing.enqueue()
    await bench.engine.send_own(await bench.logged())
    assert bench.network.paths() == ["new"]


async def test_it_makes_no_more_of_a_row_than_a_background_hook(bench: Bench) -> None:
    """As many rows and commits as `notify` in its place: none of its own before a blocking hook."""
    await bench.gate("new", shadow=True)
    await bench.gate("real")
    commits = []
    writer = bench.engine.runtime.database.writer
    begin = writer.begin
    writer.begin = lambda job, *more: (commits.append(job), begin(job, *more))[1]  # type: ignore[method-assign]
    await bench.fire()
    assert len(commits) == 1
    assert [len(job.deliveries) for job in commits] == [2]


async def test_it_takes_no_more_calls_than_a_background_hook(bench: Bench) -> None:
    """Python's calls in the thread that fires, counted."""

    async def calls(**fields: Any) -> int:
        hook = await bench.hook("one", **fields)
        count = await bench.fewest_calls()
        await bench.engine.hooks.remove(hook.id)
        return count

    background = await calls(fire_and_forget=False)
    assert await calls(wait_for_response=True, shadow=True) <= background


@pytest.mark.parametrize(
    ("script", "state", "would"),
    [
        (answer(422, {"allow": False, "message": "no"}), "ok", "veto"),
        (answer(200, {"data": {"order": {"sum": 90}}}), "ok", "change"),
        (answer(500), "failed", "fail"),
    ],
)
async def test_a_replay_to_another_address_does_not_obey_it_either(
    bench: Bench, script: Any, state: str, would: str
) -> None:
    """It is asked there, as a hook in shadow; the hooks behind it see what it did not change."""
    await bench.transform("new", shadow=True, on_failure="stop")
    await bench.gate("rest")
    firing = await bench.fire()
    bench.network.on("laptop", script, answer(200))
    again = (await bench.engine.replay(firing.id, to="http://laptop.test/laptop")).firing
    assert again is not None
    assert again.allowed
    assert again.data == firing.payload
    seen = [(each.outcome, each.would) for each in again.deliveries]
    assert seen == [(state, would), ("ok", None)]
    requests = [each for each in bench.network.requests if each.url.host == "laptop.test"]
    assert [each.headers.get("hook-shadow") for each in requests] == ["1", None]


async def test_it_is_sent_by_another_process_as_well(bench: Bench) -> None:
    """What it needs stands in its row: the limit, and that it is a shadow."""
    await bench.transform("new", shadow=True, timeout=9)
    bench.network.on("new", answer(200, {"data": {"order": {"sum": 1}}}))
    firing = await bench.fire(deadline=4)
    [done] = (await bench.engine.send_own(firing)).deliveries
    assert done.would == "change"
    assert bench.network.requests[0].headers["hook-deadline-ms"] == "4000"


async def test_its_changes_are_counted_from_what_it_saw(bench: Bench) -> None:
    """Also where another process sends it: what earlier hooks had changed is no change of its own."""
    await bench.transform("price")
    await bench.transform("new", shadow=True)
    bench.network.on("price", answer(200, {"data": {"order": {"sum": 90, "id": None, "note": {"by": "price"}}}}))
    bench.network.on("new", answer(200, {"data": {"order": {"sum": 90, "note": {"by": "new"}}}}))
    _, new = await asked(bench)
    assert list(new.changes) == [("/order/note/by", "price", "new")]
    assert bench.network.bodies("new")[0]["data"] == {"order": {"sum": 90, "note": {"by": "price"}}}
