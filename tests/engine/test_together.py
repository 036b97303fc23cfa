"""Gates of one position that are asked at the same time: the setting `together:EVENT` (docs/firing.md)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_bench import Bench
from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.core.context import context_for
from hookrow.core.firing import Run
from hookrow.errors import EventNotFound, InvalidSetting
from hookrow.hook.stored import StoredHook
from hookrow.hook.together import Timing, longest, runs
from hookrow.testing import HookReceiver
from hookrow.testing.fixtures import hook_receiver
from scripted import HandClock, Network, answer, fails

__all__ = ["hook_receiver"]
pytestmark = pytest.mark.anyio
EVENT = "before_order_add"
SWITCH = f"together:{EVENT}"
LONG = 50
"""Turns of the loop after which an answer comes that comes late."""
NO = answer(200, {"allow": False, "message": "no", "code": "sold_out"})


async def together(bench: Bench, *names: str, **fields: Any) -> None:
    """Gates of one position, asked at the same time."""
    await bench.engine.settings.set(SWITCH, "on")
    for name in names:
        await bench.gate(name, position=10, **fields)


def slow(opened: asyncio.Event) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    """Answers once this is set."""

    async def script(request: httpx.Request) -> httpx.Response:
        await opened.wait()
        return httpx.Response(200)

    return script


def told(firing: Any) -> list[str]:
    """What became of each hook."""
    return [each.skipped or each.error or each.state for each in firing.deliveries]


async def test_all_are_asked_before_any_has_answered(bench: Bench) -> None:
    """The receivers answer only once all five have been asked; one after another the first would wait for ever."""
    await together(bench, *"abcde")
    met = asyncio.Barrier(5)

    async def script(request: httpx.Request) -> httpx.Response:
        await met.wait()
        return httpx.Response(200)

    for name in "abcde":
        bench.network.on(name, script)
    firing = await asyncio.wait_for(bench.fire(), 10)
    assert told(firing) == ["ok"] * 5
    assert [each.hook.name for each in (await bench.logged()).deliveries] == [*"abcde"]


async def test_strict_order_is_the_default(bench: Bench) -> None:
    """Without the setting, and where it is off again, the second is asked once the first has answered."""
    await together(bench, "a", "b")
    bench.network.on("a", NO)
    for value, asked in (("on", ["a", "b"]), ("off", ["a"])):
        await bench.engine.settings.set(SWITCH, value)
        bench.network.requests.clear()
        firing = await bench.fire()
        assert (firing.veto.hook.name, bench.network.paths()) == ("a", asked)


async def test_positions_and_other_hooks_end_a_run(bench: Bench) -> None:
    """Each part begins when the one before it has ended: another position, a background hook, a transform."""
    await together(bench, "a", "b")
    await bench.hook("told", position=10, fire_and_forget=False)
    await bench.gate("c", position=10)
    await bench.transform("d", position=10)
    await bench.gate("e", position=10)
    await bench.gate("f", position=20)
    at_once: list[set[str]] = []
    flying: set[str] = set()

    async def script(request: httpx.Request) -> httpx.Response:
        flying.add(request.url.path.strip("/"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        at_once.append(set(flying))
        flying.discard(request.url.path.strip("/"))
        return httpx.Response(200)

    for name in "abcdef":
        bench.network.on(name, script)
    firing = await bench.fire()
    assert told(firing) == ["ok", "ok", "queued", "ok", "ok", "ok", "ok"]
    assert at_once == [{"a", "b"}, {"b"}, {"c"}, {"d"}, {"e"}, {"f"}]


def test_what_parts_a_run() -> None:
    """A hook that is left out, and one in shadow, do not."""
    gate = ("gate", False, False)
    chain = [
        Timing(10, *gate, 1),
        Timing(10, "notify", False, True, 0),
        Timing(10, "transform", True, False, 0),
        Timing(10, *gate, 3),
        Timing(10, "notify", False, False, 0),
        Timing(10, *gate, 2),
        Timing(20, *gate, 2),
        Timing(20, "transform", False, False, 4),
    ]
    parts = [[chain.index(turn) for turn in part] for part in runs(chain, lambda turn: turn.idle)]
    assert parts == [[0, 1, 2, 3], [4], [5], [6], [7]]
    assert (longest(chain, True), longest(chain, False)) == (3 + 2 + 2 + 4, 1 + 3 + 2 + 2 + 4)


def test_no_more_are_asked_at_once_than_a_worker_sends() -> None:
    """Of 70 gates 32, 32, 6; one in shadow among them counts for nothing."""
    gates = [Timing(10, "gate", each == 5, False, 0 if each == 5 else 1) for each in range(71)]
    assert [len(part) for part in runs(gates, lambda turn: turn.idle)] == [33, 32, 6]
    assert longest(gates, True) == 3


async def test_the_first_refusal_in_the_order_decides(bench: Bench) -> None:
    """Not a later one that came sooner; who stands before it is waited for, who stands behind it is cut off."""
    await together(bench, "a", "b", "c", "d", "e")
    opened = asyncio.Event()
    bench.network.on("a", slow(opened))
    bench.network.on("b", answer(200, {"warnings": ["careful"]}))

    async def last(request: httpx.Request) -> httpx.Response:
        for _ in range(LONG):
            await asyncio.sleep(0)
        opened.set()  # by now everybody was asked, and c, whose refusal came first of all, has refused
        await asyncio.Event().wait()
        raise AssertionError

    bench.network.on("c", NO)
    bench.network.on("d", answer(200, {"allow": False, "message": "too late", "warnings": ["unheard"]}))
    bench.network.on("e", last)
    firing = await asyncio.wait_for(bench.fire(), 10)
    assert (firing.outcome, firing.veto.hook.name, firing.veto.message) == ("vetoed", "c", "no")
    assert told(firing) == ["ok", "ok", "vetoed", "vetoed", "cancelled"]
    assert firing.warnings == ("b: careful",)
    cut = (await bench.logged()).deliveries[4]
    assert (cut.state, cut.attempts, cut.reason.code) == ("cancelled", 1, "cut_off")
    assert "may have acted" in str(cut.reason)
    [attempt] = await bench.engine.log.attempts(cut.id)
    assert (attempt.error, attempt.number, attempt.reason.code) == ("interrupted", 1, "cut_off")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"body": '{"x": {{ order.none }}}'}, "template_error"),
        ({"condition": "order.none > 0"}, "condition_error"),
        ({"paused": True}, "paused"),
    ],
)
async def test_a_failure_without_a_request_refuses_at_its_place(bench: Bench, fields: Any, error: str) -> None:
    """Under `stop`, and only where nobody before it refuses; behind it nobody is asked."""
    await together(bench, "a", "b")
    failing = await bench.gate("c", position=10, on_failure="stop")
    await bench.gate("d", position=10)
    if fields.pop("paused", False):
        await bench.engine.hooks.pause(failing.id)
    await bench.fire({"order": {"none": 1, "sum": 1}})  # the newest payload is what templates are tried on
    bench.network.requests.clear()
    if fields:
        await bench.engine.hooks.update(failing.id, **fields)
    firing = await bench.fire({"order": {"sum": 1}})
    assert (firing.outcome, firing.veto.hook.name, firing.veto.code) == ("failed", "c", error)
    assert told(firing) == ["ok", "ok", error, "after_veto"]
    bench.network.on("a", NO)
    firing = await bench.fire({"order": {"sum": 1}})
    assert (firing.outcome, firing.veto.hook.name) == ("vetoed", "a")
    assert told(firing)[2:] == ["after_veto", "after_veto"]
    bench.network.on("a", answer())
    bench.network.on("b", after(LONG, NO))
    assert (await bench.fire({"order": {"sum": 1}})).veto.hook.name == "b"
    assert "d" not in bench.network.paths()


async def test_the_deadline_is_one_for_all(bench: Bench) -> None:
    """Each may take what is left of it when they are asked; with none left none is."""
    await bench.transform("slow", position=1)
    await together(bench, "a", "b")
    await bench.gate("c", position=10, timeout=1, on_failure="stop")

    def late(request: httpx.Request) -> httpx.Response:
        bench.clock.forward(spent)
        return httpx.Response(200)

    bench.network.on("slow", late)
    spent = 1.0
    await bench.fire(deadline=3)
    headers = {each.url.path[1:]: each.headers["hook-deadline-ms"] for each in bench.network.requests}
    assert headers == {"slow": "3000", "a": "2000", "b": "2000", "c": "1000"}
    spent = 2.99
    firing = await bench.fire(deadline=3)
    assert told(firing) == ["ok", "deadline", "deadline", "deadline"]
    assert (firing.veto.hook.name, firing.veto.code) == ("c", "deadline")


async def test_shadows_among_them_are_queued_as_ever(bench: Bench) -> None:
    """Also those whose neighbours are asked together; behind a refusal they are left out."""
    await together(bench, "a")
    await bench.gate("quiet", position=10, shadow=True)
    await bench.gate("b", position=10)
    await bench.gate("last", position=10, shadow=True)
    firing = await bench.fire()
    assert told(firing) == ["ok", "queued", "ok", "queued"]
    assert bench.network.paths() == ["a", "b"]
    done = await bench.engine.send_own(firing)
    assert [each.would for each in done.deliveries] == [None, "allow", None, "allow"]
    bench.network.on("b", NO)
    assert told(await bench.fire()) == ["ok", "queued", "vetoed", "after_veto"]
    bench.network.on("a", NO)
    assert told(await bench.fire()) == ["vetoed", "after_veto", "vetoed", "after_veto"]


async def test_a_receiver_that_is_gone_is_paused_wherever_it_stands(bench: Bench) -> None:
    """What an answer says of its receiver is true behind a refusal, too."""
    await together(bench, "a", "b")
    bench.network.on("a", NO)
    bench.network.on("b", answer(410))
    firing = await bench.fire()
    assert told(firing) == ["vetoed", "bad_status"]
    assert (firing.veto.hook.name, firing.warnings) == ("a", ())
    assert [each.state for each in await bench.engine.hooks.list(EVENT)] == ["on", "paused"]


async def test_a_call_in_a_circle_asks_nobody(bench: Bench) -> None:
    """`hook-depth` bars them as it bars any."""
    await together(bench, "a", "b")
    firing = await bench.fire(depth=6)
    assert (firing.veto.code, told(firing), bench.network.paths()) == ("loop", ["loop", "loop"], [])


async def test_what_an_answer_may_keep_does_not_hang_on_who_was_first(bench: Bench) -> None:
    """A receiver that prints a neighbour's password: masked, whichever of both answers first."""
    await bench.engine.settings.set(SWITCH, "on")
    await bench.gate("a", position=10)
    await bench.gate("b", position=10, auth_login="shop", auth_password="staple-horse")
    bench.network.on("a", answer(200, {"allow": False, "message": "staple-horse is b's"}))
    firing = await bench.fire()
    assert "staple-horse" not in firing.veto.message
    assert "staple-horse" not in json.dumps((await bench.logged()).as_json())


