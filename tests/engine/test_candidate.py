"""A candidate: changed fields of a hook, asked in shadow beside it and compared with what it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from engine_bench import Bench
from hookrow import AsyncHookEngine, CandidateInTheWay, ChangedMeanwhile, Hook, InvalidHook, LogFilter, Secret
from hookrow.errors import NotRedeliverable, Refused
from hookrow.records import Delivery
from hookrow.store.outbox.probes import MOST_PROBES
from scripted import Network, answer, fails

NEW = "http://receiver.test/new"
NO = {"allow": False}
CANARY = "canary-Zb5Jh2"


async def tried(bench: Bench, **fields: Any) -> Hook:
    """A gate with a candidate at another address."""
    hook = await bench.gate("old", on_failure="stop")
    bench.clock.forward(1)
    return await bench.engine.hooks.try_candidate(hook.id, {"url": NEW, **fields})


async def compared(bench: Bench, **how: Any) -> tuple[Any, Delivery]:
    """A firing, and its candidate's delivery after the queue was sent once."""
    firing = await bench.fire(**how)
    [trial] = [each for each in await sent(bench, firing) if each.candidate]
    return firing, trial


async def sent(bench: Bench, firing: Any) -> list[Delivery]:
    """A firing's deliveries after the queue was sent once."""
    return list((await bench.engine.send_own(firing)).deliveries)


@pytest.mark.parametrize(
    ("old", "new", "would", "word"),
    [
        (answer(), answer(200, {"allow": True}), "allow", "same"),
        (answer(), answer(200, NO), "veto", "decision"),
        (answer(422, NO), answer(), "allow", "decision"),
        (answer(422, NO), answer(200, {**NO, "status": 422}), "veto", "same"),
        (answer(422, NO), answer(409, NO), "veto", "refusal"),
        (answer(422, {**NO, "code": "a"}), answer(422, {**NO, "code": "b"}), "veto", "refusal"),
        (answer(422, {**NO, "message": "a"}), answer(422, {**NO, "message": "b"}), "veto", "same"),
        (answer(), answer(500), "fail", "decision"),
        (answer(500), answer(500), "fail", "same"),
        (answer(500), fails(httpx.ReadTimeout("late")), "fail", "refusal"),
    ],
)
async def test_what_is_compared(bench: Bench, old: Any, new: Any, would: str, word: str) -> None:
    """Whether it goes on, a refusal's status and code; a failure under `stop` is a refusal. The hook alone decides."""
    await tried(bench)
    bench.network.on("old", old)
    bench.network.on("new", new)
    firing, trial = await compared(bench)
    assert (trial.would, trial.compared, trial.shadow, trial.attempts) == (would, word, True, 1)
    assert firing.allowed is (firing.veto is None)
    assert firing.deliveries[0].candidate is False
    [request] = [each for each in bench.network.requests if each.url.path == "/new"]
    assert (request.headers["hook-revision"], request.headers["hook-shadow"]) == ("candidate", "1")
    [request] = [each for each in bench.network.requests if each.url.path == "/old"]
    assert "hook-revision" not in request.headers


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ({"sum": 90}, {"sum": 90}, "same"),
        ({"sum": 90}, {"sum": 80}, "data"),
        ({"sum": None}, {"sum": 100, "note": 1}, "data"),
        ({}, {"sum": 90}, "data"),
        ({"note": {"a": 1, "b": 2}}, {"note": {"b": 2, "a": 1}}, "same"),
    ],
)
async def test_the_payload_afterwards_is_compared(bench: Bench, old: Any, new: Any, word: str) -> None:
    """From what both saw: earlier hooks' changes are none of theirs, and those after it count for nothing."""
    await bench.transform("first")
    hook = await bench.transform("old")
    await bench.transform("last")
    await bench.engine.hooks.try_candidate(hook.id, url=NEW)
    bench.network.on("first", answer(200, {"data": {"order": {"id": 8, "gone": None}}}))
    bench.network.on("old", answer(200, {"data": {"order": old}}))
    bench.network.on("last", answer(200, {"data": {"order": {"sum": 1}}}))
    bench.network.on("new", answer(200, {"data": {"order": new}}))
    _, trial = await compared(bench)
    assert trial.compared == word
    assert bench.network.bodies("new")[0]["data"] == {"order": {"id": 8, "sum": 100}}
    assert bench.network.paths() == ["first", "old", "last", "new"]


