"""A disk that refuses every write, with the kernel's own error: what was sent is recorded once it takes writes again.

RLIMIT_FSIZE makes the kernel refuse writes to files (EFBIG), which SQLite tells as «disk I/O error»: no stand-in.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hookrow import AsyncHookEngine, Hook, StorageError
from hookrow.store.database.opening import open_database
from hookrow.store.outbox import Claimed
from outbox_rows import Result, add_hook, fire, result, rows
from worker_bench import Receiver, now_ms, running, seen, worker_on

EVENT = "before_order_add"


def refuse_writes(refuse: bool) -> None:
    """For this process, of which only the soft limit is moved."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (0 if refuse else hard, hard))


def in_child(work: Callable[[Path], Any], path: Path) -> Any:
    """What `work` gives in a forked process: the limit is a whole process's."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()

    def run() -> None:
        try:
            theirs.send(work(path))
        except BaseException as error:  # noqa: BLE001 (whatever it is, the parent is told)
            theirs.send(repr(error))

    child = fork.Process(target=run)
    child.start()
    assert ours.poll(30), "the child does not answer"
    told = ours.recv()
    child.join(30)
    assert child.exitcode == 0
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return told


def sent_but_not_recorded(path: Path) -> Any:
    """A worker whose disk fails between the request and its result."""

    async def work() -> Any:
        database = open_database(f"sqlite:///{path}")
        hook = add_hook(database, "a")
        for _ in range(3):
            fire(database, [hook], now_ms())

        async def answer(claimed: Claimed) -> Result:
            refuse_writes(True)
            return result()

        receiver = Receiver(answer)
        worker = worker_on(database, receiver, poll=0.02)
        async with running(worker):
            await seen(lambda: worker.trouble.failures >= 3)
            refused = ""
            try:
                fire(database, [hook], now_ms())
            except StorageError as error:
                refused = str(error)
            receiver.script = None
            refuse_writes(False)
            await seen(lambda: all(row.state == "ok" for row in rows(database).values()))
        kept = len(rows(database))
        database.close()
        return refused, kept, len(receiver.sent)

    return asyncio.run(work())


def test_what_was_sent_is_recorded_once_the_disk_writes_again(tmp_path: Path) -> None:
    """Nothing goes twice; a firing meanwhile is refused with the reason, and is not kept."""
    refused, kept, sent = in_child(sent_but_not_recorded, tmp_path / "hooks.db")
    assert "disk I/O error" in refused
    assert (kept, sent) == (3, 3)


def asked_but_not_recorded(path: Path) -> Any:
    """A waiting hook's firing on a disk that fails, then on one that works again."""

    async def work() -> Any:
        async with AsyncHookEngine(f"sqlite:///{path}", worker=False) as engine:
            await engine.hooks.add(
                Hook(name="a", event="before_order_add", url="http://127.0.0.1:9/", condition="false")
            )
            refuse_writes(True)
            try:
                await engine.fire(EVENT, {"order": {}})
                verdict = "recorded"
            except StorageError as error:
                verdict = "no verdict" if error.firing is None else f"allowed: {error.firing.allowed}, {error}"
            refuse_writes(False)
            again = await engine.fire(EVENT, {"order": {}})
            return verdict, again.allowed, len(await engine.log.page())

    return asyncio.run(work())


def test_a_verdict_is_given_though_it_could_not_be_recorded(tmp_path: Path) -> None:
    """The caller is told what the hooks said; the next firing is recorded, without a restart."""
    verdict, allowed, kept = in_child(asked_but_not_recorded, tmp_path / "hooks.db")
    assert verdict.startswith("allowed: True, ")
    assert "disk I/O error" in verdict
    assert (allowed, kept) == (True, 1)