@pytest.mark.parametrize("when", ["asked", "cutting"])
async def test_a_cancelled_caller_leaves_nothing_unrecorded(either_url: str, when: str) -> None:
    """In the midst of the requests, and while those behind a refusal are cut off."""
    network = Network()
    async with AsyncHookEngine(either_url, worker=False, transport=network) as engine:
        await engine.settings.set(SWITCH, "on")
        for name in "abc":
            await engine.hooks.add(
                Hook(name=name, event=EVENT, url=f"http://r.test/{name}", wait_for_response=True, position=10)
            )
        everybody = asyncio.Event()

        async def stays(request: httpx.Request) -> httpx.Response:
            everybody.set()
            try:
                await asyncio.Event().wait()
            finally:
                if when == "cutting":
                    calling.cancel()
                    await asyncio.sleep(0.01)  # a transport that takes its time to let go
            raise AssertionError

        network.on("b", NO if when == "cutting" else answer())
        network.on("c", stays)
        if when == "asked":
            network.on("a", stays)
        calling = asyncio.create_task(engine.fire(EVENT, {"order": {}}))
        await everybody.wait()
        if when == "asked":
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        [firing] = await engine.log.page()
        assert (firing.outcome, firing.veto) == ("cancelled", None)
        codes = [each.reason and each.reason.code for each in firing.deliveries]
        expected = {"asked": ["called_off", None, "called_off"], "cutting": [None, None, "cut_off"]}
        assert codes == expected[when]
        assert [each.attempts for each in firing.deliveries] == ([0, 1, 0] if when == "asked" else [1, 1, 1])


