"""The outbox on both databases: claims, leases and results; what a person does by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import event, update

from hookrow.errors import NotRedeliverable
from hookrow.store import outbox
from hookrow.store.database import prepared
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.outbox import Settle, Taken
from hookrow.store.outbox.writing import DELIVERIES
from outbox_rows import (
    SECOND,
    T0,
    add_hook,
    attempts,
    breaker,
    change_hook,
    claim,
    failed,
    fire,
    ids,
    one,
    pause,
    result,
    resume,
    rows,
    settle,
    state,
)

# -- claims and results -----------------------------------------------------------------------------------------------


def test_a_claim_gives_all_that_an_attempt_needs(database: Database) -> None:
    """The firing's id, event and moment, the body, the attempt's number; and the row is leased under a raised fence."""
    hook = add_hook(database, "a", timeout=3.0)
    firing, (row,) = fire(database, [hook])
    claimed = one(database)
    assert (claimed.row_id, claimed.firing_id, claimed.hook_id) == (row, firing, hook)
    assert (claimed.event, claimed.occurred_ms, claimed.body) == ("after_order_add", T0, '{"id": 7}')
    assert (claimed.attempts, claimed.number, claimed.fence) == (0, 1, 1)
    assert claimed.lease_ms == T0 + 8 * SECOND
    found = rows(database)[row]
    assert (found.state, found.owner, found.lease_ms) == ("leased", "w1", T0 + 8 * SECOND)
    assert claim(database).rows == []


def test_a_success_is_recorded_with_its_attempt(database: Database) -> None:
    """State, status and attempt are written together; the row is never due again."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    settled = settle(database, one(database), result("ok", T0 + 3), T0 + 8)
    assert (settled.accepted, settled.state) == (True, "ok")
    found = rows(database)[row]
    assert (found.status, found.attempts, found.first_ms, found.done_ms) == (200, 1, T0 + 3, T0 + 8)
    assert (found.owner, found.lease_ms) == (None, None)
    (attempt,) = attempts(database, row)
    assert (attempt.number, attempt.origin) == (1, "worker")
    assert claim(database, T0 + 10**9).next_ms is None


def test_failures_follow_the_schedule_and_end_dead_after_ten(database: Database) -> None:
    """Ten attempts with ten rows in the log, then dead and never due again."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    now, seen = T0, 0
    while (taken := claim(database, now)).rows:
        seen += 1
        assert taken.rows[0].number == seen
        settled = settle(database, taken.rows[0], failed(404, now), now)
        assert settled.dead == (seen == 10)
        now = rows(database)[row].due_ms
    assert (seen, state(database, row)) == (10, "dead")
    assert [attempt.number for attempt in attempts(database, row)] == list(range(1, 11))


def test_a_failed_row_is_due_at_its_own_time(database: Database) -> None:
    """Not before; and the claim says when to look again."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    settle(database, one(database), failed())
    assert claim(database, T0 + 4999).next_ms == T0 + 5000
    assert ids(claim(database, T0 + 5000)) == [row]


def test_a_zombies_result_is_refused(database: Database) -> None:
    """Once the lease was taken over, the first holder's result writes nothing: no state, no attempt."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    zombie = one(database)
    later = T0 + 10_001
    second = one(database, later, owner="w2")
    assert second.fence == zombie.fence + 1
    assert not settle(database, zombie, result(), later).accepted
    assert (state(database, row), attempts(database)) == ("leased", [])
    assert settle(database, second, result(), later).accepted
    assert not settle(database, zombie, failed(), later).accepted
    assert not settle(database, second, failed(), later).accepted
    assert state(database, row) == "ok"


def test_a_late_result_counts_while_nobody_took_the_row(database: Database) -> None:
    """A lease that lapsed untaken is no reason to send twice."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    claimed = one(database)
    assert settle(database, claimed, result(), T0 + 60_000).accepted
    assert state(database, row) == "ok"


def test_lapsed_leases_are_taken_over_and_others_are_not(database: Database) -> None:
    """A dead worker's rows go to the next claim after their lease, uncounted; a living one's stay."""
    hook = add_hook(database, "a")
    _, (dead,) = fire(database, [hook])
    claim(database)
    _, (alive,) = fire(database, [hook], T0 + 5000)
    claim(database, T0 + 5000)
    taken = claim(database, T0 + 10_001, owner="w2")
    assert (ids(taken), taken.recovered, taken.rows[0].attempts) == ([dead], 1, 0)
    assert state(database, alive) == "leased"
    assert claim(database, T0 + 20_000, owner="w3", recovering=False).rows == []


