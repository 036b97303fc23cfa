"""Hooks that fail every time: counted by one rule in every face, named before anybody asks, until they work again."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from hookrow import AsyncHookEngine, Event, Hook, HookEngine, lang
from hookrow.cli.app import run
from hookrow.glance import glance
from hookrow.ids import id_at
from hookrow.store.aside import Threads
from hookrow.store.database.database import Database
from hookrow.store.database.plain import Ask
from hookrow.store.log.figures import Calls, HookCall, failing_now, last_day
from hookrow.testing import HookReceiver, ManualClock, MemoryEngine, allows, fails

NOW_MS = 1_795_000_000_000
ORDER = {"order": {"id": 7}}
EVENT = Event("shop.sent", "Sent", "after", sample={"order": {"id": 7, "note": "x"}})


def engine_on(database: Database, clock: ManualClock | None = None) -> HookEngine:
    """An engine of its own on the test's database."""
    database.disconnect()
    url = database.address.render_as_string(hide_password=False)
    return HookEngine(url, worker=False, events=[EVENT], clock=clock)


def gate(key: str, receiver: HookReceiver, **more: Any) -> Hook:
    """A hook that is waited for."""
    return Hook(key=key, name=key, event="before_order_add", url=receiver.url, wait_for_response=True, **more)


def test_failures_without_a_request_count(database: Database) -> None:
    """A template or a condition that a deploy broke: calls, errors, a row of failures; the figures are the same in the
    list, the statistics and the banner, and skipped shares are none."""
    with HookReceiver(allows()) as receiver, engine_on(database) as engine:
        engine.hooks.add(Hook(key="t", name="T", event="shop.sent", url=receiver.url, body='{"n": {{ order.note }}}'))
        engine.hooks.add(gate("c", receiver, condition="order.number == 'A'"))
        engine.hooks.add(gate("off", receiver, active=False))
        for _ in range(15):
            engine.fire("shop.sent", ORDER)
            engine.fire("before_order_add", ORDER)
        ids = {hook.key: hook.id or 0 for hook in engine.hooks.list()}
        figures, statistics, summary = engine.log.hook_figures(), engine.log.statistics(), engine.log.summary()
        for key, error in (("t", "template_error"), ("c", "condition_error")):
            seen, week = figures[ids[key]], statistics[ids[key]].week
            assert (seen.calls, seen.errors, seen.failing, seen.last_error) == (15, 15, 15, error)
            assert (week.calls, week.errors, week.p50_ms) == (15, 15, None)
        assert ids["off"] not in figures
        assert summary.errors_last_hour == 30
        assert set(summary.failing) == {ids["t"], ids["c"]}
        if engine.path is not None:
            seen_at_once = glance(f"sqlite:///{engine.path}")
            assert seen_at_once is not None
            assert (seen_at_once.figures, seen_at_once.summary) == (figures, summary)
        engine.hooks.pause("c")  # which says so itself
        assert set(engine.log.summary().failing) == {ids["t"]}
        engine.hooks.update("t", {"active": False})  # and so does this
        assert engine.log.summary().failing == ()


KNOWN = {"f": True, "o": False, "?": None}


@pytest.mark.parametrize(
    ("newest_first", "failing"),
    [
        ("", 0),
        ("f", 0),
        ("ff", 2),
        ("ffff", 4),
        ("ffffo", 0),
        ("fffffo", 5),
        ("fffffff", 7),
        ("offffff", 0),
        ("?ff", 2),
        ("f?ffffo", 5),
        ("????", 0),
    ],
)
def test_what_every_time_means(newest_first: str, failing: int) -> None:
    """The last five, or all where there are two to four; what is under way says nothing."""
    calls = Calls([HookCall(number, KNOWN[each], None, None, None) for number, each in enumerate(newest_first)], 0)
    assert len(calls.failing) == failing


