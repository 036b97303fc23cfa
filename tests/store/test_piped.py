"""PostgreSQL: statements that no answer is needed of go with the next one, or with COMMIT, in one round trip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from hookrow.errors import StorageError
from hookrow.store.database import rows as numbers
from hookrow.store.database import server
from hookrow.store.database.database import Database
from hookrow.store.database.prepared import queueing, say
from hookrow.store.database.rows import Numbers, allocate
from hookrow.store.database.server import Server
from hookrow.store.database.tables import DELIVERIES, FIRINGS
from hookrow.store.outbox import Settle, batches
from outbox_rows import T0, add_hook, attempts, claim, failed, fire, result, rows, settle, state

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
KEPT = "INSERT INTO hookrow.setting (name, value) VALUES ($1, $2)"


@pytest.fixture
def trips(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """One for each round trip, on a connection that has answered just now."""
    found: list[None] = []
    wait = Server.wait

    def counted(self: Server, *given: Any, **named: Any) -> Any:
        found.append(None)
        return wait(self, *given, **named)

    database.writer.write(lambda connection: None)
    monkeypatch.setattr(Server, "wait", counted)
    monkeypatch.setattr(server, "LATELY", float("inf"))
    monkeypatch.setattr(database.clock, "asked", float("inf"))
    monkeypatch.setattr(numbers, "FRESH", float("inf"))
    return found


def test_a_firing_takes_one_round_trip_a_result_two(database: Database, trips: list[None]) -> None:
    """BEGIN with its limits, the rows of all tables and COMMIT; then the change with its attempt, and COMMIT."""
    hook = add_hook(database, "a")
    fire(database, [hook])  # draws what the next ones use
    fire(database, [hook])
    trips.clear()
    fire(database, [hook], owner="w1")
    assert len(trips) == 1
    claimed = claim(database).rows[0]
    trips.clear()
    assert settle(database, claimed, result()).accepted
    assert len(trips) == 2


def test_what_is_asked_sees_what_waits(database: Database) -> None:
    """Whoever asks anything of the connection asks behind it; its limits are in force by then."""

    def job(connection: Connection) -> tuple[Any, ...]:
        queueing(connection).later(KEPT, "queued", "1")
        seen = connection.exec_driver_sql("SELECT value FROM hookrow.setting WHERE name = 'queued'").scalar()
        return seen, connection.exec_driver_sql("SELECT current_setting('lock_timeout')").scalar()

    database.writer.write(lambda connection: None)
    assert database.writer.write(job) == ("1", "5s")


def test_what_waits_is_undone_with_its_job(database: Database) -> None:
    """Said or not yet; the connection serves the next one."""

    def job(connection: Connection) -> None:
        queueing(connection).later(KEPT, "undone", "1")
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            database.writer.write(job)
    found = database.writer.write(lambda connection: say(connection, "SELECT name FROM hookrow.setting"))
    assert ("undone",) not in found


@pytest.mark.parametrize("pooled", [False, True])
def test_what_is_refused_is_told_at_the_commit(
    database: Database, monkeypatch: pytest.MonkeyPatch, pooled: bool
) -> None:
    """Nothing of its transaction is kept, and what was prepared before the refusal is known once, behind poolers not
    at all."""
    monkeypatch.setattr(server, "parameters", lambda *given: {**parameters(*given), "prepare_threshold": threshold})
    threshold = None if pooled else 5

    def job(connection: Connection) -> None:
        driver = queueing(connection)
        for words in (KEPT, KEPT + " ON CONFLICT DO NOTHING", KEPT, "SELECT CAST($1 AS int) + 1 WHERE $2 = 'b'"):
            driver.later(words, "a", "b")

    for _ in range(3):
        with pytest.raises(StorageError, match="duplicate key"):
            database.writer.write(job)
    assert database.writer.write(lambda connection: say(connection, "SELECT CAST($1 AS int) + 1", "3")) == [("4",)]
    assert ("a",) not in database.writer.write(lambda connection: say(connection, "SELECT name FROM hookrow.setting"))
    names = database.writer.write(
        lambda c: say(c, "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%$1%'")
    )
    assert bool([name for (name,) in names if (name or "").startswith("hookrow_")]) is not pooled


parameters = server.parameters


def test_an_attempt_that_can_not_be_logged_is_a_gap_beside_others(database: Database) -> None:
    """Of one transaction: the firing that waits before it, the results beside it, and its own change are kept."""
    hook = add_hook(database, "a")
    fired = [fire(database, [hook])[1][0] for _ in range(3)]
    claimed = claim(database).rows
    broken = replace(result(), values={**result().values, "url": None})

    def job(connection: Connection) -> Any:
        queueing(connection).later(KEPT, "before", "1")
        jobs = [Settle(row, broken if row.row_id == fired[1] else result(), T0 + 9) for row in claimed]
        return Settle.run_many(connection, jobs)

    settled = database.writer.write(job)
    assert [(each.accepted, each.gap) for each in settled] == [(True, row.row_id == fired[1]) for row in claimed]
    assert [state(database, row) for row in fired] == ["ok"] * 3
    assert {each.delivery_id for each in attempts(database)} == {fired[0], fired[2]}
    assert ("before",) in database.writer.write(lambda c: say(c, "SELECT name FROM hookrow.setting"))


def test_results_are_not_taken_for_broken_by_what_waits_before_them(database: Database) -> None:
    """A refused statement before theirs ends the transaction: it is not undone alone."""
    fire(database, [add_hook(database, "a")])
    claimed = claim(database).rows

    def job(connection: Connection) -> Any:
        driver = queueing(connection)
        driver.later(KEPT, "twice", "1")
        driver.later(KEPT, "twice", "2")
        return Settle.run_many(connection, [Settle(row, result(), T0 + 9) for row in claimed])

    with pytest.raises(StorageError, match="duplicate key"):
        database.writer.write(job)
    assert state(database, claimed[0].row_id) == "leased"


def test_results_beyond_one_text_go_in_halves(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the replies are; a lost lease among them is told."""
    monkeypatch.setattr(batches, "LARGE", 2000)
    hook = add_hook(database, "a")
    for _ in range(9):
        fire(database, [hook])
    claimed = claim(database).rows
    claimed[4] = replace(claimed[4], fence=7)
    made = replace(result(), values={**result().values, "response_body": b"\x00x" * 500})
    jobs = [Settle(row, made, T0 + 9) for row in claimed]
    settled = database.writer.write(lambda connection: Settle.run_many(connection, jobs))
    assert [each.accepted for each in settled] == [number != 4 for number in range(9)]
    assert [each.response_body for each in attempts(database)] == [b"\x00x" * 500] * 8


