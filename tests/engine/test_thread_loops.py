"""How a blocking `fire()` makes its requests: over sockets of its thread's own, or, where it must wait for more than
one thing (here: it has an idempotency key), on a loop that the thread runs. Both are kept for the next caller."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hookrow import Firing, Hook, HookEngine
from hookrow.errors import EngineClosed
from receivers import Receiver, hold, reply
from strikes import Strike

EVENT = "before_order_add"
PAYLOAD = {"order": {"id": 7}}
WAITS = ("EpollSelector.select", "KqueueSelector.select", "Line.wait")
"""Where a thread stands that waits for an answer."""


@pytest.fixture
def engine(tmp_path: Path, receiver: Receiver) -> Iterator[HookEngine]:
    """With one waiting hook."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        made.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, wait_for_response=True, timeout=20))
        yield made


class Caller:
    """Fires the way that is asked for."""

    def __init__(self, engine: HookEngine, keyed: bool) -> None:
        self.engine = engine
        self.keyed = keyed

    def fire(self) -> Firing:
        key = secrets.token_hex() if self.keyed else None
        return self.engine.fire(EVENT, PAYLOAD, idempotency_key=key)


@pytest.fixture(params=["socket", "loop"])
def caller(engine: HookEngine, request: pytest.FixtureRequest) -> Caller:
    """Either way."""
    return Caller(engine, request.param == "loop")


def at_once(caller: Caller, count: int, ended: list[object] | None = None) -> list[threading.Thread]:
    """So many threads that fire; what was raised is put into `ended`."""

    def fire() -> None:
        try:
            caller.fire()
        except EngineClosed as error:
            assert ended is not None
            ended.append(error)

    threads = [threading.Thread(target=fire) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def test_one_caller_after_another_uses_one_connection(engine: HookEngine, caller: Caller, receiver: Receiver) -> None:
    """Whatever thread it is: the loop and its connections are kept."""
    for _ in range(5):
        [thread] = at_once(caller, 1)
        thread.join(10)
    assert (len(receiver.requests), receiver.connections) == (5, 1)


def test_the_record_is_committed_in_the_callers_thread(engine: HookEngine, caller: Caller) -> None:
    """No thread of the engine runs for it, once the loop is there."""
    caller.fire()
    names = {thread.name for thread in threading.enumerate() if thread.name.startswith("hookrow")}
    assert names <= {"hookrow-lines", "hookrow-loops", "hookrow-writer"}  # they see to what is idle
    assert [each.outcome for each in engine.log.page()] == ["allowed"]


def test_more_callers_than_loops_are_served_at_once(engine: HookEngine, caller: Caller, receiver: Receiver) -> None:
    """Twenty requests are in flight together, whoever runs them."""
    gate = threading.Event()
    receiver.play(reply(200, b"{}", after=gate))
    threads = at_once(caller, 20)
    receiver.wait(20)
    gate.set()
    for thread in threads:
        thread.join(10)
    assert [each.outcome for each in engine.log.page()] == ["allowed"] * 20


def test_an_unused_loop_is_closed(
    engine: HookEngine, caller: Caller, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection stays open for long after the last call; the next call opens another."""
    monkeypatch.setattr("hookrow.core.threads.loops.KEPT", 0.05)
    monkeypatch.setattr("hookrow.transport.pool.KEPT", 0.05)
    caller.fire()
    receiver.wait_idle()
    assert caller.fire().allowed
    assert receiver.connections == 2


def test_a_connection_that_the_receiver_closed_meanwhile_costs_nothing(
    engine: HookEngine, caller: Caller, receiver: Receiver
) -> None:
    """Nobody watched it while its loop stood still."""
    caller.fire()
    receiver.hang_up()
    assert caller.fire().deliveries[0].outcome == "ok"
    assert (len(receiver.requests), receiver.connections) == (2, 2)


def test_a_fork_leaves_the_parents_loops_alone(engine: HookEngine, caller: Caller, receiver: Receiver) -> None:
    """A child that fires and exits takes nothing out of the parent's selector."""
    caller.fire()
    child = os.fork()
    if child == 0:
        outcome = caller.fire().deliveries[0].outcome
        os._exit(0 if outcome == "ok" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert caller.fire().deliveries[0].outcome == "ok"
    assert len(receiver.requests) == 3


def test_a_child_that_never_fires_holds_no_connection_open(
    engine: HookEngine, caller: Caller, receiver: Receiver
) -> None:
    """The parent's are closed when the parent closes them."""
    caller.fire()
    end, ended = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ended)
        os.read(end, 1)
        os._exit(0)
    os.close(end)
    engine.close()
    receiver.wait_idle(10)
    os.close(ended)
    assert os.waitpid(child, 0)[1] == 0


def test_an_alarm_that_goes_off_in_a_fire(engine: HookEngine, caller: Caller, receiver: Receiver) -> None:
    """A host's own time limit, raised by a signal's handler: the request is let go and recorded, the next one works."""

    class Alarm(Exception):
        pass

    def ring() -> None:
        raise Alarm

    def set_off() -> None:
        receiver.wait(1)
        here = threading.main_thread().ident
        assert here is not None
        while sys._current_frames()[here].f_code.co_qualname not in WAITS:
            time.sleep(0.001)
        strike.send()

    receiver.play(hold)
    with Strike(signal.SIGALRM, ring) as strike:
        alarm = threading.Thread(target=set_off)
        alarm.start()
        with pytest.raises(Alarm):
            caller.fire()
        alarm.join()
    receiver.wait_idle()
    receiver.play(reply(200, b"{}"))
    assert caller.fire().deliveries[0].outcome == "ok"
    assert [each.outcome for each in engine.log.page()] == ["allowed", "cancelled"]


def test_closing_cancels_what_hangs_on_any_loop(engine: HookEngine, caller: Caller, receiver: Receiver) -> None:
    """More callers than loops: after the grace each is cancelled, recorded so, and its connection is gone."""
    receiver.play(hold)
    ended: list[object] = []
    threads = at_once(caller, 12, ended)
    receiver.wait(12)
    engine.close(grace=0.1)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert len(ended) == 12
    receiver.wait_idle()
    with HookEngine(engine.url, worker=False) as later:
        assert [each.outcome for each in later.log.page()] == ["cancelled"] * 12
