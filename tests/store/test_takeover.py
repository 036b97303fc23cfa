"""What a dead process held: nothing is known the first time, an interrupted attempt from then on; five end it."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert, select

from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.database.tables import FIRINGS, REVISIONS
from hookrow.store.outbox.writing import LATE_MS, Begin, Rows, Written, end_interrupted
from outbox_rows import SECOND, T0, add_hook, attempts, claim, failed, fire, one, result, rows, settle, state

DEAD = 60 * SECOND
"""Later than any lease of these tests."""


def die_holding(database: Database, now_ms: int, **given: Any) -> int:
    """Claim what is due, and be gone; the moment after the lease."""
    assert claim(database, now_ms, **given).rows
    return now_ms + DEAD


def test_the_first_time_nothing_is_known(database: Database) -> None:
    """It goes at once, as another attempt than the one that may have left; no error, no attempt is recorded."""
    hook = add_hook(database, "a")
    _, [row] = fire(database, [hook])
    now = die_holding(database, T0)
    taken = claim(database, now)
    [claimed] = taken.rows
    assert (taken.recovered, list(taken.interrupted), attempts(database)) == (1, [], [])
    assert (claimed.number, claimed.attempts) == (2, 0)
    kept = rows(database)[row]
    assert (kept.takeovers, kept.begun_ms, kept.error, kept.state) == (1, now, None, "leased")


def test_from_then_on_an_interrupted_attempt_is_recorded(database: Database) -> None:
    """At the moment of its claim; the schedule spaces the next one, whose number counts what is not known too."""
    hook = add_hook(database, "a")
    _, [row] = fire(database, [hook])
    now = die_holding(database, die_holding(database, T0))
    taken = claim(database, now)
    [(claimed, made, settled)] = taken.interrupted
    assert (settled.state, made.error, claimed.number, taken.rows) == ("retrying", "interrupted", 2, [])
    [attempt] = attempts(database, row)
    assert (attempt.error, attempt.number, attempt.at_ms) == ("interrupted", 2, T0 + DEAD)
    assert '"t":"interrupted"' in attempt.detail
    kept = rows(database)[row]
    assert (kept.error, kept.attempts) == ("interrupted", 1)
    assert kept.due_ms - now == pytest.approx(5 * SECOND, rel=0.21)
    assert one(database, kept.due_ms).number == 3


def test_what_its_own_process_has_in_hand_is_held_on(database: Database) -> None:
    """By its fence: what was lost in between and claimed anew is another row. Others take it over all the same."""
    hook = add_hook(database, "a")
    fire(database, [hook])
    claimed = one(database)
    now = T0 + DEAD
    hand = {(claimed.row_id, claimed.fence)}
    taken = claim(database, now, in_hand=hand)
    kept = rows(database)[claimed.row_id]
    assert (taken.recovered, taken.rows) == (0, [])
    assert (kept.fence, kept.takeovers, kept.owner) == (claimed.fence, 0, "w1")
    assert kept.lease_ms == taken.next_ms == now + claimed.lease_ms - T0
    [stolen] = claim(database, now + DEAD, owner="w2").rows
    assert (stolen.row_id, stolen.fence) == (claimed.row_id, claimed.fence + 1)
    assert claim(database, now + 2 * DEAD, in_hand=hand).recovered == 1


def test_what_kills_every_process_is_dead_after_five(database: Database) -> None:
    """And only that: a result in between begins the count anew."""
    hook = add_hook(database, "a")
    _, [row] = fire(database, [hook])
    now = die_holding(database, T0)
    for lived in (False, False, True, False, False, False, False):
        claimed = one(database, now)
        if lived:
            settle(database, claimed, failed(at_ms=now), now)
        else:
            now += DEAD
            assert claim(database, now).interrupted
        now = rows(database)[row].due_ms
    assert state(database, row) == "retrying"
    one(database, now)
    [(_, _, settled)] = claim(database, now + DEAD).interrupted
    assert (settled.dead, state(database, row), rows(database)[row].error) == (True, "dead", "interrupted")
    assert [each.error for each in attempts(database, row)].count("interrupted") == 7


def test_no_innocent_row_goes_on_counting(database: Database) -> None:
    """Of the rows whose last attempt was interrupted one process has one at a time, whatever else it sends."""
    hooks = [add_hook(database, f"h{number}") for number in range(4)]
    for hook in hooks:
        fire(database, [hook])
    now = die_holding(database, die_holding(database, T0))
    assert len(claim(database, now).interrupted) == 4
    _, [fresh] = fire(database, [hooks[0]], now)
    later = now + 10 * SECOND
    taken = claim(database, later)
    suspects = [each for each in taken.rows if each.error == outbox.INTERRUPTED]
    assert len(suspects) == 1
    assert fresh in [each.row_id for each in taken.rows]
    assert [each.error for each in claim(database, later, suspects=0).rows] == []
    settle(database, suspects[0], result(at_ms=later), later)
    assert len(claim(database, later).rows) == 1


def test_such_a_row_is_claimed_only_where_it_begins_at_once(database: Database) -> None:
    """Held in memory it would be counted as begun; ordinary rows may wait there."""
    hook = add_hook(database, "a")
    fire(database, [hook])
    now = die_holding(database, T0)
    _, [fresh] = fire(database, [hook], now)
    taken = claim(database, now, free={hook: 0})
    assert [each.row_id for each in taken.rows] == [fresh]
    assert taken.more
    assert len(claim(database, now, free={hook: 1}).rows) == 1


def test_a_living_workers_rows_say_nothing(database: Database) -> None:
    """Ordinary claims begin nothing; a lease that is given back was nobody's end, but for a request cut short."""
    hook = add_hook(database, "a")
    _, [row] = fire(database, [hook])
    claimed = one(database)
    assert rows(database)[row].begun_ms is None
    database.writer.write(lambda connection: outbox.give_back(connection, [claimed], T0))
    assert rows(database)[row].takeovers == 0
    claimed = one(database)
    database.writer.write(lambda connection: outbox.give_back(connection, [claimed], T0, begun=True))
    assert rows(database)[row].takeovers == 1


