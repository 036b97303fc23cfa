"""Where no thread can be started: the end of a service that forgot to close its engine, a machine without room."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hookrow import Hook, HookEngine
from hookrow.observers import AttemptObserved, FiringObserved
from receivers import Receiver, reply

EVENT = "before_order_add"
PAYLOAD = {"order": {"id": 7}}
ENVIRONMENT = {"PYTHONPATH": str(Path(__file__).parents[2] / "engine"), "PATH": ""}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database of the test's own."""
    return f"sqlite:///{tmp_path}/hooks.db"


def prepared(url: str, receiver: Receiver) -> None:
    """A database with one hook that is waited for."""
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(name="h", event=EVENT, url=receiver.url, wait_for_response=True, timeout=20))


FORGETTING = """
import atexit, sys, threading
from hookrow import HookEngine
from hookrow.store.database import writer
writer.IDLE = writer.LULL = 0
class Watching:
    def on_firing(self, seen): pass
    def on_attempt(self, seen): print(seen.error, flush=True)
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
def ending():
    if (writing := engine.runtime.database.writer.thread) is not None:
        writing.join()
    if sys.argv[2] == "refused":
        threading.Thread.start = refuse
    print("ending", flush=True)
engine = HookEngine(sys.argv[1], observers=[Watching()])
atexit.register(ending)
engine.fire("before_order_add", {"order": {}}, idempotency_key="on a loop")
engine.fire("after_registration", {})
"""


@pytest.mark.parametrize("starts", ["as they are", "refused"])
def test_a_service_that_forgets_to_close_loses_nothing(url: str, receiver: Receiver, starts: str) -> None:
    """At exit what is in flight is recorded and told, and the process ends; in 3.12, where no thread starts, too."""
    prepared(url, receiver)
    answering = threading.Event()
    with Receiver(reply(500, after=answering)) as slow:
        with HookEngine(url, worker=False) as engine:
            engine.hooks.add(Hook(name="s", event="after_registration", url=slow.url, fire_and_forget=False))
        command = [sys.executable, "-c", FORGETTING, url, starts]
        with subprocess.Popen(
            command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as service:
            slow.wait(1)
            assert service.stdout is not None
            said = [service.stdout.readline() for _ in range(2)]
            answering.set()
            rest, errors = service.communicate(timeout=300)
    assert (service.returncode, errors, said, rest) == (0, "", ["None\n", "ending\n"], "bad_status\n")
    with HookEngine(url, worker=False) as engine:
        assert [[each.outcome for each in firing.deliveries] for firing in engine.log.page()] == [["retrying"], ["ok"]]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_where_no_thread_can_be_started_the_caller_does_it(
    url: str, receiver: Receiver, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has no room for one, or the end of Python 3.12: hooks answer, the rest is queued for others."""
    url = url if kind == "sqlite" else request.getfixturevalue("postgres_url")
    prepared(url, receiver)
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(Hook(name="b", event="after_registration", url=receiver.url))
    told: list[str] = []

    class Watching:
        def on_firing(self, seen: FiringObserved) -> None:
            told.append(seen.outcome)

        def on_attempt(self, seen: AttemptObserved) -> None:
            pass

    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("hookrow"):  # and not the receiver's
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    engine = HookEngine(url, observers=[Watching()])
    assert engine.fire(EVENT, PAYLOAD).deliveries[0].outcome == "ok"
    assert engine.runtime.database.writer.submit(lambda connection: 7).result(0) == 7
    assert engine.fire("after_registration", {}).deliveries[0].outcome == "queued"
    engine.close()
    assert told == ["allowed", "allowed"]
    assert len(receiver.requests) == 1
