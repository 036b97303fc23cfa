"""The writer serves everybody: nothing that one caller does or leaves ends it for the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from hookrow.store.database import Database


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """One kind is enough: the thread is the same."""
    made = Database(f"sqlite:///{tmp_path}/hooks.db")
    yield made
    made.close()


@contextmanager
def held(database: Database) -> Iterator[None]:
    """Keep the thread busy: what is submitted meanwhile gathers in one batch."""
    began, gate = threading.Event(), threading.Event()

    def job(connection: Connection) -> None:
        began.set()
        gate.wait(10)

    waiting = database.writer.submit(job)
    assert began.wait(10)
    yield
    gate.set()
    waiting.result(10)


def test_a_caller_that_gave_up_is_left_alone(sqlite: Database) -> None:
    """Its cancelled future gets no answer; the next caller gets his."""
    with held(sqlite):
        given_up, patient = sqlite.writer.submit(lambda c: 1), sqlite.writer.submit(lambda c: 2)
        assert given_up.cancel()
    assert patient.result(10) == 2
    assert sqlite.writer.write(lambda c: 3) == 3


def test_a_loop_that_was_closed_is_left_alone(sqlite: Database) -> None:
    """A service that drops its loop with a commit under way does not take the writer along."""
    loop = asyncio.new_event_loop()
    with held(sqlite):
        task = loop.create_task(sqlite.writer.awrite(lambda c: 1))
        loop.run_until_complete(asyncio.sleep(0))
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))
        loop.close()
    assert sqlite.writer.write(lambda c: 2) == 2


@pytest.mark.parametrize("alone", [True, False])
def test_a_job_may_raise_anything(sqlite: Database, alone: bool) -> None:
    """Also what is no Exception: it goes to its own caller."""

    def leaves(connection: Connection) -> None:
        raise SystemExit(3)

    with held(sqlite):
        others = [] if alone else [sqlite.writer.submit(lambda c: 1)]
        left = sqlite.writer.submit(leaves)
    assert isinstance(left.exception(10), SystemExit)
    assert [other.result(10) for other in others] == ([] if alone else [1])
    assert sqlite.writer.write(lambda c: 2) == 2


def test_an_idle_thread_ends_and_the_next_job_starts_another(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library keeps no thread that nobody needs."""
    monkeypatch.setattr("hookrow.store.writer.IDLE", 0.01)
    monkeypatch.setattr("hookrow.store.writer.LULL", 0.01)
    sqlite.writer.write(lambda c: 1)
    first = sqlite.writer.thread
    if first is not None:
        first.join(10)
    assert sqlite.writer.thread is None
    assert sqlite.writer.write(lambda c: 2) == 2
