"""What a pause, a switch, a deletion and the breaker mean for what waits, on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update

from hookrow.ids import new_uid
from hookrow.reasons.reason import Reason, keep
from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.outbox import Settle
from hookrow.store.outbox.parking import BREAKERS
from hookrow.store.outbox.writing import DELIVERIES, NewDelivery, Rows, release_deferred
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
    one,
    pause,
    result,
    resume,
    rows,
    set_hook,
    settle,
    state,
)

# -- edit while pending -----------------------------------------------------------------------------------------------


def test_pausing_parks_and_resuming_brings_back(database: Database) -> None:
    """Retries keep their time; what was never sent is due at once."""
    hook = add_hook(database, "a")
    _, (retrying,) = fire(database, [hook])
    settle(database, one(database), failed())
    _, (fresh,) = fire(database, [hook], T0 + 1)
    assert pause(database, hook) == 2
    assert (state(database, retrying), state(database, fresh)) == ("parked", "parked")
    assert claim(database, T0 + 4000).rows == []
    resume(database, hook, T0 + 4000)
    assert ids(claim(database, T0 + 4000)) == [fresh]
    assert ids(claim(database, T0 + 5000)) == [retrying]


def born_parked(database: Database, hook: int) -> int:
    """A firing's delivery as a process writes it that takes the hook for paused."""
    uid = new_uid(T0)
    firing = {"uid": uid, "event": "e", "moment": "after", "at_ms": T0, "deadline_ms": T0, "payload": "{}"}
    values = {"seq": 1, "hook_id": hook, "hook_revision": 1, "position": 10, "mode": "notify", "state": "parked"}
    job = Rows(T0, firing | {"outcome": "allowed", "deferred": False}, None, [NewDelivery(values)])
    return database.writer.write(job).deliveries[0]


def test_a_firing_that_missed_the_resumption_is_sent(database: Database) -> None:
    """It was planned while the hook was paused and committed after it was resumed: nobody would look at it again."""
    hook = add_hook(database, "a")
    row = born_parked(database, hook)
    assert ids(claim(database, T0 + 1000)) == [row]


def test_a_firing_that_missed_the_deletion_is_cancelled(database: Database) -> None:
    """And comes back when the deletion is undone; one that saw the pause stays parked."""
    gone, held = add_hook(database, "gone", deleted_ms=T0), add_hook(database, "held", paused_by="person")
    row, parked = born_parked(database, gone), born_parked(database, held)
    assert (state(database, row), state(database, parked)) == ("cancelled", "parked")
    change_hook(database, gone, outbox.uncancel, deleted_ms=None)
    assert ids(claim(database, T0 + 1000)) == [row]


def test_a_hook_that_is_still_held_is_not_resumed(database: Database) -> None:
    """Resuming a hook that is also switched off leaves its rows parked."""
    hook = add_hook(database, "a")
    fire(database, [hook])
    pause(database, hook)
    assert change_hook(database, hook, outbox.unpark, paused_by=None, active=False) == 0
    assert change_hook(database, hook, outbox.unpark, active=True) == 1


