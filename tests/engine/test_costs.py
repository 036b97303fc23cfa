"""What a firing costs where it costs most, in figures that no machine changes: statements, and requests for threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam

from hookrow import Hook, HookEngine
from hookrow.store.database import plain
from hookrow.store.database.prepared import Prepared
from hookrow.store.log import purge
from hookrow.store.log.reading import REPLAYED_OF
from hookrow.store.outbox import claims, due, probes
from receivers import Receiver, reply

EVENT = "before_order_add"
PAYLOAD = {"order": {"id": 7}}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HookEngine]:
    """One that sends nothing by itself."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        yield made


@contextmanager
def said(engine: HookEngine) -> Iterator[list[str]]:
    """The first words of what is said meanwhile on the connection that writes."""
    words: list[str] = []
    driver: Any = engine.runtime.database.writing_connection().connection.driver_connection
    driver.set_trace_callback(lambda statement: words.append(statement.split(maxsplit=1)[0]))
    try:
        yield words
    finally:
        driver.set_trace_callback(None)


def test_a_durable_fire(engine: HookEngine) -> None:
    """One hook that nobody waits for: the ids, two rows, one commit, which sees the configuration's number."""
    engine.hooks.add(Hook(name="h", event=EVENT, url="http://127.0.0.1:9/"))
    with said(engine) as words:
        engine.fire(EVENT, PAYLOAD)
    assert words == ["BEGIN", "SELECT", "INSERT", "INSERT", "SELECT", "COMMIT"]


def test_a_fire_that_waits(engine: HookEngine) -> None:
    """Two waiting hooks: nothing before they were asked, then each table once, the breakers, one commit."""
    with Receiver(reply(200, b"{}")) as receiver:
        for name in "ab":
            engine.hooks.add(Hook(name=name, event=EVENT, url=receiver.url, wait_for_response=True))
        with said(engine) as words:
            engine.fire(EVENT, PAYLOAD)
    assert words == ["BEGIN", "SELECT", *["INSERT"] * 3, "SELECT", "SELECT", "COMMIT"]


@pytest.mark.usefixtures("looking_each_time")
def test_a_fire_without_hooks(engine: HookEngine) -> None:
    """Nothing is written, and the configuration is asked for once."""
    engine.fire(EVENT, PAYLOAD)
    driver: Any = engine.runtime.database.version_reader
    asked: list[str] = []
    driver.set_trace_callback(asked.append)
    with said(engine) as words:
        engine.fire(EVENT, PAYLOAD)
    driver.set_trace_callback(None)
    assert (words, asked) == ([], ["PRAGMA data_version"])


@pytest.mark.parametrize(("question", "steps"), [(claims.HOOKS_NOW, 3), (due.NEXT_DUE, 4), (plain.OLDEST_DUE, 3)])
def test_what_is_due_is_found_by_the_index_of_what_waits(engine: HookEngine, question: Any, steps: int) -> None:
    """Another index begins with the hook too; by that one the whole log would be read, four times a second."""
    plan = plan_of(engine, question)
    assert [step for step in plan if "delivery" in step or "following" in step] == [
        step for step in plan if "INDEX delivery_due" in step
    ]
    assert sum("INDEX delivery_due" in step for step in plan) == steps


def test_a_probe_is_not_looked_for_among_all_that_is_parked(engine: HookEngine) -> None:
    """The oldest ids come out of an index alone, and only their rows are looked at."""
    plan = plan_of(engine, probes.PARKED_HEAD)
    assert plan[0] == "SEARCH delivery USING INTEGER PRIMARY KEY (rowid=?)"
    assert "SEARCH earlier USING COVERING INDEX delivery_kind (hook_id=? AND state=?)" in plan


def test_old_pauses_are_looked_for_among_the_engines_own(engine: HookEngine) -> None:
    """Not in all that people ever changed, every ten minutes."""
    plan = plan_of(engine, purge.OWN_PAUSES.where(purge.REVISIONS.c.at_ms < 1).order_by(purge.REVISIONS.c.at_ms))
    assert plan[0] == "SEARCH hook_revision USING INDEX hook_revision_engine (at_ms<?)"
    assert not any(step.startswith(("SCAN", "USE TEMP")) for step in plan)


def test_what_was_fired_anew_is_found_among_the_replays(engine: HookEngine) -> None:
    """For every page of the log, in an index that holds replays alone."""
    plan = plan_of(engine, REPLAYED_OF.make([bindparam("one"), bindparam("other")]))
    assert plan == ["SEARCH firing USING COVERING INDEX firing_replays (replay_of=?)"]


def plan_of(engine: HookEngine, statement: Any) -> list[str]:
    """How SQLite does it, step by step."""
    with engine.runtime.database.read() as connection:
        asked = statement.statement if isinstance(statement, Prepared) else statement
        text = asked if isinstance(asked, str) else str(asked.compile(dialect=connection.dialect))
        driver: Any = connection.connection.driver_connection
        return [step[3] for step in driver.execute(f"EXPLAIN QUERY PLAN {text}", [1] * text.count("?"))]