def test_renewing_holds_what_is_still_ours(database: Database) -> None:
    """One statement; by the hook's timeout as it is now; a row that was taken over is not in the answer."""
    hook = add_hook(database, "a")
    firings = [fire(database, [hook])[1][0] for _ in range(3)]
    taken = claim(database)
    change_hook(database, hook, timeout=20.0)
    fences = {claimed.row_id: claimed.fence for claimed in taken.rows}
    fences[firings[0]] = 99
    kept = database.writer.write(lambda c: outbox.renew(c, owner="w1", fences=fences, lease_now=T0 + 3000))
    assert kept == dict.fromkeys(firings[1:], T0 + 28_000)
    assert database.writer.write(lambda c: outbox.renew(c, owner="w2", fences=fences, lease_now=T0)) == {}


def test_rows_given_back_are_due_at_once(database: Database) -> None:
    """Unsent rows go back uncounted; under an old fence nothing is given back."""
    hook = add_hook(database, "a")
    fire(database, [hook])
    claimed = one(database)
    assert database.writer.write(lambda c: outbox.give_back(c, [claimed], T0)) == 1
    assert database.writer.write(lambda c: outbox.give_back(c, [claimed], T0)) == 0
    again = one(database, owner="w2")
    assert (again.row_id, again.attempts) == (claimed.row_id, 0)
    assert database.writer.write(lambda c: outbox.give_back(c, [claimed], T0)) == 0


def test_a_claim_keeps_to_its_limits_and_takes_hooks_in_turn(database: Database) -> None:
    """A hook's 50 rows don't stand before another's one; what was left is told."""
    busy, quiet = add_hook(database, "busy"), add_hook(database, "quiet")
    for _ in range(50):
        fire(database, [busy])
    _, (last,) = fire(database, [quiet], T0 + 1)
    taken = claim(database, T0 + 1, limit=4)
    assert len(taken.rows) == 4
    assert last in ids(taken)[:2]
    assert taken.more
    assert len(claim(database, T0 + 1, per_hook={busy: 2}).rows) == 2
    assert claim(database, T0 + 1, per_hook={busy: 0}).rows == []


def test_rows_due_long_ago_are_claimed(database: Database) -> None:
    """A due time in the past is due."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    assert ids(claim(database, T0 + 3_600_000)) == [row]


def test_results_are_written_together_and_each_by_itself(database: Database) -> None:
    """Forty results in one job kind: every row gets its own; two for one lease count once."""
    hook = add_hook(database, "a")
    for _ in range(40):
        fire(database, [hook])
    taken = claim(database, otherwise=100)
    jobs = [Settle(each, result() if n % 2 else failed(404), T0) for n, each in enumerate(taken.rows)]
    settled = database.writer.write(lambda c: Settle.run_many(c, [*jobs, jobs[0]]))
    assert [each.accepted for each in settled] == [True] * 40 + [False]
    assert [each.state for each in settled[:4]] == ["retrying", "ok", "retrying", "ok"]
    assert len(attempts(database)) == 40


def test_an_attempt_that_can_not_be_logged_is_no_second_request(database: Database) -> None:
    """The delivery is settled, the gap is told (an attempt row that breaks a constraint)."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    broken = result()
    broken.values["url"] = None
    settled = settle(database, one(database), broken)
    assert (settled.accepted, settled.gap, state(database, row)) == (True, True, "ok")


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_a_redelivery_settles_and_cancels_the_pending_retry(database: Database) -> None:
    """A success at the hook's own URL: ok, never due again; its attempt has the next number."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    settle(database, one(database), failed())
    lease = database.writer.write(lambda c: outbox.lease_for_redelivery(c, row, owner="cli", now_ms=T0 + 100))
    assert (lease.number, lease.state) == (2, "retrying")
    settled = database.writer.write(Settle(lease, result(), T0 + 200, by_hand=True))
    assert (settled.accepted, settled.state) == (True, "ok")
    assert claim(database, T0 + 10**8).rows == []
    assert [(each.number, each.origin) for each in attempts(database, row)] == [(1, "worker"), (2, "redeliver")]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_failed_or_foreign_redelivery_changes_nothing_else(database: Database, elsewhere: bool) -> None:
    """State, count, retry and breaker stand; the attempt is logged."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook])
    settle(database, one(database), failed(404))
    before = rows(database)[row]
    lease = database.writer.write(lambda c: outbox.lease_for_redelivery(c, row, owner="cli", now_ms=T0 + 100))
    made = result() if elsewhere else failed(404)
    database.writer.write(Settle(lease, made, T0 + 200, elsewhere=elsewhere, by_hand=True))
    after = rows(database)[row]
    assert (after.state, after.attempts, after.due_ms, after.error) == (
        before.state,
        before.attempts,
        before.due_ms,
        before.error,
    )
    assert (after.lease_ms, breaker(database, hook)) == (None, None)
    assert attempts(database, row)[1].elsewhere is elsewhere
    again = one(database, before.due_ms)
    assert (again.attempts, again.number) == (1, 3)


