"""PostgreSQL: workers hear of rows and edits at once; killed connections and deadlocks cost nothing but a new try."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from hookrow.errors import StorageError
from hookrow.ids import new_uid
from hookrow.store import outbox
from hookrow.store.configuration.cache import ConfigCache
from hookrow.store.database import notify as listening
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.database.notify import announce
from hookrow.store.database.opening import open_database
from hookrow.store.database.server import Server
from hookrow.store.outbox.writing import NewDelivery, Rows
from outbox_rows import add_hook, fire, pause, resume, rows, state
from postgres_kept import KeptPostgres
from schemas import ours
from scripted import HandClock
from silent import Silent
from two_processes import database, other
from worker_bench import Receiver, now_ms, running, seen, worker_on

__all__ = ["database", "other"]

pytestmark = pytest.mark.anyio
NEVER = 1000.0
"""A worker's pause that no test outlasts: what it sends, it was told of."""


@contextmanager
def heard(postgres_url: str) -> Iterator[list[str]]:
    """The channels of what was announced inside the block."""
    found: list[str] = []
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("LISTEN hookrow_due; LISTEN hookrow_config; LISTEN mark")
        yield found
        # The server tells in the order of commits: behind the mark nothing of the block comes any more.
        with psycopg.connect(postgres_url, autocommit=True) as another:
            another.execute("NOTIFY mark")
        for notice in connection.notifies(timeout=10):
            if notice.channel == "mark":
                return
            found.append(notice.channel)
    raise AssertionError("the server did not tell of the mark")


def end_connections(postgres_url: str, which: str = "true") -> int:
    """End the database's connections for which this is true, as an administrator does; how many."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            f"WHERE datname = current_database() AND pid <> pg_backend_pid() AND {which}"
        ).fetchall()
    return len(ended)


# -- hearing ----------------------------------------------------------------------------------------------------------


async def test_a_committed_firing_wakes_every_worker(database: Database, other: Database) -> None:
    """An idle worker whose next look is far away sends what another process has just written."""
    hook = add_hook(database, "a")
    receiver = Receiver()
    worker = worker_on(database, receiver, poll=NEVER)
    async with running(worker):
        await seen(lambda: worker.listener is not None and worker.listener.listening)
        for number in range(3):
            await asyncio.to_thread(fire, other, [hook], now_ms())
            await receiver.until(lambda number=number: len(receiver.sent) == number + 1)


async def test_what_a_person_does_wakes_the_workers(database: Database, other: Database) -> None:
    """A hook is resumed by another process: what was parked goes out at once."""
    hook = add_hook(database, "a")
    pause(database, hook)
    fire(database, [hook], now_ms())
    receiver = Receiver()
    worker = worker_on(database, receiver, poll=NEVER)
    async with running(worker):
        await seen(lambda: [each.state for each in rows(database).values()] == ["parked"])
        await asyncio.to_thread(resume, other, hook, now_ms())
        await receiver.until(lambda: len(receiver.sent) == 1)


async def test_a_lost_listening_connection_is_made_anew(
    database: Database, other: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """Meanwhile the worker looks as often as on SQLite; then it hears again. Both are said once."""
    monkeypatch.setattr(listening, "AGAIN", 0.05)
    hook = add_hook(database, "a")
    receiver = Receiver()
    worker = worker_on(database, receiver, poll=NEVER)
    listener = worker.listener
    assert listener is not None
    async with running(worker):
        await seen(lambda: listener.listening)
        assert await asyncio.to_thread(end_connections, postgres_url, "query LIKE 'NOTIFY%'") == 1
        await seen(lambda: not listener.listening or "trying to listen again" in caplog.text)
        await seen(lambda: listener.listening)
        await asyncio.to_thread(fire, other, [hook], now_ms())
        await receiver.until(lambda: len(receiver.sent) == 1)
    said = [each.message for each in caplog.records if "word of new rows" in each.message]
    assert [each.partition(",")[0].partition(":")[0] for each in said] == [
        "word of new rows comes late",
        "word of new rows comes at once again (failures",
    ]


async def test_without_word_the_rows_are_found_by_looking(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch, lag: Any
) -> None:
    """A listening connection that can't be had (a pooler between, too many connections) costs a quarter of a second."""

    async def refused(*args: Any, **given: Any) -> Any:
        raise psycopg.OperationalError("too many connections")

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", refused)
    hook = add_hook(database, "a")
    receiver = Receiver()
    async with running(worker_on(database, receiver)):
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(fire, other, [hook], now_ms())
        await receiver.until(lambda: len(receiver.sent) == 1)
        assert asyncio.get_running_loop().time() - began <= lag.bound(1.0)


