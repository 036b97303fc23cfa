"""Hooks, the cache of them and the log's pages, on both databases."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from hookrow.errors import ChangedMeanwhile, HookNotFound, KeyTaken
from hookrow.ids import new_uid
from hookrow.records import Firing, LogFilter
from hookrow.store import hooks
from hookrow.store.configuration import settings
from hookrow.store.configuration.cache import ConfigCache
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.database.opening import open_database
from hookrow.store.hooks import Author
from hookrow.store.log import finding as log_ids
from hookrow.store.log import reading as log
from hookrow.store.outbox.writing import NewDelivery, Rows
from outbox_rows import T0, add_hook
from schemas import ours
from scripted import HandClock

OLGA = Author("olga", T0)


def change(database: Database, hook: int, values: dict[str, Any], **how: Any) -> bool:
    """One change by Olga."""
    return database.writer.write(lambda connection: hooks.change(connection, hook, values, OLGA, **how))


def test_every_change_makes_a_revision_without_secrets(database: Database) -> None:
    """Who, when, what; a secret only as «set», a replaced one as changed; no change, no revision."""
    hook = add_hook(database, "a", event="e")
    assert change(database, hook, {"name": "B", "auth_password": "v1.sealed"}, resealed=("auth_password",))
    assert not change(database, hook, {"name": "B"})
    with database.read() as connection:
        newest = hooks.history(connection, hook)[0]
    assert (newest.who, newest.action) == ("olga", "edit")
    assert ("auth_password", {"set": False}, {"set": True, "changed": True}) in newest.changes()
    assert "sealed" not in str(newest)


def test_an_edit_of_an_old_revision_is_refused(database: Database) -> None:
    """Optimistic locking: who read revision 1 can't overwrite revision 2."""
    hook = add_hook(database, "a")
    change(database, hook, {"name": "B"}, revision=1)
    with pytest.raises(ChangedMeanwhile):
        change(database, hook, {"name": "C"}, revision=1)


def test_keys_are_taken_once_among_the_living(database: Database) -> None:
    """A deleted hook's key is free again; undo finds it taken."""
    first, second = add_hook(database, "a"), add_hook(database, "b")
    with pytest.raises(KeyTaken):
        change(database, second, {"key": "a"})
    change(database, first, {"deleted_ms": T0}, action="remove")
    assert change(database, second, {"key": "a"})
    with pytest.raises(KeyTaken):
        change(database, first, {"deleted_ms": None}, action="restore")
    with pytest.raises(HookNotFound):
        change(database, first, {"name": "x"})


@pytest.mark.usefixtures("looking_each_time")
def test_the_cache_sees_edits_and_is_not_emptied_by_the_log(database: Database) -> None:
    """A change by another connection is in the next look; a thousand firings cost no reading of hooks."""
    clock = HandClock()
    database.clock = StorageClock(clock)
    cache = ConfigCache(database)
    hook = add_hook(database, "a", event="e")
    clock.forward(1.1)
    known = cache.get()
    assert [each.key for each in known.rows["e"]] == ["a"]
    database.writer.write(Rows(T0, row(event="e")))
    clock.forward(1.1)
    assert cache.get() is known
    change(database, hook, {"name": "B"})
    clock.forward(1.1)  # PostgreSQL is asked at most once a second
    assert cache.get().hooks[hook].name == "B"
    database.writer.write(lambda connection: settings.store(connection, "egress", "public"))
    clock.forward(1.1)
    assert cache.get().settings["egress"] == "public"


def row(**more: Any) -> dict[str, Any]:
    """A firing's columns."""
    base = {"uid": new_uid(T0), "event": "e", "moment": "before", "at_ms": T0, "deadline_ms": T0, "payload": "{}"}
    return {**base, "outcome": "allowed", "deferred": False, **more}


STATES = ("ok", "sent", "queued", "retrying", "dead", "vetoed", "failed", "skipped")


@pytest.fixture(scope="module")
def filled(module_database: Database) -> tuple[Database, list[Firing]]:
    """120 firings of three events with two hooks each, all outcomes, and the same as records."""
    chance, database = random.Random(7), module_database
    numbers = [add_hook(database, f"h{n}", event=f"e{n % 3}") for n in range(6)]
    rows: list[Rows] = []
    for n in range(120):
        at = T0 + n * 60_000
        deliveries = [
            NewDelivery(
                {
                    "seq": seq,
                    "hook_id": chance.choice(numbers[n % 3 :: 3]),
                    "hook_revision": 1,
                    "position": seq,
                    "mode": "gate",
                    "state": chance.choice(STATES),
                    "status": chance.choice((None, 200, 404, 500, 503)),
                    "body": chance.choice(('{"a": "Кофе 100%"}', '{"a": "tea_time"}', "{}")),
                }
            )
            for seq in range(1, chance.randint(1, 3) + 1)
        ]
        outcome = chance.choice(("allowed", "allowed", "vetoed", "failed", "cancelled"))
        payload = chance.choice(('{"note": "50%_off"}', '{"note": "50 off"}', '{"note": "чай"}'))
        values = row(event=f"e{n % 3}", at_ms=at, deadline_ms=at, outcome=outcome, payload=payload, uid=new_uid(at))
        rows.append(Rows(at, values, None, deliveries))
    database.writer.write(lambda connection: [each(connection) for each in rows])
    with database.read() as connection:
        everything = log.page(connection, ConfigCache(database).get(), LogFilter(), limit=500)
    assert len(everything) == 120
    return database, everything


