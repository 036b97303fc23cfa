"""Observers are told of every firing and every attempt, and can neither break nor delay one."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from hookrow import AttemptObserved, FiringObserved, Hook, HookEngine, StorageError
from hookrow import observers as module
from scripted import Network, answer

SECRET = "s3cr3t"
BEFORE, AFTER = "before_order_add", "after_registration"
call: ContextVar[str] = ContextVar("call", default="none")


class Notes:
    """An observer that remembers, and in which context it was told."""

    def __init__(self) -> None:
        self.firings: list[FiringObserved] = []
        self.attempts: list[AttemptObserved] = []
        self.contexts: list[str] = []

    def on_firing(self, seen: FiringObserved) -> None:
        self.firings.append(seen)
        self.contexts.append(call.get())

    def on_attempt(self, seen: AttemptObserved) -> None:
        self.attempts.append(seen)
        self.contexts.append(call.get())


@pytest.fixture
def network() -> Network:
    """Receivers: `no` refuses, `broken` answers 500, all others allow."""
    return Network(no=answer(body={"allow": False, "code": "SOLD"}), broken=answer(500))


def engine_on(tmp_path: Path, network: Network, *observers: Any) -> HookEngine:
    """An engine with these observers, without a worker."""
    return HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, transport=network, observers=observers)


def waiting(name: str, **more: Any) -> Hook:
    """A gate whose URL and login hold what no record may hold."""
    url = f"http://login:{SECRET}@receiver.test:8443/{name}?token={SECRET}"
    return Hook(key=name, name=name, event=BEFORE, url=url, wait_for_response=True, **more)


def test_a_firing_and_its_attempts_are_told(tmp_path: Path, network: Network) -> None:
    """Outcomes and reasons of every hook, the one that refused, and each request with where it went."""
    notes = Notes()
    with engine_on(tmp_path, network, notes) as engine:
        engine.hooks.add(waiting("broken", position=1))
        engine.hooks.add(waiting("no", position=2, custom_header="X-Key: " + SECRET))
        engine.hooks.add(waiting("later", position=3))
        firing = engine.fire(BEFORE, {"order": {"card": SECRET}})
        engine.fire("before_user_new", {})  # nobody listens: nothing happened
    [seen] = notes.firings
    assert (seen.id, seen.event, seen.moment, seen.outcome, seen.code) == (
        firing.id,
        BEFORE,
        "before",
        "vetoed",
        "SOLD",
    )
    assert seen.refused_by is not None
    assert (seen.refused_by.key, seen.recorded, seen.error) == ("no", True, None)
    assert [(each.hook.key, each.outcome, each.reason) for each in seen.hooks] == [
        ("broken", "failed", "bad_status"),
        ("no", "vetoed", None),
        ("later", "skipped", "after_veto"),
    ]
    assert [(each.hook.key, each.outcome, each.status, each.error, each.host) for each in notes.attempts] == [
        ("broken", "failed", 500, "bad_status", "receiver.test:8443"),
        ("no", "vetoed", 200, None, "receiver.test:8443"),
    ]
    assert {each.firing_id for each in notes.attempts} == {firing.id}
    assert [each.delivery_id for each in notes.attempts] == [each.id for each in firing.deliveries[:2]]
    assert SECRET not in repr([dataclasses.asdict(each) for each in (*notes.firings, *notes.attempts)])


def test_the_workers_attempts_redeliveries_and_tests_are_told(tmp_path: Path, network: Network) -> None:
    """All requests leave by one way, and each is told with its origin."""
    notes = Notes()
    with engine_on(tmp_path, network, notes) as engine:
        hook = engine.hooks.add(Hook(key="crm", name="crm", event=AFTER, url="http://receiver.test/crm"))
        firing = engine.fire(AFTER, {"user": {"id": 1}})
        engine.send_own(firing)
        engine.redeliver(firing.deliveries[0].id)
        engine.test(hook.id or 0)
    assert [(each.origin, each.number, each.test, each.outcome) for each in notes.attempts] == [
        ("worker", 1, False, "sent"),
        ("redeliver", 2, False, "sent"),
        ("fire", 1, True, "sent"),
    ]


def test_what_is_not_committed_says_so(tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firing in the caller's transaction, and one that the database refused."""
    notes = Notes()
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", 0.05)
    with engine_on(tmp_path, network, notes) as engine:
        engine.hooks.add(Hook(key="crm", name="crm", event=AFTER, url="http://receiver.test/crm"))
        engine.hooks.add(waiting("gate"))
        host = create_engine(engine.url)
        with host.begin() as connection:
            engine.fire(AFTER, {"user": {"id": 1}}, connection=connection)
            with pytest.raises(StorageError):
                engine.fire(BEFORE, {"order": {}})
        host.dispose()
    assert [(each.event, each.recorded, each.error) for each in notes.firings] == [
        (AFTER, False, None),
        (BEFORE, False, "DatabaseBusy"),
    ]