@pytest.mark.parametrize("beginning", ["", "?", "f", "o", "s" * 15, "s" * 16, "f?" * 9, "sf" * 9, "?" * 20])
@pytest.mark.parametrize(
    "end", ["", "o", "f", "ff", "fffff", "fffffffo", "s" * 30, "s" * 30 + "f", "s" * 10_000 + "ff"]
)
def test_the_banner_reads_few_deliveries_and_says_the_same(beginning: str, end: str) -> None:
    """`s`: not called."""
    states = {"f": ("failed", "timeout"), "o": ("ok", None), "?": ("leased", None), "s": ("skipped", None)}
    newest = beginning + end
    rows = [(id_at(NOW_MS - n), *states[each], None, None, None, False, False, False) for n, each in enumerate(newest)]
    limits: list[int] = []

    def ask(question: str, values: Mapping[str, Any]) -> list[Any]:
        limits.append(values["most"])
        return rows[: values["most"]]

    seen = last_day(ask, [7], NOW_MS)
    limits.clear()
    assert failing_now(ask, [7], NOW_MS) == [hook for hook, figures in seen.items() if figures.failing]
    assert limits[0] <= 16
    assert len(limits) == 1 or set(newest[:16]) <= set("s?f")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of since the last time."""
    found = [each.getMessage() for each in caplog.records if each.name == "hookrow" and "hook " in each.getMessage()]
    caplog.clear()
    return found


def test_the_logger_tells_once_a_minute_and_once_when_it_works_again(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """And the firing carries a warning, which the log keeps by code."""
    caplog.set_level(logging.WARNING, "hookrow")
    clock = ManualClock()
    with HookReceiver(fails(404)) as receiver, engine_on(database, clock) as engine:
        engine.hooks.add(gate("g", receiver, on_failure="stop"))
        assert engine.fire("before_order_add", ORDER).warnings == ()
        assert said(caplog) == []
        assert engine.fire("before_order_add", ORDER).warnings == ()
        assert said(caplog) == ["hook g fails every time: 2 calls in a row, bad_status, on_failure is stop"]
        firing = engine.fire("before_order_add", ORDER)
        assert firing.warnings == ("g: its last 3 calls all failed",)
        assert engine.log.get(firing.id).warnings == firing.warnings
        assert said(caplog) == []
        clock.forward(61)
        engine.fire("before_order_add", ORDER)
        assert said(caplog) == ["hook g fails every time: 4 calls in a row, bad_status, on_failure is stop"]
        receiver.script = allows()
        assert engine.fire("before_order_add", ORDER).warnings == ()
        assert said(caplog) == ["hook g works again; 4 calls in a row had failed"]
        receiver.script = fails(404)
        engine.fire("before_order_add", ORDER)
        engine.fire("before_order_add", ORDER)
        assert said(caplog) == [], "two of the last five did not fail"


def test_another_address_says_nothing_of_a_hook(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A laptop that fails (`--to`) makes no failing hook, one that answers mends none; the banner counts neither."""
    caplog.set_level(logging.WARNING, "hookrow")
    with HookReceiver() as own, HookReceiver(fails(500)) as laptop, engine_on(database) as engine:
        engine.hooks.add(gate("g", own))
        firing = engine.fire("before_order_add", ORDER)
        for _ in range(3):
            engine.replay(firing.id, to=laptop.url)
        assert (engine.log.summary().errors_last_hour, said(caplog)) == (0, [])
        own.script = fails(500)
        for _ in range(6):
            engine.fire("before_order_add", ORDER)
        assert (engine.log.summary().errors_last_hour, len(said(caplog))) == (6, 1)
        again = engine.replay(firing.id, to=laptop.url).firing
        assert again is not None
        assert again.warnings == ()
        laptop.script = allows()
        engine.replay(firing.id, to=laptop.url)
        assert said(caplog) == []
        assert engine.fire("before_order_add", ORDER).warnings == ("g: its last 7 calls all failed",)