def holds(firing: Firing, wanted: LogFilter) -> bool:
    """The filter in plain words: what a page must contain."""

    def row_matches(each: Any) -> bool:
        code = wanted.code
        return (
            (wanted.hook is None or each.hook.id == wanted.hook)
            and (code is None or (each.status is not None and str(each.status).startswith(code.rstrip("x"))))
            and (wanted.outcome is None or wanted.outcome == "allowed" or each.outcome == wanted.outcome)
        )

    said = [str(firing.payload), *(each.body or "" for each in firing.deliveries)]
    by_row = wanted.hook is not None or wanted.code is not None or wanted.outcome not in (None, "allowed")
    outcome = wanted.outcome
    matched = not by_row or any(row_matches(each) for each in firing.deliveries)
    if outcome in ("vetoed", "failed", "cancelled") and firing.outcome == outcome:
        alone = LogFilter(hook=wanted.hook, code=wanted.code)
        matched = matched or any(holds_row(each, alone) for each in firing.deliveries)
    return (
        (wanted.event is None or firing.event == wanted.event)
        and (wanted.since_ms is None or firing.at_ms >= wanted.since_ms)
        and (wanted.until_ms is None or firing.at_ms < wanted.until_ms)
        and (wanted.search is None or any(wanted.search.lower() in text.lower() for text in said))
        and (outcome != "allowed" or firing.outcome == "allowed")
        and matched
    )


def holds_row(each: Any, wanted: LogFilter) -> bool:
    """Hook and status of one delivery."""
    by_code = wanted.code is None or (each.status is not None and str(each.status).startswith(wanted.code.rstrip("x")))
    return (wanted.hook is None or each.hook.id == wanted.hook) and by_code


FILTERS = [
    LogFilter(),
    LogFilter(event="e1"),
    LogFilter(event="nowhere"),
    LogFilter(hook=2),
    LogFilter(code="404"),
    LogFilter(code="5xx"),
    LogFilter(hook=1, code="5xx"),
    *(
        LogFilter(outcome=each)
        for each in ("allowed", "vetoed", "failed", "cancelled", "dead", "queued", "retrying", "ok")
    ),
    LogFilter(since_ms=T0 + 3_000_000, until_ms=T0 + 5_000_000),
    LogFilter(search="50%_off"),
    LogFilter(search="tea_time"),
    LogFilter(event="e2", search="кофе", outcome="dead"),
]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_pages_hold_what_the_filter_says(filled: tuple[Database, list[Firing]], wanted: LogFilter) -> None:
    """Page by page, newest first, nothing twice, nothing left out; and the same from the other side."""
    database, everything = filled
    expected = [firing.id for firing in everything if holds(firing, wanted)]
    config = ConfigCache(database).get()
    found: list[str] = []
    before = None
    with database.read() as connection:
        while page := log.page(connection, config, wanted, before=before, limit=7):
            found += [firing.id for firing in page]
            before = page[-1].row_id
        newest = log_ids.ids(connection, wanted, after=everything[60].row_id, limit=500)
    assert found == expected
    assert newest == [firing.row_id for firing in everything[:60] if holds(firing, wanted)]


def test_filters_lead_through_indexes(tmp_path: Path) -> None:
    """No page reads the whole log where an index knows better (SQLite's plan)."""
    database = open_database(f"sqlite:///{tmp_path}/hooks.db")
    hook = add_hook(database, "a", event="e")
    for n in range(300):
        values = {"seq": 1, "hook_id": hook, "hook_revision": 1, "position": 1, "mode": "notify", "state": "ok"}
        database.writer.write(Rows(T0 + n, row(at_ms=T0 + n), None, [NewDelivery(values)]))
    with database.write() as connection:
        connection.execute(text("ANALYZE"))
    plans = {
        "event": "SELECT id FROM firing WHERE event = 'x' AND id < 9 ORDER BY id DESC LIMIT 50",
        "due": "SELECT min(due_ms) FROM delivery WHERE state IN ('blocked', 'queued', 'retrying')",
        "uid": "SELECT id FROM firing WHERE uid = 'x'",
    }
    with database.read() as connection:
        for statement in plans.values():
            plan = " ".join(str(line[3]) for line in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")))
            assert "USING" in plan, plan
            assert "SCAN firing" not in plan, plan
    database.close()


def test_the_last_order_is_rounded_down_and_ten_added(database: Database) -> None:
    """Among the living of the event."""
    add_hook(database, "a", event="e", position=47)
    gone = add_hook(database, "b", event="e", position=300)
    change(database, gone, {"deleted_ms": T0}, action="remove")
    assert database.writer.write(lambda connection: hooks.next_position(connection, "e", OLGA)) == 50
    assert database.writer.write(lambda connection: hooks.next_position(connection, "other", OLGA)) == 10


def test_nothing_waits_for_a_deleted_hook(database: Database) -> None:
    """Its rows are cancelled in the transaction of the deletion, and come back with its restoring."""
    hook = add_hook(database, "a", event="e")
    values = {"seq": 1, "hook_id": hook, "hook_revision": 1, "position": 1, "mode": "notify", "state": "queued"}
    database.writer.write(Rows(T0, row(), None, [NewDelivery({**values, "due_ms": T0, "released_ms": T0})]))

    def state() -> str:
        with database.read() as connection:
            return str(ours(connection, "SELECT state FROM main.delivery").scalar())

    change(database, hook, {"deleted_ms": T0}, action="remove")
    assert state() == "cancelled"
    change(database, hook, {"deleted_ms": None}, action="restore")
    assert state() == "queued"
