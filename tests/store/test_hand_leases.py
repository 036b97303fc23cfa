"""What a person sends by hand no worker sends meanwhile, whatever happens to its hook or its firing."""

from __future__ import annotations

from typing import Any

import pytest

from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.outbox import Settle
from outbox_rows import (
    T0,
    Result,
    add_hook,
    breaker,
    claim,
    failed,
    fire,
    hook_row,
    ids,
    one,
    pause,
    result,
    resume,
    rows,
    settle,
)


def by_hand(database: Database, row: int, now_ms: int = T0) -> Any:
    """The lease of a redelivery."""
    return database.writer.write(lambda c: outbox.lease_for_redelivery(c, row, owner="cli", now_ms=now_ms))


def test_its_hook_is_resumed_meanwhile(database: Database) -> None:
    """The row is queued again, and held until the person's lease lapses; their result is taken."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    pause(database, hook)
    lease = by_hand(database, row)
    resume(database, hook)
    assert rows(database)[row].state == "queued"
    assert claim(database, T0 + 10).rows == []
    settled = database.writer.write(Settle(lease, result(), T0 + 20, by_hand=True))
    assert (settled.accepted, settled.state) == (True, "ok")


def test_its_turn_in_the_firing_comes_meanwhile(database: Database) -> None:
    """The result of the row before it, with which a worker takes the next one, leaves this one alone."""
    hooks = [add_hook(database, key) for key in "ab"]
    _, (first, second) = fire(database, hooks)
    claimed = one(database)
    assert claimed.row_id == first
    lease = by_hand(database, second)
    settled = settle(database, claimed, result(), T0 + 10, owner="w", room=lambda hook: 8)
    assert list(settled.next) == []
    assert rows(database)[second].state == "queued"
    assert claim(database, T0 + 20).rows == []
    assert database.writer.write(Settle(lease, result(), T0 + 30, by_hand=True)).accepted
    assert rows(database)[second].state == "ok"


def test_its_retry_becomes_due_meanwhile_and_the_person_is_gone(database: Database) -> None:
    """A worker knows when the lease lapses, by the clock of leases, and looks then: nobody else would wake it."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    settle(database, one(database), failed())
    lease = by_hand(database, row, T0 + 4000)
    assert claim(database, T0 + 4500).next_ms == T0 + 5000
    taken = claim(database, T0 + 5000)
    assert (taken.rows, taken.next_ms) == ([], lease.lease_ms)
    assert claim(database, T0 + 5000, lease_now=T0 + 6000).next_ms == lease.lease_ms - 1000
    assert ids(claim(database, lease.lease_ms)) == [row]


def test_a_colleague_drops_it_meanwhile(database: Database) -> None:
    """Not while it is being sent; afterwards, where it failed again."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    broken = result("failed", error="template_error", status=None, values={})
    assert settle(database, one(database), broken).dead
    lease = by_hand(database, row, T0 + 10)
    assert database.writer.write(lambda c: outbox.drop(c, [row], T0 + 20)) == []
    database.writer.write(Settle(lease, broken, T0 + 30, by_hand=True))
    assert database.writer.write(lambda c: outbox.drop(c, [row], T0 + 40)) == [row]
    assert ids(claim(database, T0 + 50)) == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("made", [failed(503), failed(410, gone=True)], ids=["fails", "gone"])
def test_what_another_receiver_answers_says_nothing_of_the_hooks_own(database: Database, made: Result) -> None:
    """Sent elsewhere (`--to`): no breaker counts it, no hook is paused, and the delivery stands as it did."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    lease = by_hand(database, row)
    settled = database.writer.write(Settle(lease, made, T0 + 10, by_hand=True, elsewhere=True))
    assert (settled.state, settled.paused) == ("queued", None)
    assert (breaker(database, hook), hook_row(database, hook).paused_by) == (None, None)
