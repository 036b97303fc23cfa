"""Callers that are interrupted or cancelled at any moment: each firing has its outcome, no lease is left behind."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import waiting
from sqlalchemy import func, make_url, select

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.core.firing import Run
from hookrow.core.threads import ending
from hookrow.core.threads.loops import Loops
from hookrow.core.threads.portal import Portal
from hookrow.ids import delivery_id
from hookrow.store.database import locks, server
from hookrow.store.database.locks import FIRE, SLACK, Until, holding
from hookrow.store.database.server import TICK, Server
from hookrow.store.database.tables import DELIVERIES, FIRINGS
from hookrow.store.database.writer import Writer
from hookrow.store.outbox.writing import Begin, Rows
from hookrow.testing import HookReceiver
from hookrow.testing.fixtures import hook_receiver
from silent import Silent
from warm import run_warm
from worker_bench import seen

__all__ = ["hook_receiver"]
BEFORE, AFTER, ON = "before_order_add", "after_registration", "on_subscription"
SEED = int(os.environ.get("HOOKROW_SEED", "1"))
ASLEEP = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
STORMS = [pytest.param(100, id="check"), pytest.param(2000, marks=pytest.mark.torture, id="torture")]


def rows_of_hooks(url: str) -> list[Hook]:
    """Of each kind: committed once, or twice, because a background hook stands before one that is waited for."""
    hooks = [Hook(name="after", event=AFTER, url=url)]
    for event in (BEFORE, ON):
        hooks.append(Hook(name="first", event=event, url=url, position=1))
        hooks.append(Hook(name="gate", event=event, url=url, position=2, wait_for_response=True))
        hooks.append(Hook(name="last", event=event, url=url, position=3))
    return hooks


def beside(url: str) -> Hook:
    """A second gate of that position: it is asked at the same time as the first, by the setting `together:EVENT`."""
    return Hook(name="beside", event=BEFORE, url=url, position=2, wait_for_response=True)


def judge(url: str, receiver: HookReceiver) -> Counter[str | None]:
    """Every firing has an outcome, nothing is leased to anybody, and whatever a receiver got is recorded."""
    with HookEngine(url, worker=False) as engine, engine.runtime.database.read() as connection:
        outcomes = connection.execute(select(FIRINGS.c.outcome, func.count()).group_by(FIRINGS.c.outcome)).all()
        assert connection.execute(select(DELIVERIES.c.id).where(DELIVERIES.c.lease_ms.is_not(None))).all() == []
        places = select(FIRINGS.c.uid, DELIVERIES.c.seq).join_from(DELIVERIES, FIRINGS)
        recorded = {delivery_id(uid, seq) for uid, seq in connection.execute(places)}
    assert {came.headers["webhook-id"] for came in list(receiver.received)} <= recorded
    found: Counter[str | None] = Counter({outcome: count for outcome, count in outcomes})  # noqa: C416
    assert found[None] == 0
    return found


@pytest.mark.parametrize("count", STORMS)
def test_a_storm_of_interrupts_leaves_no_firing_without_an_outcome(
    tmp_path: Path, hook_receiver: HookReceiver, count: int
) -> None:
    """SIGINT at random moments in a process of several calling threads, one in ten twice at once."""
    url = f"sqlite:///{tmp_path / 'hooks.db'}"
    with HookEngine(url, worker=False) as engine:
        for hook in (*rows_of_hooks(hook_receiver.url), beside(hook_receiver.url)):
            engine.hooks.add(hook)
        engine.settings.set(f"together:{BEFORE}", "on")
    program = Path(__file__).parents[1] / "storm_child.py"
    done = run_warm([sys.executable, str(program), url, str(SEED), str(count)], timeout=None)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= count, done.stderr
    assert "lease was lost" not in done.stderr
    assert judge(url, hook_receiver)["cancelled"]


@pytest.mark.anyio
@pytest.mark.parametrize("count", STORMS)
async def test_a_storm_of_cancellations_leaves_no_firing_without_an_outcome(
    either_url: str, hook_receiver: HookReceiver, count: int
) -> None:
    """Tasks that are cancelled at random moments, now and then twice, sixteen at once."""
    chance = random.Random(SEED)
    async with AsyncHookEngine(either_url) as engine:
        for hook in (*rows_of_hooks(hook_receiver.url), beside(hook_receiver.url)):
            await engine.hooks.add(hook)
        await engine.settings.set(f"together:{BEFORE}", "on")

        async def one(number: int) -> None:
            event = (BEFORE, AFTER, BEFORE, ON)[number % 4]
            key = f"k-{number}" if number % 3 == 0 else None
            task = asyncio.create_task(engine.fire(event, {"n": number}, idempotency_key=key))
            for _ in range(1 + (chance.random() < 0.2)):
                await asyncio.sleep(chance.random() ** 2 * 0.05)
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        for start in range(0, count, 16):
            await asyncio.gather(*(one(number) for number in range(start, min(start + 16, count))))
    found = await asyncio.to_thread(judge, either_url, hook_receiver)
    assert found["cancelled"]


@pytest.fixture
def engine(tmp_path: Path, hook_receiver: HookReceiver) -> Any:
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as engine:
        for hook in rows_of_hooks(hook_receiver.url):
            engine.hooks.add(hook)
        yield engine


@pytest.mark.parametrize("kind", [Begin, Rows], ids=["under a key", "in two commits"])
def test_an_interrupt_just_after_a_job_was_queued(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    """The writer commits it all the same, in one transaction with what ends the firing."""
    put, struck = Writer.put, list[Any]()

    def interrupted(self: Writer, waiting: Any) -> None:
        if type(waiting.job) is kind and not struck:
            struck.append(waiting)
            with self.lock:
                self.waiting.append(waiting)  # and the thread was not woken yet
            raise KeyboardInterrupt
        put(self, waiting)

    monkeypatch.setattr(Writer, "put", interrupted)
    monkeypatch.setattr(Writer, "write", Writer.wait_for)  # as where another thread writes at that moment
    with pytest.raises(KeyboardInterrupt):
        engine.fire(BEFORE, {"n": 1}, idempotency_key="k" if kind is Begin else None)
    assert struck
    [firing] = engine.log.page()
    assert (firing.outcome, [each.outcome for each in firing.deliveries][1:]) == ("cancelled", ["cancelled"] * 2)


@pytest.mark.parametrize("event", [BEFORE, AFTER])
def test_an_interrupt_between_the_hooks_and_the_record(
    engine: HookEngine, hook_receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """What was asked is recorded with its answer; what was not sent is cancelled."""

    def interrupted(self: Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "finish_here", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.fire(event, {"n": 1})
    [firing] = engine.log.page()
    expected = ["queued", "ok", "cancelled"] if event == BEFORE else ["cancelled"]
    assert (firing.outcome, [each.outcome for each in firing.deliveries]) == ("cancelled", expected)
    assert len(hook_receiver.received) == (event == BEFORE)


def test_an_interrupt_after_the_last_commit_gives_its_leases_back(
    tmp_path: Path, hook_receiver: HookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row was born leased to this process, whose worker was never handed it: it goes at once all the same."""
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}") as engine:
        engine.hooks.add(rows_of_hooks(hook_receiver.url)[0])

        def interrupted(self: Run, *_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Run, "note_written", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.fire(AFTER, {"n": 1})
        hook_receiver.wait(1)
        [firing] = engine.log.page()
    assert (firing.outcome, firing.deliveries[0].takeovers) == ("allowed", 0)


class Late(Exception):
    """A lock was waited for too long."""


class InterruptedLock:
    """A lock that is taken, and then the interrupt comes."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def acquire(self, timeout: float) -> bool:
        self.inner.acquire(timeout=timeout)
        raise KeyboardInterrupt

    def release(self) -> None:
        self.inner.release()


def test_an_interrupt_leaves_no_lock_of_the_process_taken() -> None:
    """Neither that of who writes nor that of who reads the hooks: both are taken so."""
    lock: Any = threading.RLock()
    with pytest.raises(KeyboardInterrupt), holding(InterruptedLock(lock), Late):  # type: ignore[arg-type]
        pass
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lock.acquire, timeout=1.0).result()
        with pytest.raises(Late), Until(0.01), holding(lock, Late):
            pass
        other.submit(lock.release).result()  # it is the other thread's still


class StuckFiring:
    """A firing whose end can't be recorded before the test says so."""

    def __init__(self) -> None:
        self.asked, self.gate = threading.Event(), threading.Event()
        self.runtime: Any = SimpleNamespace(database=SimpleNamespace(writer=self))

    def ending(self) -> Any:
        return None

    def patience(self, least: float) -> float:
        return least

    def write(self, job: Any, seconds: float) -> None:
        self.asked.set()
        assert self.gate.wait(10), "somebody waits for it"


def test_all_that_an_interrupted_call_waits_for_has_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted from the interrupt: what letting go of the hooks took is not waited for once more to record the
    end, which goes on by itself."""
    clock = [1000.0]
    for place in (ending, locks):
        monkeypatch.setattr(place, "now", lambda: clock[0])
        monkeypatch.setattr(place, "LET_GO", 3600.0)

    async def asking() -> None:
        asyncio.get_running_loop().call_soon(strike)
        try:
            await asyncio.Event().wait()
        finally:
            clock[0] += ending.LET_GO  # a commit under way ends first

    def strike() -> None:
        raise KeyboardInterrupt

    loops = Loops(Portal(), nothing_kept)
    with pytest.raises(KeyboardInterrupt) as struck:
        loops.run(asking())
    firing = StuckFiring()
    ending.end_in_thread(firing, struck.value)
    assert firing.asked.wait(30)
    assert not firing.gate.is_set()
    firing.gate.set()
    loops.close()


@pytest.mark.anyio
@pytest.mark.parametrize("answers", [True, False], ids=["a server that lives", "one gone silent"])
async def test_an_interrupted_statement_is_ended(
    postgres_url: str, lag: Any, monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """At once: psycopg would wait for five seconds until the server has heard of it, and five more for its end."""
    if answers:
        monkeypatch.setattr(server, "SLACK", 60.0)  # on a machine that is busy it may live and be late
    real, first, plain = waiting.wait, [True], postgres_url.replace("+psycopg", "")

    def interrupted(steps: Any, *where: Any, **named: Any) -> Any:
        if not first:
            return real(steps, *where, **named)
        first.clear()
        next(steps)  # it is on its way
        with psycopg.connect(plain, autocommit=True) as beside:
            while answers and not beside.execute(ASLEEP).fetchall():  # sooner, the server heeds no cancel request
                pass
        raise KeyboardInterrupt

    def ask() -> float:
        connection.execute("SELECT 1")
        monkeypatch.setattr(waiting, "wait", interrupted)
        if not answers:
            proxy.silent.set()
        began = time.monotonic()
        with Until(FIRE), pytest.raises(KeyboardInterrupt):
            connection.execute("SELECT pg_sleep(30)")
        return time.monotonic() - began

    address = make_url(postgres_url)
    with Silent(address) as proxy:
        connection = Server.connect(proxy.url(address).replace("+psycopg", ""))
        took = await asyncio.to_thread(ask)
        assert connection.closed is not answers
        if not answers:
            assert took <= lag.bound(2 * SLACK + 4 * TICK)
        else:
            connection.rollback()
            assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.close()


def test_a_statement_that_is_interrupted_between_two_steps_ends_its_connection(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can go on with them: the next statement would have been refused for what was left of this one."""

    def piped(self: Server, said: Any) -> Any:
        self.pgconn.enter_pipeline_mode()
        raise KeyboardInterrupt
        yield

    connection = Server.connect(postgres_url.replace("+psycopg", ""))
    monkeypatch.setattr(Server, "piped", piped)
    with pytest.raises(KeyboardInterrupt):
        connection.say("SELECT 1")
    assert connection.closed


async def nothing_kept() -> None:
    """What an engine lets go of with its loop."""


@pytest.mark.anyio
async def test_what_was_committed_for_a_cancelled_caller_is_handed_over(
    either_url: str, hook_receiver: HookReceiver, lag: Any
) -> None:
    """`asyncio.timeout` while the commit is under way: sent at once, not when the lease of a minute has lapsed."""
    async with AsyncHookEngine(either_url) as engine:
        await engine.hooks.add(
            Hook(key="a", name="a", event=AFTER, url=hook_receiver.url, response_has_data=True, timeout=30)
        )
        await engine.fire(AFTER, {"n": 0})
        await seen(lambda: len(hook_receiver.received) == 1)
        writer = engine.runtime.database.writer
        holder = ThreadPoolExecutor(1)  # whoever paused it lets it go on
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(holder, writer.pause)
        firing = asyncio.create_task(engine.fire(AFTER, {"n": 1}))
        await seen(lambda: any(isinstance(each.job, Rows) for each in list(writer.waiting)))
        firing.cancel()
        await asyncio.sleep(0)
        started = loop.time()
        await loop.run_in_executor(holder, writer.go_on)
        holder.shutdown()
        with pytest.raises(asyncio.CancelledError):
            await firing
        await seen(lambda: len(hook_receiver.received) == 2)
        assert loop.time() - started <= lag.bound(1.0)
        [newest] = await engine.log.page(limit=1)
        await seen(lambda: bool(newest.deliveries))
        assert newest.deliveries[0].takeovers == 0
