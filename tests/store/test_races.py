"""Two processes on one PostgreSQL that do the same at once: the second finds what the first has written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, select, update

from hookrow.events import CATALOGUE, Event
from hookrow.store.configuration import catalogue, settings
from hookrow.store.configuration.revisions import Author
from hookrow.store.database.database import Database
from hookrow.store.database.tables import DELIVERIES, HOOKS
from hookrow.store.hooks import create, load
from hookrow.store.moving import Goal, move
from hookrow.store.outbox import claims
from hookrow.store.outbox.breaker import Note, note
from hookrow.store.outbox.claims import give_back
from hookrow.store.outbox.parking import cancel, park, uncancel, unpark
from hookrow.store.outbox.release import lock_keys
from hookrow.store.outbox.settling import Settle
from hookrow.store.outbox.writing import Begin, Rows, Written
from outbox_rows import (
    T0,
    add_hook,
    breaker,
    change_hook,
    claim,
    failed,
    fire,
    hook_row,
    ids,
    set_hook,
    settle,
    state,
    waiting,
)
from two_processes import database, other

__all__ = ["database", "other"]

LIMIT = 30.0
VALUE = select(settings.TABLE.c.value).where(settings.TABLE.c.name == "retention_days")


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
        while not waiting(postgres_url):
            assert not late.done()
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


# -- changes of hooks -------------------------------------------------------------------------------------------------

HELD_AND_ON = pytest.mark.parametrize(
    ("held", "on", "back"),
    [({"paused_by": "person"}, {"paused_by": None}, unpark), ({"deleted_ms": T0}, {"deleted_ms": None}, uncancel)],
)
"""A hook that is held, its rows written by a process that had not seen it; and the change that takes it back."""


@HELD_AND_ON
def test_a_claim_does_nothing_by_what_a_hook_was_before_it_looked_again(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch, held: Any, on: Any, back: Any
) -> None:
    """Taken back between the claim's look at the hooks and what it does: the row is sent, not parked or cancelled for
    ever."""
    hook = add_hook(database, "a", **held)
    _, (row,) = fire(database, [hook])
    look, changes = claims.HOOKS_NOW.all, [back]

    def looked(connection: Connection) -> Any:
        found = look(connection)
        while changes:  # once: a claim that had moved the row would look again
            change_hook(other, hook, changes.pop(), **on)
        return found

    monkeypatch.setattr(claims, "HOOKS_NOW", SimpleNamespace(all=looked))
    assert ids(claim(database, T0 + 1000)) == [row]


@HELD_AND_ON
def test_a_claim_leaves_alone_what_is_being_changed(
    database: Database, other: Database, held: Any, on: Any, back: Any
) -> None:
    """Whoever takes it back sees the rows as they are; the claim does not wait for the commit."""
    hook = add_hook(database, "a", **held)
    _, (row,) = fire(database, [hook])
    changed, gate = threading.Event(), threading.Event()

    def taking_back(connection: Connection) -> None:
        set_hook(connection, hook, **on)
        changed.set()
        assert gate.wait(LIMIT)
        back(connection, hook, T0)

    late = other.writer.submit(taking_back)
    assert changed.wait(LIMIT)
    assert claim(database, T0 + 1000).rows == []
    gate.set()
    late.result(LIMIT)
    assert ids(claim(database, T0 + 2000)) == [row]


# -- idempotency keys -------------------------------------------------------------------------------------------------


def begin(uid: str, key: str) -> Begin:
    """The beginning of a firing under a key."""
    firing = {"uid": uid, "event": "after_order_add", "moment": "after", "at_ms": T0, "deadline_ms": T0 + 30_000}
    return Begin(Rows(T0, {**firing, "payload": "{}", "idempotency_key": key, "payload_hash": "h"}))


def test_a_key_that_two_processes_use(at_once: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    """One of them fires; the other waits for its commit, and finds the firing."""
    first, second = at_once(begin("one", "k"), begin("two", "k"))
    assert isinstance(first, Written)
    assert (second.id, second.uid) == (first.firing, "one")


def test_another_key_is_not_waited_for(database: Database, other: Database) -> None:
    """A firing under another key commits while the first transaction, which asks for its own key twice, is open."""

    def job(connection: Connection) -> tuple[Any, Any, Any]:
        first, again = Begin.run_many(connection, [begin("one", "k"), begin("two", "k")])
        return first, again, other.writer.submit(begin("three", "l")).result(LIMIT)

    first, again, beside = database.writer.write(job)
    assert (again.id, isinstance(beside, Written)) == (first.firing, True)


def test_keys_of_a_group_are_taken_in_one_order(database: Database, other: Database, postgres_url: str) -> None:
    """Two processes with the same keys in opposite order: no deadlock, after which one would begin again."""
    tries: list[str] = []

    def job(*keys: str) -> Callable[[Connection], list[Any]]:
        def run(connection: Connection) -> list[Any]:
            tries.append(keys[0])
            return Begin.run_many(connection, [begin(f"{keys[0]}{key}", key) for key in keys])

        return run

    with psycopg.connect(postgres_url) as third:
        third.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ("after_order_add k",))
        ours, theirs = database.writer.submit(job("k", "l")), other.writer.submit(job("l", "k"))
        while waiting(postgres_url) < 2:
            assert not ours.done()
            assert not theirs.done()
    began = [isinstance(each, Written) for each in ours.result(LIMIT) + theirs.result(LIMIT)]
    assert (sorted(began), sorted(tries)) == ([False, False, True, True], ["k", "l"])


# -- the order of hooks -----------------------------------------------------------------------------------------------


def test_hooks_that_are_added_and_moved_at_once_meet_on_no_number(database: Database, at_once: Any) -> None:
    """Two that are added, one that is added while another goes to the end: each finds what the first has written."""
    author = Author("olga", T0)

    def added(key: str) -> Callable[[Connection], int]:
        values = {"uid": key * 20, "key": key, "name": key, "url": "http://127.0.0.1/", "event": "e", "timeout": 5.0}
        return lambda connection: create(connection, values, author)

    first, second = at_once(added("a"), added("b"))
    at_once(lambda connection: move(connection, first, Goal(after=second), author), added("c"))
    at_once(added("d"), lambda connection: move(connection, second, Goal(by=3), author))
    with database.read() as connection:
        places = connection.execute(select(HOOKS.c.position)).scalars().all()
    assert len(set(places)) == 4


# -- the catalogue and the settings -----------------------------------------------------------------------------------


def test_two_services_that_start_at_once(
    database: Database, other: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find the catalogue empty, and both store it; an event of both is as the later has it."""
    one, two = (Event("before_sale", title, "before", origin="service") for title in ("One", "Two"))
    own = Event("after_sale", "After", "after", origin="service")
    late: list[Future[bool]] = []
    write = database.writer.write

    def held(job: Any) -> None:
        def beside(connection: Connection) -> None:
            job(connection)
            late.append(pool.submit(catalogue.keep_events, other, [two, own]))
            while not waiting(postgres_url):
                assert not late[0].done()

        write(beside)

    monkeypatch.setattr(database.writer, "write", held)
    with ThreadPoolExecutor(1) as pool:
        assert catalogue.keep_events(database, [own, one])
        assert late[0].result(LIMIT)
    with database.read() as connection:
        found = catalogue.read_events(connection)
    assert found.keys() == {event.code for event in (*CATALOGUE, one, own)}
    assert str(found["before_sale"].title) == "Two"