def test_undoing_a_deletion_restores_the_rows(database: Database) -> None:
    """What was cancelled with the hook waits again; what was cancelled otherwise does not."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    _, (other,) = fire(database, [hook])
    values = {"state": "cancelled", "skipped": "not_enqueued", "due_ms": None}
    database.writer.write(lambda c: c.execute(update(DELIVERIES).where(DELIVERIES.c.id == other).values(values)))
    change_hook(database, hook, outbox.cancel, deleted_ms=T0)
    assert claim(database).rows == []
    assert change_hook(database, hook, outbox.uncancel, deleted_ms=None) == 1
    found = rows(database)[row]
    assert (found.state, found.skipped, found.done_ms) == ("queued", None, None)
    assert (ids(claim(database)), state(database, other)) == ([row], "cancelled")


def test_undoing_a_deletion_keeps_the_order_of_a_key(database: Database) -> None:
    """All of the key come back at once; one after another they are sent."""
    hook = add_hook(database, "a")
    three = [fire(database, [hook], T0 + n, keys=["7"])[1][0] for n in range(3)]
    change_hook(database, hook, outbox.cancel, deleted_ms=T0)
    assert change_hook(database, hook, outbox.uncancel, deleted_ms=None) == 3
    for row in three:
        (claimed,) = claim(database).rows
        assert claimed.row_id == row
        settle(database, claimed, result())


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"paused_by": "person"}, "parked"), ({"active": False}, "parked"), ({"deleted_ms": T0}, "cancelled")],
)
def test_a_failure_after_the_hook_was_held_is_parked_or_cancelled(
    database: Database, change: Mapping[str, Any], expected: str
) -> None:
    """A row in flight ends as its hook then stands; so does one that is given back or lapses."""
    hook = add_hook(database, "a")
    ids_ = [fire(database, [hook])[1][0] for _ in range(3)]
    first, second, _ = claim(database).rows
    change_hook(database, hook, **change)
    settle(database, first, failed())
    database.writer.write(lambda c: outbox.give_back(c, [second], T0))
    assert claim(database, T0 + 20_000).rows == []
    assert [state(database, row) for row in ids_] == [expected] * 3


@pytest.mark.parametrize(
    ("change", "expected"), [({"paused_by": "person"}, "parked"), ({"deleted_ms": T0}, "cancelled")]
)
def test_a_row_written_by_a_process_that_had_not_seen_the_pause_is_not_sent(
    database: Database, change: Mapping[str, Any], expected: str
) -> None:
    """The claim looks at the hook itself."""
    hook = add_hook(database, "a")
    change_hook(database, hook, **change)
    _, (row,) = fire(database, [hook])
    assert claim(database).rows == []
    assert state(database, row) == expected


def test_kept_back_rows_are_enqueued_in_their_order(database: Database) -> None:
    """`defer=True`: cancelled until they are enqueued, then the first is due and the second blocked."""
    hooks = [add_hook(database, key) for key in "ab"]
    firing, (first, second) = fire(database, hooks)

    def defer(connection: Connection) -> None:
        values = {"state": "cancelled", "skipped": "not_enqueued", "due_ms": None, "released_ms": None}
        connection.execute(update(DELIVERIES).values(**values))

    database.writer.write(defer)
    assert database.writer.write(lambda c: release_deferred(c, firing, T0))
    assert ids(claim(database)) == [first]
    assert state(database, second) == "blocked"


# -- the breaker ------------------------------------------------------------------------------------------------------


def opened(database: Database, hook: int) -> tuple[int, list[int]]:
    """Fail until the breaker opens; the moment, and the ids of its rows."""
    made = [fire(database, [hook])[1][0] for _ in range(12)]
    taken = claim(database, otherwise=100).rows
    for n, claimed in enumerate(taken[:10]):
        now = T0 + n * 7000
        settled = settle(database, claimed, failed(503, now), now)
        assert settled.paused == ("breaker" if n == 9 else None)
    return T0 + 9 * 7000, made


def test_the_breaker_opens_visibly_and_parks_without_counting(database: Database) -> None:
    """The hook is paused by the breaker with the reason; its rows are parked, the one in flight too when it fails."""
    hook = add_hook(database, "a")
    now, made = opened(database, hook)
    found = hook_row(database, hook)
    reason = keep(Reason("paused_breaker", error="bad_status 503"))
    assert (found.paused_by, found.paused_reason, found.paused_ms) == ("breaker", reason, now)
    assert {state(database, row) for row in made[:10]} == {"parked"}
    assert breaker(database, hook).probe_ms == now + 30_000
    assert claim(database, now + 29_999).rows == []


def test_one_probe_over_all_processes_and_success_resumes(database: Database) -> None:
    """When the time has come one claim gets one row; nobody else does; its success brings all back."""
    hook = add_hook(database, "a")
    now, made = opened(database, hook)
    then = now + 30_000
    probe = one(database, then, owner="w1", recovering=False)
    assert (probe.probe, probe.row_id) == (True, made[0])
    assert claim(database, then, owner="w2", recovering=False).rows == []
    settled = settle(database, probe, result(), then + 5)
    assert (settled.state, settled.resumed, settled.due) == ("ok", True, True)
    assert hook_row(database, hook).paused_by is None
    assert (breaker(database, hook).failures, breaker(database, hook).probe_ms) == (0, None)
    assert "parked" not in {row.state for row in rows(database).values()}


def test_a_failure_beside_the_probes_success_is_not_left_parked(database: Database) -> None:
    """Both results in one transaction: the hook is resumed, and the other row goes again at its time."""
    hook = add_hook(database, "a")
    now, made = opened(database, hook)
    probe = one(database, now + 30_000, recovering=False)
    late = rows(database)[made[11]]
    beside = replace(probe, row_id=late.id, fence=late.fence, probe=False)
    jobs = [Settle(probe, result(), now + 30_001), Settle(beside, failed(404), now + 30_001)]
    settled = database.writer.write(lambda c: Settle.run_many(c, jobs))
    assert [each.state for each in settled] == ["ok", "retrying"]
    assert "parked" not in {row.state for row in rows(database).values()}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_probes_success_switches_no_hook_on(database: Database) -> None:
    """A failure beside it is parked still where a person has switched the hook off meanwhile."""
    hook = add_hook(database, "a")
    now, made = opened(database, hook)
    probe = one(database, now + 30_000, recovering=False)
    late = rows(database)[made[11]]
    beside = replace(probe, row_id=late.id, fence=late.fence, probe=False)
    change_hook(database, hook, outbox.park, active=False)
    jobs = [Settle(probe, result(), now + 30_001), Settle(beside, failed(404), now + 30_001)]
    settled = database.writer.write(lambda c: Settle.run_many(c, jobs))
    assert [(each.state, each.resumed) for each in settled] == [("ok", True), ("parked", False)]


def test_a_failing_probe_parks_again_for_twice_as_long(database: Database) -> None:
    """The probe's row is parked, the rest doubles."""
    hook = add_hook(database, "a")
    now, made = opened(database, hook)
    probe = one(database, now + 30_000, recovering=False)
    settled = settle(database, probe, failed(503), now + 31_000)
    assert (settled.state, settled.paused) == ("parked", None)
    assert breaker(database, hook).probe_ms == now + 91_000
    assert state(database, made[0]) == "parked"


