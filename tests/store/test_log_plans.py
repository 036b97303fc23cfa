"""How PostgreSQL looks for a page of the log, and for whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import event

from hookrow.ids import new_uid
from hookrow.records import LogFilter
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.log import finding as log_ids
from hookrow.store.log import following
from hookrow.store.log.glance import FAILED
from hookrow.store.outbox.release import AROUND_THE_TURN
from hookrow.store.outbox.writing import Rows
from outbox_rows import T0, add_hook, fire

EVENT = "before_order_add"


@contextmanager
def asked(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is asked meanwhile on connections that read."""
    found: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        found.append((statement, given))

    event.listen(database.engine("read"), "before_cursor_execute", note)
    yield found
    event.remove(database.engine("read"), "before_cursor_execute", note)


def test_a_page_asks_its_rows_one_by_one(postgres_url: str) -> None:
    """On PostgreSQL, whatever the statistics say: joined to all firings a page took 0.4 s at 1.5 million."""
    database = open_database(postgres_url)
    hook = add_hook(database, "a", event=EVENT)
    with database.read() as connection:
        with asked(database) as found:
            log_ids.ids(connection, LogFilter(event=EVENT, hook=hook), before=log_ids.NO_ID, limit=50)
        statement, given = next(each for each in found if "EXISTS" in each[0])
        said = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", given).scalars())
    assert ("Join" in said or "Nested Loop" in said, "SubPlan" in said) == (False, True)
    database.close()


def test_whose_turn_it_is_takes_steps_in_indexes(postgres_url: str) -> None:
    """Nothing by a walk over a firing's rows: of a thousand, every result did one."""
    database = open_database(postgres_url)
    firing, _ = fire(database, [add_hook(database, "a", event=EVENT)] * 200)
    with database.read() as connection:
        with asked(database) as found:
            AROUND_THE_TURN.all(connection, [firing])
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # what is on one page is read whole
        [(statement, given)] = found
        said = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", given).scalars())
    assert (said.count("using delivery_blocked on"), said.count("using delivery_row on")) == (2, 2), said
    database.close()


def test_the_last_hours_failures_are_found_among_failures(database: Database) -> None:
    """Not by a walk over all that the hour brought: at five million firings that took 7 ms, each time a face asks."""
    first = {"first": 1 << 60, "cap": 1001}
    with database.asking() as ask, database.read() as connection:
        if database.path is not None:
            said = [row[-1] for row in ask(f"EXPLAIN QUERY PLAN {FAILED}", first)]
            looks = [each for each in said if each.endswith("delivery_notable (state=? AND firing_id>?)")]
            assert len(looks) == 2, said
            return
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # what is on one page is read whole
        question = FAILED.replace(":first", str(1 << 60)).replace(":cap", "1001").replace("main.", "hookrow.")
        text = "\n".join(connection.exec_driver_sql(f"EXPLAIN {question}").scalars())
    conditions = [line for line in text.splitlines() if "Index Cond" in line and "delivery_id" not in line]
    assert [("firing_id >=" in line, "state" in line) for line in conditions] == [(True, True)] * 2, text


LATE_HOURS = 20


def late_firings(database: Database, count: int) -> list[int]:
    """Firings of a machine whose clock is behind by most of a day, every third refused; their ids."""
    its = {"event": EVENT, "moment": "on", "deadline_ms": T0, "payload": "{}"}

    def given(number: int) -> Rows:
        ended = {"uid": new_uid(T0 + number), "outcome": "allowed" if number % 3 else "vetoed"}
        return Rows(T0 + LATE_HOURS * 3_600_000 + number, {**its, **ended, "at_ms": T0 + number}, None, [])

    rows = [given(number) for number in range(count)]
    return [each.firing for each in database.writer.write(lambda connection: Rows.run_many(connection, rows))]


def test_late_firings_are_found_by_their_own_index(database: Database) -> None:
    """Not by a walk over all that came since the moment that is asked for, nor over all that ever were late."""
    late = late_firings(database, 2)
    wanted = LogFilter(until_ms=T0 + 3_600_000, event=EVENT)
    with database.read() as connection:
        with asked(database) as found:
            assert log_ids.ids(connection, wanted, before=log_ids.NO_ID, limit=50) == late[::-1]
        questions = [each for each in found if "60000" in each[0]]
        assert len(questions) > 1
        assert "max(" in questions[0][0]
        for statement, given in questions:
            assert T0 + 3_600_000 - 86_400_000 in (given.values() if isinstance(given, dict) else given)
            if database.path is not None:
                plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)]
                assert any(each.endswith("firing_late (at_ms>? AND at_ms<?)") for each in plan), plan
            else:
                connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # what is on one page is read whole
                said = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", given).scalars())
                by = next(line for line in said.splitlines() if "Index Cond" in line)
                within = "at_ms >=" in by if "firing_late" in said else "(id <=" in by
                assert within, said


def test_many_late_firings_cost_no_more_questions_than_one(database: Database) -> None:
    """A day's firings of a machine that is a day behind were asked for 500 at a time, again for every outcome."""
    late = late_firings(database, 1100)[::-1]
    wanted = LogFilter(until_ms=T0 + 3_600_000, event=EVENT)

    def questions(wanted: LogFilter, found: list[int], **page: int) -> int:
        with database.read() as connection, asked(database) as its:
            assert log_ids.ids(connection, wanted, **page) == found
        return sum("LIMIT" in statement for statement, _ in its)

    none = questions(replace(wanted, event="nothing"), [], limit=50)
    assert none == questions(replace(wanted, event="nothing"), [], before=late[-2], limit=50)
    assert none == questions(wanted, late, limit=2000)
    # What is older than a full page is not looked for.
    assert questions(wanted, late[:50], limit=50) <= none // 2 + 1
    assert questions(wanted, late[-51:-1], after=late[-1], limit=50) <= none
    assert questions(LogFilter(until_ms=T0 + 3_600_000), late[:50], limit=50) == 1


def test_what_was_tried_since_is_found_from_the_attempts_on(database: Database) -> None:
    """Never from the deliveries below a row id, which are nearly all."""
    with database.read() as connection:
        with asked(database) as found:
            following.changed(connection, LogFilter(outcome="dead"), after=1 << 60, before=log_ids.NO_ID)
        statement, given = next(each for each in found if "attempt" in each[0])
        if database.path is not None:
            said = "\n".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given))
            wanted = "SEARCH attempt USING INTEGER PRIMARY KEY (rowid>?)", "SEARCH delivery USING INTEGER PRIMARY KEY"
        else:
            for each in ("seqscan", "hashjoin", "mergejoin"):  # of a few rows all are as quickly read
                connection.exec_driver_sql(f"SET LOCAL enable_{each} = off")
            said = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}", given).scalars())
            wanted = "attempt_pkey", "delivery_pkey"
    assert all(each in said for each in wanted), said