async def test_a_connection_that_hears_nothing_is_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """A pooler in transaction mode says yes to LISTEN and hands on nothing: the worker looks, and says what to do."""
    monkeypatch.setattr(listening, "ECHO", 0.1)
    say = listening.Listener.say

    async def in_vain(self: listening.Listener, words: str) -> None:
        if not words.startswith("LISTEN"):
            await say(self, words)

    monkeypatch.setattr(listening.Listener, "say", in_vain)
    worker = worker_on(database, Receiver(), poll=NEVER)
    async with running(worker):
        await seen(lambda: "hookrow_pooler=transaction" in caplog.text)
        assert worker.listener is not None
        assert not worker.listener.listening


async def test_a_silent_connection_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch, lag: Any) -> None:
    """One that is kept and says nothing any more: a word of one's own comes back, or it is made anew."""
    monkeypatch.setattr(listening, "ECHO", 0.1)
    monkeypatch.setattr(listening, "ECHOES", 0.1)
    with Silent(database.address) as proxy:
        monkeypatch.setattr(database, "pg_parameters", partial(proxy.leading_to, database.pg_parameters()))
        listener = listening.Listener(database, lambda channel: None)
        task = asyncio.create_task(listener.run())
        await seen(lambda: listener.listening)
        began = asyncio.get_running_loop().time()
        proxy.silent.set()
        await seen(lambda: not listener.listening)
        assert asyncio.get_running_loop().time() - began <= lag.bound(0.5)
        task.cancel()
        listener.hang_up()
        await asyncio.wait([task])


async def test_a_name_server_that_hangs_holds_up_no_exit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look-up has a thread that ends with the process: the interpreter joins those of asyncio's own pool."""
    threads: list[threading.Thread] = []
    asked, over = threading.Event(), threading.Event()

    def hanging(*_: Any, **__: Any) -> Any:
        threads.append(threading.current_thread())
        asked.set()
        over.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    monkeypatch.setattr(database, "pg_parameters", lambda: {"host": "db.test"})
    task = asyncio.create_task(listening.Listener(database, lambda channel: None).run())
    assert await asyncio.to_thread(asked.wait, 30)
    task.cancel()
    await asyncio.wait([task])
    over.set()
    assert [thread.daemon for thread in threads] == [True]


