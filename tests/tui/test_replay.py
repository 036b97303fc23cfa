"""Repeating: what is offered, what is asked of the engine, what came of it beside what was recorded."""

from __future__ import annotations

import json
import threading
from array import array
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from apps import Shown, until
from fake_engine import FakeEngine
from log_fixtures import log_of, open_log, with_attempts
from screens import SIZES, drawn, same_as_golden
from test_log_screen import go

from hookrow.errors import DatabaseBusy, NotRedeliverable
from hookrow.hook.stored import HookRef
from hookrow.records import Attempt
from hookrow.safetext import UNSAFE
from hookrow_tui.presenters.glyphs import UNICODE
from hookrow_tui.presenters.styled import plain
from hookrow_tui.replay import screen as replay
from hookrow_tui.replay.many import ManyScreen, Wish, may_have_failed, repeat
from hookrow_tui.replay.result import plan_lines, redelivered_lines, replayed_lines
from hookrow_tui.replay.screen import ReplayScreen, ResultScreen
from hookrow_tui.widgets.check import pretty
from hookrow_tui.widgets.ways import Ways

pytestmark = pytest.mark.anyio

ENGINE = with_attempts(FakeEngine())
RECORDED = ENGINE.log.page()[0]
REQUEST = SimpleNamespace(
    method="POST",
    url="https://price.example.ru/discount",
    headers=(("authorization", "Basic ••••••••"), ("x", "it's \x1b]52;c;x\x07")),
    body='{"a": 1}',
)


async def dialog(at: Shown) -> ReplayScreen:
    """Open it on the discount hook's delivery."""
    await go(at, 1)
    await at.press("r")
    await until(at.pilot, lambda: isinstance(at.app.screen, ReplayScreen), "the dialog")
    await at.pilot.pause()
    screen = at.app.screen
    assert isinstance(screen, ReplayScreen)
    return screen


def replay_of(ref: str, **given: Any) -> Any:
    """What the engine's replay gives: the same firing anew, with another verdict."""
    return SimpleNamespace(recorded=RECORDED, firing=None if given.get("dry_run") else anew(), plan=(step(),), now=None)


def anew() -> Any:
    """A replay of the recorded firing, in which the first hook changes another value."""
    first = replace(RECORDED.deliveries[0], changes=(("/order/sum", 12850, 11000),), ms=250)
    shares = [first, replace(RECORDED.deliveries[1], state="failed", error="timeout", status=None, detail="timed out")]
    return replace(RECORDED, id="evt_new", deliveries=shares, replay_of=RECORDED.id, ms=777)


def step() -> Any:
    """One step of a plan."""
    return SimpleNamespace(
        hook=RECORDED.deliveries[0].hook,
        position=10,
        mode="transform",
        act="call",
        reason=None,
        detail=None,
        request=REQUEST,
        now=None,
    )


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", SIZES)
async def test_the_dialog_as_drawn(size: tuple[int, int], lang: Any) -> None:
    """Question, four ways, where to, which data, only show."""
    async with open_log(size, lang=lang) as at:
        await dialog(at)
        same_as_golden(at.app, f"replay-{size[0]}x{size[1]}-{lang}")


async def test_the_same_bytes_again() -> None:
    """The first way redelivers this delivery; the new attempt stands beside the recorded one."""
    async with open_log() as at:
        again = Attempt(
            number=2, at_ms=0, url="https://price.example.ru/discount", status=503, error="bad_status", ms=9
        )
        share = at.engine.log.page()[0].deliveries[0]
        at.engine.answers["redeliver"] = lambda ref, **_: [
            SimpleNamespace(delivery=share, attempt=again, request=None, ok=False)
        ]
        await dialog(at)
        await at.press("f5")
        await until(at.pilot, lambda: isinstance(at.app.screen, ResultScreen), "the result")
        await until(at.pilot, lambda: "503" in drawn(at.app), "the new status")
        assert ("redeliver", (share.id,), {"to": None, "dry_run": False}) in at.engine.calls
        await at.press("escape")
        assert log_of(at)