def test_a_setting_that_two_processes_make(database: Database, at_once: Callable[[Any, Any], tuple[Any, Any]]) -> None:
    """The later value stands, and neither is refused."""
    at_once(lambda c: settings.store(c, "retention_days", "7"), lambda c: settings.store(c, "retention_days", "8"))
    with database.read() as connection:
        assert connection.execute(VALUE).scalar() == "8"


# -- a hook's pause ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given_back", [False, True])
def test_a_result_beside_the_end_of_its_hooks_pause(
    database: Database, at_once: Callable[[Any, Any], tuple[Any, Any]], given_back: bool
) -> None:
    """The row was still leased when the resumption looked for parked ones: it is not left parked under a hook that is
    on."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    (claimed,) = claim(database, T0).rows
    change_hook(database, hook, park, paused_by="person")

    def resuming(connection: Connection) -> None:
        set_hook(connection, hook, paused_by=None)
        unpark(connection, hook, T0 + 5)

    def giving_back(connection: Connection) -> int:
        return give_back(connection, [claimed], T0 + 10)

    at_once(resuming, giving_back if given_back else Settle(claimed, failed(), T0 + 10))
    assert state(database, row) == ("queued" if given_back else "retrying")


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("given_back", [False, True])
def test_a_result_beside_the_restoring_of_its_hook(
    database: Database, at_once: Callable[[Any, Any], tuple[Any, Any]], given_back: bool, paused: bool
) -> None:
    """The same where the hook had been deleted: its row is not left cancelled, or parked if the hook is paused."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    (claimed,) = claim(database, T0).rows
    if paused:
        change_hook(database, hook, park, paused_by="person")
    change_hook(database, hook, cancel, deleted_ms=T0)

    def restoring(connection: Connection) -> None:
        set_hook(connection, hook, deleted_ms=None)
        uncancel(connection, hook, T0 + 5)

    def giving_back(connection: Connection) -> int:
        return give_back(connection, [claimed], T0 + 10)

    at_once(restoring, giving_back if given_back else Settle(claimed, failed(), T0 + 10))
    going_on = "queued" if given_back else "retrying"
    assert state(database, row) == ("parked" if paused else going_on)


# -- the order of locks -----------------------------------------------------------------------------------------------