def test_a_hand_takes_over_as_a_worker_does(database: Database) -> None:
    """Of its own delivery alone."""
    hook = add_hook(database, "a")
    _, [row] = fire(database, [hook])
    now = die_holding(database, T0)
    by_hand = database.writer.write(
        lambda connection: outbox.lease_for_redelivery(connection, row, owner="me", now_ms=now)
    )
    assert (by_hand.number, rows(database)[row].takeovers) == (2, 1)


def test_firings_whose_process_died_are_ended_in_the_record(database: Database) -> None:
    """Past their deadline and a second, of every event that had a hook; each once, and none that has ended."""
    hook, event = add_hook(database, "a"), "after_order_add"
    made = {"hook_id": hook, "revision": 1, "at_ms": T0, "who": "a", "action": "add", "event": event}
    database.writer.write(lambda connection: connection.execute(insert(REVISIONS).values(**made)))
    fire(database, [hook])
    for uid, deadline in (("dead", T0), ("alive", T0 + 1)):
        begun = {"uid": uid, "event": event, "moment": "after", "at_ms": T0, "deadline_ms": deadline, "payload": "{}"}
        database.writer.write(Rows(T0, begun))
    late = T0 + LATE_MS + 1
    ended = [database.writer.write(partial(end_interrupted, now_ms=now)) for now in (late - 1, late, late)]
    assert ended == [0, 1, 0]
    with database.read() as connection:
        found = connection.execute(select(FIRINGS.c.uid, FIRINGS.c.outcome, FIRINGS.c.warnings).order_by(FIRINGS.c.id))
        (_, allowed, _), dead, alive = found.all()
    assert (allowed, *dead) == ("allowed", "dead", "cancelled", '[{"t":"firing_interrupted","v":{}}]')
    assert tuple(alive) == ("alive", None, None)


def test_the_next_with_the_key_of_a_dead_process_ends_its_firing(database: Database) -> None:
    """In the transaction in which it begins itself; a moment earlier it would wait for it."""

    def begin(uid: str, now_ms: int) -> Any:
        begun = {"uid": uid, "event": "after_order_add", "moment": "after", "at_ms": now_ms, "payload": "{}"}
        begun |= {"deadline_ms": now_ms + 5 * SECOND, "idempotency_key": "k", "payload_hash": "h"}
        return database.writer.write(Begin(Rows(now_ms, begun)))

    late = T0 + 5 * SECOND + LATE_MS
    assert isinstance(begin("dead", T0), Written)
    assert begin("early", late).uid == "dead"
    assert isinstance(begin("next", late + 1), Written)
    with database.read() as connection:
        found = connection.execute(select(FIRINGS.c.uid, FIRINGS.c.outcome).order_by(FIRINGS.c.id)).all()
    assert [tuple(each) for each in found] == [("dead", "cancelled"), ("next", None)]
