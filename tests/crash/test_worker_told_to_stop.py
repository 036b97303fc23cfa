"""SIGTERM on the real `hookrow worker` with requests in flight."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from cli_runs import program, said
from hookrow import HookEngine


@pytest.fixture
def busy(courts: Callable[..., Any]) -> Any:
    """A court whose 20 deliveries are in flight: 19 at a receiver of half a second, one at one that never answers."""
    court = courts(slow=0.8)
    court.hooks("slow")
    with HookEngine(court.db, worker=False) as engine:
        for number in range(19):
            engine.fire("after_registration", {"number": number})
    court.hooks("hang", timeout=30)
    with HookEngine(court.db, worker=False) as engine:
        engine.hooks.update(1, {"condition": "false"})
        engine.fire("after_registration", {"number": 19})
        engine.hooks.update(1, {"condition": ""})
    return court


def until(true: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_worker_told_to_stop_ends_in_its_grace(busy: Any) -> None:
    """Exit 0 within the grace period of 5 s; what hangs is due again, uncounted; the rest is recorded or due."""
    with program("--db", busy.path, "worker") as worker:
        until(
            lambda: any("/hang" in each for each in busy.log.read_text().splitlines()) if busy.log.exists() else False
        )
        started = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=30)
        took = time.monotonic() - started
    assert (worker.returncode, "Traceback" in err) == (0, False)
    assert took < 20, "5 s of grace, a second to abort, the interpreter's exit; not the 30 s of the one that hangs"
    assert busy.leased() == set()
    hung = "SELECT state, attempts FROM delivery WHERE hook_id = 2"
    assert busy.ask(hung) == [("queued", 0)]
    sent = busy.ask("SELECT count(*) FROM delivery WHERE hook_id = 1 AND state = 'sent'")[0][0]
    assert sent == sum("/slow" in each for each in busy.log.read_text().splitlines())


def test_a_second_signal_leaves_at_once(busy: Any) -> None:
    """Exit 143 long before the grace is over; nothing is lost: the leases lapse."""
    with program("--db", busy.path, "worker") as worker:
        until(
            lambda: any("/hang" in each for each in busy.log.read_text().splitlines()) if busy.log.exists() else False
        )
        worker.send_signal(signal.SIGTERM)
        said(worker, "Stopping")  # two signals at once would be one
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    assert worker.returncode == 143, "0 where the grace was waited for"
    assert busy.ask("PRAGMA integrity_check") == [("ok",)]
