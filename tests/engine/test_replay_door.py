"""What happened, again and on purpose: redeliver, replay, explain."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from engine_bench import Bench
from hookrow.clock import from_ms
from hookrow.errors import FiringNotFound, InvalidInput, NotRedeliverable
from hookrow.store import outbox
from hookrow.store.database.tables import DELIVERIES
from scripted import answer

pytestmark = pytest.mark.anyio
TO = "http://elsewhere.test/other"


async def dead_or_retrying(bench: Bench, **fields: Any) -> Any:
    """A firing whose one background delivery failed at its first attempt and waits for a retry."""
    bench.network.on("h", answer(500), answer(200))
    await bench.hook("h", **{"fire_and_forget": False, **fields})
    return await bench.engine.send_own(await bench.fire())


async def two_that_failed(bench: Bench, **fields: Any) -> Any:
    """A firing whose two deliveries failed; the next requests are answered well."""
    for name in "hi":
        bench.network.on(name, answer(500), answer(200))
        await bench.hook(name, **{"fire_and_forget": False, **fields})
    return await bench.engine.send_own(await bench.fire())


async def test_an_attempt_elsewhere_changes_nothing_else(bench: Bench) -> None:
    """The attempt is recorded as one elsewhere; outcome and pending retry stay."""
    firing = await dead_or_retrying(bench)
    [done] = await bench.engine.redeliver(firing.deliveries[0].id, to=TO)
    assert done.ok
    after = (await bench.engine.log.get(firing.id)).deliveries[0]
    assert (after.outcome, after.status, after.error) == ("retrying", 500, "bad_status")
    assert [each.elsewhere for each in await bench.engine.log.attempts(after.id)] == [False, True]


@pytest.mark.parametrize(
    "to", ["ftp://h/", "javascript:1", "http://a b/", "http://h:0/", "http://мой_хост/", "http://u:S3cret@h/", ""]
)
async def test_elsewhere_is_a_url_that_a_hook_could_have(bench: Bench, to: str) -> None:
    """Another one, or one with credentials, is refused before anything is sent or recorded, and not repeated."""
    firing = await dead_or_retrying(bench)
    for again in (bench.engine.redeliver, bench.engine.replay):
        with pytest.raises(InvalidInput) as refused:
            await again(firing.id, to=to)
        assert [each.field for each in refused.value.problems] == ["to"]
        assert "S3cret" not in str(refused.value)
    assert len(bench.network.requests) == 1
    assert await bench.logged() == await bench.engine.log.get(firing.id)


async def test_a_success_at_home_settles_and_cancels_the_retry(bench: Bench) -> None:
    """The same bytes, the same `webhook-id`, the next attempt number; nothing is due any more."""
    firing = await dead_or_retrying(bench)
    await bench.engine.redeliver(firing.deliveries[0].id)
    first, second = bench.network.requests
    assert first.content == second.content
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [each.headers["hook-attempt"] for each in (first, second)] == ["1", "2"]
    assert (await bench.engine.log.get(firing.id)).deliveries[0].outcome == "ok"
    bench.clock.forward(3600)
    await bench.engine.send_own(await bench.engine.log.get(firing.id))
    assert len(bench.network.requests) == 2


async def test_a_redelivery_that_is_cancelled_holds_nothing(bench: Bench) -> None:
    """The delivery may be sent again at once, not only when the lease would have lapsed; its retry stays."""
    firing = await dead_or_retrying(bench)
    begun = asyncio.Event()

    async def hangs(request: httpx.Request) -> httpx.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    bench.network.on("h", hangs, answer(200))
    by_hand = asyncio.create_task(bench.engine.redeliver(firing.id))
    await begun.wait()
    by_hand.cancel()
    with pytest.raises(asyncio.CancelledError):
        await by_hand
    assert (await bench.engine.log.get(firing.id)).deliveries[0].outcome == "retrying"
    [done] = await bench.engine.redeliver(firing.id)
    assert done.ok


async def test_a_redelivery_that_is_cancelled_as_it_begins_holds_nothing(bench: Bench) -> None:
    """Its lease is being committed: it is had, and let go."""
    firing = await dead_or_retrying(bench)
    writer = bench.engine.runtime.database.writer
    writer.running.acquire()
    by_hand = asyncio.create_task(bench.engine.redeliver(firing.id))
    while not writer.waiting:  # noqa: ASYNC110 (the queue tells nobody)
        await asyncio.sleep(0)
    by_hand.cancel()
    await asyncio.sleep(0)
    writer.running.release()
    with pytest.raises(asyncio.CancelledError):
        await by_hand
    [done] = await bench.engine.redeliver(firing.id)
    assert done.ok
    assert len(bench.network.requests) == 2


async def test_a_failure_by_hand_leaves_the_retry(bench: Bench) -> None:
    """The pending retry is neither moved nor counted."""
    firing = await dead_or_retrying(bench)
    bench.network.on("h", answer(503))
    [done] = await bench.engine.redeliver(firing.id)
    assert not done.ok
    assert (await bench.engine.log.get(firing.id)).deliveries[0].outcome == "retrying"


async def test_a_redelivered_waiting_hook_keeps_its_verdict(bench: Bench) -> None:
    """The new reply stands beside the old one."""
    bench.network.on("w", answer(body={"allow": False}), answer(body={"allow": True}))
    await bench.gate("w")
    firing = await bench.fire()
    await bench.engine.redeliver(firing.deliveries[0].id)
    after = await bench.engine.log.get(firing.id)
    assert (after.outcome, after.deliveries[0].outcome) == ("vetoed", "vetoed")
    assert len(await bench.engine.log.attempts(firing.deliveries[0].id)) == 2


async def test_a_deleted_hooks_delivery_goes_only_elsewhere(bench: Bench) -> None:
    """Without `to` it is refused, before any request."""
    firing = await dead_or_retrying(bench)
    await bench.engine.hooks.remove(firing.deliveries[0].hook.id)
    with pytest.raises(NotRedeliverable, match="--to"):
        await bench.engine.redeliver(firing.deliveries[0].id)
    assert len(bench.network.requests) == 1
    [done] = await bench.engine.redeliver(firing.deliveries[0].id, to=TO)
    assert done.ok


@pytest.mark.parametrize("with_auth", [False, True])
async def test_credentials_stay_at_home_unless_asked(bench: Bench, with_auth: bool) -> None:
    """Neither login nor custom header goes to another origin by itself."""
    firing = await dead_or_retrying(bench, auth_login="bob", auth_password="pw", custom_header="X-Key: value")
    await bench.engine.redeliver(firing.id, to=TO, with_auth=with_auth)
    headers = bench.network.requests[-1].headers
    assert ("authorization" in headers, "x-key" in headers) == (with_auth, with_auth)
    await bench.engine.replay(firing.id, to=TO, with_auth=with_auth)
    headers = bench.network.requests[-1].headers
    assert ("authorization" in headers, "x-key" in headers) == (with_auth, with_auth)


async def test_a_dry_run_sends_nothing_and_masks(bench: Bench) -> None:
    """The request that would leave, without its secrets; nothing is written."""
    firing = await dead_or_retrying(bench, auth_login="bob", auth_password="pw-canary", custom_header="X-Key: canary")
    before = bench.engine.log.data_version()
    [again] = await bench.engine.redeliver(firing.id, dry_run=True)
    plan = await bench.engine.replay(firing.id, dry_run=True)
    assert len(bench.network.requests) == 1
    assert bench.engine.log.data_version() == before
    assert again.request is not None
    shown = f"{again} {plan.plan}"
    assert "x-key" in shown.lower()
    assert "canary" not in shown
    assert "Ym9iOnB3LWNhbmFyeQ" not in shown
    assert plan.firing is None


async def test_a_replay_goes_through_todays_hooks(bench: Bench) -> None:
    """A new firing with `replay_of` and who asked, without the old hook's mistake."""
    await bench.gate("old")
    firing = await bench.fire()
    await bench.engine.hooks.update("old", url="http://receiver.test/mended")
    await bench.gate("new")
    done = await bench.engine.replay(firing.id)
    assert bench.network.paths() == ["old", "mended", "new"]
    logged = await bench.logged()
    assert (logged.id, logged.replay_of, bool(logged.asked_by)) == (done.firing.id, firing.id, True)
    assert bench.network.requests[1].headers["hook-replay-of"] == firing.id
    assert [each.replayed for each in await bench.engine.log.page()] == [False, True]


