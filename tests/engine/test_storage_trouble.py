"""Storage trouble: what a caller is told, and what is not done while the record can't be kept."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import OperationalError

from engine_bench import Bench
from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.errors import StorageError
from hookrow.observers import DeliveryObserved, Observer
from hookrow.store.configuration.cache import Config, ConfigCache
from scripted import Network, answer
from silent import Silent
from worker_bench import seen

pytestmark = pytest.mark.anyio
AFTER = "after_registration"


@contextmanager
def locked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another process holds the lock."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", 0.05)
    other = sqlite3.connect(bench.engine.path or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


@contextmanager
def read_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The user may no longer write the file."""
    monkeypatch.setattr(bench.engine.runtime.database, "read_only", True)
    yield
    monkeypatch.setattr(bench.engine.runtime.database, "read_only", False)


@contextmanager
def full(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk takes no page more."""

    def job(connection: Connection) -> None:
        raise OperationalError("INSERT", None, sqlite3.OperationalError("database or disk is full"))

    with broken(bench, job):
        yield


@contextmanager
def input_output(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The commit itself fails."""

    def commit(connection: Connection) -> None:
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    with broken(bench, commit):
        yield


@contextmanager
def broken(bench: Bench, commit: Callable[[Connection], None]) -> Iterator[None]:
    """Every commit of the engine does this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.engine.runtime.database, "commit", commit)
        yield


TROUBLES = {"locked": locked, "read_only": read_only, "full": full, "input_output": input_output}
Trouble = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=TROUBLES)
def trouble(request: pytest.FixtureRequest, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """A context in which nothing can be committed."""
    return lambda: TROUBLES[request.param](bench, monkeypatch)


async def test_before_raises_with_the_verdict(bench: Bench, trouble: Trouble) -> None:
    """The hooks were asked: `.firing` holds what they said."""
    bench.network.on("w", answer(body={"data": {"order": {"sum": 5}}}))
    await bench.transform("w")
    with trouble(), pytest.raises(StorageError) as caught:
        await bench.fire()
    firing = caught.value.firing
    assert (firing.outcome, firing.data["order"]["sum"]) == ("allowed", 5)
    assert f"sent, but not recorded: {firing.deliveries[0].id}" in str(caught.value)


async def test_before_says_who_was_asked_where_there_is_no_verdict(bench: Bench, trouble: Trouble) -> None:
    """The commit that fails comes before the last hook: the first one's request is out, and nobody can look it up."""
    await bench.gate("first", position=1)
    await bench.hook("between", position=2)
    await bench.gate("last", position=3)
    with trouble(), pytest.raises(StorageError, match=r"sent, but not recorded: msg_[^,]*01$") as caught:
        await bench.fire()
    assert caught.value.firing is None
    assert bench.network.paths() == ["first"]


async def test_after_never_raises(bench: Bench, trouble: Trouble, caplog: pytest.LogCaptureFixture) -> None:
    """`firing.error` holds it, the log says it as ERROR, `raise_for_error()` raises."""
    await bench.gate("w", event=AFTER)
    with trouble():
        firing = await bench.fire({"user": {}}, event=AFTER)
    assert isinstance(firing.error, StorageError)
    assert [each.levelno for each in caplog.records if "recorded" in each.message] == [logging.ERROR]
    with pytest.raises(StorageError):
        firing.raise_for_error()


async def test_a_storm_of_after_events_is_three_lines(
    bench: Bench, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    """That it began, after a minute how many, that it is over; a second outage right after is said, too."""
    await bench.gate("w", event=AFTER)

    def said() -> list[str]:
        return [each.getMessage().partition(":")[0] for each in caplog.records if "recorded" in each.message]

    with trouble():
        for _ in range(20):
            await bench.fire({"user": {}}, event=AFTER)
        bench.clock.forward(61)
        await bench.fire({"user": {}}, event=AFTER)
    await bench.fire({"user": {}}, event=AFTER)
    began, ended = "firings could not be recorded", "firings are recorded again (failures"
    assert said() == [began, f"{began}, 21 times so far", ended]
    with trouble():
        await bench.fire({"user": {}}, event=AFTER)
    assert said()[3:] == [began]


async def test_after_a_failed_commit_before_writes_first(bench: Bench, trouble: Trouble) -> None:
    """While storage is in trouble no receiver is asked for what could not be recorded."""
    await bench.gate("w")
    with trouble():
        with pytest.raises(StorageError):
            await bench.fire()
        asked = len(bench.network.requests)
        with pytest.raises(StorageError) as caught:
            await bench.fire()
        assert caught.value.firing is None
        assert len(bench.network.requests) == asked


async def test_it_recovers_by_itself(bench: Bench, trouble: Trouble) -> None:
    """The next fire commits its row first, and from then on as ever."""
    await bench.gate("w")
    with trouble(), pytest.raises(StorageError):
        await bench.fire()
    for _ in range(2):
        assert (await bench.fire()).outcome == "allowed"
    assert bench.engine.runtime.database.writer.failed is None
    assert len(await bench.engine.log.page()) == 2


async def test_a_key_that_cannot_be_kept_asks_nobody(bench: Bench, trouble: Trouble) -> None:
    """Without its row the operation could be done twice: before raises, after carries the error."""
    await bench.gate("w")
    await bench.gate("v", event=AFTER)
    with trouble():
        with pytest.raises(StorageError):
            await bench.fire(idempotency_key="k")
        firing: Any = await bench.fire({"user": {}}, event=AFTER, idempotency_key="k")
    assert isinstance(firing.error, StorageError)
    assert bench.network.requests == []


async def test_a_full_disk_says_what_to_do(bench: Bench) -> None:
    """SQLite's own limit of pages stands for the disk."""
    await bench.gate("w")
    with bench.engine.runtime.database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match="disk is full"):
        await bench.fire({"order": {"text": "x" * 200_000}})


async def test_a_replay_that_is_not_recorded_fails(bench: Bench) -> None:
    """Unlike the host of an `after` event, who asks for its replay has nothing that must go on."""
    await bench.hook("h", event=AFTER)
    firing = await bench.fire({"order": {"text": "x" * 200_000}}, event=AFTER)
    with bench.engine.runtime.database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match="disk is full"):
        await bench.engine.replay(firing.id)


