"""Many rows in one statement: made from the tables' columns, on both databases; results go one of two ways, alike."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Integer, MetaData, Table, select, update
from sqlalchemy.exc import IntegrityError

from hookrow.store.database.database import Database
from hookrow.store.database.prepared import savepoint
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES
from hookrow.store.outbox import Settle, Settled, batches, settling, writing
from hookrow.store.outbox.batches import Insert
from hookrow.store.outbox.parking import BREAKERS
from outbox_rows import T0, Result, add_hook, attempts, breaker, claim, failed, fire, hook_row, result, rows, settle

numbers = count()


def attempt(number: int, delivery: int, **given: Any) -> dict[str, Any]:
    """An attempt's columns, as far as they have no default."""
    return {"id": number, "delivery_id": delivery, "number": 1, "at_ms": T0, "url": "http://r.example/", **given}


def test_rows_beyond_one_statement(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are, in any number of statements; bytes and every character come back as they went in."""
    monkeypatch.setattr(batches, "LARGE", 2000)
    _, (delivery,) = fire(database, [add_hook(database, "a")])
    hostile = "\\x00 \\ \" ' % :rows \x01\x7f \u2028 \U0001f600 ж {}"
    wanted = [attempt(n, delivery, response_body=bytes([n, 0, 92, 255]), detail=hostile) for n in range(1, 151)]
    database.writer.write(lambda connection: Insert(ATTEMPTS).many(connection, wanted))
    found = attempts(database)
    assert [(each.id, each.response_body, each.detail) for each in found] == [
        (each["id"], each["response_body"], hostile) for each in wanted
    ]
    assert {(each.origin, each.elsewhere, each.ms, each.status) for each in found} == {("fire", False, 0, None)}


def test_a_broken_constraint_is_told_as_one(database: Database) -> None:
    """An attempt of no delivery: the savepoint before it undoes it alone."""

    def job(connection: Connection) -> int:
        with pytest.raises(IntegrityError), savepoint(connection):
            Insert(ATTEMPTS).many(connection, [attempt(1, 99)])
        return 7

    assert database.writer.write(job) == 7


@pytest.mark.parametrize("way", ["plain", "other"])
def test_a_column_more_is_written(new_database: Database, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A migration adds it to the table; what core and results say of it is written, else its default."""
    database, prefix = new_database, "" if new_database.dialect == "sqlite" else "hookrow."
    for table, name in ((DELIVERIES, "delivery"), (ATTEMPTS, "attempt")):
        statement = f"ALTER TABLE {prefix}{name} ADD COLUMN shade INTEGER"
        database.writer.write(lambda connection, statement=statement: connection.exec_driver_sql(statement))
        columns = [column._copy() for column in table.columns]
        wider = Insert(Table(name, MetaData(), *columns, Column("shade", Integer, default=7)))
        for module in (writing, settling):
            monkeypatch.setattr(module, f"INSERT_{name.upper()}", wider, raising=module is writing)
    fire(database, [add_hook(database, "a")])
    (claimed,) = claim(database).rows
    made = result()
    made.values["shade"] = 9
    if way == "other":
        monkeypatch.setattr(Settle, "plain", False)
    assert settle(database, claimed, made).accepted

    def shades(connection: Connection) -> list[Any]:
        both = f"SELECT shade FROM {prefix}delivery UNION ALL SELECT shade FROM {prefix}attempt"
        return list(connection.exec_driver_sql(both).scalars())

    assert database.writer.write(shades) == [7, 9]


def case() -> st.SearchStrategy[dict[str, Any]]:
    """A firing and what came of it."""
    return st.fixed_dictionaries(
        {
            "hook": st.integers(0, 2),
            "more": st.booleans(),
            "key": st.sampled_from([None, None, "k"]),
            "what": st.sampled_from(["ok", "ok", "ok", "sent", "gone", "failed", "refused", "silent"]),
            "stale": st.sampled_from([False, False, False, True]),
            "twice": st.booleans(),
            "elsewhere": st.sampled_from([False, False, False, True]),
            "room": st.integers(0, 2),
        }
    )


def arrived(what: str) -> dict[str, Any]:
    """Of a hook's only row, as it was claimed."""
    return {
        "hook": 0,
        "more": False,
        "key": None,
        "what": what,
        **dict.fromkeys(("stale", "twice", "elsewhere"), False),
        "room": 0,
    }


def made_of(what: str, at_ms: int) -> Result:
    """What came of an attempt."""
    if what == "gone":
        return failed(410, at_ms, gone=True, error="gone")
    if what in ("failed", "refused"):
        return failed(503 if what == "failed" else 404, at_ms)
    return replace(result("ok" if what == "silent" else what, at_ms), **({"values": {}} if what == "silent" else {}))


def play(database: Database, cases: list[dict[str, Any]], failing: list[bool], *, plain: bool) -> list[Any]:
    """Fire, claim, settle all in one batch; what is there then, without ids."""
    hooks = [add_hook(database, f"h{next(numbers)}") for _ in failing]
    for hook, bad in zip(hooks, failing, strict=True):
        if bad:
            fire(database, [hook])
            settle(database, claim(database).rows[0], failed())
    fired = [
        fire(database, [hooks[each["hook"]]] * (1 + each["more"]), keys=[each["key"]] * (1 + each["more"]))[1]
        for each in cases
    ]
    claimed = {each.row_id: each for each in claim(database, otherwise=100).rows}
    jobs: list[Settle] = []
    for each, (first, *_) in zip(cases, fired, strict=True):
        row = claimed.get(first)
        if row is None:
            continue  # an earlier one of its order key goes first
        row = replace(row, fence=row.fence - each["stale"])
        room = {"owner": "w1", "room": lambda hook, each=each: each["room"]} if each["room"] else {}
        job = Settle(row, made_of(each["what"], T0 + 3), T0 + 9, elsewhere=each["elsewhere"], **room)
        jobs += [job] * (1 + each["twice"])
    with pytest.MonkeyPatch.context() as patch:
        if not plain:
            patch.setattr(Settle, "plain", False)
        settled: list[Settled] = database.writer.write(partial(Settle.run_many, jobs=jobs)) if jobs else []
    theirs = [row for row in rows(database).values() if row.hook_id in hooks]
    places = {row.id: number for number, row in enumerate(theirs)}
    ours = {"id", "firing_id", "hook_id"}
    kept = [{name: value for name, value in row._asdict().items() if name not in ours} for row in theirs]
    tried = [
        {**each._asdict(), "id": 0, "delivery_id": places[each.delivery_id]}
        for each in sorted(attempts(database), key=lambda each: (each.delivery_id, each.id))
        if each.delivery_id in places
    ]
    moved = [(hook_row(database, hook).paused_by, (breaker(database, hook) or [0])[1:]) for hook in hooks]
    said = [(replace(each, next=()), [places[row.row_id] for row in each.next]) for each in settled]
    database.writer.write(clear)
    return [kept, tried, moved, said]


def clear(connection: Connection) -> None:
    """Nothing is left that a later claim could find."""
    connection.execute(update(DELIVERIES).values(state="dropped", due_ms=None, lease_ms=None, owner=None))
    connection.execute(update(BREAKERS).values(failures=0, probe_ms=None))


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(case(), min_size=1, max_size=6), st.lists(st.booleans(), min_size=3, max_size=3))
@example([arrived("failed"), arrived("ok")], [False] * 3)  # in this order they leave no failure behind
def test_both_ways_leave_the_same(module_database: Database, cases: list[dict[str, Any]], failing: list[bool]) -> None:
    """Deliveries, attempts, breakers, paused hooks and what the worker is told, whichever way plain results go."""
    plain = play(module_database, cases, failing, plain=True)
    other = play(module_database, cases, failing, plain=False)
    assert plain == other


@pytest.mark.parametrize("hooks", [1, 2])
def test_a_plain_result_asks_for_no_row(module_database: Database, monkeypatch: pytest.MonkeyPatch, hooks: int) -> None:
    """So that the test above compares two ways: most results take the short one, those with rows behind them too."""
    fire(module_database, [add_hook(module_database, f"h{next(numbers)}") for _ in range(hooks)])
    (claimed,) = claim(module_database).rows
    monkeypatch.setattr(settling.Batch, "settle_others", None)
    settled = settle(module_database, claimed, result(), owner="w1", room=lambda hook: 1)
    assert (replace(settled, next=()), len(settled.next)) == (Settled(True, "ok", attempts=1), hooks - 1)
    with module_database.read() as connection:
        (found,) = connection.execute(select(DELIVERIES.c.state).where(DELIVERIES.c.id == claimed.row_id)).scalars()
    assert found == "ok"
    module_database.writer.write(clear)