def open_breaker(database: Database, hook: int) -> None:
    """A hook whose breaker is open, and may be probed at T0."""

    def open_it(connection: Connection) -> None:
        set_hook(connection, hook, paused_by="breaker", paused_ms=T0)
        values = {"hook_id": hook, "failures": 10, "since_ms": T0 - 60_000, "wait_ms": 30_000, "probe_ms": T0}
        connection.execute(insert(BREAKERS).values(**values))

    database.writer.write(open_it)


def test_a_probe_keeps_to_the_rows_order(database: Database) -> None:
    """A delivery is no probe before its turn in its firing; an older one of the hook, whose turn has come, is."""
    first, hook = add_hook(database, "first"), add_hook(database, "a")
    open_breaker(database, hook)
    _, (before, row) = fire(database, [first, hook])
    taken = claim(database)
    assert (ids(taken), state(database, row)) == ([before], "parked")
    assert (hook_row(database, hook).paused_by, taken.next_ms) == ("breaker", T0 + 1000)
    assert ids(claim(database, T0 + 999)) == []
    settle(database, taken.rows[0], result(), T0 + 999)
    probe = one(database, T0 + 1000)
    assert (probe.row_id, probe.probe) == (row, True)


def test_a_probe_waits_no_longer_than_its_turn(database: Database) -> None:
    """A second after the row before it was released its turn has come, whatever becomes of that one."""
    first, hook = add_hook(database, "first"), add_hook(database, "a")
    open_breaker(database, hook)
    _, (before, row) = fire(database, [first, hook])
    assert ids(claim(database)) == [before]
    assert one(database, T0 + 1000).row_id == row


def test_a_breaker_with_nothing_to_probe_resumes_on_trial(database: Database) -> None:
    """A hook without parked rows goes on; its next failure opens the breaker again, for longer."""
    hook = add_hook(database, "a")
    open_breaker(database, hook)
    assert claim(database, T0).resumed == [hook]
    assert hook_row(database, hook).paused_by is None
    fire(database, [hook], T0)
    assert settle(database, one(database), failed(503), T0 + 10).paused == "breaker"
    assert breaker(database, hook).wait_ms == 60_000


def test_hooks_that_an_undo_left_paused_for_ever_are_probed(database: Database) -> None:
    """Earlier versions: paused by the breaker, and the breaker closed, or never there. One that fails again rests
    twice as long; an open breaker keeps its time, and a person's pause stands."""
    closed, none, waits, person = (add_hook(database, key) for key in "abcd")
    for hook in (closed, waits):
        open_breaker(database, hook)
    _, made = fire(database, [closed, none, waits, person])
    change_hook(database, none, outbox.park, paused_by="breaker")
    pause(database, person)
    change = update(BREAKERS).where(BREAKERS.c.hook_id == closed).values(failures=0, wait_ms=0, probe_ms=None)
    database.writer.write(lambda c: c.execute(change))
    assert claim(database, T0 - 1).rows == []
    for _ in range(2):
        database.writer.write(outbox.reopen_closed)
    probes = claim(database, T0 + 5000, recovering=False).rows
    assert {(each.hook_id, each.probe) for each in probes} == {(hook, True) for hook in (closed, none, waits)}
    for each in probes:
        settle(database, each, failed(503), T0 + 6000)
    assert {breaker(database, hook).wait_ms for hook in (closed, none, waits)} == {60_000}
    assert (breaker(database, person), state(database, made[3])) == (None, "parked")


def test_a_receiver_that_is_gone_pauses_its_hook_until_a_person_resumes(database: Database) -> None:
    """410: the hook is paused, the row parked; no probe ever goes; resuming brings the row back."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    _, (other,) = fire(database, [hook])
    first, _ = claim(database).rows
    settled = settle(database, first, failed(410, gone=True))
    assert (settled.paused, settled.state) == ("gone", "parked")
    assert hook_row(database, hook).paused_by == "gone"
    assert claim(database, T0 + 86_400_000).rows == []
    assert {state(database, row), state(database, other)} == {"parked"}
    resume(database, hook, T0 + 86_400_000)
    assert set(ids(claim(database, T0 + 86_400_000))) == {row, other}


def test_a_person_overrules_the_breaker(database: Database) -> None:
    """Paused by hand: no probe; resumed by hand: the breaker starts anew."""
    hook = add_hook(database, "a")
    now, _ = opened(database, hook)
    pause(database, hook, now)
    assert claim(database, now + 40_000, recovering=False).rows == []
    resume(database, hook, now + 40_000)
    assert (breaker(database, hook).failures, breaker(database, hook).probe_ms) == (0, None)
