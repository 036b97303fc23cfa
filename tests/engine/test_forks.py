"""A child of fork waits for no thread that its parent had: locks, what is made at first use, its first firings."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hookrow import AttemptObserved, FiringObserved, Hook, HookEngine
from hookrow.store.database.outages import Outage
from hookrow.system.lazy import cached_property
from hookrow.system.locks import owners
from hookrow.testing import ManualClock
from receivers import Receiver, reply
from scripted import Network

EVENT = "before_order_add"
SECONDS = 10
"""For what must not be waited for at all."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HookEngine]:
    """With a gate that allows."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, transport=Network()) as made:
        made.hooks.add(Hook(name="gate", event=EVENT, url="http://receiver.test/gate", wait_for_response=True))
        yield made


def in_a_child(told: Callable[[], object]) -> str:
    """What a child of fork has to say; a child that hangs is killed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        try:
            os.write(write, str(told()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        answer = said.read()
    assert os.waitpid(child, 0)[1] == 0, "it hangs"
    return answer


def in_a_thread(work: Callable[[], object]) -> None:
    """Have it done in another thread, which must wait for nobody."""
    done = threading.Event()

    def doing() -> None:
        work()
        done.set()

    threading.Thread(target=doing, daemon=True).start()
    assert done.wait(SECONDS), "it waits"


def test_a_child_inherits_no_lock_that_is_held(engine: HookEngine) -> None:
    """Another thread has every one as the process forks: the child fires, which says that an outage is over."""
    runtime = engine.runtime
    runtime.unrecorded.count = 1
    locks = [owner.lock for owner in owners]
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in locks:
            lock.acquire()
        held.set()
        end.wait()
        for lock in locks:
            lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        assert {runtime, runtime.unrecorded, runtime.failing, runtime.vault} <= set(owners)
        assert in_a_child(lambda: engine.fire(EVENT, {}).outcome) == "allowed"
    finally:
        end.set()
        holder.join()


def test_an_outage_is_told_without_its_lock() -> None:
    """Whoever writes the log may be slow, or wait for another thread that fires."""
    outage = Outage(ManualClock(), "it fails", "it works")

    class Slow(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "it fails: 1":
                in_a_thread(lambda: outage.failed(2))

    log, slow = logging.getLogger("hookrow"), Slow()
    log.addHandler(slow)
    try:
        outage.failed(1)
    finally:
        log.removeHandler(slow)
    assert outage.count == 2


def test_nobody_uses_what_a_child_still_has_of_its_parent(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads fire at once: who comes as the first begins anew waits for that."""
    runtime, parents, reset = engine.runtime, engine.runtime.owner, engine.runtime.reset
    others: list[threading.Thread] = []
    seen: list[str] = []

    def look() -> None:
        runtime.renew()
        seen.append("the parent's" if runtime.owner == parents else "its own")

    def resetting() -> None:
        others.append(threading.Thread(target=look))
        others[0].start()
        in_a_thread(lambda: seen.append("waits" if runtime.pid != os.getpid() and taken() else "goes on"))
        reset()

    def taken() -> bool:
        return not runtime.lock.acquire(blocking=False)

    def told() -> list[str]:
        runtime.renew()
        others[0].join()
        return sorted(seen)

    monkeypatch.setattr(runtime, "reset", resetting)
    assert in_a_child(told) == "['its own', 'waits']"


def test_a_childs_threads_begin_one_loop(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them hands its call to the parent's, which runs nowhere here."""
    portal, begin_anew = engine.portal, engine.portal.begin_anew
    portal.call(asyncio.sleep(0))
    parents, others, seen = portal.loop, list[threading.Thread](), list[str]()

    def look() -> None:
        portal.renew()
        seen.append("the parent's" if portal.loop is parents else "its own")

    def beginning() -> None:
        seen.append("begins")
        others.append(threading.Thread(target=look))
        others[0].start()
        begin_anew()

    def told() -> list[str]:
        portal.renew()
        others[0].join()
        return seen

    monkeypatch.setattr(portal, "begin_anew", beginning)
    assert in_a_child(told) == "['begins', 'its own']"


def test_a_childs_requests_are_told_to_observers_of_its_own(tmp_path: Path) -> None:
    """Those of its calling threads, too, which keep what they make requests with."""

    class Notes:
        def __init__(self) -> None:
            self.told: list[str] = []

        def on_firing(self, seen: FiringObserved) -> None:
            self.told.append("firing")

        def on_attempt(self, seen: AttemptObserved) -> None:
            self.told.append("attempt")

    notes = Notes()
    with (
        Receiver(reply(200, b"{}")) as receiver,
        HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False, observers=[notes]) as engine,
    ):
        engine.hooks.add(Hook(name="gate", event=EVENT, url=receiver.url, wait_for_response=True))
        engine.fire(EVENT, {})

        def told() -> list[str]:
            notes.told.clear()
            engine.fire(EVENT, {})
            engine.close()
            return notes.told

        assert in_a_child(told) == "['attempt', 'firing']"


def test_what_is_made_at_first_use_is_made_without_a_lock() -> None:
    """Python 3.11 has one for all objects of a class: a child that is forked meanwhile could make it for none."""

    class Made:
        def __init__(self, begin: Callable[[], object]) -> None:
            self.begin = begin

        @cached_property
        def value(self) -> object:
            """Made once."""
            return self.begin()

    other = Made(object)
    first = Made(lambda: (in_a_thread(lambda: other.value), object()))
    assert first.value is first.value
    assert other.value is other.value
    assert Made.value.__doc__ == "Made once."
