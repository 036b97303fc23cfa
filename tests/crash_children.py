"""Processes that are made to be killed: workers, hosts, a feeder, and the receiver whose log is the judge.

Run as a program this file is the nursery: one warmed, single-threaded process that forks a child for each line of its
standard input. Run with a name and arguments it is that child itself, started by exec.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event, insert

from hookrow import AsyncHookEngine, Hook, HookEngine
from hookrow.clock import SystemClock
from hookrow.store import outbox
from hookrow.store.database import backup, opening
from hookrow.store.database.database import Database
from hookrow.store.database.migrations import run
from hookrow.store.database.opening import open_database
from hookrow.store.log import purge
from hookrow.store.outbox import Settle
from hookrow.store.outbox.writing import Rows
from hookrow.worker import Worker
from schemas import NEXT, in_public

__all__ = ["EVENT", "POINTS", "FastClock", "Machine", "hook_at"]

EVENT = "after_registration"
EPOCH_MS = 1_800_000_000_000
POINTS = (
    *("claim:before", "claim:inside", "claim:after", "send:before", "send:after"),
    *("settle:before", "settle:inside", "settle:after"),
)
"""What a worker was doing, and on which side of its commit (of the request, for `send`) it is killed."""


class FastClock:
    """The machine's clock, faster; the same in every process, so that leases lapse in a test's time.

    A file, where one is named, holds by how many milliseconds somebody has set the wall's clock.
    """

    def __init__(self, speed: float, set_by: str | None = None) -> None:
        self.speed = speed
        self.boot = f"at {speed}"
        self.set_by = None if set_by is None else os.open(set_by, os.O_RDONLY)

    def now_ms(self) -> int:
        moved = 0 if self.set_by is None else int(os.pread(self.set_by, 32, 0))
        return EPOCH_MS + moved + round(time.monotonic() * 1000 * self.speed)

    def monotonic(self) -> float:
        return time.monotonic() * self.speed


class Machine(SystemClock):
    """A machine whose wall clock is wrong by so many milliseconds."""

    def __init__(self, wrong_ms: int) -> None:
        self.wrong_ms = wrong_ms

    def now_ms(self) -> int:
        return super().now_ms() + self.wrong_ms


def hook_at(url: str, key: str, **given: Any) -> Hook:
    """A hook at a receiver's path, in background unless it is said otherwise."""
    return Hook(key=key, name=key, url=url, **{"event": EVENT, "timeout": 2, **given})


