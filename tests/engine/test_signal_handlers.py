"""What a service's signal handlers do with the engine, in the very thread whose call they interrupt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection

from hookrow import Hook, HookEngine
from hookrow.errors import DatabaseBusy, EngineClosed, StorageError
from hookrow.store.database.database import Database
from hookrow.system.locks import owners
from receivers import Receiver, hold, reply
from strikes import Strike

BEFORE, AFTER = "before_order_add", "after_registration"
SECONDS = 20


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """What hangs is ended; the handlers of a test are gone after it."""
    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, before)


def on_signal(do: Callable[[], object]) -> None:
    """What the handler does."""
    signal.signal(signal.SIGUSR1, lambda *_: do())


def engine_on(url: str, receiver: Receiver, *, worker: bool = False) -> HookEngine:
    """With a hook in background and a gate."""
    engine = HookEngine(url, worker=worker)
    engine.hooks.add(Hook(key="bg", name="bg", event=AFTER, url=receiver.url))
    engine.hooks.add(Hook(key="gate", name="gate", event=BEFORE, url=receiver.url, wait_for_response=True))
    return engine


@pytest.fixture
def engine(either_url: str, receiver: Receiver) -> Iterator[HookEngine]:
    """On each database."""
    with engine_on(either_url, receiver) as made:
        yield made


def struck(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have the signal come in the middle of the next commit."""
    real, first = Database.config_in, [True]

    def config_in(self: Database, connection: Connection) -> Any:
        if first:
            first.clear()
            signal.raise_signal(signal.SIGUSR1)
        return real(self, connection)

    on_signal(do)
    monkeypatch.setattr(Database, "config_in", config_in)


def firings(engine: HookEngine) -> list[Any]:
    """Each recorded firing's number, newest first."""
    return [each.payload["n"] for each in engine.log.page()]


def test_a_commit_goes_on_that_a_handler_interrupts(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the handler writes is refused at once, in words, also where others wait to write; the commit is one."""
    earlier = engine.fire(AFTER, {"n": 0})
    said: list[object] = []
    others: list[Future[int]] = []

    def handler() -> None:
        others.append(engine.runtime.database.writer.submit(lambda connection: 1))
        said.append(engine.fire(AFTER, {"n": 2}).error)
        for call in (
            lambda: engine.fire(BEFORE, {"n": 3}),
            lambda: engine.hooks.pause("bg"),
            lambda: engine.redeliver(earlier.id),
            engine.drain,
        ):
            with pytest.raises(StorageError) as refused:
                call()
            said.append(refused.value)

    struck(monkeypatch, handler)
    fired = engine.fire(AFTER, {"n": 1})
    assert (fired.outcome, fired.error) == ("allowed", None)
    assert [type(each) for each in said] == [DatabaseBusy] * 5
    assert all("a signal handler interrupted" in str(each) for each in said)
    assert firings(engine) == [1, 0]
    assert engine.fire(AFTER, {"n": 4}).error is None
    assert others[0].result(SECONDS) == 1


def test_a_handler_fires_wherever_nothing_is_being_committed(engine: HookEngine) -> None:
    """Whatever lock its own thread has just then."""
    engine.fire(BEFORE, {"n": 0})
    locks = [engine.portal.lock, engine.loops.lock, *(owner.lock for owner in owners)]
    for lock in locks:
        lock.acquire()
    try:
        assert engine.fire(BEFORE, {"n": 1}, idempotency_key="k").error is None  # asked on a loop
        assert engine.fire(AFTER, {"n": 2}).error is None
    finally:
        for lock in locks:
            lock.release()
    assert firings(engine) == [2, 1, 0]


def test_a_handler_closes_the_engine_in_the_middle_of_a_firing(either_url: str) -> None:
    """It waits for nothing: the firing has its answer and is recorded, then the engine ends."""
    closed = threading.Event()

    def answer(request: Any) -> Any:
        strike.send()
        assert closed.wait(SECONDS)
        return reply(200, b"{}")(request)

    strike = Strike(signal.SIGUSR1, lambda: (engine.close(), engine.close(), closed.set()))
    with strike, Receiver(answer) as receiver, engine_on(either_url, receiver, worker=True) as engine:
        fired = engine.fire(BEFORE, {"n": 1})
        assert (fired.outcome, fired.error) == ("allowed", None)
        engine.close()
        assert engine.runtime.closed
        with pytest.raises(EngineClosed):
            engine.fire(BEFORE, {"n": 2})
    with HookEngine(either_url, worker=False) as later:
        assert [each.outcome for each in later.log.page()] == ["allowed"]


@pytest.mark.parametrize("key", [None, "on a loop"])
def test_what_a_handler_cuts_off_is_recorded(either_url: str, key: str | None) -> None:
    """Its grace is over before the receiver has answered."""
    strike = Strike(signal.SIGUSR1, lambda: engine.close(grace=0))
    with strike, Receiver(hold) as receiver, engine_on(either_url, receiver) as engine:
        asked = threading.Thread(target=lambda: (receiver.wait(1), strike.send()))
        asked.start()
        with pytest.raises(EngineClosed):
            engine.fire(BEFORE, {"n": 1}, idempotency_key=key)
        asked.join()
    with HookEngine(either_url, worker=False) as later:
        assert [each.outcome for each in later.log.page()] == ["cancelled"]


def test_a_handler_closes_the_engine_in_the_middle_of_a_commit(
    either_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit ends first."""
    with engine_on(either_url, receiver) as engine:
        struck(monkeypatch, engine.close)
        with suppress(EngineClosed):  # which it may be before the new hook is shown
            engine.hooks.add(Hook(key="new", name="new", event=AFTER, url=receiver.url))
    assert engine.runtime.closed
    with HookEngine(either_url, worker=False) as later:
        assert {each.key for each in later.hooks.list()} == {"bg", "gate", "new"}


def test_without_room_for_a_thread_a_handler_is_told(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is closed: it may be tried again."""
    monkeypatch.setattr("hookrow.core.blocking.started", lambda thread: False)
    said: list[BaseException] = []

    def handler() -> None:
        with pytest.raises(RuntimeError) as refused:
            engine.close()
        said.append(refused.value)

    struck(monkeypatch, handler)
    assert engine.fire(AFTER, {"n": 1}).error is None
    assert [str(each) for each in said] == ["no thread can be started"]
    assert engine.fire(AFTER, {"n": 2}).error is None