async def test_the_event_anew_for_one_hook_at_another_url() -> None:
    """The second way replays the firing with this hook only, to the URL that was typed."""
    async with open_log() as at:
        at.engine.answers["replay"] = replay_of
        screen = await dialog(at)
        await at.press("down", "tab")
        await at.type("http://127.0.0.1:8920/")
        await at.press("enter")
        await until(at.pilot, lambda: isinstance(at.app.screen, ResultScreen), "the result")
        call = next(call for call in at.engine.calls if call[0] == "replay")
        assert call[1] == (RECORDED.id,)
        assert call[2] == {"hook": 4, "to": "http://127.0.0.1:8920/", "payload": None, "dry_run": False}
        assert screen.detail.firing.id == RECORDED.id


async def test_only_show_sends_nothing() -> None:
    """The plan with masked requests and a curl line."""
    async with open_log() as at:
        at.engine.answers["replay"] = replay_of
        screen = await dialog(at)
        screen.query_one(Ways).choose("row")
        await at.press("tab", "tab", "space", "f5")
        await until(at.pilot, lambda: isinstance(at.app.screen, ResultScreen), "the plan")
        await until(at.pilot, lambda: "Ничего не отправлено" in drawn(at.app), "that nothing was sent")
        assert all(call[2]["dry_run"] for call in at.engine.calls if call[0] == "replay")


async def test_edited_data_goes_only_with_the_event_anew() -> None:
    """Editing moves the choice to the event anew; the recorded bytes can't carry it; bad JSON changes nothing."""
    async with open_log() as at:
        at.engine.answers["replay"] = replay_of
        screen = await dialog(at)
        screen.take_edited('{"order": ')
        assert screen.payload is None
        screen.take_edited("[1]")
        assert screen.payload is None
        screen.take_edited('{"order": {"sum": 1}}')
        assert screen.query_one(Ways).code == "hook"
        screen.query_one(Ways).choose("again")
        await at.press("f5")
        await at.pilot.pause()
        assert not at.engine.calls
        screen.query_one(Ways).choose("row")
        await at.press("f5")
        await until(at.pilot, lambda: isinstance(at.app.screen, ResultScreen), "the result")
        assert at.engine.calls[-1][2]["payload"] == {"order": {"sum": 1}}