async def test_a_delivery_or_a_hook_limits_the_replay(bench: Bench) -> None:
    """Nobody else gets a request."""
    for name in "abc":
        await bench.gate(name)
    firing = await bench.fire()
    await bench.engine.replay(firing.deliveries[1].id)
    await bench.engine.replay(firing.id, hook="c")
    assert bench.network.paths() == ["a", "b", "c", "b", "c"]


async def test_a_replay_elsewhere_calls_each_once_and_queues_nothing(bench: Bench) -> None:
    """Background hooks too; a 410 from there pauses nobody."""
    bench.network.on("other", answer(410))
    await bench.gate("w")
    await bench.hook("bg", fire_and_forget=False)
    firing = await bench.fire()
    done = await bench.engine.replay(firing.id, to=TO)
    assert bench.network.paths() == ["w", "other", "other"]
    assert all(each.outcome not in ("queued", "retrying") for each in done.firing.deliveries)
    assert [each.state for each in await bench.engine.hooks.list()] == ["on", "on"]


async def test_a_firing_whose_hooks_were_all_left_out_can_be_replayed(bench: Bench) -> None:
    """The hooks that match now run."""
    await bench.gate("off", active=False)
    firing = await bench.fire()
    await bench.engine.hooks.update("off", active=True)
    done = await bench.engine.replay(firing.id)
    assert [each.outcome for each in done.firing.deliveries] == ["ok"]