async def test_the_next_of_several_hosts_is_listened_to(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand in one URL; the first refuses."""
    with Silent(database.address) as proxy:
        several = {
            **proxy.leading_to(database.pg_parameters()),
            "host": "127.0.0.1,127.0.0.1",
            "port": f"1,{proxy.port}",
        }
        monkeypatch.setattr(database, "pg_parameters", lambda: several)
        listener = listening.Listener(database, lambda channel: None)
        task = asyncio.create_task(listener.run())
        await seen(lambda: listener.listening)
        task.cancel()
        await asyncio.wait([task])


async def test_an_edit_is_heard(database: Database, other: Database) -> None:
    """The cache of a process with a worker is told of another's edit; its own clock stands still here."""
    database.clock = StorageClock(HandClock())
    cache = ConfigCache(database)
    cache.get()
    worker = worker_on(database, Receiver(), poll=NEVER, config_changed=cache.forget)
    async with running(worker):
        await seen(lambda: worker.listener is not None and worker.listener.listening)
        hook = await asyncio.to_thread(add_hook, other, "a")
        await seen(lambda: list(cache.get().hooks) == [hook])


def test_a_transaction_begun_early_and_committed_late_is_seen(own_postgres: KeptPostgres) -> None:
    """The number that moves with every commit moves with this one too, for who hears no word of it.

    On a server of its own: the number is the server's, and other tests' commits move it.
    """
    database = open_database(own_postgres.url.replace("postgresql://", "postgresql+psycopg://"))
    hook = add_hook(database, "a")
    with psycopg.connect(own_postgres.url) as early:
        early.execute("SELECT pg_current_xact_id()")
        fire(database, [hook])
        before = database.data_version()
        early.commit()
        assert database.data_version() != before
        assert database.data_version() == database.data_version()
    database.close()


# -- announcing -------------------------------------------------------------------------------------------------------


def test_what_is_announced(database: Database, postgres_url: str) -> None:
    """Rows for any worker, once a transaction; not those handed over in memory, and nothing that was rolled back."""
    hook = add_hook(database, "a")
    with heard(postgres_url) as waiting:
        fire(database, [hook, hook])
    assert waiting == ["hookrow_due"]
    with heard(postgres_url) as handed_over:
        fire(database, [hook, hook], owner="engine")
    assert handed_over == []

    def many(connection: Connection) -> None:
        for _ in range(3):
            announce(connection)

    with heard(postgres_url) as once:
        database.writer.write(many)
    assert once == ["hookrow_due"]

    def taken_back(connection: Connection) -> None:
        announce(connection)
        raise StorageError("no")

    with heard(postgres_url) as nothing, pytest.raises(StorageError):
        database.writer.write(taken_back)
    assert nothing == []


# -- what killed connections cost -------------------------------------------------------------------------------------


def test_a_killed_connection_costs_no_caller_anything(database: Database, postgres_url: str) -> None:
    """The first write and the first read after it succeed, as after a restart of the server."""
    hook = add_hook(database, "a")
    with database.read() as connection:
        connection.execute(text("SELECT 1"))
    assert end_connections(postgres_url) >= 2
    _, (row,) = fire(database, [hook])
    assert state(database, row) == "queued"


def test_a_connection_killed_in_mid_transaction(database: Database, postgres_url: str) -> None:
    """The whole transaction is begun again, for all that wait in it; nothing is written twice."""
    hook = add_hook(database, "a")
    kills = 2

    def job(connection: Connection) -> int:
        nonlocal kills
        taken = outbox.claim(connection, owner="w", now_ms=now_ms(), limit=9, per_hook={}, otherwise=9)
        if kills:
            kills -= 1
            end_connections(postgres_url, f"pid = {connection.exec_driver_sql('SELECT pg_backend_pid()').scalar()}")
        return len(taken.rows)

    fire(database, [hook], now_ms())
    assert database.writer.write(job) == 1
    [row] = rows(database).values()
    assert (row.state, row.fence) == ("leased", 1)


def test_a_connection_that_is_killed_again_and_again(database: Database, postgres_url: str) -> None:
    """It is not tried for ever; the next job has its own tries."""

    def job(connection: Connection) -> None:
        end_connections(postgres_url, f"pid = {connection.exec_driver_sql('SELECT pg_backend_pid()').scalar()}")

    with pytest.raises(StorageError):
        database.writer.write(job)
    assert database.writer.failed is not None
    add_hook(database, "a")
    assert database.writer.failed is None


def test_a_connection_lost_in_the_commit(database: Database) -> None:
    """Whether the server kept it is not known: none of its callers' jobs is begun again, and the error says so."""
    calls = []

    def job(connection: Connection) -> None:
        calls.append(connection.exec_driver_sql("SELECT 1").scalar())

    def before_commit(connection: Connection) -> None:
        wire = connection.connection.driver_connection
        assert isinstance(wire, psycopg.Connection)
        with socket.socket(fileno=os.dup(wire.fileno())) as wire_itself:
            wire_itself.shutdown(socket.SHUT_RDWR)

    event.listen(database.engine("write"), "commit", before_commit)
    with database.writer.running:
        both = [database.writer.submit(job) for _ in range(2)]
    for each in both:
        with pytest.raises(StorageError, match="during a commit"):
            each.result()
    assert len(calls) == 2


def new_firing(hook: int) -> Rows:
    """A firing with one delivery, as the writer's job."""
    at_ms = now_ms()
    firing = {
        "uid": new_uid(at_ms),
        "event": "e",
        "moment": "on",
        "at_ms": at_ms,
        "deadline_ms": at_ms,
        "payload": "{}",
    }
    its = {"hook_id": hook, "hook_revision": 1, "seq": 1, "position": 1, "mode": "notify", "state": "queued"}
    return Rows(at_ms, firing, None, [NewDelivery(its)])


@pytest.mark.parametrize("heard", [True, False])
def test_a_lost_commit_of_firings_is_looked_up(
    database: Database, monkeypatch: pytest.MonkeyPatch, heard: bool
) -> None:
    """The server has committed and its answer was lost, or it never heard of it: each firing is there once."""
    hook = add_hook(database, "a")
    commit, losses = Server.commit, 2

    def lost(self: Server) -> None:
        nonlocal losses
        if not losses:
            commit(self)
            return
        losses -= 1
        if heard:
            commit(self)
        self.close()
        raise psycopg.OperationalError("the connection is lost")

    monkeypatch.setattr(Server, "commit", lost)
    with database.writer.running:
        jobs = [database.writer.submit(new_firing(hook)) for _ in range(2)]
    written = [job.result(20) for job in jobs]
    monkeypatch.setattr(Server, "commit", commit)
    assert not losses
    assert sorted(rows(database)) == sorted(row for each in written for row in each.deliveries)


def test_a_deadlock_is_begun_again(database: Database, other: Database) -> None:
    """Two processes that take two rows in opposite order: the server ends one, which then goes through."""
    _, (first, second) = fire(database, [add_hook(database, "a"), add_hook(database, "b")])
    both = threading.Barrier(2, timeout=20)
    tries: list[str] = []

    def taking(*taken: int) -> Any:
        def job(connection: Connection) -> None:
            tries.append("begun")
            for number, row in enumerate(taken):
                ours(connection, "UPDATE main.delivery SET attempts = attempts + 1 WHERE id = :id", id=row)
                if number == 0 and len(tries) <= 2:
                    both.wait()

        return job

    mine, theirs = database.writer.submit(taking(first, second)), other.writer.submit(taking(second, first))
    mine.result(20), theirs.result(20)
    assert len(tries) > 2
    assert [each.attempts for each in rows(database).values()] == [2, 2]