def test_nobody_who_fires_waits_for_a_change_of_the_hook(database: Database, other: Database) -> None:
    """A pause locks thousands of deliveries before it commits; what is fired meanwhile is parked by the next claim."""
    hook = add_hook(database, "a")
    changing, fired = threading.Event(), threading.Event()
    tries: list[str] = []

    def pausing(connection: Connection) -> None:
        tries.append("pause")
        load(connection, hook)
        set_hook(connection, hook, paused_by="person")
        park(connection, hook, T0)
        changing.set()
        assert fired.wait(LIMIT)

    change = database.writer.submit(pausing)
    assert changing.wait(LIMIT)
    _, (row,) = fire(other, [hook])
    fired.set()
    change.result(LIMIT)
    assert len(tries) == 1  # else the server ended it, since it stood still
    assert (claim(other, T0).rows, state(database, row)) == ([], "parked")


def test_a_change_of_a_hook_holds_none_of_its_rows_while_it_waits_for_keys(
    database: Database, other: Database, postgres_url: str
) -> None:
    """Who has that lock gives the turn to such a row: each would wait for the other, and one begin again."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], keys=["k"])
    tries: list[str] = []

    def pausing(connection: Connection) -> int:
        tries.append("pause")
        load(connection, hook)
        return park(connection, hook, T0)

    def turning(connection: Connection) -> None:
        tries.append("turn")
        lock_keys(connection)
        late = other.writer.submit(pausing)
        found.append(late)
        while not waiting(postgres_url):
            assert not late.done()
        connection.execute(update(DELIVERIES).where(DELIVERIES.c.id == row).values(due_ms=T0 + 1))

    found: list[Future[int]] = []
    database.writer.submit(turning).result(LIMIT)
    assert (found[0].result(LIMIT), tries) == (1, ["turn", "pause"])


def test_a_change_of_a_hook_locks_all_that_it_touches_in_one_order(
    database: Database, other: Database, postgres_url: str
) -> None:
    """Rows of the hooks behind it too, which wait for their turn: a result locks several of them by their ids."""
    first, second = add_hook(database, "a"), add_hook(database, "b")
    _, (_, behind) = fire(database, [first, second])
    _, (later, _) = fire(database, [first, second])
    tries: list[str] = []

    def pausing(connection: Connection) -> int:
        tries.append("pause")
        load(connection, first)
        set_hook(connection, first, paused_by="person")
        return park(connection, first, T0)

    def turning(connection: Connection) -> None:
        tries.append("turn")
        own = update(DELIVERIES).values(fence=DELIVERIES.c.fence)
        connection.execute(own.where(DELIVERIES.c.id == behind))
        late = other.writer.submit(pausing)
        found.append(late)
        while not waiting(postgres_url):
            assert not late.done()
        connection.execute(own.where(DELIVERIES.c.id == later))

    found: list[Future[int]] = []
    database.writer.submit(turning).result(LIMIT)
    assert (found[0].result(LIMIT), tries) == (2, ["turn", "pause"])


def test_blocked_rows_are_claimed_when_nobody_looks_at_keys(database: Database, other: Database) -> None:
    """A claim has locked rows by then, so it doesn't wait for whoever looks: they are taken the next time."""
    hooks = [add_hook(database, "a"), add_hook(database, "b")]
    _, (_, behind) = fire(database, hooks)
    (_,) = claim(database, T0).rows
    late = T0 + 3_600_000
    looking, claimed = threading.Event(), threading.Event()

    def holding_keys(connection: Connection) -> None:
        lock_keys(connection)
        looking.set()
        assert claimed.wait(LIMIT)

    keys = database.writer.submit(holding_keys)
    assert looking.wait(LIMIT)
    assert behind not in [each.row_id for each in claim(other, late, recovering=False).rows]
    claimed.set()
    keys.result(LIMIT)
    assert behind in [each.row_id for each in claim(other, late, recovering=False).rows]


def test_no_statement_leaves_the_server_waiting_for_the_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psycopg sends the rows of an `executemany` one after another, and the server's limit for idle transactions does
    not count meanwhile: a process that stands still there would keep its locks for good."""

    def refused(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(psycopg.Cursor, "executemany", refused)
    hooks = [add_hook(database, "a"), add_hook(database, "b")]
    for number in range(3):
        fire(database, hooks, T0 + number, keys=["k", None])
        fire(database, hooks, T0 + number)
    taken = claim(database, T0 + 10).rows
    given, lapsed, *rest = taken
    database.writer.write(lambda connection: give_back(connection, [given, lapsed], T0 + 20, begun=True))
    jobs = [Settle(each, failed(), T0 + 30) for each in rest]
    assert all(settled.accepted for settled in database.writer.write(lambda found: Settle.run_many(found, jobs)))
    again = claim(database, T0 + 3_600_000).rows
    assert {given.row_id, lapsed.row_id} < {each.row_id for each in again}
    assert claim(database, T0 + 7_200_000).recovered == len(again)