async def test_two_people_at_one_delivery_send_it_once_at_a_time(bench: Bench) -> None:
    """While one of them waits for the answer, the other is told that it is being sent."""
    firing = await dead_or_retrying(bench)
    asked, may = asyncio.Event(), asyncio.Event()

    async def held() -> httpx.Response:
        asked.set()
        await may.wait()
        return httpx.Response(200)

    bench.network.on("h", lambda request: held())
    first = asyncio.create_task(bench.engine.redeliver(firing.id))
    await asked.wait()
    with pytest.raises(NotRedeliverable, match="being sent"):
        await bench.engine.redeliver(firing.id)
    may.set()
    assert [each.ok for each in await first] == [True]
    assert len(bench.network.requests) == 2


async def test_what_a_worker_of_its_own_has_in_hand_is_not_sent_again(bench: Bench) -> None:
    """Its process stood still for longer than the lease, and lives: its answer counts, and comes to be recorded."""
    asked, may = asyncio.Event(), asyncio.Event()

    async def held() -> httpx.Response:
        if not asked.is_set():
            asked.set()
            await may.wait()
        return httpx.Response(200)

    bench.network.on("h", lambda request: held())
    await bench.hook("h", fire_and_forget=False)
    firing = await bench.fire()
    sending = asyncio.create_task(bench.engine.send_own(firing))
    await asked.wait()
    bench.clock.forward(3600)
    with pytest.raises(NotRedeliverable, match="being sent"):
        await bench.engine.redeliver(firing.deliveries[0].id)
    may.set()
    [delivery] = (await sending).deliveries
    assert (delivery.outcome, delivery.attempts, len(bench.network.requests)) == ("ok", 1, 1)