async def test_data_that_cannot_be_read_is_opened_in_the_editor_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One comma too many costs nobody what was typed; once it is gone the data is as written."""
    opened: list[str] = []
    written = iter(['{"order": {"sum": 1},}', '{"order": {"sum": 1}}', '{"order": {"sum": 2}}'])

    def edit(app: Any, text: str, name: str) -> str:
        opened.append(text)
        return next(written)

    monkeypatch.setattr(replay, "edit_text", edit)
    async with open_log() as at:
        screen = await dialog(at)
        for _ in range(3):
            screen.action_edit()
        assert opened[1] == '{"order": {"sum": 1},}'
        assert json.loads(opened[2]) == {"order": {"sum": 1}}
        assert screen.payload == {"order": {"sum": 2}}


async def test_nothing_is_sent_in_place_of_data_that_cannot_be_read() -> None:
    """The sentence comes again with each try; an empty text means the data as recorded."""
    async with open_log() as at:
        at.engine.answers["replay"] = replay_of
        screen = await dialog(at)
        screen.query_one(Ways).choose("row")
        screen.take_edited('{"order": {"sum": 1},}')
        assert "F4" in screen.data_text()
        assert "из журнала" not in screen.data_text()
        await at.press("up", "down")
        assert "не JSON" not in drawn(at.app)
        await at.press("f5")
        assert "не JSON" in drawn(at.app)
        assert not at.engine.calls
        screen.take_edited("\n")
        assert "из журнала" in screen.data_text()
        await at.press("f5")
        await until(at.pilot, lambda: isinstance(at.app.screen, ResultScreen), "the result")
        assert at.engine.calls[-1][2]["payload"] is None


def test_a_reply_nested_without_end_is_shown_as_it_came() -> None:
    """Of a test of a hook too."""
    assert pretty("[" * 50_000) == ["[" * 50_000]


async def test_a_refusal_is_a_sentence_in_the_dialog() -> None:
    """The hook is gone: the dialog stays, and says why."""
    async with open_log() as at:

        def refuse(ref: str, **_: Any) -> Any:
            raise NotRedeliverable("хука больше нет")

        at.engine.answers["redeliver"] = refuse
        await dialog(at)
        await at.press("f5")
        await until(at.pilot, lambda: "хука больше нет" in drawn(at.app), "the sentence")
        assert isinstance(at.app.screen, ReplayScreen)


@pytest.mark.parametrize("key", ["f5", "enter"])
async def test_a_press_while_sending_sends_nothing_more(key: str) -> None:
    """The receiver is slow, the person impatient: one request leaves; after a refusal the next press sends again."""
    async with open_log() as at:
        gate, asked = threading.Event(), []

        def slow(ref: str, **_: Any) -> Any:
            asked.append(ref)
            assert gate.wait(20)
            raise NotRedeliverable("хука больше нет")

        at.engine.answers["redeliver"] = slow
        screen = await dialog(at)
        screen.query_one("#to").focus()
        try:
            await at.press(key, key)
            await until(at.pilot, lambda: bool(asked), "the request")
        finally:
            gate.set()
        await at.app.workers.wait_for_complete()
        await until(at.pilot, lambda: "хука больше нет" in drawn(at.app), "the sentence")
        assert len(asked) == 1
        await at.press(key)
        await until(at.pilot, lambda: len(asked) == 2, "the request after the refusal")


async def test_all_that_the_filter_shows_is_asked_about_twice_and_counted() -> None:
    """First the number and a sample, then a question whose first answer is no, then progress, oldest event first."""
    async with open_log() as at:
        at.engine.answers["replay"] = lambda ref, **_: SimpleNamespace(
            recorded=RECORDED, firing=anew(), plan=(), now=None
        )
        screen = await dialog(at)
        screen.query_one(Ways).choose("all")
        await at.press("f5")
        await until(at.pilot, lambda: "Повторить 5" in drawn(at.app), "the question")
        assert not at.engine.calls
        await at.press("right", "enter")
        await until(at.pilot, lambda: isinstance(at.app.screen, ManyScreen) and at.app.screen.ended, "the end")
        refs = [call[1][0] for call in at.engine.calls if call[0] == "replay"]
        assert refs == [each.id for each in reversed(at.engine.log.page())]
        assert "5 / 5" in drawn(at.app)


def test_stopping_leaves_the_rest_alone_and_says_where() -> None:
    """After Escape no further request leaves."""
    engine, halt = with_attempts(FakeEngine()), threading.Event()
    engine.answers["replay"] = lambda ref, **_: SimpleNamespace(recorded=RECORDED, firing=anew(), plan=(), now=None)
    seen = []
    for tally in repeat(engine, Wish(array("q", [1, 2, 3, 4, 5]), None, None, False), halt):  # type: ignore[arg-type]
        seen.append(tally.done)
        if tally.done == 2:
            halt.set()
    assert seen == [0, 1, 2]
    assert len(engine.calls) == 2
    assert tally.last.endswith("2")


def test_a_fault_of_one_is_counted_one_of_the_database_ends_all() -> None:
    """A deleted hook does not stop the others; a database that can't be written does."""
    engine, halt = with_attempts(FakeEngine()), threading.Event()
    faults: list[Exception] = [NotRedeliverable("gone"), DatabaseBusy("busy")]

    def fail(ref: str, **_: Any) -> Any:
        raise faults.pop(0)

    engine.answers["replay"] = fail
    *_, tally = repeat(engine, Wish(array("q", [1, 2, 3]), 4, None, False), halt)  # type: ignore[arg-type]
    assert tally.done == 1
    assert tally.outcomes == Counter({"gone": 1})
    assert tally.fault == "busy"


async def test_a_fault_of_the_database_says_how_many_were_not_repeated() -> None:
    """The run ends there, with the fault and the number of those that are left."""
    async with open_log() as at:
        answers: list[Any] = [SimpleNamespace(recorded=RECORDED, firing=anew(), plan=(), now=None)]

        def fail(ref: str, **_: Any) -> Any:
            if not answers:
                raise DatabaseBusy("the disk is full")
            return answers.pop()

        at.engine.answers["replay"] = fail
        wish = Wish(array("q", [1, 2, 3]), None, None, False)
        await at.app.push_screen(ManyScreen(wish))
        await until(at.pilot, lambda: isinstance(at.app.screen, ManyScreen) and at.app.screen.ended, "the end")
        await at.pilot.pause()
        assert "the disk is full" in drawn(at.app)
        assert "не повторено: 2" in drawn(at.app)