def test_in_a_calling_thread(tmp_path: Path, hook_receiver: HookReceiver) -> None:
    """`fire()` that blocks asks on a loop of its own thread, over real connections."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        engine.settings.set(SWITCH, "on")
        for name in "abc":
            engine.hooks.add(Hook(name=name, event=EVENT, url=hook_receiver.url, wait_for_response=True, position=10))
        firing = engine.fire(EVENT, {"order": {"id": 1}})
        assert told(firing) == ["ok"] * 3
        assert len(hook_receiver.received) == 3


def test_an_interrupt_in_the_midst(
    tmp_path: Path, hook_receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+C while gates are asked together: each that may have been reached is recorded."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        engine.settings.set(SWITCH, "on")
        for name in "abc":
            engine.hooks.add(Hook(name=name, event=EVENT, url=hook_receiver.url, wait_for_response=True, position=10))
        from hookrow.core import together as module

        real = module.perform
        count: Iterator[int] = iter(range(10))

        async def struck(tools: Any, dispatch: Any) -> Any:
            made = await real(tools, dispatch)
            if next(count) == 1:
                raise KeyboardInterrupt
            return made

        monkeypatch.setattr(module, "perform", struck)
        with pytest.raises(KeyboardInterrupt):
            engine.fire(EVENT, {"order": {"id": 1}})
        [firing] = engine.log.page()
        assert firing.outcome == "cancelled"
        recorded = {each.id for each in firing.deliveries if each.state != "skipped"}
        assert {came.headers["webhook-id"] for came in hook_receiver.received} <= recorded


async def test_a_fault_of_ours_is_not_hidden(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes out of `fire()`, wherever in the run it was; what was asked is recorded."""
    await together(bench, "a", "b")
    bench.network.on("a", NO)

    def broken(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    bench.network.on("b", broken)
    with pytest.raises(ZeroDivisionError):
        await bench.fire()
    assert (await bench.logged()).outcome == "cancelled"


async def test_only_before_events_have_the_switch(bench: Bench) -> None:
    """What has happened can't be refused; an event that nobody knows has no gates."""
    with pytest.raises(InvalidSetting):
        await bench.engine.settings.set("together:after_registration", "on")
    with pytest.raises(EventNotFound):
        await bench.engine.settings.set("together:before_order_ad", "on")
    with pytest.raises(InvalidSetting):
        await bench.engine.settings.set(SWITCH, "yes please")
    assert await bench.engine.settings.get(SWITCH) == "off"
    assert await bench.engine.settings.together() == frozenset()
    await bench.engine.settings.set(SWITCH, "on")
    assert await bench.engine.settings.together() == {EVENT}
    [deed] = [each for each in await bench.engine.log.deeds() if each.action == "setting"]
    assert deed.subject == f"{SWITCH} = on"


async def test_explain_says_who_is_asked_together(bench: Bench) -> None:
    """By numbers; whoever is asked alone, or not at all, has none."""
    await together(bench, "a", "b")
    await bench.gate("off", position=10, active=False)
    await bench.hook("told", position=10)
    await bench.gate("c", position=10)
    await bench.gate("d", position=10)
    await bench.gate("e", position=20)
    plan = await asyncio.to_thread(bench.engine.explaining.explain, EVENT)
    assert [step.together for step in plan] == [1, 1, None, None, 2, 2, None]
    assert plan[0].as_json()["together"] == 1
    await bench.engine.settings.set(SWITCH, "off")
    plan = await asyncio.to_thread(bench.engine.explaining.explain, EVENT)
    assert {step.together for step in plan} == {None}


ANSWERS = {
    "allow": answer(200, {"allow": True, "warnings": ["w"]}),
    "veto": NO,
    "change": answer(200, {"data": {"order": {"sum": 1}}, "result": 3}),
    "fail": answer(500),
    "gone": answer(500, b"x"),
    "broken": fails(httpx.ConnectError("no")),
    "timeout": fails(httpx.ReadTimeout("late")),
    "bad": answer(200, {"allow": "perhaps"}),
}
GATES = st.tuples(
    st.sampled_from([*ANSWERS]),
    st.sampled_from(["continue", "stop"]),
    st.sampled_from(["gate", "gate", "gate", "shadow", "off", "paused", "false", "template", "told"]),
    st.sampled_from([0, 0, 1, 3, LONG]),
)


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A bench, the loop that it lives on, and a gate of it that others are made of."""
    network, clock = Network(), HandClock()
    url = f"sqlite:///{tmp_path_factory.mktemp('chains')}/hooks.db"
    with asyncio.Runner() as runner:
        bench = Bench(AsyncHookEngine(url, worker=False, transport=network, clock=clock), network, clock)
        runner.run(bench.gate("first", position=10))
        [gate] = bench.engine.runtime.config().rows[EVENT]
        yield runner, bench, gate
        runner.run(bench.engine.close())


@settings(max_examples=100, deadline=None)
@given(chain=st.lists(GATES, min_size=2, max_size=6))
def test_the_verdict_is_that_of_the_strict_order(chains: Any, chain: list[Any]) -> None:
    """Whatever is answered, and whoever is first: the verdict, and every share as far as the first refusal."""
    runner, bench, gate = chains
    hooks = [hook_like(gate, at + 1, on_failure, kind) for at, (_, on_failure, kind, _) in enumerate(chain)]
    for hook, (said, _, _, turns) in zip(hooks, chain, strict=True):
        bench.network.on(hook.name, after(turns, ANSWERS[said]))
    (strict, shares), (side, shares_too) = [runner.run(walked(bench, hooks, how)) for how in (False, True)]
    assert strict == side
    upto = next((at for at, each in enumerate(shares) if each[0] == strict[-1]), len(shares)) + 1
    assert shares[:upto] == shares_too[:upto]
    for was, now in zip(shares[upto:], shares_too[upto:], strict=True):
        assert was == now or (was[1] == "after_veto" and now[1] in ASKED)


ASKED = {"ok", "vetoed", "cancelled", "bad_status", "connect_error", "timeout", "bad_reply"}
KINDS: dict[str, dict[str, Any]] = {
    "shadow": {"shadow": True},
    "off": {"active": False},
    "paused": {"paused_by": "person"},
    "false": {"condition": "order.sum == 0"},
    "template": {"body": '{"x": {{ order.list[0] }}}'},
    "told": {"mode": "notify"},
}


def hook_like(gate: StoredHook, number: int, on_failure: str, kind: str) -> StoredHook:
    """Another hook of that position."""
    name = f"h{number}"
    how = {"on_failure": on_failure, **KINDS.get(kind, {})}
    return replace(gate, id=number, name=name, url=f"http://receiver.test/{name}", **how)


async def walked(bench: Bench, hooks: list[StoredHook], together: bool) -> tuple[tuple[Any, ...], list[Any]]:
    """The verdict, in the end the hook that refused; and each hook's share as it would be written."""
    runtime = bench.engine.runtime
    context = replace(context_for(runtime, runtime.config(), EVENT, 30.0), together=together)
    run = Run(runtime, context, {"order": {"sum": 1, "list": []}}, hooks, defer=True)
    await run.walk()
    row = run.row
    shares = [
        (
            each.hook.name,
            each.skipped or each.error or each.act or each.state,
            *(each.status, str(each.detail), len(each.attempts), each.body, each.shown, each.note),
        )
        for each in row.drafts
    ]
    assert [each.seq for each in row.drafts] == [*range(1, len(hooks) + 1)]
    veto = row.veto
    refusal = (None, None) if veto is None else ((veto.by, veto.message, veto.code, veto.status), veto.hook.name)
    return (row.data, row.result, list(map(str, row.warnings)), *refusal), without_ids(shares, context.uid)


def without_ids(shares: list[Any], uid: str) -> list[Any]:
    """Two firings have two ids."""
    return [tuple(part.replace(uid, "…") if isinstance(part, str) else part for part in share) for share in shares]


def after(turns: int, script: Any) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    """The same answer, so many turns of the loop later."""

    async def later(request: httpx.Request) -> httpx.Response:
        for _ in range(turns):
            await asyncio.sleep(0)
        made: httpx.Response = script(request)
        return made

    return later