async def test_private_fields_are_neither_sent_nor_compared(bench: Bench) -> None:
    """What the hook did to one stays its own matter."""
    hook = await bench.transform("old", event="before_registration")
    await bench.engine.hooks.try_candidate(hook.id, url=NEW)
    payload = {"user": {"login": "a", "password": CANARY}}
    bench.network.on("old", answer(200, {"data": {"user": {"password": "other"}}}))
    _, trial = await compared(bench, payload=payload, event="before_registration")
    assert trial.compared == "same"
    assert bench.network.bodies("new")[0]["data"] == {"user": {"login": "a", "password": None}}
    assert await leaks(bench, CANARY, "other") == []


@pytest.mark.parametrize(
    ("own", "its", "word", "skipped"),
    [
        ("order.sum > 500", "order.sum > 50", "decision", None),
        ("order.sum > 50", "order.sum > 500", "decision", "condition_false"),
    ],
)
async def test_whom_a_condition_leaves_out_lets_it_pass(
    bench: Bench, own: str, its: str, word: str, skipped: str | None
) -> None:
    """What one of the two leaves out is compared all the same."""
    hook = await bench.gate("old", condition=own)
    await bench.engine.hooks.try_candidate(hook.id, condition=its)
    bench.network.on("old", answer(200, NO))
    _, trial = await compared(bench)
    assert (trial.compared, trial.skipped) == (word, skipped)


async def test_what_both_leave_out_makes_no_row(bench: Bench) -> None:
    """Nor does what the hook's turn never came to: off, paused, after a veto."""
    hook = await bench.gate("old", condition="order.sum > 500", position=10)
    await bench.engine.hooks.try_candidate(hook.id, condition="order.sum > 600")
    assert len((await bench.fire()).deliveries) == 1
    for change in ({"active": False}, {"active": True, "valid_until": "2020-01-01T00:00:00Z"}):
        await bench.engine.hooks.update(hook.id, change)
        assert len((await bench.fire({"order": {"sum": 1000}})).deliveries) == 1
    await bench.engine.hooks.update(hook.id, active=True, valid_until=None)
    await bench.engine.hooks.pause(hook.id)
    assert len((await bench.fire({"order": {"sum": 1000}})).deliveries) == 1
    await bench.engine.hooks.resume(hook.id)
    await bench.gate("no", position=1)
    bench.network.on("no", answer(200, NO))
    assert len((await bench.fire({"order": {"sum": 1000}})).deliveries) == 2


@pytest.mark.parametrize(
    ("fields", "error"),
    [({"body": '{"x": {{ order.none }}}'}, "template_error"), ({"condition": "order.sum"}, "condition_error")],
)
async def test_a_candidate_that_can_make_no_request_would_fail(bench: Bench, fields: Any, error: str) -> None:
    """A body or condition that fails on a payload: a refusal under `stop`, else it lets pass."""
    hook = await bench.gate("old")
    await bench.fire({"order": {"none": 1, "sum": True}})
    await bench.engine.hooks.try_candidate(hook.id, on_failure="stop", **fields)
    _, trial = await compared(bench)
    assert (trial.state, trial.would, trial.error, trial.compared) == ("failed", "fail", error, "decision")
    await bench.fire({"order": {"none": 1, "sum": True}})
    await bench.engine.hooks.try_candidate(hook.id, on_failure="continue", **fields)
    assert (await compared(bench))[1].compared == "same"