def test_allowed_although_every_receiver_failed_counts_as_failed() -> None:
    """What the receivers said counts; a refusal stays one."""
    engine, halt = with_attempts(FakeEngine()), threading.Event()
    failing, refusing = anew(), replace(anew(), outcome="vetoed")
    news = [failing, refusing, replace(failing, deliveries=failing.deliveries[:1])]
    engine.answers["replay"] = lambda ref, **_: SimpleNamespace(
        recorded=RECORDED, firing=news.pop(0), plan=(), now=None
    )
    *_, tally = repeat(engine, Wish(array("q", [1, 2, 3]), None, None, False), halt)  # type: ignore[arg-type]
    assert tally.outcomes == Counter(failed=1, vetoed=1, allowed=1)


def redelivering(**arrive: bool) -> tuple[FakeEngine, list[str]]:
    """An engine on which two of the newest firing's deliveries are dead, and the public ids of its deliveries; what a
    redelivery of each comes to; one that is not named is refused."""
    engine = with_attempts(FakeEngine())
    firing = engine.log.rows[0]
    shares = [replace(each, state="dead") if each.seq < 3 else each for each in firing.deliveries]
    engine.log.rows[0] = replace(firing, deliveries=shares)
    refs = {share.id: f"of{share.seq}" for share in shares}

    def send(ref: str, *, to: str | None, dry_run: bool) -> Any:
        if refs.get(ref) not in arrive:
            raise NotRedeliverable("gone")
        share = engine.log.delivery(ref)
        return [SimpleNamespace(delivery=share, attempt=None if dry_run else Attempt(2, 0, ""), ok=arrive[refs[ref]])]

    engine.answers["redeliver"] = send
    return engine, list(refs)


@pytest.mark.parametrize(
    ("hook", "dry", "counted"),
    [
        (None, False, {"arrived": 1, "lost": 1, "nothing": 1}),
        (5, False, {"lost": 1, "nothing": 1}),
        (6, False, {"nothing": 2}),
        (None, True, {"shown": 2, "nothing": 1}),
    ],
)
def test_failed_deliveries_again_are_counted_one_by_one(hook: int | None, dry: bool, counted: dict[str, int]) -> None:
    """Those that failed go again under their own ids, and only this hook's if there is one; nothing is fired anew."""
    engine, refs = redelivering(of1=True, of2=False)
    wish = Wish(array("q", [3, 5]), hook, None, dry, again=True)
    *_, tally = repeat(engine, wish, threading.Event())  # type: ignore[arg-type]
    assert (tally.done, tally.outcomes) == (2, Counter(counted))
    wanted = {None: refs[:2], 5: refs[1:2], 6: []}[hook]
    assert [(name, args[0]) for name, args, _ in engine.calls] == [("redeliver", ref) for ref in wanted]


def test_what_failed_is_judged_at_the_moment_of_sending() -> None:
    """A delivery that arrives while its neighbour is sent stays as it is; one whose hook is gone keeps no other."""
    engine, refs = redelivering(of2=True)
    wish = Wish(array("q", [5]), None, None, False, again=True)
    *_, tally = repeat(engine, wish, threading.Event())  # type: ignore[arg-type]
    assert tally.outcomes == Counter({"nothing": 1, "arrived": 1})

    def arrive(ref: str, **_: Any) -> Any:
        firing = engine.log.rows[0]
        engine.log.rows[0] = replace(firing, deliveries=[replace(each, state="sent") for each in firing.deliveries])
        return [SimpleNamespace(delivery=None, attempt=Attempt(2, 0, ""), ok=True)]

    engine.answers["redeliver"] = arrive
    engine.calls.clear()
    *_, tally = repeat(engine, wish, threading.Event())  # type: ignore[arg-type]
    assert tally.outcomes == Counter({"arrived": 1, "nothing": 1})
    assert [args[0] for _, args, _ in engine.calls] == refs[:1]


def test_failed_deliveries_are_offered_where_there_may_be_some() -> None:
    """Some among the firings, of this hook; or more firings than are looked at."""
    engine: Any = with_attempts(FakeEngine())
    assert may_have_failed(engine, [5, 4, 3], None)
    assert may_have_failed(engine, [5, 4, 3], 3)
    assert not may_have_failed(engine, [5, 4, 3], 4)
    assert not may_have_failed(engine, [5, 3], None)
    assert may_have_failed(engine, [5] * 1001, None)


