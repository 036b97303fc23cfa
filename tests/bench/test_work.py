"""How much Python a firing and a delivery are: calls, counted, which no busy machine changes.

The figures are what the paths took when the test was written and a fifth more: a change that makes one of them longer
by more than that has to say so here. Other versions of Python count their own calls differently.
"""

from __future__ import annotations

import cProfile
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from hookrow import AsyncHookEngine, Hook
from hookrow.store.database.database import Database
from tiny_bench import ROOT

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the figures are those of Python 3.11"),
]
EVENT = "before_order_add"
BODY = '{"id": "{{ webhook.id }}", "type": "{{ webhook.type }}", "number": "{{ order.number }}", "data": {{ payload }}}'
PAYLOAD = {"order": {"id": 77120, "number": "A-10492", "sum": 3060}, "user": {"id": 512, "login": "79161234567"}}
TIMES = 100
MORE = 1.2


@pytest.fixture(scope="module")
def receiver() -> Iterator[Any]:
    """The bench's own, in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from bench.receiver import Receiver

        with Receiver() as made:
            yield made


async def calls(once: Callable[[], Awaitable[object]]) -> float:
    """How many calls of this thread one of these takes, once everything is warm."""
    for _ in range(20):
        await once()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(TIMES):
        await once()
    profile.disable()
    return sum(entry.callcount for entry in profile.getstats()) / TIMES


async def test_what_nobody_asked_for_is_not_called(tmp_path: Path, receiver: Any) -> None:
    """Without an observer and a trace not one function of theirs runs: firing, waiting, delivering."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db") as engine:
        await engine.hooks.add(Hook(name="gate", event=EVENT, url=receiver.url, wait_for_response=True))
        await engine.hooks.add(Hook(name="told", event=EVENT, url=receiver.url, fire_and_forget=False))
        await engine.fire(EVENT, PAYLOAD)
        profile = cProfile.Profile()
        profile.enable()
        await engine.fire(EVENT, PAYLOAD)
        worker = engine.sending.worker
        assert worker is not None
        await worker.hand.empty.wait()
        profile.disable()
    codes = [entry.code for entry in profile.getstats() if not isinstance(entry.code, str)]
    names = {code.co_name for code in codes}
    assert {"fire", "deliver", "perform"} <= names
    assert not names & {"traceparent_of", "settled"}
    assert [code.co_name for code in codes if code.co_filename.endswith(("observers.py", "telemetry.py"))] == []


async def test_a_firing_that_nobody_hears(tmp_path: Path) -> None:
    """No hook: nothing but the payload taken in and the record made."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        assert await calls(lambda: engine.fire(EVENT, PAYLOAD)) < 65 * MORE


async def test_a_firing_that_queues(tmp_path: Path) -> None:
    """One background hook that nobody sends for: its body, the record, the writer and back; one after another."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        await engine.hooks.add(Hook(name="told", event=EVENT, url="http://127.0.0.1:9/", body=BODY))
        assert await calls(lambda: engine.fire(EVENT, PAYLOAD)) < 279 * MORE


async def test_a_firing_that_waits(tmp_path: Path, receiver: Any) -> None:
    """One waiting hook: the request, its reply, the record handed to the writer."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        await engine.hooks.add(Hook(name="gate", event=EVENT, url=receiver.url, body=BODY, wait_for_response=True))
        assert await calls(lambda: engine.fire(EVENT, PAYLOAD)) < 542 * MORE


async def test_a_background_delivery(tmp_path: Path, receiver: Any) -> None:
    """From `fire()` to the recorded result, with template, signature and sealed secrets; one after another."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db") as engine:
        secrets = {
            "auth_login": "shop",
            "auth_password": "horse",
            "signing_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        }
        await engine.hooks.add(
            Hook(name="told", event=EVENT, url=receiver.url, body=BODY, fire_and_forget=False, **secrets)
        )

        async def once() -> None:
            await engine.fire(EVENT, PAYLOAD)
            worker = engine.sending.worker
            assert worker is not None
            assert worker.hand.rows
            await worker.hand.empty.wait()

        assert await calls(once) < 730 * MORE


async def test_a_background_delivery_commits_twice(tmp_path: Path, receiver: Any) -> None:
    """What was fired, and what came of it. That a request is out is written for rows whose process died alone."""
    commits: list[Any] = []
    commit = Database.commit

    def noted(self: Database, connection: Connection) -> None:
        commits.append(connection)
        commit(self, connection)

    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db") as engine:
        await engine.hooks.add(Hook(name="told", event=EVENT, url=receiver.url, body=BODY, fire_and_forget=False))
        await engine.fire(EVENT, PAYLOAD)
        worker = engine.sending.worker
        assert worker is not None
        await worker.hand.empty.wait()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "commit", noted)
            for _ in range(10):
                await engine.fire(EVENT, PAYLOAD)
                await worker.hand.empty.wait()
    assert 20 <= len(commits) < 25  # the worker's own look may fall into it; one more each would be thirty