def test_nobody_sends_a_row_twice_at_once(database: Database) -> None:
    """A row in flight can't be redelivered; a row that is being redelivered is not claimed until that lease lapses."""
    _, (row,) = fire(database, [add_hook(database, "a")])
    claimed = one(database)
    with pytest.raises(NotRedeliverable):
        database.writer.write(lambda c: outbox.lease_for_redelivery(c, row, owner="cli", now_ms=T0))
    settle(database, claimed, failed())
    database.writer.write(lambda c: outbox.lease_for_redelivery(c, row, owner="cli", now_ms=T0 + 4000))
    with pytest.raises(NotRedeliverable):
        database.writer.write(lambda c: outbox.lease_for_redelivery(c, row, owner="other", now_ms=T0 + 4001))
    assert claim(database, T0 + 6000).rows == []
    assert ids(claim(database, T0 + 14_001)) == [row]


def test_a_redelivery_takes_over_its_own_row_alone(database: Database) -> None:
    """Its process's clock may just have been set forward: living leases look lapsed by it."""
    hook = add_hook(database, "a")
    (mine,), (theirs,) = (fire(database, [hook])[1] for _ in range(2))
    assert sorted(ids(claim(database))) == sorted([mine, theirs])
    late = T0 + 86_400_000
    lease = database.writer.write(lambda c: outbox.lease_for_redelivery(c, mine, owner="cli", now_ms=late))
    found = rows(database)
    assert (lease.state, found[mine].state, found[theirs].state) == ("queued", "queued", "leased")


def test_dead_letters_are_dropped_by_hand(database: Database) -> None:
    """Only dead ones, and only those that were named."""
    hook = add_hook(database, "a")
    both = [fire(database, [hook])[1][0] for _ in range(2)]
    broken = result("failed", error="template_error", status=None, values={})
    for claimed in claim(database).rows:
        assert settle(database, claimed, broken).dead
    _, (fresh,) = fire(database, [hook])
    assert database.writer.write(lambda c: outbox.drop(c, [both[0], fresh], T0)) == [both[0]]
    assert [state(database, row) for row in (*both, fresh)] == ["dropped", "dead", "queued"]


def test_a_clock_set_back_delays_neither_queue_nor_leases(database: Database) -> None:
    """Rows that were due stay due, a retry after its pause; leases end within the longest lease."""
    hook = add_hook(database, "a")
    fire(database, [hook])
    claim(database)
    _, (due,) = fire(database, [hook])
    _, (retrying,) = fire(database, [hook], T0 - 60_000)
    database.writer.write(
        lambda c: c.execute(update(DELIVERIES).where(DELIVERIES.c.id == retrying).values(state="retrying", attempts=1))
    )
    back = T0 - 86_400_000
    database.writer.write(lambda c: outbox.mend_clock(c, back))
    assert ids(claim(database, back)) == [due]
    assert ids(claim(database, back + 6_000)) == [retrying]
    assert len(claim(database, back + 41_001).rows) == 3


def test_a_clock_set_back_delays_no_retry(database: Database) -> None:
    """It waits as long as the schedule says, counted anew; again and again nothing more changes; a wish stands."""
    hook = add_hook(database, "a")
    made = {}
    for tried, status in ((1, 500), (2, 500), (9, None), (1, 429)):
        _, (row,) = fire(database, [hook], T0)
        made[row] = (tried, status)
        values = {"state": "retrying", "attempts": tried, "status": status, "due_ms": T0 + 3_000}
        database.writer.write(
            lambda c, row=row, values=values: c.execute(
                update(DELIVERIES).where(DELIVERIES.c.id == row).values(**values)
            )
        )
    back = T0 - 40 * 3_600_000
    for _ in range(2):
        database.writer.write(lambda c: outbox.mend_clock(c, back))
        due = {made[row.id]: row.due_ms - back for row in rows(database).values()}
        assert due[1, 500] == 6_000
        assert due[2, 500] == 360_000
        assert due[9, None] == 28.8 * 3_600_000
        assert due[1, 429] == 40 * 3_600_000 + 3_000


