"""The worker while its database can't be written: it backs off, says little, and goes on by itself."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hookrow.errors import StorageError
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.log.purge import purge
from outbox_rows import add_hook, fire, rows
from worker_bench import Receiver, now_ms, running, seen, worker_on

pytestmark = pytest.mark.anyio


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said about storage."""
    return [each.message for each in caplog.records if "outbox" in each.message]


async def test_locked_by_another_process(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: Any) -> None:
    """The lock is held through many tries: one line, then one that it works again; the row is sent."""
    monkeypatch.setattr("hookrow.store.database.locks.LOCK", 0.05)
    database = open_database(f"sqlite:///{tmp_path / 'hooks.db'}")
    hook = add_hook(database, "a")
    _, [row] = fire(database, [hook], now_ms())
    other = sqlite3.connect(database.path or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    receiver = Receiver()
    worker = worker_on(database, receiver, poll=0.02)
    async with running(worker):
        await seen(lambda: worker.trouble.failures >= 3)
        assert receiver.sent == []
        other.rollback()
        await seen(lambda: rows(database)[row].state == "ok")
    other.close()
    database.close()
    assert len(lines(caplog)) == 2
    assert [each.levelno for each in caplog.records if "outbox" in each.message] == [logging.ERROR, logging.WARNING]


async def test_where_only_reading_works(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A standby, or a disk remounted: it does not «work again» because a look succeeded; each outage is said."""
    database = open_database(f"sqlite:///{tmp_path / 'hooks.db'}")
    hook = add_hook(database, "a")
    worker = worker_on(database, Receiver(), poll=0.02)
    async with running(worker):
        for outage in (1, 2):
            _, [row] = fire(database, [hook], now_ms())
            database.read_only = True
            worker.wake()
            await seen(lambda: worker.trouble.failures >= 3)
            assert len(lines(caplog)) == 2 * outage - 1
            database.read_only = False
            await seen(lambda row=row: rows(database)[row].state == "ok" and not worker.trouble.failures)  # type: ignore[misc]
    database.close()
    assert [each.levelno for each in caplog.records if "outbox" in each.message] == [logging.ERROR, logging.WARNING] * 2


async def test_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No page more: what can't be claimed waits, what was sent is recorded once there is room; nothing goes twice."""
    database = open_database(f"sqlite:///{tmp_path / 'hooks.db'}")
    hook = add_hook(database, "a")
    for _ in range(300):
        fire(database, [hook], now_ms())
    pages = limit_pages(database, None)
    limit_pages(database, pages)
    fill(database, hook)
    receiver = Receiver()
    worker = worker_on(database, receiver, poll=0.02)
    async with running(worker):
        await seen(lambda: worker.trouble.failures >= 1)
        limit_pages(database, pages + 10_000)
        await seen(lambda: all(row.state == "ok" for row in rows(database).values()))
        made = len(rows(database))
    sent = [each.row_id for each in receiver.sent]
    database.close()
    assert len(sent) == len(set(sent)) == made
    assert 1 <= len(lines(caplog)) <= 2


async def test_a_purge_on_a_full_disk(tmp_path: Path) -> None:
    """Deleting needs no page more inside the file: a purge makes room there for new firings."""
    database = open_database(f"sqlite:///{tmp_path / 'hooks.db'}")
    hook = add_hook(database, "a")
    receiver = Receiver()
    for _ in range(200):
        fire(database, [hook], now_ms())
    async with running(worker_on(database, receiver)):
        await seen(lambda: all(row.state == "ok" for row in rows(database).values()))
    limit_pages(database, limit_pages(database, None))
    fill(database, hook)
    assert purge(database, days=0, most_bytes=2**40, now_ms=now_ms() + 60_000).firings == 200
    fire(database, [hook], now_ms())
    database.close()


def fill(database: Database, hook: int) -> None:
    """Fire until not a firing more fits."""
    with pytest.raises(StorageError, match="disk is full"):
        fire_for_ever(database, hook)


def fire_for_ever(database: Database, hook: int) -> None:
    """Until something is raised."""
    while True:
        fire(database, [hook], now_ms())


def limit_pages(database: Database, most: int | None) -> int:
    """Let the file grow to so many pages on the writer's connection; gives its pages now."""
    if most is not None:
        database.writer.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={most}").close())
    with database.read() as connection:
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