def test_who_asks_the_log_about_a_hook_holds_up_nobody_else(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first failure in a minute is looked up; a database that is slow then costs its own caller time alone."""
    entered, go = threading.Event(), threading.Event()
    with HookReceiver(fails(404)) as receiver, engine_on(database) as engine, ThreadPoolExecutor(1) as pool:
        engine.hooks.add(gate("g", receiver))
        asking = engine.runtime.database.asking

        def slow() -> AbstractContextManager[Ask]:
            entered.set()
            assert go.wait(60)
            return asking()

        monkeypatch.setattr(engine.runtime.database, "asking", slow)
        first = pool.submit(engine.fire, "before_order_add", ORDER)
        try:
            assert entered.wait(60)
            for _ in range(2):
                assert engine.fire("before_order_add", ORDER).deliveries[0].error == "bad_status"
            assert not first.done()
        finally:
            go.set()
        assert first.result(60).deliveries[0].error == "bad_status"
        assert engine.runtime.failing.before(engine.hooks.get("g").id or 0) == 3


@pytest.mark.anyio
async def test_a_call_does_not_wait_for_a_free_thread(tmp_path: Path, lag: Any) -> None:
    """What is noted of a failing hook for the logger goes to a thread of the engine's pool, which may be full."""
    go, loop = threading.Event(), asyncio.get_running_loop()
    with HookReceiver(fails(404)) as receiver:
        async with AsyncHookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as engine:
            await engine.fire("before_order_update", ORDER)  # whose first look takes what it takes
            await engine.hooks.add(gate("g", receiver))
            pool = engine.runtime.database.threads.pool()
            full = [loop.run_in_executor(pool, go.wait, 60) for _ in range(Threads.MOST)]
            try:
                began = loop.time()
                firing = await engine.fire("before_order_add", ORDER, deadline=1.0)
                assert loop.time() - began <= lag.bound(1.25)
                assert firing.deliveries[0].error == "bad_status"
            finally:
                go.set()
            assert all(await asyncio.gather(*full))


def test_a_worker_tells_too(caplog: pytest.LogCaptureFixture) -> None:
    """Of background deliveries, whose firings are long over."""
    caplog.set_level(logging.WARNING, "hookrow")
    with HookReceiver(fails(500)) as receiver, MemoryEngine(events=[EVENT]) as engine:
        engine.hooks.add(Hook(key="b", name="b", event="shop.sent", url=receiver.url, fire_and_forget=False))
        for _ in range(3):
            engine.fire("shop.sent", ORDER)
        engine.deliver()
        assert [each for each in said(caplog) if "every time" in each] != []
        receiver.script = allows()
        engine.clock.forward(3600)
        engine.deliver()
        assert "works again" in said(caplog)[-1]


@pytest.mark.parametrize("language", ["en", "ru"])
def test_doctor_and_list_name_them_those_that_stop_operations_first(
    database: Database, language: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1, since when, and how many operations were stopped."""
    with HookReceiver(fails(500)) as receiver, engine_on(database) as engine:
        engine.hooks.add(gate("soft", receiver))
        engine.hooks.add(gate("hard", receiver, on_failure="stop"))
        for _ in range(3):
            engine.fire("before_order_add", ORDER)
    url = database.address.render_as_string(hide_password=False)
    monkeypatch.setattr(lang.Speech, "language", language)  # which --lang sets, is set back
    assert run(["--db", url, "--lang", language, "doctor", "--json"]) == 1
    found = [each for each in json.loads(capsys.readouterr().out)["findings"] if each["code"].startswith("failing")]
    assert [(each["code"], each["hook"]["key"]) for each in found] == [("failing_stop", "hard"), ("failing", "soft")]
    assert "500" in found[0]["message"]
    assert ("3 operations were stopped" if language == "en" else "3 операции") in found[0]["message"]
    assert run(["--db", url, "--lang", language, "hooks", "list"]) == 0
    assert capsys.readouterr().out.count("fails every time (3)" if language == "en" else "ошибка каждый раз (3)") == 2
