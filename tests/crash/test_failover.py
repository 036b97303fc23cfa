"""A PostgreSQL dies under callers and its streaming standby is promoted: what was acknowledged, and what is there.
A pooler dies of several that one URL names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hookrow import Hook, HookEngine, LogFilter
from pgbouncer import missing, pooler
from postgres_pair import postgres_pair
from scripted import Network

AFTER = "after_registration"
CALLERS = 4
BEFORE_IT, AFTER_IT = 200, 100
"""Firings acknowledged before the primary dies, and after."""


def until(true: Callable[[], bool]) -> None:
    """Wait for what the callers do, at most 90 s."""
    end = time.monotonic() + 90
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.torture
@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
def test_what_was_acknowledged_survives_a_failover(postgres_server: str, synchronous: bool) -> None:
    """Synchronous: all of it. Asynchronous: but for what the standby had not received, which is counted."""
    kept: set[str] = set()
    acknowledged: list[str] = []
    errors: list[str] = []
    ended = threading.Event()
    with postgres_pair(synchronous=synchronous) as pair, HookEngine(pair.url, transport=Network()) as engine:
        engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))

        def calling() -> None:
            while not ended.wait(0.005):
                firing = engine.fire(AFTER, {})
                (acknowledged if firing.error is None else errors).append(
                    firing.id if firing.error is None else str(firing.error)
                )

        threads = [threading.Thread(target=calling) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: len(acknowledged) >= BEFORE_IT)
            at_risk = 0
            if not synchronous:
                pair.hold_up_the_standby()
                at_risk = len(acknowledged)
                until(lambda: len(acknowledged) >= at_risk + 50)
            died = time.monotonic()
            pair.fail_over()
            seen = len(acknowledged)
            until(lambda: len(acknowledged) >= seen + AFTER_IT)
            took = time.monotonic() - died
        finally:
            ended.set()
            for thread in threads:
                thread.join(60)
        before: int | None = None
        while page := engine.log.page(LogFilter(), before=before, limit=200):
            kept |= {each.id for each in page}
            before = page[-1].row_id
    lost = [each for each in acknowledged if each not in kept]
    kind = "synchronous" if synchronous else "asynchronous"
    print(f"{kind}: acknowledged {len(acknowledged)}, lost {len(lost)}, errors {len(errors)}, again after {took:.1f} s")
    if synchronous:
        assert lost == []
    else:
        # What each caller had in hand as the standby was held up may have reached it.
        assert len(lost) >= 50 - CALLERS, "the standby was held up: the test shows what is lost then"
        assert set(lost) <= set(acknowledged[at_risk - CALLERS * 5 : seen]), "what it had received is there"


@pytest.mark.torture
@pytest.mark.skipif(missing(), reason="pgbouncer is not installed")
def test_several_poolers_in_one_url(postgres_server: str) -> None:
    """All lead to one server: a pooler dies, and the other is found; the server dies, they are told of the standby."""
    retry = "server_login_retry = 1\n"
    acknowledged: list[str] = []
    failed: list[str] = []
    ended = threading.Event()
    with postgres_pair(synchronous=True) as pair:
        primary, standby = (f"postgresql://postgres@127.0.0.1:{port}/postgres" for port in pair.ports)
        with pooler(primary, "transaction", retry) as first, pooler(primary, "transaction", retry) as second:
            hosts = "&".join(f"host=127.0.0.1:{each.door}" for each in (first, second))
            url = f"postgresql://postgres@/postgres?{hosts}&hookrow_pooler=transaction"
            with HookEngine(url, transport=Network()) as engine:
                engine.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))

                def calling() -> None:
                    while not ended.wait(0.005):
                        firing = engine.fire(AFTER, {})
                        (acknowledged if firing.error is None else failed).append(firing.id)

                def goes_on() -> float:
                    began, seen = time.monotonic(), len(acknowledged)
                    until(lambda: len(acknowledged) >= seen + AFTER_IT)
                    return time.monotonic() - began

                threads = [threading.Thread(target=calling) for _ in range(CALLERS)]
                for thread in threads:
                    thread.start()
                try:
                    goes_on()
                    first.running.kill()
                    without = goes_on()
                    pair.fail_over()
                    second.point_at(standby)
                    promoted = goes_on()
                finally:
                    ended.set()
                    for thread in threads:
                        thread.join(60)
                kept = set()
                before: int | None = None
                while page := engine.log.page(LogFilter(), before=before, limit=200):
                    kept |= {each.id for each in page}
                    before = page[-1].row_id
    print(f"{AFTER_IT} more after a pooler died in {without:.1f} s, after a failover in {promoted:.1f} s")
    print(f"failed: {len(failed)}")
    assert set(acknowledged) <= kept
