"""No wait without an end: each row of docs/reference/waits.md, on both databases where both have it."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.core.care.keys import alone
from hookrow.core.firing import Run, raise_event
from hookrow.errors import DatabaseBusy, Refused
from hookrow.store import hooks as hookstore
from hookrow.store.database.database import Database
from hookrow.store.database.locks import FIRE, RECORD, SLACK, WAITS, Until
from hookrow.store.database.server import TICK, NoAnswer, Server
from schemas import in_public, ours
from scripted import Network
from silent import Silent

pytestmark = pytest.mark.anyio
BEFORE, AFTER = "before_order_add", "after_registration"
SHORT = 0.3


@pytest.fixture
def url(database: Database) -> str:
    """A database of each kind."""
    return database.address.render_as_string(hide_password=False)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits that nobody sets, shorter than anybody waits for in a test."""
    monkeypatch.setattr("hookrow.store.database.server.LOCK", SHORT)
    monkeypatch.setattr("hookrow.core.transaction.LOCK", SHORT)


@contextmanager
def kept(url: str, table: str = "firing") -> Iterator[None]:
    """Somebody else holds a table (PostgreSQL), or the file."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as plain:
            plain.execute("BEGIN IMMEDIATE")
            yield
        return
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("SET LOCAL lock_timeout = '9s'")
        other.execute(f"LOCK TABLE hookrow.{table}")
        yield


@contextmanager
def kept_a_while(url: str, seconds: float) -> Iterator[None]:
    """Somebody else holds the hooks, and lets them go (PostgreSQL)."""
    if url.startswith("sqlite"):
        yield
        return
    with psycopg.connect(url.replace("+psycopg", "")) as other:
        other.execute("LOCK TABLE hookrow.hook")
        letting_go = threading.Timer(seconds, other.rollback)
        letting_go.start()
        yield
        letting_go.join()


def with_hooks(engine: HookEngine) -> None:
    """A hook that is waited for, and one that is not."""
    engine.hooks.add(Hook(key="g", name="g", event=BEFORE, url="http://receiver.test/g", wait_for_response=True))
    engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://receiver.test/a"))


@pytest.fixture
def engine(url: str) -> Iterator[HookEngine]:
    """An engine without a worker, which has been used."""
    with HookEngine(url, worker=False, transport=Network()) as made:
        with_hooks(made)
        made.fire(BEFORE, {"n": 0})
        yield made


def recorded(engine: HookEngine) -> list[int]:
    """Which firings are in the log, the newest first."""
    return [each.payload["n"] for each in engine.log.page()]


class Watch:
    """How long something took."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    @property
    def took(self) -> float:
        return time.monotonic() - self.began


# -- fire() -----------------------------------------------------------------------------------------------------------


async def test_fire_while_somebody_holds_a_lock(url: str, engine: HookEngine, lag: Any) -> None:
    """In a thread and on a loop: what is left of the deadline, but a second for the record of hooks that were asked."""
    async with AsyncHookEngine(url, worker=False, transport=Network()) as beside:
        await beside.fire(BEFORE, {"n": 0})
        with kept(url):
            watch = Watch()
            with pytest.raises(DatabaseBusy) as caught:
                await asyncio.to_thread(engine.fire, BEFORE, {"n": 1}, deadline=SHORT)
            assert RECORD - 0.1 <= watch.took <= lag.bound(RECORD + 0.25)
            assert caught.value.firing is not None
            watch = Watch()
            with pytest.raises(DatabaseBusy):
                await beside.fire(BEFORE, {"n": 2}, deadline=SHORT)
            assert watch.took <= lag.bound(RECORD + 0.25)
            watch = Watch()
            with pytest.raises(DatabaseBusy):  # before any hook is asked
                await beside.fire(BEFORE, {"n": 3}, deadline=SHORT, idempotency_key="k")
            assert watch.took <= lag.bound(SHORT + 0.25)
            watch = Watch()
            assert isinstance((await beside.fire(AFTER, {"n": 4}, deadline=SHORT)).error, DatabaseBusy)
            assert watch.took <= lag.bound(RECORD + 0.25)
        assert await asyncio.to_thread(recorded, engine) == [0, 0]