def line(path: str, *words: object) -> None:
    """One whole line at a file's end; it stands there even if the process is killed right after."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (" ".join(map(str, words)) + "\n").encode())
    os.close(handle)


def die() -> None:
    """As `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


# -- failpoints, put on from outside: the product has none ------------------------------------------------------------


def kill_at(database: Database, point: str, marked: list[bool]) -> None:
    """Kill this process around the commit of the transaction in which `marked` was filled."""
    _, side = point.split(":")
    write, commit = database.write, database.commit

    passed: list[bool] = []

    def before_commit(connection: Connection) -> None:
        if not marked or passed:
            return
        passed.append(True)
        if side == "before":
            die()
        if side == "inside":
            # A commit takes about a millisecond: somewhere in it.
            wait = int.from_bytes(os.urandom(2)) / 65_536 * 0.0015
            threading.Thread(target=lambda: (time.sleep(wait), die()), daemon=True).start()

    def committing(connection: Connection) -> None:
        before_commit(connection)
        commit(connection)

    @contextmanager
    def watched(*given: Any) -> Iterator[Connection]:
        with write(*given) as connection:
            yield connection
        if marked:
            assert passed, "it was committed elsewhere: this point is no longer one"
            die()

    database.commit = committing  # type: ignore[method-assign]
    event.listen(database.engine("write"), "commit", before_commit)  # a migration's own
    database.write = watched  # type: ignore[method-assign]


def marking(function: Callable[..., Any], marked: list[bool]) -> Callable[..., Any]:
    """The function, noting that it did something."""

    def wrapped(*args: Any, **given: Any) -> Any:
        answer = function(*args, **given)
        if getattr(answer, "rows", answer):
            marked.append(True)
        return answer

    return wrapped


def arm(engine: AsyncHookEngine, point: str) -> None:
    """Set one of POINTS in this process."""
    marked: list[bool] = []
    doing, side = point.split(":")
    if doing == "send":
        send = engine.sending.send_claimed

        async def perform(*args: Any) -> Any:
            if side == "before":
                die()
            await send(*args)
            die()

        engine.sending.send_claimed = perform  # type: ignore[method-assign]
        return
    if doing == "claim":
        outbox.claim = marking(outbox.claim, marked)
    else:
        Settle.run_many = marking(Settle.run_many, marked)  # type: ignore[method-assign]
        Settle.__call__ = marking(Settle.__call__, marked)  # type: ignore[method-assign]
    kill_at(engine.runtime.database, point, marked)


# -- the children -----------------------------------------------------------------------------------------------------


def worker(
    db: str, speed: float = 1.0, point: str | None = None, concurrency: int = 8, wrong_ms: int | None = None
) -> None:
    """Drain the outbox until SIGTERM, or until killed; by a fast clock, or by one that is wrong."""

    async def main() -> None:
        clock = FastClock(speed) if wrong_ms is None else Machine(wrong_ms)
        engine = AsyncHookEngine(db, worker=False, clock=clock)
        if point is not None:
            arm(engine, point)
        loop = asyncio.get_running_loop()

        def started(running: Worker) -> None:
            running.retention = None  # what is finished is evidence
            stop = partial(lambda: loop.create_task(running.drain(2.0)))
            loop.add_signal_handler(signal.SIGTERM, stop)

        try:
            await engine.run_worker(concurrency=concurrency, started=started)
        finally:
            await engine.close()

    asyncio.run(main())


def feeder(db: str, acks: str, speed: float = 1.0, pause: float = 0.004) -> None:
    """Fire until killed; what `fire()` returned for stands in `acks`, delivery by delivery."""
    with HookEngine(db, worker=False, clock=FastClock(speed)) as engine:
        number = 0
        while True:
            number += 1
            firing = engine.fire(EVENT, {"number": number})
            if firing.error is None:
                for delivery in firing.deliveries:
                    line(acks, delivery.id)
            time.sleep(pause)


def own_host(db: str, acks: str, point: str | None = None) -> None:
    """`fire()` in its own transaction: a line before, a line after it returned. Without a `point` under keys, so that
    each is committed as running first."""
    with HookEngine(db, worker=False) as engine:
        if point is not None:
            marked: list[bool] = []
            Rows.__call__ = marking(Rows.__call__, marked)  # type: ignore[method-assign]
            if hasattr(Rows, "run_many"):
                Rows.run_many = marking(Rows.run_many, marked)
            kill_at(engine.runtime.database, point, marked)
        number = 0
        while True:
            number += 1
            name = f"{os.getpid()}-{number}"
            line(acks, "begun", name)
            engine.fire(EVENT, {"number": name}, idempotency_key=name if point is None else None)
            line(acks, "done", name)


def transaction_host(db: str, acks: str, point: str | None = None) -> None:
    """`fire(connection=…)`: the firing and a row of the host's own stand or fall together."""
    theirs = create_engine(db, connect_args=in_public(db))
    from sqlalchemy import Column, MetaData, String, Table

    order = Table("host_order", MetaData(), Column("number", String, primary_key=True))
    with HookEngine(db, worker=False) as engine:
        order.create(theirs, checkfirst=True)
        number = 0
        while True:
            number += 1
            name = f"{os.getpid()}-{number}"
            line(acks, "begun", name)
            with theirs.begin() as connection:
                connection.execute(insert(order).values(number=name))
                engine.fire(EVENT, {"number": name}, connection=connection)
                if point == "fire:before":
                    die()
            if point == "fire:after":
                die()
            line(acks, "done", name)


def born_leased(db: str, acks: str, count: int, speed: float) -> None:
    """A service whose own worker is handed `count` rows in memory; the hook's timeout rises while they are leased."""
    with HookEngine(db, clock=FastClock(speed)) as engine:
        for number in range(count):
            firing = engine.fire(EVENT, {"number": number})
            for delivery in firing.deliveries:
                line(acks, delivery.id)
            if number == count // 2:
                engine.hooks.update(1, {"timeout": 20})
        signal.pause()


def purging(db: str, point: str) -> None:
    """Purge everything that may go, and be killed at the third batch."""
    engine = HookEngine(db, worker=False)
    marked: list[bool] = []
    calls: list[None] = []
    batch = purge.purge_batch

    def third(*args: Any, **given: Any) -> Any:
        answer = batch(*args, **given)
        calls.append(None)
        if len(calls) == 3:
            marked.append(True)
        return answer

    purge.purge_batch = third
    purge.BATCH = 20
    kill_at(engine.runtime.database, point, marked)
    engine.log.prune(days=0)


def making(db: str, point: str) -> None:
    """Make a database, and be killed around the commit of its schema."""
    after = point.endswith("after")
    statements = opening.triggers

    def triggers(dialect: str) -> list[str]:
        if not after:
            die()
        return statements(dialect)

    opening.triggers = triggers
    open_database(db)
    die()


def migrating(db: str, scripts: str, point: str) -> None:
    """Upgrade to the next schema, and be killed while the copy is made, or around the migration's commit."""
    opening.HEAD = "0001"
    database = open_database(db)
    marked: list[bool] = []
    if point == "migrate:copy":
        copied = backup.copy

        def half(source: Path, part: Path, progress: Any, **how: Any) -> None:
            copied(source, part, progress, **how)
            os.truncate(part, part.stat().st_size // 2)
            die()

        backup.copy = half
    else:
        restore = run.restore_triggers

        def restored(connection: Connection) -> None:
            restore(connection)
            marked.append(True)

        run.restore_triggers = restored
        kill_at(database, point, marked)
    run.upgrade(database, scripts=Path(scripts), target=NEXT)
    die()


async def serving(ready: str, answer: Callable[[str, dict[str, str], bytes], Awaitable[bytes | None]]) -> None:
    """Serve HTTP/1.1 on a port that is told in `ready`: `answer` is given path, headers and body; None cuts it off."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *rest = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                given = await answer(first.split()[1], headers, body)
                if given is None:
                    return
                writer.write(given)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return  # the worker was killed
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    line(ready, server.sockets[0].getsockname()[1])
    await server.serve_forever()


def receiver(log: str, ready: str, slow: float = 0.0) -> None:
    """Every request is a line of the log, written before it is answered: `webhook-id path attempt moment`.

    `/slow` answers after `slow` seconds, `/hang` never, all else at once.
    """

    async def answer(path: str, headers: dict[str, str], body: bytes) -> bytes:
        line(log, headers["webhook-id"], path, headers["hook-attempt"], time.monotonic())
        if path == "/hang":
            await asyncio.Event().wait()
        await asyncio.sleep(slow if path == "/slow" else 0.002)
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

    asyncio.run(serving(ready, answer))


CHILDREN = {
    each.__name__: each
    for each in (
        worker,
        feeder,
        own_host,
        transaction_host,
        born_leased,
        purging,
        making,
        migrating,
        receiver,
    )
}


def child(name: str, given: dict[str, Any], errors: str) -> None:
    """Be this child, one of this module or `module:name`; what goes wrong is written to a file."""
    handle = os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(handle, 2)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    module, _, name = name.rpartition(":")
    made = CHILDREN[name] if not module else getattr(importlib.import_module(module), name)
    made(**given)


def nursery(folder: str) -> None:
    """Fork a child for each line of standard input, say its number; end with the input and take all along."""
    warm = Path(folder) / "warm.db"
    HookEngine(f"sqlite:///{warm}", worker=False).close()
    create_engine("postgresql+psycopg://").dispose()  # imports the driver
    assert threading.active_count() == 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    print("ready", flush=True)
    while asked := sys.stdin.readline():
        name, given, errors = json.loads(asked)
        number = os.fork()
        if number == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            code = 1
            try:
                child(name, given, errors)
                code = 0
            except BaseException:  # noqa: BLE001 - the child ends here, whatever it met
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        print(number, flush=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # stopped ones, too, and those of tests that were killed


if __name__ == "__main__":
    if len(sys.argv) == 2:
        nursery(sys.argv[1])
    else:
        child(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