@pytest.mark.parametrize("named", [False, True])
async def test_what_arrives_while_it_is_looked_up_is_not_sent_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """Between the look and the lease another person was faster: refused; asked for once more by its id, it goes."""
    firing = await dead_or_retrying(bench)
    ref = firing.deliveries[0].id if named else firing.id
    looked_up, ours = bench.engine.runtime.firing, False

    async def slow(*given: Any) -> Any:
        nonlocal ours
        found = await looked_up(*given)
        if not ours:
            ours = True
            await bench.engine.redeliver(ref)
        return found

    monkeypatch.setattr(bench.engine.runtime, "firing", slow)
    with pytest.raises(NotRedeliverable, match="settled in the meantime"):
        await bench.engine.redeliver(ref)
    assert len(bench.network.requests) == 2
    assert len(await bench.engine.redeliver(ref)) == named


async def test_a_firing_stands_for_what_was_tried_and_did_not_arrive(bench: Bench) -> None:
    """Also where the hook is paused meanwhile; what its pause kept from being tried at all is not meant."""
    firing = await dead_or_retrying(bench)
    await bench.engine.hooks.pause(firing.deliveries[0].hook.id, reason="moving")
    untried = await bench.fire()
    tried = await bench.engine.log.get(firing.id)
    assert [each.deliveries[0].outcome for each in (tried, untried)] == ["parked", "parked"]
    assert [each.ok for each in await bench.engine.redeliver(tried.id)] == [True]
    assert await bench.engine.redeliver(untried.id) == []


async def test_of_several_one_that_another_sends_is_left_to_him(bench: Bench) -> None:
    """The rest goes, and only that is told of."""
    firing = await two_that_failed(bench)
    held = firing.deliveries[0].row_id
    await bench.engine.runtime.database.writer.awrite(
        lambda c: outbox.lease_for_redelivery(c, held, owner="other", now_ms=bench.clock.now_ms())
    )
    assert [(each.delivery.hook.name, each.ok) for each in await bench.engine.redeliver(firing.id)] == [("i", True)]


async def test_of_several_none_goes_where_one_never_can(bench: Bench) -> None:
    """A deleted hook's delivery is refused before the first of them has left."""
    firing = await two_that_failed(bench, wait_for_response=True)
    bench.network.requests.clear()
    await bench.engine.hooks.remove(firing.deliveries[1].hook.id)
    with pytest.raises(NotRedeliverable, match="--to"):
        await bench.engine.redeliver(firing.id)
    assert bench.network.requests == []


async def test_of_several_each_goes_as_its_hook_stands_then(bench: Bench) -> None:
    """While the first one is sent a colleague moves the second hook."""
    firing = await two_that_failed(bench, wait_for_response=True)
    hook = firing.deliveries[1].hook.id

    async def move() -> httpx.Response:
        await bench.engine.hooks.update(hook, url="http://receiver.test/moved")
        return httpx.Response(200)

    bench.network.on("h", lambda request: move())
    bench.network.requests.clear()
    await bench.engine.redeliver(firing.id)
    assert bench.network.paths() == ["h", "moved"]


@pytest.mark.parametrize("gone", ["removed", "dropped"])
async def test_of_several_one_that_is_given_up_meanwhile_is_not_sent(bench: Bench, gone: str) -> None:
    """Its hook is deleted, or a colleague drops it, while the one before it is sent."""
    firing = await two_that_failed(bench, wait_for_response=gone == "removed")
    second = firing.deliveries[1]
    if gone == "dropped":
        await bench.engine.runtime.database.writer.awrite(
            lambda c: c.execute(update(DELIVERIES).where(DELIVERIES.c.id == second.row_id).values(state="dead"))
        )

    async def give_up() -> httpx.Response:
        if gone == "removed":
            await bench.engine.hooks.remove(second.hook.id)
        else:
            assert await bench.engine.log.drop([second.id]) == 1
        return httpx.Response(200)

    bench.network.on("h", lambda request: give_up())
    bench.network.requests.clear()
    assert [each.delivery.hook.name for each in await bench.engine.redeliver(firing.id)] == ["h"]
    assert bench.network.paths() == ["h"]