def test_one_firing_alone_can_be_sent(database: Database) -> None:
    """A command sends what it made itself, in order, and leaves retries."""
    hooks = [add_hook(database, key) for key in "ab"]
    fire(database, hooks)
    firing, (first, second) = fire(database, hooks)

    def mine(now_ms: int, *, first_only: bool = True) -> Taken:
        return database.writer.write(
            lambda c: outbox.claim_firings(
                c, owner="cli", now_ms=now_ms, firings=[firing], limit=9, first_only=first_only
            )
        )

    (claimed,) = mine(T0).rows
    assert claimed.row_id == first
    settle(database, claimed, failed())
    (claimed,) = mine(T0).rows
    assert claimed.row_id == second
    settle(database, claimed, result())
    assert (mine(T0 + 60_000).rows, mine(T0 + 60_000).next_ms) == ([], None)
    assert ids(mine(T0 + 60_000, first_only=False)) == [first]


# -- several at once --------------------------------------------------------------------------------------------------


def another(database: Database) -> Database:
    """A second process's view of the same database."""
    return open_database(database.address.render_as_string(hide_password=False))


def test_two_claimants_never_get_the_same_row(database: Database) -> None:
    """Two processes claim, settle and release at once: each row goes once, in the row's order, none is left."""
    hooks = [add_hook(database, key) for key in "abc"]
    firings = [fire(database, hooks)[1] for _ in range(40)]
    other = another(database)
    sent: list[int] = []
    start = Barrier(2)

    def work(mine: Database, owner: str) -> None:
        start.wait()
        while taken := claim(mine, T0, owner=owner, limit=7).rows:
            sent.extend(claimed.row_id for claimed in taken)
            for claimed in taken:
                mine.writer.submit(Settle(claimed, result(), T0)).result()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, database, "w1"), pool.submit(work, other, "w2")]:
            done.result()
    work_left = claim(database, T0 + 5000, owner="w3", limit=200, otherwise=200)
    while work_left.rows:
        sent.extend(claimed.row_id for claimed in work_left.rows)
        database.writer.write(
            lambda c, rows=work_left.rows: Settle.run_many(c, [Settle(r, result(), T0) for r in rows])
        )
        database.writer.write(lambda c: outbox.unstick(c, T0 + 5000))
        work_left = claim(database, T0 + 5000, owner="w3", limit=200, otherwise=200)
    other.close()
    assert sorted(sent) == sorted(row for ids_ in firings for row in ids_)
    assert {row.state for row in rows(database).values()} == {"ok"}
    for ids_ in firings:
        assert [sent.index(row) for row in ids_] == sorted(sent.index(row) for row in ids_)


def test_one_key_stays_one_after_another_between_processes(database: Database) -> None:
    """Two processes fire and send deliveries of one key at once: never two under way, none stranded."""
    hook = add_hook(database, "a")
    other = another(database)
    sent: list[int] = []
    start = Barrier(2)

    def work(mine: Database, owner: str) -> None:
        start.wait()
        for _ in range(15):
            fire(mine, [hook], keys=["7"])
            for claimed in claim(mine, T0, owner=owner).rows:
                assert [row.id for row in rows(mine).values() if row.state == "leased"] == [claimed.row_id]
                sent.append(claimed.row_id)
                settle(mine, claimed, result())

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, database, "w1"), pool.submit(work, other, "w2")]:
            done.result()
    while taken := claim(database, T0, owner="w3").rows:
        assert len(taken) == 1
        sent.append(taken[0].row_id)
        settle(database, taken[0], result())
    other.close()
    assert len(sent) == len(set(sent)) == 30
    assert {row.state for row in rows(database).values()} == {"ok"}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_claims_read_no_table_from_end_to_end(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite every statement of claim, result and pause finds its deliveries by an index, however long the log."""
    monkeypatch.setattr(prepared, "sqlite_driver", lambda connection: None)  # so that SQLAlchemy's event sees them all
    hooks = [add_hook(database, key) for key in "ab"]
    for _ in range(20):
        fire(database, hooks)
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            plain = connection.connection.cursor()
            found = plain.execute(f"EXPLAIN QUERY PLAN {statement}", parameters[0] if many else parameters)
            plans.extend(f"{row[3]}\n{statement}" for row in found.fetchall())
            plain.close()

    event.listen(database.engine("write"), "before_cursor_execute", explain)
    taken = claim(database)
    database.writer.write(lambda c: Settle.run_many(c, [Settle(each, failed(), T0) for each in taken.rows]))
    claim(database, T0 + 60_000)
    pause(database, hooks[0])
    resume(database, hooks[0])
    event.remove(database.engine("write"), "before_cursor_execute", explain)
    assert len(plans) > 20
    assert [plan for plan in plans if plan.startswith(("SCAN delivery", "SCAN firing", "SCAN attempt"))] == []
