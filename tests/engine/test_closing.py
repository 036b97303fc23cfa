"""The end of an engine for threads: who may still pass, what is refused, and closing it once more."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from hookrow import Hook, HookEngine
from hookrow.core.threads import running
from hookrow.core.threads.portal import Portal
from hookrow.errors import EngineClosed, FiringNotFound
from receivers import Receiver, hold, reply
from strikes import Strike
from worker_bench import seen

BEFORE, AFTER = "before_order_add", "after_registration"
NOBODYS = "evt_38h8526f19ysc0ee3fr9"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HookEngine]:
    """On a file of the test's own."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db") as made:
        yield made


def caught(errors: list[BaseException], call: Callable[[], object], name: str | None = None) -> threading.Thread:
    """A thread that calls this; what it raises is kept."""

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 (which one it is, is the question)
            errors.append(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def at_its_end(engine: HookEngine, monkeypatch: pytest.MonkeyPatch, then: Callable[[], Awaitable[object]]) -> None:
    """The first time that the engine is closed this comes before anything is ended."""
    real = engine.end

    async def end(grace: float) -> None:
        monkeypatch.setattr(engine, "end", real)
        await then()
        await real(grace)

    monkeypatch.setattr(engine, "end", end)


def test_a_call_that_is_handed_over_as_the_engine_closes_has_its_answer(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread loses the processor with the loop in its hand: the engine's end comes after it, and waits for it."""
    inside, go, real = threading.Event(), threading.Event(), Portal.running

    def running(self: Portal) -> asyncio.AbstractEventLoop:
        loop = real(self)
        if threading.current_thread().name == "caller":
            inside.set()
            go.wait(10)
        return loop

    monkeypatch.setattr(Portal, "running", running)
    errors: list[BaseException] = []
    caller = caught(errors, lambda: engine.redeliver(NOBODYS), "caller")
    assert inside.wait(10)
    closer = caught(errors, engine.close)
    closer.join(0.1)
    go.set()
    for thread in (caller, closer):
        thread.join(10)
        assert not thread.is_alive()
    assert [type(error) for error in errors] == [FiringNotFound]


def test_who_waits_for_what_does_not_let_go_is_told_at_the_loops_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing answers it any more."""
    monkeypatch.setattr(running, "LET_GO", 0.01)
    portal, begun = Portal(), threading.Event()

    async def stubborn() -> None:
        begun.set()
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    errors: list[BaseException] = []
    caller = caught(errors, lambda: portal.call(stubborn()))
    assert begun.wait(10)
    assert portal.loop is not None
    portal.loop.set_exception_handler(lambda loop, context: None)
    portal.shut()
    portal.call(portal.settle(0), last=True)
    portal.close()
    caller.join(10)
    assert not caller.is_alive()
    assert [type(error) for error in errors] == [EngineClosed]


def test_a_close_that_ctrl_c_interrupts_goes_on_when_called_again(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is at exit: what is answered within the grace is recorded, and goes no second time."""
    answered = threading.Event()
    ctrl_c = Strike(signal.SIGINT, lambda: signal.default_int_handler(signal.SIGINT, None))

    async def end(grace: float) -> None:
        monkeypatch.undo()
        ending = asyncio.ensure_future(engine.end(grace))
        await seen(lambda: engine.sending.worker is not None and engine.sending.worker.closing)
        ctrl_c.send()
        await ending

    monkeypatch.setattr(engine, "end", end)
    with ctrl_c, Receiver(reply(200, after=answered)) as receiver:
        engine.hooks.add(Hook(name="h", event=AFTER, url=receiver.url))
        firing = engine.fire(AFTER, {"n": 1})
        receiver.wait(1)
        with pytest.raises(KeyboardInterrupt):
            engine.close()
        answered.set()
        engine.close()
        assert engine.runtime.closed
        assert not engine.portal.started
    with HookEngine(engine.url, worker=False) as later:
        assert later.log.get(firing.id).deliveries[0].outcome == "sent"


STEPS = ["portal.call", "portal.close", "portal.thread.join", "portal.wait_for_threads", "loops.close", "direct.close"]
STEPS += ["runtime.close", "runtime.database.close", "runtime.database.writer.close"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before it", "after it"])
def test_every_step_of_a_close_can_be_interrupted(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """The next close does all that is left, and there is nothing that it trips over."""
    place, _, name = step.rpartition(".")
    owner: Any = attrgetter(place)(engine)
    real = getattr(owner, name)

    def interrupted(*args: Any, **more: Any) -> None:
        monkeypatch.undo()
        if when == "after it":
            real(*args, **more)
        else:
            for each in args:
                if asyncio.iscoroutine(each):
                    each.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.close()
    ended: list[str] = []
    engine.runtime.database.disconnect = lambda: ended.append("disconnected")  # type: ignore[method-assign]
    engine.close()
    assert (engine.portal.started, engine.runtime.closed, ended) == (False, True, ["disconnected"])


def test_two_threads_may_close_at_once(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits until the first has closed it."""
    inside, go = threading.Event(), asyncio.Event()

    async def wait() -> None:
        inside.set()
        await go.wait()

    at_its_end(engine, monkeypatch, wait)
    errors: list[BaseException] = []
    closed: list[bool] = []
    first = caught(errors, engine.close)
    assert inside.wait(10)
    second = caught(errors, lambda: (engine.close(), closed.append(engine.runtime.closed)))
    second.join(0.05)
    assert engine.portal.loop is not None
    engine.portal.loop.call_soon_threadsafe(go.set)
    for thread in (first, second):
        thread.join(10)
        assert not thread.is_alive()
    assert (errors, closed) == ([], [True])


def test_a_signals_handler_may_close_what_its_thread_is_closing(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one for SIGTERM: it waits for nothing that its own thread has to do first."""
    handled = asyncio.Event()
    closed: list[bool] = []

    def handle() -> None:
        engine.close()
        closed.append(engine.runtime.closed)
        assert engine.portal.loop is not None
        engine.portal.loop.call_soon_threadsafe(handled.set)

    async def strike() -> None:
        alarm.send()
        await handled.wait()

    with Strike(signal.SIGALRM, handle) as alarm:
        at_its_end(engine, monkeypatch, strike)
        engine.close()
    assert (closed, engine.runtime.closed) == ([False], True)


def test_a_child_of_a_fork_may_be_closed_while_its_parent_closes(
    engine: HookEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent's thread that does so is not there: nothing waits for it."""
    inside, go = threading.Event(), asyncio.Event()

    async def wait() -> None:
        inside.set()
        await go.wait()

    at_its_end(engine, monkeypatch, wait)
    closer = caught([], engine.close)
    assert inside.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        engine.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert engine.portal.loop is not None
    engine.portal.loop.call_soon_threadsafe(go.set)
    closer.join(10)
    assert not closer.is_alive()


def test_an_awaited_fire_that_the_engines_end_cuts_off_says_so(engine: HookEngine) -> None:
    """Nobody has cancelled the task that awaits it: a group of tasks would have taken it for done."""

    async def service(receiver: Receiver) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.afire(BEFORE, {"n": 1}))
            await asyncio.to_thread(receiver.wait, 1)
            await asyncio.to_thread(engine.close, 0)

    with Receiver(hold) as receiver:
        engine.hooks.add(Hook(name="g", event=BEFORE, url=receiver.url, wait_for_response=True, timeout=20))
        with pytest.raises(ExceptionGroup) as raised:
            asyncio.run(service(receiver))
    assert [type(error) for error in raised.value.exceptions] == [EngineClosed]
    with HookEngine(engine.url, worker=False) as later:
        assert [each.outcome for each in later.log.page()] == ["cancelled"]


def test_an_engine_that_runs_is_held_until_it_is_closed(tmp_path: Path) -> None:
    """Its worker goes on where the service holds it no more: it is closed at exit as any other."""
    engine = HookEngine(f"sqlite:///{tmp_path}/hooks.db")
    engine.ensure_worker()
    held = weakref.ref(engine)
    del engine
    gc.collect()
    found = held()
    assert found is not None
    found.close()
    del found
    gc.collect()
    assert held() is None
