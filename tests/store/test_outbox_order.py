"""The order of rows inside a firing, and of one key, on both databases."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.outbox import Settle, release
from hookrow.store.outbox.writing import DELIVERIES, release_deferred
from outbox_rows import (
    T0,
    add_hook,
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
    set_hook,
    settle,
    state,
)

# -- the order inside a firing ----------------------------------------------------------------------------------------


def test_rows_are_released_in_their_order(database: Database) -> None:
    """The next goes when the first attempt of the one before has ended, whatever came of it."""
    hooks = [add_hook(database, key) for key in "abc"]
    _, (first, second, third) = fire(database, hooks)
    claimed = one(database)
    assert claimed.row_id == first
    assert settle(database, claimed, failed()).due
    claimed = one(database)
    assert claimed.row_id == second
    assert state(database, third) == "blocked"
    settle(database, claimed, result())
    assert one(database).row_id == third


def test_the_next_row_is_leased_with_the_result_of_the_one_before(database: Database) -> None:
    """To a worker that has room for the next hook: then no claim is needed for it."""
    hooks = [add_hook(database, key) for key in "abc"]
    _, (first, second, third) = fire(database, hooks)
    claimed = one(database)
    settled = settle(database, claimed, failed(), owner="w1", room=lambda hook: int(hook == hooks[1]))
    [following] = settled.next
    assert (following.row_id, following.fence, following.lease_ms) == (second, 1, T0 + 10_000)
    assert (state(database, second), settled.due) == ("leased", False)
    assert claim(database).rows == []
    settled = settle(database, following, result(), owner="w1", room=lambda hook: int(hook == hooks[1]))
    assert (settled.next, settled.due, state(database, third)) == ((), True, "queued"), "there is no room for c"
    assert first == claimed.row_id


def test_a_row_whose_hook_was_switched_off_unseen_is_not_leased_with_a_result(database: Database) -> None:
    """As a claim would not: the hook stands as it does in the transaction of the cause."""
    hooks = [add_hook(database, key) for key in "ab"]
    _, (_, second) = fire(database, hooks)
    claimed = one(database)
    database.writer.write(lambda connection: set_hook(connection, hooks[1], active=False))
    settled = settle(database, claimed, result(), owner="w1", room=lambda hook: 9)
    assert (settled.next, state(database, second)) == ((), "queued")


def test_many_hooks_are_given_their_turns(database: Database) -> None:
    """One after another, each with the result of the one before."""
    hooks = [add_hook(database, f"h{number}") for number in range(60)]
    _, made = fire(database, hooks)
    claimed, sent = one(database), []
    while True:
        sent.append(claimed.row_id)
        settled = settle(database, claimed, result(), owner="w1", room=lambda hook: 1)
        if not settled.next:
            break
        [claimed] = settled.next
    assert sent == made


def test_no_more_rows_come_with_results_than_there_is_room_for(database: Database) -> None:
    """Of results that are written together, too: the others wait for a claim, which minds the slots."""
    hooks = [add_hook(database, key) for key in "ab"]
    for _ in range(3):
        fire(database, hooks)
    jobs = [Settle(each, result(), T0, owner="w1", room=lambda hook: 2) for each in claim(database).rows]
    settled = database.writer.write(lambda connection: Settle.run_many(connection, jobs))
    assert [len(each.next) for each in settled] == [1, 1, 0]
    assert all(each.due for each in settled)


def steps_of_a_result(path: Path, hooks: int) -> int:
    """How many steps SQLite's machine makes for the result of a row in the middle of a firing with so many hooks."""
    with closing(open_database(f"sqlite:///{path}/hooks-{hooks}.db")) as database:
        firing, made = fire(database, [add_hook(database, f"h{number}") for number in range(hooks)])
        middle = made[hooks // 2]

        def ended(connection: Connection) -> None:
            earlier = DELIVERIES.c.id < middle
            connection.execute(update(DELIVERIES).where(earlier).values(state="ok", released_ms=T0, due_ms=None))
            release.admit(connection, [firing], T0)

        database.writer.write(ended)
        claimed, steps = one(database), 0
        assert claimed.row_id == middle

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        def job(connection: Connection) -> Any:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(step, 1)
            try:
                return Settle(claimed, result(), T0, owner="w1", room=lambda hook: 9)(connection)
            finally:
                driver.set_progress_handler(None, 0)

        assert [each.row_id for each in database.writer.write(job).next] == [made[hooks // 2 + 1]]
        return steps


def test_a_result_costs_the_same_however_many_hooks_its_firing_has(tmp_path: Path) -> None:
    """Whose turn it is takes a few steps in indexes. A walk over the firing's rows made a result of 1,000 twice as
    dear as one of ten."""
    steps_of_a_result(tmp_path, 8)  # what is asked once a process
    few, many = steps_of_a_result(tmp_path, 12), steps_of_a_result(tmp_path, 120)
    assert few <= many < few + 50


def test_a_slow_row_holds_the_next_back_for_a_second(database: Database) -> None:
    """1 s after each one's release, not after the firing."""
    hooks = [add_hook(database, key) for key in "abc"]
    _, (first, second, third) = fire(database, hooks)
    assert ids(claim(database)) == [first]
    assert claim(database, T0 + 999).next_ms == T0 + 1000
    assert ids(claim(database, T0 + 1200)) == [second]
    assert claim(database, T0 + 2199).rows == []
    assert ids(claim(database, T0 + 2200)) == [third]


def test_a_late_first_attempt_does_not_release_twice(database: Database) -> None:
    """The first row ends after the second went by the limit: the third still waits for the second."""
    hooks = [add_hook(database, key) for key in "abc"]
    _, (_, second, third) = fire(database, hooks)
    slow = one(database)
    assert ids(claim(database, T0 + 1000)) == [second]
    settle(database, slow, result(), T0 + 1100)
    assert state(database, third) == "blocked"


def test_a_parked_row_lets_the_next_one_have_its_turn(database: Database) -> None:
    """Pausing the first hook releases the second row; pausing the second keeps the third behind the first."""
    hooks = [add_hook(database, key) for key in "abc"]
    _, (first, second, third) = fire(database, hooks)
    pause(database, hooks[0])
    assert (state(database, first), ids(claim(database))) == ("parked", [second])
    other = add_hook(database, "d")
    _, (first, second, third) = fire(database, [hooks[1], hooks[2], other])
    claim(database)
    pause(database, hooks[2])
    assert (state(database, second), state(database, third)) == ("parked", "blocked")
    assert ids(claim(database, T0 + 1000)) == [third]


def test_deleting_a_hook_releases_what_waits_behind_it(database: Database) -> None:
    """Its rows are cancelled with the reason, and the next row has its turn."""
    hooks = [add_hook(database, key) for key in "ab"]
    _, (first, second) = fire(database, hooks)
    assert change_hook(database, hooks[0], outbox.cancel, deleted_ms=T0) == 1
    found = rows(database)[first]
    assert (found.state, found.skipped, found.done_ms) == ("cancelled", "hook_deleted", T0)
    assert ids(claim(database)) == [second]


def test_a_turn_that_got_lost_is_found(database: Database) -> None:
    """A first blocked row without a limit (two transactions that did not see each other) is given its turn."""
    hooks = [add_hook(database, key) for key in "ab"]
    _, (_, second) = fire(database, hooks)
    settle(database, one(database), result())
    lost = {"state": "blocked", "due_ms": None, "released_ms": None}
    database.writer.write(lambda c: c.execute(update(DELIVERIES).where(DELIVERIES.c.id == second).values(**lost)))
    assert database.writer.write(lambda c: outbox.unstick(c, T0 + 1000)) == 0
    assert database.writer.write(lambda c: outbox.unstick(c, T0 + 3000)) == 1
    assert one(database, T0 + 3000).row_id == second


# -- order keys -------------------------------------------------------------------------------------------------------


def test_one_key_goes_one_after_another_and_blocks_only_itself(database: Database) -> None:
    """A failing head holds back its own key's rows, no other's; when it is done the next is due at once."""
    hook = add_hook(database, "a")
    head, second, third = (fire(database, [hook], T0 + n, keys=["7"])[1][0] for n in range(3))
    other = fire(database, [hook], T0 + 5, keys=["8"])[1][0]
    taken = claim(database, T0 + 10)
    assert ids(taken) == [head, other]
    settle(database, taken.rows[0], failed(), T0 + 10)
    assert claim(database, T0 + 100).rows == []
    again = one(database, T0 + 10_000)
    assert again.row_id == head
    assert settle(database, again, result(), T0 + 10_000).due
    assert one(database, T0 + 10_000).row_id == second
    assert state(database, third) == "queued"


def test_many_keys_are_freed_in_two_statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows give theirs back at once; a key of which a row is under way is not freed."""
    hook, asked = add_hook(database, "a"), list[int]()
    first = [fire(database, [hook], T0 + n, keys=[str(n)])[1][0] for n in range(5)]
    second = [fire(database, [hook], T0 + 5 + n, keys=[str(n)])[1][0] for n in range(5)]
    taken = claim(database, T0 + 10)
    assert ids(taken) == first
    look, change = release.OF_KEYS.all, release.MAKE_DUE.many
    monkeypatch.setattr(release.OF_KEYS, "all", lambda c, given: asked.append(len(given)) or look(c, given))
    monkeypatch.setattr(release.MAKE_DUE, "many", lambda c, given: asked.append(len(given)) or change(c, given))
    ended = [Settle(claimed, result(), T0 + 10) for claimed in taken.rows[:3]]
    assert all(each.due for each in database.writer.write(lambda c: Settle.run_many(c, ended)))
    assert (asked, ids(claim(database, T0 + 10))) == ([3, 3], second[:3])


def test_a_row_that_waits_for_its_key_releases_the_next(database: Database) -> None:
    """In its firing it counts as gone."""
    keyed, plain = add_hook(database, "a"), add_hook(database, "b")
    fire(database, [keyed], keys=["7"])
    _, (waiting, behind) = fire(database, [keyed, plain], T0 + 1, keys=["7", None])
    assert behind in ids(claim(database, T0 + 1))
    found = rows(database)[waiting]
    assert (found.state, found.due_ms) == ("queued", None)


@pytest.mark.parametrize("ending", ["dead", "redelivered"])
def test_every_end_of_the_head_frees_its_key(database: Database, ending: str) -> None:
    """Dead by a broken template, or redelivered by hand: the next of the key becomes due."""
    hook = add_hook(database, "a")
    fire(database, [hook], keys=["7"])
    _, (second,) = fire(database, [hook], T0 + 1, keys=["7"])
    claimed = one(database, T0 + 1)
    if ending == "dead":
        settle(database, claimed, result("failed", error="template_error", status=None, values={}), T0 + 2)
    else:
        settle(database, claimed, failed(), T0 + 2)
        lease = database.writer.write(
            lambda c: outbox.lease_for_redelivery(c, claimed.row_id, owner="cli", now_ms=T0 + 3)
        )
        database.writer.write(Settle(lease, result(), T0 + 3, by_hand=True))
    assert one(database, T0 + 4).row_id == second


def test_keys_survive_a_pause(database: Database) -> None:
    """After resuming only the head of each key is due."""
    hook = add_hook(database, "a")
    head = fire(database, [hook], keys=["7"])[1][0]
    fire(database, [hook], T0 + 1, keys=["7"])
    other = fire(database, [hook], T0 + 2, keys=["8"])[1][0]
    assert pause(database, hook) == 3
    assert claim(database, T0 + 10).rows == []
    assert resume(database, hook, T0 + 20) == 3
    assert sorted(ids(claim(database, T0 + 20))) == [head, other]


def overtaken(database: Database, hook: int) -> tuple[int, Any]:
    """A row that was kept back (`defer=True`) and is enqueued while a later one of its key is under way: both."""
    firing, (kept,) = fire(database, [hook], keys=["7"])
    away = {"state": "cancelled", "skipped": "not_enqueued", "due_ms": None, "released_ms": None}
    database.writer.write(lambda c: c.execute(update(DELIVERIES).values(**away)))
    fire(database, [hook], T0 + 1, keys=["7"])
    under_way = one(database, T0 + 1)
    assert database.writer.write(lambda c: release_deferred(c, firing, T0 + 2))
    return kept, under_way


def test_what_is_under_way_goes_before_an_older_row_of_its_key(database: Database) -> None:
    """Whatever the ids: the older row has its turn when the one that is being sent is done."""
    kept, under_way = overtaken(database, add_hook(database, "a"))
    assert claim(database, T0 + 2).rows == []
    assert settle(database, under_way, result(), T0 + 3).due
    assert one(database, T0 + 3).row_id == kept


def test_a_resumed_row_waits_for_a_later_one_of_its_key_that_is_under_way(database: Database) -> None:
    """Resuming its hook makes no row due beside the one that is being sent."""
    hook = add_hook(database, "a")
    kept, under_way = overtaken(database, hook)
    assert claim(database, T0 + 2).rows == []
    assert pause(database, hook, T0 + 3) == resume(database, hook, T0 + 4) == 1
    assert claim(database, T0 + 4).rows == []
    assert settle(database, under_way, result(), T0 + 5).due
    assert one(database, T0 + 5).row_id == kept