async def test_the_failed_deliveries_of_all_that_the_filter_shows() -> None:
    """Beside «all»: asked about twice, then each goes again under its own id, with a count of those that arrived."""
    engine, refs = redelivering(of1=True, of2=False)
    async with open_log(engine=engine) as at:
        screen = await dialog(at)
        screen.query_one(Ways).choose("failed")
        await at.press("f5")
        await until(at.pilot, lambda: "неудачные доставки 5" in drawn(at.app), "the question")
        assert not engine.calls
        await at.press("right", "enter")
        await until(at.pilot, lambda: isinstance(at.app.screen, ManyScreen) and at.app.screen.ended, "the end")
        assert [call[1][0] for call in engine.calls] == [engine.log.rows[1].deliveries[0].id, *refs[:2]]
        assert "  дошло: 1" in drawn(at.app)
        assert "не дошло: 1" in drawn(at.app)


def test_the_result_stands_beside_what_was_recorded() -> None:
    """Verdict, times, every hook, and the changes as a diff."""
    text = plain(replayed_lines(SimpleNamespace(recorded=RECORDED, firing=anew(), plan=(), now=None), UNICODE))  # type: ignore[arg-type]
    assert "841 ms" in text
    assert "777 ms" in text
    assert "  - order.sum: 11950\n  + order.sum: 11000" in text
    assert "timeout" in text
    assert "Передача заказа в 1С" in text


def test_the_result_fits_into_80_columns_and_cuts_nothing_of_what_came() -> None:
    """Both ids stand whole in one line; a long figure goes on in its own column."""
    long = {"state": "retrying", "error": "timeout", "status": None, "attempts": 3, "ms": 30000}
    was = replace(RECORDED.deliveries[0], hook=HookRef(4, "hook-4", "Передача заказа в 1С-2"), **long)  # type: ignore[arg-type]
    new = replace(anew(), id="evt_38ghg477hvg194vzsxf8", deliveries=[replace(was, error="blocked_address")])
    old = replace(RECORDED, id="evt_38ghg41hbz5s909p9jhe", deliveries=[was])
    lines = replayed_lines(SimpleNamespace(recorded=old, firing=new, plan=(), now=None), UNICODE)  # type: ignore[arg-type]
    text = [plain([line]) for line in lines]
    assert text[0] == "evt_38ghg41hbz5s909p9jhe → evt_38ghg477hvg194vzsxf8"
    assert [line for line in text if len(line) > 72] == []
    assert text[5:7] == [
        "Передача заказа в 1С… → timeout, attempt     ≠ → blocked_address, 3/10",
        "                      3/10 30000 ms            30000 ms",
    ]


def test_each_delivery_sent_again_stands_beside_its_own_last_attempt() -> None:
    """From a firing's row there is no attempt under the cursor, but there is one that was recorded."""
    share = RECORDED.deliveries[0]
    done = SimpleNamespace(delivery=share, attempt=Attempt(3, 0, "", status=200, ms=7), request=None, ok=True)
    tries = [Attempt(1, 0, "", status=500, ms=4), Attempt(2, 0, "", status=503, ms=5)]
    text = plain(redelivered_lines([done], {share.id: tries})).splitlines()  # type: ignore[list-item]
    assert [line.split() for line in text[2:5]] == [
        ["response", "503", "≠", "200"],
        ["time", "5", "ms", "≠", "7", "ms"],
        ["attempt", "2", "≠", "3"],
    ]


def test_a_plan_shows_requests_and_a_command() -> None:
    """The command line's: its secrets are variables, its control characters spelled."""
    text = plain(plan_lines([step()]))
    assert 'curl -g -X POST https://price.example.ru/discount --user "$HOOK_LOGIN:$HOOK_PASSWORD"' in text
    assert "Basic ••••••••" in text
    assert r"$'x: it\'s \u001b]52" in text
    assert not UNSAFE.search(text.replace("\n", ""))


def test_redelivering_nothing_says_so() -> None:
    """A firing whose deliveries all arrived has nothing to send again."""
    assert "no failed delivery" in plain(redelivered_lines([], {}))


async def test_the_dialog_is_about_the_row_under_the_cursor() -> None:
    """Pressed before the new row's detail was read, r waits for it instead of offering the row before."""
    async with open_log() as at:
        await at.press("down", "down", "r")
        await until(at.pilot, lambda: isinstance(at.app.screen, ReplayScreen), "the dialog")
        screen = at.app.screen
        assert isinstance(screen, ReplayScreen)
        assert screen.detail.delivery is not None
        assert screen.detail.delivery.hook.name == "Остатки склада"