@pytest.mark.usefixtures("looking_each_time")
async def test_hooks_that_can_t_be_read(bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """What has already happened goes on and carries the error; a `before` event raises; no request is made."""
    await bench.gate("gate")
    await bench.hook("after", event=AFTER)

    def gone() -> int:
        raise StorageError("the server does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(bench.engine.runtime.database, "data_version", gone)
        with pytest.raises(StorageError, match="does not answer"):
            await bench.fire()
        firing = await bench.fire(event=AFTER)
    assert firing.allowed
    assert "does not answer" in str(firing.error)
    assert bench.network.requests == []
    assert "could not be recorded" in caplog.text
    assert (await bench.fire(event=AFTER)).error is None


@pytest.mark.usefixtures("looking_each_time")
def test_hooks_that_can_t_be_read_by_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same through the blocking engine, before it hands anything to its loop."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        engine.fire(AFTER, {})

        def gone() -> int:
            raise StorageError("the server does not answer")

        monkeypatch.setattr(engine.runtime.database, "data_version", gone)
        with pytest.raises(StorageError, match="does not answer"):
            engine.fire("before_order_add", {})
        assert "does not answer" in str(engine.fire(AFTER, {}).error)


async def test_what_is_kept_back_outlives_a_purge(bench: Bench) -> None:
    """`defer=True`: whoever prunes between the operation and its commit takes nothing away; a day later they do."""
    await bench.hook("h", fire_and_forget=False)
    firing = await bench.fire(defer=True)
    assert (await bench.engine.log.prune(days=0)).firings == 0
    await firing.enqueue()
    assert [each.outcome for each in (await bench.logged()).deliveries] == ["queued"]
    await bench.fire(defer=True)
    bench.clock.forward(2 * 86_400)
    assert (await bench.engine.log.prune(days=0)).firings == 1


# -- a worker on the service's loop ----------------------------------------------------------------------------------


@pytest.fixture
def asked_in(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which the hooks are read, each time that somebody asks."""
    threads: list[threading.Thread] = []
    look = ConfigCache.look

    def noted(cache: ConfigCache, sqlite: bool) -> Config:
        threads.append(threading.current_thread())
        return look(cache, sqlite)

    monkeypatch.setattr(ConfigCache, "look", noted)
    return threads


async def test_a_silent_server_holds_up_no_worker_on_the_services_loop(
    pg: str, asked_in: list[threading.Thread]
) -> None:
    """Rows are held when the server goes silent: the hooks are asked for aside, and the loop goes on meanwhile."""
    address, here = make_url(pg), threading.current_thread()
    async with AsyncHookEngine(pg, worker=False) as direct:
        await direct.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
    answering = asyncio.Event()

    async def late(request: httpx.Request) -> httpx.Response:
        await answering.wait()
        return httpx.Response(200)

    network = Network(a=late)
    with Silent(address) as proxy:
        async with AsyncHookEngine(proxy.url(address), transport=network) as engine:
            fired = [await engine.fire(AFTER, {"n": n}) for n in range(20)]
            worker = engine.sending.worker
            assert worker is not None
            await seen(lambda: len(network.requests) == 16 and bool(worker.slots.held))  # of a hook that is not known
            proxy.silent.set()
            engine.runtime.cache.forget()
            asked_in.clear()
            answering.set()
            await seen(lambda: bool(asked_in))
            assert here not in asked_in
            proxy.silent.clear()
            await seen(lambda: not worker.hand.rows and not worker.slots.held)
    assert len(network.requests) == len(fired)
    assert here not in asked_in


async def test_a_worker_reads_nothing_on_its_loop(
    pg: str, asked_in: list[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do those that it tells, nor retention, nor a command that waits for its own: each asks for the hooks anew."""
    monkeypatch.setattr("hookrow.store.configuration.cache.PG_LOOK", 0.0)
    monkeypatch.setattr("hookrow.worker.retention.FIRST", 0.0)
    told: list[str] = []

    class Told(Observer):
        def on_delivery(self, delivery: DeliveryObserved) -> None:
            told.append(delivery.outcome)

    network = Network(gone=answer(410))
    engine = AsyncHookEngine(pg, transport=network, observers=[Told()])
    asked_in.clear()
    async with engine:
        for name in ("a", "gone"):
            url = f"http://receiver.test/{name}"
            await engine.hooks.add(Hook(name=name, event=AFTER, url=url, fire_and_forget=False))
        firing = await engine.fire(AFTER, {"n": 1})
        worker = engine.sending.worker
        assert worker is not None
        assert worker.retention is not None
        retention = worker.retention
        await seen(lambda: retention.due > engine.runtime.clock.monotonic() and retention.task is None)
        await seen(lambda: told == ["ok"] and not worker.hand.rows)
        await engine.send_own(firing)
        assert asked_in
        assert threading.current_thread() not in asked_in
    assert sorted(network.paths()) == ["a", "gone"]