async def test_its_figures_begin_with_it(bench: Bench) -> None:
    """Another candidate's deliveries are not its own; the log finds in which firings they differ."""
    hook = await tried(bench)
    bench.network.on("new", answer(200, NO), answer(), answer(500))
    fired = []
    for _ in range(3):
        firing, _ = await compared(bench)
        fired.append(firing.id)
        bench.clock.forward(1)
    found = await bench.engine.log.candidate(hook.id)
    assert (found.compared, found.differ, found.decisions, found.failures) == (3, 2, 2, 1)
    assert list(found.firings) == [fired[2], fired[0]]
    assert str(found.told()).startswith("Hook and candidate, last 7 days: differ in 2 of 3, candidate failed 1")
    week = (await bench.engine.log.statistics())[hook.id]
    assert (week.week.calls, week.shadow, week.candidate.differ) == (3, None, 2)
    differs = [each.id for each in await bench.engine.log.page(LogFilter(hook=hook.id, outcome="differs"))]
    assert differs == [fired[2], fired[0]]
    assert await bench.engine.log.page(LogFilter(event="before_registration", outcome="differs")) == []
    await bench.engine.hooks.try_candidate(hook.id, timeout=2)
    assert await bench.engine.log.candidate(hook.id) is None


async def test_a_waiting_delivery_of_a_candidate_that_is_no_more_is_not_sent(bench: Bench) -> None:
    """Dropped, or replaced by another one: it is cancelled, and the next one's are sent."""
    hook = await tried(bench)
    first = await bench.fire()
    await bench.engine.hooks.drop_candidate(hook.id)
    [_, gone] = await sent(bench, first)
    assert (gone.outcome, gone.skipped, gone.would, gone.compared) == ("cancelled", "no_candidate", None, None)
    await bench.engine.hooks.try_candidate(hook.id, url=NEW)
    second = await bench.fire()
    await bench.engine.hooks.try_candidate(hook.id, url="http://receiver.test/newest")
    assert (await sent(bench, second))[1].skipped == "no_candidate"
    await compared(bench)
    assert bench.network.paths() == ["old", "old", "old", "newest"]


async def test_promoted_it_is_the_hook(bench: Bench) -> None:
    """A new revision with who did it; its secrets are opened, and the candidate is no more."""
    hook = await bench.gate("old", signing_secret=Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    tried = await bench.engine.hooks.try_candidate(
        hook.id, timeout=2, auth_login="shop", auth_password=CANARY, signing_secret=None
    )
    assert (tried.timeout, tried.auth_login, tried.revision) == (5.0, "", 2)
    assert tried.candidate.as_json()["fields"] == {
        "timeout": 2.0,
        "auth_login": "shop",
        "auth_password": {"set": True},
        "signing_secret": {"set": False},
    }
    await compared(bench)
    old, new = bench.network.requests
    assert ("authorization" in old.headers, "webhook-signature" in old.headers) == (False, True)
    assert ("authorization" in new.headers, "webhook-signature" in new.headers) == (True, False)
    made = await bench.engine.hooks.promote(hook.id)
    assert (made.candidate, made.timeout, made.auth_login, made.revision) == (None, 2.0, "shop", 3)
    await bench.fire()
    assert bench.network.requests[-1].headers["authorization"] == new.headers["authorization"]
    actions = [each.action for each in await bench.engine.hooks.history(hook.id)]
    assert actions == ["promote", "try", "add"]
    with pytest.raises(Refused, match="no candidate"):
        await bench.engine.hooks.promote(hook.id)
    assert await leaks(bench, CANARY) == []


async def leaks(bench: Bench, *canaries: str) -> list[str]:
    """What is in the log, the hooks and their history in clear."""
    said = [repr(each) + json.dumps(each.as_json()) for each in await bench.engine.log.page()]
    for hook in await bench.engine.hooks.list():
        said += [repr(hook), hook.model_dump_json(), repr(await bench.engine.hooks.history(hook.id))]
    with bench.engine.runtime.database.read() as connection:
        for table in ("hook", "hook_revision", "firing", "delivery", "attempt"):
            said += map(repr, connection.execute(text(f"SELECT * FROM {table}")).all())
    return [each for each in said if any(canary in each for canary in canaries)]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"timeot": 3}, "timeot: There is no such field; did you mean timeout?"),
        ({"revision": 3}, "revision: It is read only"),
        ({"candidate": {}}, "candidate: It is read only"),
        ({"name": "Other", "timeout": 2}, "name: It can't be tried"),
        ({"shadow": True}, "shadow: It can't be tried"),
        ({"wait_for_response": False}, "wait_for_response: It can't be tried"),
        ({"timeout": 5}, "Nothing differs"),
        ({"timeout": 99}, "timeout: Seconds, from 0.1 to 30."),
        ({}, "Nothing differs"),
    ],
)
async def test_what_can_not_be_tried(bench: Bench, fields: Any, problem: str) -> None:
    """Unknown and read-only fields as anywhere; what is no matter of an answer."""
    hook = await bench.gate("old")
    with pytest.raises(InvalidHook) as refused:
        await bench.engine.hooks.try_candidate(hook.id, fields)
    assert problem in str(refused.value)