async def test_all_waits_of_one_firing_together(url: str, engine: HookEngine, lag: Any) -> None:
    """Each alone would be within the limit; the hooks' own time is not counted."""
    run = engine.new_run(None, BEFORE, {"n": 1}, deadline=30)
    assert isinstance(run, Run)
    run.waited = FIRE - SHORT
    with kept(url):
        watch = Watch()
        with pytest.raises(DatabaseBusy):
            await run.fire()
        assert watch.took <= lag.bound(RECORD + 0.25)


async def test_what_a_cancelled_firing_waits_for_counts(
    url: str, engine: HookEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit under way is waited for, and what records its end then has a second, not all the time once more."""
    monkeypatch.setattr("hookrow.core.firing.FIRE", SHORT)
    run = engine.new_run(None, BEFORE, {"n": 1}, deadline=30, idempotency_key="k")
    assert isinstance(run, Run)
    with kept(url):
        firing = asyncio.create_task(run.fire())
        await asyncio.sleep(0.01)
        firing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await firing
    assert run.waited >= SHORT - 0.05
    assert run.patience(RECORD) == RECORD


async def test_every_wait_of_a_firing_counts(url: str, engine: HookEngine, lag: Any) -> None:
    """The look for the firing of the same key, and the engine's own event that a firing raises, have no limit of their
    own."""
    run = engine.new_run(None, BEFORE, {"n": 1}, deadline=30)
    assert isinstance(run, Run)
    await run.counted(asyncio.sleep(SHORT))
    assert run.waited >= SHORT
    paused = Hook(key="p", name="p", event="hook.paused", url="http://receiver.test/p")
    await asyncio.to_thread(engine.hooks.add, paused)
    with kept(url):
        watch = Watch()
        await raise_event(engine.runtime, "hook.paused", {"hook": {"id": 1}}, FIRE - SHORT)
        assert watch.took <= lag.bound(RECORD + 0.25)
    assert [each.event for each in await asyncio.to_thread(engine.log.page)] == [BEFORE]


async def test_a_silent_server_holds_up_no_loop(pg: str, lag: Any) -> None:
    """The hooks are read in a thread: what else the service's loop has to do is done meanwhile."""
    address = make_url(pg)
    async with AsyncHookEngine(pg, worker=False) as direct:
        await direct.hooks.add(Hook(name="a", event=AFTER, url="http://receiver.test/a"))
    with Silent(address) as proxy:
        async with AsyncHookEngine(proxy.url(address), worker=False, transport=Network()) as beside:
            await beside.fire(AFTER, {"n": 0})
            proxy.silent.set()
            beside.runtime.cache.forget()
            fires = [asyncio.create_task(beside.fire(AFTER, {"n": n}, deadline=SHORT)) for n in (1, 2, 3)]
            await asyncio.sleep(SHORT / 4)
            assert not any(fire.done() for fire in fires), "the loop goes on while they wait"
            assert [type((await fire).error) for fire in fires] == [DatabaseBusy] * 3


async def test_fire_behind_others_jobs(url: str, engine: HookEngine, lag: Any) -> None:
    """A writer that is busy with something long: who gives up is not written later."""
    gate, begun = threading.Event(), threading.Event()

    def long(connection: Any) -> None:
        begun.set()
        gate.wait(30)

    writer = engine.runtime.database.writer
    done: list[int] = []
    waiting = writer.submit(long)
    assert begun.wait(10)
    watch = Watch()
    says = "on the same SQLite file" if url.startswith("sqlite") else "did not answer in time"
    with pytest.raises(DatabaseBusy, match=says):
        await asyncio.to_thread(engine.fire, BEFORE, {"n": 1}, deadline=SHORT)
    assert watch.took <= lag.bound(RECORD + 0.25)
    with pytest.raises(DatabaseBusy, match=says):
        await asyncio.wait_for(writer.awrite(lambda connection: done.append(1), SHORT), 30)
    gate.set()
    waiting.result(30)
    assert (await asyncio.to_thread(recorded, engine), done) == ([0], [])


async def test_all_connections_in_use(url: str, lag: Any) -> None:
    """Who asks for one more is told so, when its own time is over."""
    on_file = url.startswith("sqlite")
    few = url if on_file else make_url(url).update_query_dict({"hookrow_connections": "3"})
    with HookEngine(few, worker=False) as engine:
        database = engine.runtime.database
        held = [database.connected("read") for _ in range(15 if on_file else 3)]
        watch = Watch()

        def asking() -> None:
            with pytest.raises(DatabaseBusy, match="in use"), database.read(SHORT):
                pass

        await asyncio.to_thread(asking)
        assert watch.took <= lag.bound(SHORT + 0.25)
        for each in held:
            each.close()


# -- PostgreSQL alone -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short")
def test_a_question_while_somebody_holds_a_lock(pg: str) -> None:
    """Of a command, of the interface; and a firing whose hooks can't be read."""
    with HookEngine(pg, worker=False, transport=Network()) as engine:
        with_hooks(engine)
        with kept(pg):
            watch = Watch()
            with pytest.raises(DatabaseBusy, match="another session holds a lock"):
                engine.log.page()
            assert watch.took < SHORT + 2
        with kept(pg, "config_version"):
            engine.runtime.cache.forget()
            with pytest.raises(DatabaseBusy):
                engine.fire(BEFORE, {"n": 1})


@pytest.mark.usefixtures("short")
def test_in_the_callers_transaction(pg: str) -> None:
    """Our statements wait no longer than elsewhere; the caller's own as long as before, also after ours failed."""
    host = create_engine(pg, connect_args=in_public(pg))
    with HookEngine(pg, worker=False, transport=Network()) as engine:
        with_hooks(engine)
        with host.connect() as connection, kept(pg):
            connection.execute(text("SET LOCAL lock_timeout = '77s'"))
            savepoint = connection.begin_nested()
            with pytest.raises(DatabaseBusy):
                engine.fire(AFTER, {"n": 0}, connection=connection)
            savepoint.rollback()
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "77s"
        with host.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '77s'"))
            engine.fire(AFTER, {"n": 1}, connection=connection)
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "77s"
        assert recorded(engine) == [1]
    host.dispose()


async def test_a_silent_server(pg: str, lag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are kept and carry nothing: neither a firing nor a question waits for them beyond its limit."""
    for name in ("ANSWER", "CONNECT", "GREETING"):
        monkeypatch.setattr(f"hookrow.store.database.server.{name}", SHORT)
    address = make_url(pg)
    HookEngine(pg, worker=False).close()
    with Silent(address) as proxy, HookEngine(proxy.url(address), worker=False, transport=Network()) as engine:
        await asyncio.to_thread(with_hooks, engine)
        await asyncio.to_thread(engine.fire, BEFORE, {"n": 0})
        proxy.silent.set()
        watch = Watch()
        with pytest.raises(DatabaseBusy):
            await asyncio.to_thread(engine.fire, BEFORE, {"n": 1}, deadline=1)
        assert watch.took <= lag.bound(RECORD + SLACK + 2 * TICK)
        watch = Watch()
        with pytest.raises(DatabaseBusy, match="did not answer"):
            await asyncio.to_thread(engine.hooks.list)
        assert watch.took <= lag.bound(3 * SHORT + 1)
        proxy.silent.clear()
        await asyncio.to_thread(engine.fire, BEFORE, {"n": 2})
        assert await asyncio.to_thread(recorded, engine) == [2, 0]


async def test_a_limit_is_kept_to_some_hundredths_of_a_second(pg: str, lag: Any) -> None:
    """psycopg by itself asks ten times a second whether to wait on."""
    with Silent(make_url(pg)) as proxy:
        connection = Server.connect(proxy.url(make_url(pg)).replace("+psycopg", ""))
        proxy.silent.set()

        def asked() -> float:
            watch = Watch()
            with Until(0.01), pytest.raises(NoAnswer):
                connection.execute("SELECT 1")
            return watch.took

        assert await asyncio.to_thread(asked) <= lag.bound(0.01 + SLACK + 2 * TICK)


async def test_a_stopped_backend_is_replaced(pg: str, lag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lives answers BEGIN at once: a connection that does not is given up, and the firing is recorded."""
    monkeypatch.setattr("hookrow.store.database.server.GREETING", SHORT)
    monkeypatch.setattr("hookrow.store.database.server.LATELY", 0)  # it answered a moment before it was stopped
    with HookEngine(pg, worker=False, transport=Network()) as engine:
        await asyncio.to_thread(with_hooks, engine)
        with engine.runtime.database.write() as connection:
            backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        os.kill(backend, signal.SIGSTOP)
        try:
            watch = Watch()
            await asyncio.to_thread(engine.fire, BEFORE, {"n": 1})
            assert watch.took <= lag.bound(SHORT + 1)
        finally:
            os.kill(backend, signal.SIGCONT)
        assert await asyncio.to_thread(recorded, engine) == [1]


def test_what_may_take_long(pg: str) -> None:
    """Migrations and counts of a whole log have no limit; all else says its own in every transaction."""
    with HookEngine(pg, worker=False) as engine:
        shown = []
        for seconds in (None, 3.0):
            with engine.runtime.database.read(seconds) as connection:
                shown.append(connection.execute(text("SHOW statement_timeout")).scalar_one())
        assert shown[0] == "0"
        assert 2000 <= int(shown[1].removesuffix("ms").replace("3s", "3000")) <= 3000
        with Until(None), engine.runtime.database.write() as connection:
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "0"


# -- within the process -----------------------------------------------------------------------------------------------


@contextmanager
def held_elsewhere(lock: threading.RLock) -> Iterator[None]:
    """Have another thread hold a lock inside the block."""
    with ThreadPoolExecutor(1) as other:
        other.submit(lock.acquire).result()
        yield
        other.submit(lock.release).result()


async def test_all_waits_of_one_change_together(
    url: str, engine: HookEngine, lag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each alone would be within the limit: the first lock is let go, and another one is met."""
    for module in ("core.hooks", "store.database.locks"):
        monkeypatch.setattr(f"hookrow.{module}.CHANGE", 4 * SHORT)
    changes = (
        lambda: engine.hooks.update("a", {"name": "new"}),
        lambda: engine.hooks.pause("a"),
        lambda: engine.settings.set("loop_depth", "4"),
    )
    for change in changes:
        with kept(url, "delivery, hookrow.setting"), kept_a_while(url, 3 * SHORT):
            watch = Watch()
            with pytest.raises(DatabaseBusy):
                await asyncio.to_thread(change)
            # A second for the server's own lag, which nobody measures; a lock alone would be waited for five.
            assert watch.took <= lag.bound(4 * SHORT + 1.25)


async def test_two_locks_of_one_change_together(pg: str, lag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its transaction: the hook's row is let go late, and then the deliveries are held."""
    monkeypatch.setattr("hookrow.store.database.locks.CHANGE", 2.0)
    async with AsyncHookEngine(pg, worker=False) as engine:
        await engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://receiver.test/a"))
        with kept(pg, "delivery"), psycopg.connect(pg.replace("+psycopg", "")) as other:
            other.execute("SELECT id FROM hookrow.hook FOR UPDATE")
            letting_go = threading.Timer(1.7, other.rollback)
            letting_go.start()
            watch = Watch()
            with pytest.raises(DatabaseBusy):
                await engine.hooks.pause("a")
            letting_go.join()
            assert watch.took <= lag.bound(2.0 + 1)


async def test_all_rows_of_one_change_together(pg: str, lag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook is let go late, then one of its deliveries after another, each in time by itself."""
    monkeypatch.setattr("hookrow.store.database.locks.CHANGE", 2.0)
    row = "SELECT id FROM hookrow.delivery WHERE id = %s FOR UPDATE"
    async with AsyncHookEngine(pg, worker=False) as engine:
        await engine.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://receiver.test/a"))
        rows = [(await engine.fire(AFTER, {"n": number})).deliveries[0].row_id for number in range(5)]
        with ExitStack() as stack:
            others = [stack.enter_context(psycopg.connect(pg.replace("+psycopg", ""))) for _ in (None, *rows)]
            others[0].execute("SELECT id FROM hookrow.hook FOR UPDATE")
            for other, number in zip(others[1:], rows, strict=True):
                other.execute(row, [number])
            timers = [threading.Timer(1.7 + 0.2 * number, other.rollback) for number, other in enumerate(others)]
            for timer in timers:
                timer.start()
            watch = Watch()
            with pytest.raises(DatabaseBusy):
                await engine.hooks.pause("a")
            assert watch.took <= lag.bound(2.0 + 1)
            for timer in timers:
                timer.join()
        await engine.hooks.pause("a")
        assert {each.state for firing in await engine.log.page() for each in firing.deliveries} == {"parked"}


def test_who_stands_still_in_a_transaction_holds_nobody_up(pg: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped, or whose machine is: the server ends its session, and what it did is begun again."""
    monkeypatch.setattr("hookrow.store.database.server.STILL", SHORT)
    ours: list[int] = []
    with HookEngine(pg, worker=False) as engine, psycopg.connect(pg.replace("+psycopg", ""), autocommit=True) as other:

        def job(connection: Connection) -> int:
            pid = connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7), pg_backend_pid()").one()[1]
            ours.append(pid)
            if len(ours) == 1:
                with other.transaction():
                    other.execute("SET LOCAL lock_timeout = '20s'")
                    other.execute("SELECT pg_advisory_xact_lock(7)")  # had when the server has ended that session
            return int(connection.exec_driver_sql("SELECT 7").scalar_one())

        engine.runtime.database.writer.write(lambda connection: None)
        assert engine.runtime.database.writer.write(job) == 7
    assert len(set(ours)) == 2


async def test_a_change_with_much_to_do_is_not_cut_short(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for what it waits for: thousands of deliveries that go on with a hook may take longer."""
    change = hookstore.change

    def much(connection: Connection, *given: Any, **how: Any) -> bool:
        time.sleep(4 * SHORT)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_sleep(0.4)"))
        return change(connection, *given, **how)

    for module in ("core.hooks", "store.database.locks"):
        monkeypatch.setattr(f"hookrow.{module}.CHANGE", 3 * SHORT)
    monkeypatch.setattr(hookstore, "change", much)
    changed = await asyncio.to_thread(engine.hooks.update, "a", {"name": "new"})
    assert changed.name == "new"


def test_another_engine_of_the_process_writes(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transaction is waited for as another process's is."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", SHORT)
    with held_elsewhere(engine.runtime.database.process_lock), pytest.raises(DatabaseBusy):
        engine.hooks.update("g", timeout=7)


def test_another_thread_reads_the_hooks(engine: HookEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """One asks the database for all; who waits for it waits no longer than it may itself."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", SHORT)
    engine.runtime.cache.forget()
    with held_elsewhere(engine.runtime.cache.lock), pytest.raises(DatabaseBusy):
        engine.fire(BEFORE, {"n": 1})


def test_two_commands_that_change_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one says so."""
    monkeypatch.setattr("hookrow.core.care.keys.LOCK", SHORT)
    with alone(tmp_path / "hooks.db"), pytest.raises(Refused, match="another command"), alone(tmp_path / "hooks.db"):
        pass


async def test_all_waits_at_the_end_together(url: str, engine: HookEngine, lag: Any) -> None:
    """Each would wait five seconds for the lock: what an engine has still to write has one limit."""
    writer = engine.runtime.database.writer
    with kept(url):
        writer.end_within(SHORT)
        watch = Watch()
        for _ in range(3):
            with pytest.raises(DatabaseBusy):
                await writer.awrite(lambda connection: ours(connection, "SELECT count(*) FROM main.firing").all())
        assert watch.took <= lag.bound(SHORT + 1)


def test_the_page_promises_what_is_bounded() -> None:
    """`fire()` as the design has it, and every command's waits within ten seconds."""
    assert (FIRE, RECORD) == (5.0, 1.0)
    assert all(each.seconds < 10 for each in WAITS if isinstance(each.seconds, float))
