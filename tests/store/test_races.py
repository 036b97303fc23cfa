"""Two processes on one PostgreSQL that do the same at once: the second finds what the first has written."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from hookrow.store.breaker import Note, note
from hookrow.store.database import Database
from hookrow.store.parking import unpark
from hookrow.store.settling import Settle
from outbox_rows import T0, add_hook, breaker, claim, failed, fire, hook_row, set_hook, settle, state

LIMIT = 30.0


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """An empty database on PostgreSQL."""
    made = Database(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    made.close()


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """The same, as another process has it."""
    # Engines of one process on one URL write in turn; these two are as apart as two processes.
    made = Database(database.address.render_as_string(hide_password=False) + "&application_name=other")
    yield made
    made.close()


@pytest.fixture
def at_once(database: Database, other: Database, postgres_url: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Runs a job here and one in the other process, which waits for the first; the first commits then."""

    def both(first: Any, second: Any) -> tuple[Any, Any]:
        done, gate = threading.Event(), threading.Event()

        def held(connection: Connection) -> Any:
            answer = first(connection)
            done.set()
            assert gate.wait(LIMIT)
            return answer

        leading = database.writer.submit(held)
        assert done.wait(LIMIT)
        late = other.writer.submit(second)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            asked = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            while not late.done() and connection.execute(asked).fetchone() is None:
                pass
        gate.set()
        return leading.result(LIMIT), late.result(LIMIT)

    return both


def failure(hook: int, now_ms: int = T0) -> Callable[[Connection], Any]:
    """A job: the hook's receiver has failed."""
    return lambda connection: note(connection, [Note(hook, success=False, countable=True, answered=True)], now_ms)


# -- the breaker ------------------------------------------------------------------------------------------------------


def test_a_failure_does_not_write_over_a_breaker_that_another_opens(
    database: Database, at_once: Callable[[Any, Any], tuple[Any, Any]]
) -> None:
    """The tenth failure opens it while the eleventh waits for it: the hook is probed all the same, and goes on."""
    hook = add_hook(database, "a")
    rows = [fire(database, [hook], T0 + number)[1][0] for number in range(3)]
    for number in range(9):
        database.writer.write(failure(hook, T0 + number * 9000))
    now = T0 + 90_000
    tenth, eleventh, _ = claim(database, now).rows
    first, second = at_once(Settle(tenth, failed(), now), Settle(eleventh, failed(), now + 1))
    assert (first.paused, second.accepted, second.paused) == ("breaker", True, None)
    assert (hook_row(database, hook).paused_by, breaker(database, hook).probe_ms) == ("breaker", now + 30_000)
    (probe,) = claim(database, now + 30_000).rows
    assert probe.probe
    assert settle(database, probe, failed(400), now + 30_001).resumed
    assert "parked" not in {state(database, row) for row in rows}


def test_the_first_failures_of_two_processes(
    database: Database, at_once: Callable[[Any, Any], tuple[Any, Any]]
) -> None:
    """Both count, and neither is refused."""
    hook = add_hook(database, "a")
    at_once(failure(hook), failure(hook, T0 + 1))
    assert (breaker(database, hook).failures, breaker(database, hook).since_ms) == (2, T0)


@pytest.mark.parametrize("by", ["success", "person"])
def test_a_failure_after_a_breaker_that_another_closes(
    database: Database, at_once: Callable[[Any, Any], tuple[Any, Any]], by: str
) -> None:
    """It is the first of a new row of failures, not lost, where a success or a person ended the old one meanwhile."""
    hook = add_hook(database, "a")
    for number in range(3):
        database.writer.write(failure(hook, T0 + number))

    def closing(connection: Connection) -> None:
        if by == "success":
            note(connection, [Note(hook, success=True, answered=True)], T0 + 10)
        else:
            set_hook(connection, hook, paused_by=None)
            unpark(connection, hook, T0 + 10)

    at_once(closing, failure(hook, T0 + 20))
    assert (breaker(database, hook).failures, breaker(database, hook).since_ms) == (1, T0 + 20)