async def test_which_hooks_can_have_one(bench: Bench) -> None:
    """Those that decide something."""
    for fields in ({}, {"wait_for_response": True, "event": "after_registration"}):
        hook = await bench.hook("told", **fields)
        with pytest.raises(InvalidHook, match="Only blocking hooks"):
            await bench.engine.hooks.try_candidate(hook.id, timeout=2)
    hook = await bench.gate("new", shadow=True)
    with pytest.raises(InvalidHook, match="in shadow"):
        await bench.engine.hooks.try_candidate(hook.id, timeout=2)


async def test_secrets_do_not_follow_it_to_another_origin_unasked(bench: Bench) -> None:
    """Neither when it is tried, nor by a later edit of the hook."""
    hook = await bench.gate("old", auth_password=CANARY)
    with pytest.raises(InvalidHook, match="another origin"):
        await bench.engine.hooks.try_candidate(hook.id, url="http://other.test/")
    await bench.engine.hooks.try_candidate(hook.id, url="http://other.test/", auth_password=None)
    with pytest.raises(CandidateInTheWay, match="sent to another origin"):
        await bench.engine.hooks.update(hook.id, signing_secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    await bench.engine.hooks.try_candidate(hook.id, auth_password="other")
    with pytest.raises(CandidateInTheWay, match="sent to another origin"):
        await bench.engine.hooks.update(hook.id, url="http://other.test/", keep_secrets=True)
    kept = await bench.engine.hooks.try_candidate(hook.id, url="http://other.test/", keep_secrets=True)
    assert kept.candidate.fields == {"url": "http://other.test/"}


async def test_an_edit_keeps_the_candidate_where_they_do_not_meet(bench: Bench) -> None:
    """Else it is refused, unless the candidate goes with it."""
    hook = await tried(bench, timeout=2)
    edited = await bench.engine.hooks.update(hook.id, name="Other", body="", condition="order.sum > 1")
    assert edited.candidate.fields == {"url": NEW, "timeout": 2.0}
    for change in (
        {"timeout": 3},
        {"event": "before_user_new", "condition": ""},
        {"shadow": True},
        {"wait_for_response": False, "fire_and_forget": True},
    ):
        with pytest.raises(CandidateInTheWay):
            await bench.engine.hooks.update(hook.id, change)
    assert (await bench.engine.hooks.get(hook.id)).revision == edited.revision
    dropped = await bench.engine.hooks.update(hook.id, timeout=3, drop_candidate=True)
    assert (dropped.timeout, dropped.candidate) == (3.0, None)


async def test_deleted_and_restored_it_is_there_again(bench: Bench) -> None:
    """A deletion takes the hook as a whole."""
    hook = await tried(bench)
    await bench.engine.hooks.remove(hook.id)
    assert (await bench.engine.hooks.restore(hook.id)).candidate.fields == {"url": NEW}
    assert (await compared(bench))[1].compared == "same"


async def test_undone_it_is_gone(bench: Bench) -> None:
    """A trial is taken back like any change; one that was dropped does not come back."""
    hook = await tried(bench)
    await bench.engine.hooks.undo(await bench.engine.hooks.last_change())
    assert (await bench.engine.hooks.get(hook.id)).candidate is None
    await bench.engine.hooks.try_candidate(hook.id, timeout=2)
    bench.clock.forward(1)
    await bench.engine.hooks.drop_candidate(hook.id)
    with pytest.raises(Refused, match="does not come back"):
        await bench.engine.hooks.undo(await bench.engine.hooks.last_change())


async def test_it_is_neither_redelivered_nor_asked_where_nothing_decides(bench: Bench) -> None:
    """In the caller's own transaction, in a replay to another address: the hook's answer decides nothing there."""
    await tried(bench)
    firing, trial = await compared(bench)
    with pytest.raises(NotRedeliverable, match="candidate"):
        await bench.engine.redeliver(trial.id)
    assert await bench.engine.redeliver(firing.id) == []
    replayed = await bench.engine.replay(firing.id, to="http://elsewhere.test/")
    assert [each.candidate for each in replayed.firing.deliveries] == [False]


async def test_it_is_sent_by_another_process_as_well(bench: Bench) -> None:
    """What it needs stands in its row: the payload of its turn, its limit, what its hook did."""
    hook = await bench.transform("old", timeout=1)
    await bench.engine.hooks.try_candidate(hook.id, url=NEW, timeout=9)
    bench.network.on("old", answer(200, {"data": {"order": {"sum": 90}}}))
    bench.network.on("new", answer(200, {"data": {"order": {"sum": 90}}}))
    _, trial = await compared(bench)
    assert (trial.compared, list(trial.changes)) == ("same", [("/order/sum", 100, 90)])
    assert bench.network.requests[1].headers["hook-deadline-ms"] == "9000"


async def test_it_makes_no_more_of_a_row_than_a_background_hook(bench: Bench) -> None:
    """One commit, one row more; without a candidate nothing."""
    await tried(bench)
    await bench.gate("real")
    commits = []
    writer = bench.engine.runtime.database.writer
    begin = writer.begin
    writer.begin = lambda job, *more: (commits.append(job), begin(job, *more))[1]  # type: ignore[method-assign]
    await bench.fire()
    assert [len(job.deliveries) for job in commits] == [3]


async def test_it_takes_no_more_calls_than_a_background_hook(bench: Bench) -> None:
    """Python's calls in the thread that fires: a candidate costs what a background hook in its place would."""

    hook = await bench.gate("old")
    background = await bench.hook("told", fire_and_forget=False)
    beside = await bench.fewest_calls()
    await bench.engine.hooks.remove(background.id)
    await bench.engine.hooks.try_candidate(hook.id, url=NEW)
    assert await bench.fewest_calls() <= beside


async def test_a_longer_timeout_has_a_longer_lease(bench: Bench) -> None:
    """Its request is not taken over while it may still be answered."""
    hook = await bench.gate("old", timeout=1)
    await bench.engine.hooks.try_candidate(hook.id, timeout=20)
    firing = await bench.fire()
    leases = []
    send = bench.engine.sending.send_claimed

    async def noted(claimed: Any, hook: Any) -> Any:
        leases.append(claimed.lease_ms - bench.engine.runtime.database.clock.lease_ms())
        return await send(claimed, hook)

    bench.engine.sending.send_claimed = noted  # type: ignore[method-assign]
    await sent(bench, firing)
    assert leases[0] >= 24_000


async def test_parked_deliveries_of_a_candidate_probe_no_breaker(bench: Bench) -> None:
    """They say nothing of the hook's receiver: where nothing else waits, the hook is tried without a probe."""
    hook = await tried(bench)
    await bench.fire()
    bench.network.on("old", answer(500))
    for _ in range(12):
        await bench.fire()
        bench.clock.forward(10)
    assert (await bench.engine.hooks.get(hook.id)).paused_by == "breaker"
    bench.clock.forward(60)
    await bench.engine.drain(1)
    assert (await bench.engine.hooks.get(hook.id)).state == "on"
    await bench.engine.drain(1)
    assert bench.network.paths().count("new") == 11


async def test_a_hundred_parked_candidates_hide_no_probe(bench: Bench) -> None:
    """What is parked behind them is tried, and goes when the receiver is back."""
    hook = await tried(bench)
    for _ in range(MOST_PROBES + 1):
        await bench.fire()
    bench.network.on("old", answer(500))
    for _ in range(12):
        await bench.fire()
        bench.clock.forward(10)
    await bench.engine.hooks.update(hook.id, wait_for_response=False, fire_and_forget=True, drop_candidate=True)
    real = await bench.fire()
    bench.network.on("old", answer(200))
    bench.clock.forward(60)
    await bench.engine.drain(1)
    assert (await bench.engine.log.get(real.id)).deliveries[0].outcome == "sent"


@pytest.mark.usefixtures("looking_each_time")
async def test_keys_know_its_secrets(bench: Bench) -> None:
    """Checked, sealed anew with a new key, and in the way of a key that is to be forgotten."""
    hook = await bench.gate("old")
    await bench.engine.hooks.try_candidate(hook.id, auth_password=CANARY)
    keys = bench.engine.keys
    first = bench.engine.runtime.vault.ring.active_id
    assert await keys.check() == 1
    second, count = await keys.rotate()
    assert (count, first != second) == (1, True)
    with pytest.raises(Refused):
        await keys.forgettable(second)
    await keys.forget(first)
    await compared(bench)
    assert "authorization" in bench.network.requests[-1].headers


def rename_key(folder: Path, key: str) -> None:
    """Let the key file hold no key of this name."""
    path = next(folder.glob("*.key"))
    path.write_text(path.read_text().replace(key, "0" * len(key)))


async def test_a_candidate_whose_key_is_lost_stops_nobody(bench: Bench, tmp_path: Path) -> None:
    """It would fail; the hook itself goes on. Given up, the key takes the candidate with it."""
    hook = await bench.gate("old")
    await bench.engine.hooks.try_candidate(hook.id, auth_password=CANARY)
    key = bench.engine.runtime.vault.ring.active_id
    rename_key(tmp_path, key)
    async with type(bench.engine)(
        f"sqlite:///{tmp_path}/hooks.db", worker=False, transport=bench.network, clock=bench.clock
    ) as other:
        there = Bench(other, bench.network, bench.clock)
        firing, trial = await compared(there)
        assert (firing.allowed, trial.error, trial.would, trial.state) == (True, "key_error", "fail", "failed")
        assert (await other.hooks.get(hook.id)).state == "on"
        assert dict(await other.keys.lost(key)) == {hook.id: ("candidate",)}
        await other.keys.abandon(key)
        assert (await other.hooks.get(hook.id)).candidate is None
        assert (await other.hooks.history(hook.id))[0].action == "abandon"


async def test_colleagues_meet_at_their_revisions(bench: Bench) -> None:
    """Who looked at another revision is told; without one the candidate is judged anew on what the hook has become."""
    hook = await tried(bench)
    for act in (
        lambda: bench.engine.hooks.try_candidate(hook.id, timeout=2, revision=hook.revision - 1),
        lambda: bench.engine.hooks.promote(hook.id, revision=hook.revision - 1),
        lambda: bench.engine.hooks.drop_candidate(hook.id, revision=hook.revision - 1),
    ):
        with pytest.raises(ChangedMeanwhile):
            await act()
    await bench.engine.hooks.try_candidate(hook.id, custom_header="Authorization: Bearer x")
    await bench.engine.hooks.update(hook.id, auth_login="shop")
    with pytest.raises(InvalidHook, match="Authorization is already made"):
        await bench.engine.hooks.promote(hook.id)


@pytest.mark.anyio
async def test_on_either_database_a_running_worker_sees_it(either_url: str, network: Network) -> None:
    """Tried in one process, asked by another's firings and worker, compared, found, promoted."""
    network.on("new", answer(200, NO))
    async with (
        AsyncHookEngine(either_url, transport=network) as service,
        AsyncHookEngine(either_url, worker=False) as one,
    ):
        hook = await one.hooks.add(
            Hook(name="old", event="before_order_add", url="http://receiver.test/old", wait_for_response=True)
        )
        assert (await service.fire("before_order_add", {"order": {}})).allowed
        await one.hooks.try_candidate(hook.id, url=NEW, timeout=2)
        service.runtime.cache.forget()
        assert (await service.fire("before_order_add", {"order": {}})).allowed
        await service.drain(5)
        found = await one.log.candidate(hook.id)
        assert (found.compared, found.differ) == (1, 1)
        assert [each.id for each in await one.log.page(LogFilter(outcome="differs"))] == list(found.firings)
        assert (await one.log.statistics())[hook.id].candidate.decisions == 1
        await one.hooks.promote(hook.id)
        service.runtime.cache.forget()
        assert not (await service.fire("before_order_add", {"order": {}})).allowed