async def test_what_is_not_in_the_log_is_said(bench: Bench) -> None:
    """Both verbs name what they looked for."""
    for call in (bench.engine.replay, bench.engine.redeliver):
        with pytest.raises(FiringNotFound, match="evt_x"):
            await call("evt_x")


@pytest.mark.parametrize("how", [{}, {"dry_run": True}, {"hook": "a"}], ids=str)
async def test_a_delivery_that_its_firing_does_not_have_is_not_all_of_them(bench: Bench, how: dict[str, Any]) -> None:
    """A mistyped id fires nothing."""
    await bench.gate("a")
    firing = await bench.fire()
    mistyped = firing.deliveries[0].id[:-2] + "zz"
    with pytest.raises(FiringNotFound, match=mistyped):
        await bench.engine.replay(mistyped, **how)
    assert bench.network.paths() == ["a"]


async def test_a_replay_that_is_sent_again_still_says_so(bench: Bench) -> None:
    """`hook-replay-of`, with the same bytes."""
    await bench.gate("a")
    firing = await bench.fire()
    again = await bench.engine.replay(firing.id)
    await bench.engine.redeliver(again.firing.deliveries[0].id)
    assert [each.headers.get("hook-replay-of") for each in bench.network.requests] == [None, firing.id, firing.id]


@pytest.mark.parametrize("how", ["redelivered", "in shadow"])
async def test_a_patch_may_make_of_a_payload_what_the_setting_allows(bench: Bench, how: str) -> None:
    """Whoever asks: at a redelivery and in the background it was a mebibyte, whatever the setting said."""
    await bench.engine.settings.set("payload_limit", "4M")
    await bench.transform("t", shadow=how == "in shadow")
    patch = [{"op": "replace", "path": "/order/note", "value": "z"}]
    bench.network.on("t", answer(200, body={"allow": True, "patch": patch}))
    firing = await bench.fire({"order": {"id": 1, "note": "", "more": "y" * 1_500_000}})
    if how == "redelivered":
        [again] = await bench.engine.redeliver(firing.deliveries[0].id)
        assert again.ok
    else:
        assert (await bench.engine.send_own(firing)).deliveries[0].would == "change"


async def test_explain_gives_every_hook_its_reason_and_writes_nothing(bench: Bench) -> None:
    """All hooks are judged on the given payload, at a moment if one is named; `data_version` stands."""
    await bench.engine.settings.set("timezone", "UTC")
    now = bench.clock.now_ms()
    await bench.gate("call")
    await bench.hook("queue")
    await bench.gate("off", active=False)
    await bench.gate("old", valid_until=from_ms(now))
    await bench.gate("new", valid_from=from_ms(now + 1000))
    await bench.gate("never", condition="order.sum > 1000")
    await bench.engine.hooks.pause((await bench.gate("held")).id or 0)
    before = bench.engine.log.data_version()
    steps = await bench.engine.explain("before_order_add", {"order": {"id": 7, "sum": 100}})
    assert [(each.act, each.reason) for each in steps] == [
        ("call", None),
        ("queue", None),
        ("skip", "inactive"),
        ("skip", "expired"),
        ("skip", "not_yet_valid"),
        ("skip", "condition_false"),
        ("fail", "paused"),
    ]
    assert [each.detail for each in steps][3:6] == [
        "25.11.2026 12:00 +00:00",
        "25.11.2026 12:00:01 +00:00",
        "order.sum > 1000",
    ]
    later = await bench.engine.explain("before_order_add", {"order": {"sum": 1}}, at=from_ms(now + 1000))
    assert [each.act for each in later][4] == "call"
    earlier = await bench.engine.explain("before_order_add", {"order": {"sum": 1}}, at=from_ms(now - 1))
    assert [each.act for each in earlier][3] == "call"
    assert bench.engine.log.data_version() == before
    assert bench.network.requests == []