def test_a_hook_that_fails_has_its_results_in_order(database: Database) -> None:
    """Its breaker is asked in the statement itself."""
    hook = add_hook(database, "a")
    for _ in range(2):
        fire(database, [hook])
    first, second = claim(database).rows
    settle(database, first, failed())
    assert settle(database, second, result()).accepted
    with database.read() as connection:
        failures = connection.exec_driver_sql("SELECT failures FROM hookrow.breaker").scalar_one()
    assert failures == 0


def test_a_connection_lost_on_the_way_is_begun_again(database: Database) -> None:
    """Ended by an administrator since it answered last: its caller sees nothing of it, and all is there once."""
    hook = add_hook(database, "a")
    fire(database, [hook])
    with psycopg.connect(database.address.set(drivername="postgresql").render_as_string(hide_password=False)) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'hookrow'"
        )
    fire(database, [hook])
    assert len(rows(database)) == 2


def test_both_ways_write_the_same_firing(database: Database) -> None:
    """A host's own connection writes table by table, ours all tables together."""
    hook = add_hook(database, "a")
    fire(database, [hook, hook], owner="w1")
    job = fired_job(database)
    theirs = create_engine(database.address)
    with theirs.connect().execution_options(schema_translate_map={None: "hookrow"}) as connection, connection.begin():
        assert queueing(connection) is None
        job(connection)
    theirs.dispose()
    with database.read() as connection:
        found = connection.execute(select(FIRINGS, DELIVERIES).join_from(FIRINGS, DELIVERIES)).mappings().all()
    ids = {"id", "id_1", "firing_id", "uid"}
    kept = [{name: value for name, value in row.items() if name not in ids} for row in found]
    assert len(kept) == 4
    assert kept[:2] == kept[2:]


def fired_job(database: Database) -> Any:
    """The job of the firing that is there, under another uid."""
    caught: list[Any] = []

    class Caught:
        dialect = database.dialect

        class writer:  # noqa: N801 - as a database has it
            write = staticmethod(lambda job: caught.append(job) or type("W", (), {"firing": 0, "deliveries": ()}))

    hook = rows(database)
    fire(Caught, [each.hook_id for each in hook.values()], owner="w1")  # type: ignore[arg-type]
    return caught[0]


def test_row_numbers_rise_from_one_transaction_to_the_next(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one millisecond, from block to block, before and after a host's own transaction drew some."""
    theirs = create_engine(database.address)

    def taken(connection: Connection) -> list[int]:
        return list(allocate(connection, T0, firings=200)[0])

    found: list[int] = []
    for turn in range(8):
        found += database.writer.write(taken)
        if turn == 5:
            with theirs.begin() as connection:
                found += taken(connection)
    theirs.dispose()
    assert found == sorted(set(found))


def test_row_numbers_are_drawn_where_they_are_needed(database: Database) -> None:
    """A service that fires seldom draws what it uses; one that fires often 512; what lay for long is used no more."""
    assert database.dialect == "postgresql"
    drawn: list[int] = []
    moment = 100.0

    def draw(count: int) -> list[int]:
        drawn.append(count)
        return list(range(1000 * len(drawn), 1000 * len(drawn) + count))

    kept = Numbers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "now", lambda: moment)
        assert kept.take(2, draw) == [1000, 1001]
        assert kept.take(2, draw) == [2000, 2001]
        assert kept.take(600, draw)[-1] == 3599
        assert kept.take(2, draw) == [4000, 4001]
        moment += 11
        assert kept.take(2, draw) == [5000, 5001]
    assert drawn == [2, 512, 600, 512, 2]


def test_errors_are_wrapped_as_sqlalchemy_does(database: Database) -> None:
    """Without the values, which may be payloads."""

    def broken(connection: Connection) -> None:
        with pytest.raises(IntegrityError) as told:
            say(connection, KEPT + ", ($1, $2)", "secret", "1")
        assert told.value.params is None
        assert told.value.statement is None
        connection.rollback()

    def refused(connection: Connection) -> None:
        with pytest.raises(DBAPIError, match="syntax"):
            say(connection, "SELEKT 1")
        connection.rollback()

    for job in (broken, refused):
        with database.write() as connection:
            job(connection)
    assert database.writer.write(lambda connection: connection.execute(text("SELECT 1")).scalar()) == 1