def test_an_observer_is_told_in_the_callers_context(tmp_path: Path, network: Network) -> None:
    """Also what the engine did on a loop and in threads of its own."""
    notes = Notes()
    with engine_on(tmp_path, network, notes) as engine:
        engine.hooks.add(waiting("gate"))
        call.set("checkout")
        engine.fire(BEFORE, {"order": {}})
        call.set("none")
    assert notes.contexts == ["checkout", "checkout"]


def test_a_failing_observer_breaks_nothing(tmp_path: Path, network: Network, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once until it works again, and the others are told."""

    class Broken(Notes):
        def on_firing(self, seen: FiringObserved) -> None:
            raise RuntimeError("no metrics today")

        on_attempt = on_firing  # type: ignore[assignment]

    notes = Notes()
    with engine_on(tmp_path, network, Broken(), notes) as engine:
        engine.hooks.add(waiting("gate"))
        assert engine.fire(BEFORE, {"order": {}}).allowed
        assert engine.fire(BEFORE, {"order": {}}).allowed
    assert len(notes.firings) == 2
    said = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert [each.getMessage() for each in said] == ["the observer Broken failed"]
    assert said[0].exc_info is not None


def test_an_observer_without_all_methods_is_told_what_it_has(tmp_path: Path, network: Network) -> None:
    """`fire()` raised `AttributeError` after the gate was asked."""
    told: list[object] = []

    class Firings:
        on_firing = staticmethod(told.append)

    class Spans:
        def begin_firing(self, *given: Any, **named: Any) -> object:
            return object()  # which is no span

    with engine_on(tmp_path, network, Firings(), Spans()) as engine:
        engine.hooks.add(waiting("gate"))
        assert engine.fire(BEFORE, {"order": {}}).allowed
    assert len(told) == 1


def test_an_observer_that_exits_is_told_on(tmp_path: Path, network: Network, caplog: pytest.LogCaptureFixture) -> None:
    """`SystemExit` ends a thread without a word."""
    told: list[FiringObserved] = []

    class Exits:
        def on_firing(self, seen: FiringObserved) -> None:
            told.append(seen)
            raise SystemExit

    with engine_on(tmp_path, network, Exits()) as engine:
        engine.hooks.add(waiting("gate"))
        for _ in range(2):
            engine.fire(BEFORE, {"order": {}})
    assert (len(told), "the observer Exits failed" in caplog.text) == (2, True)


def test_a_slow_observer_delays_nobody(
    tmp_path: Path, network: Network, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While it hangs firings go on; what it can't take is dropped and counted; closing does not wait for it long."""
    go, entered = threading.Event(), threading.Event()

    class Slow(Notes):
        def on_firing(self, seen: FiringObserved) -> None:
            entered.set()
            go.wait(30)
            super().on_firing(seen)

    monkeypatch.setattr(module, "MOST", 2)
    monkeypatch.setattr(module, "LAST", 0.05)
    slow, quick = Slow(), Notes()
    with engine_on(tmp_path, network, slow, quick) as engine:
        engine.hooks.add(Hook(key="crm", name="crm", event=AFTER, url="http://receiver.test/crm"))
        engine.fire(AFTER, {})
        assert entered.wait(10)
        for _ in range(4):
            engine.fire(AFTER, {})
        feed = engine.runtime.watch.feeds[0]  # type: ignore[union-attr]
    assert slow.firings == []
    go.set()
    assert feed.thread is not None
    feed.thread.join(10)
    assert len(slow.firings) == 3
    assert "Slow is too slow: 2 records were dropped" in caplog.text


def test_a_child_of_fork_has_observers_of_its_own(tmp_path: Path, network: Network) -> None:
    """Its firings are told there; the parent's thread did not survive the fork."""
    notes = Notes()
    with engine_on(tmp_path, network, notes) as engine:
        engine.hooks.add(waiting("gate"))
        engine.fire(BEFORE, {"order": {}})
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                notes.firings.clear()
                engine.fire(BEFORE, {"order": {}})
                engine.close()
                os.write(write, str(len(notes.firings)).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 10) == b"1"
        os.close(read)
        os.close(write)


def test_without_observers_there_is_nothing(tmp_path: Path, network: Network) -> None:
    """No thread, no record: the firing path only looks whether there is one."""
    with engine_on(tmp_path, network) as engine:
        engine.hooks.add(waiting("gate"))
        engine.fire(BEFORE, {"order": {}})
        assert engine.runtime.watch is None
        assert engine.portal.call(tools_of(engine)).watch is None
    assert [each.name for each in threading.enumerate() if each.name == "hookrow-observer"] == []


async def tools_of(engine: HookEngine) -> Any:
    """What its attempts are made with."""
    return engine.runtime.tools(engine.runtime.config())
