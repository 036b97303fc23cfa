"""The worker on both databases: leases, drain, storage in trouble, clocks that are set."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from hookrow.errors import StorageError
from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.database.tables import DELIVERIES
from hookrow.store.outbox import Claimed, Settle
from hookrow.worker.trouble import Trouble
from outbox_rows import (
    T0,
    Result,
    add_hook,
    attempts,
    failed,
    fire,
    result,
    rows,
    set_hook,
    state,
)
from scripted import HandClock
from worker_bench import Receiver, now_ms, running, seen, settled, worker_on

pytestmark = pytest.mark.anyio


# -- leases -----------------------------------------------------------------------------------------------------------


async def test_rows_that_wait_in_memory_are_renewed_and_sent_once(database: Database) -> None:
    """30 rows handed over behind one slot, longer than their lease: held on, none taken by another worker."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    gate: asyncio.Queue[None] = asyncio.Queue()

    async def script(claimed: Claimed) -> Result:
        await gate.get()
        return result()

    receiver = Receiver(script)
    worker = worker_on(database, receiver, owner="engine", concurrency=1, clock=clock)
    other = worker_on(database, receiver, owner="other", clock=clock)
    handed = []
    for _ in range(30):
        firing, (row,) = fire(database, [hook], clock.wall, owner="engine")
        lease = rows(database)[row].lease_ms
        handed.append(Claimed(row, firing, "u" * 20, 1, "e", clock.wall, hook, 1, "notify", "{}", 1, lease))
    async with running(worker), running(other):
        worker.take(handed)
        for number in range(1, 31):
            await receiver.until(lambda number=number: len(receiver.sent) == number)  # type: ignore[misc]
            clock.forward(4.0)
            before = [each.until for queue in worker.slots.held.values() for each in queue]
            worker.wake()
            other.wake()
            await seen(
                lambda: all(
                    each.until - clock.monotonic() >= 20 / 3 for queue in worker.slots.held.values() for each in queue
                )
            )
            assert len(before) == 30 - number
            gate.put_nowait(None)
        await settled(database, handed[-1].row_id, "ok")
    assert Counter(each.row_id for each in receiver.sent) == Counter(each.row_id for each in handed)
    assert {each.fence for each in receiver.sent} == {1}


async def test_a_lost_lease_is_not_sent(database: Database) -> None:
    """A process that slept past its lease (SIGSTOP) finds the row taken over, and lets it go."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    firing, (row,) = fire(database, [hook], clock.wall, owner="engine")
    lease = rows(database)[row].lease_ms
    claimed = Claimed(row, firing, "u" * 20, 1, "e", clock.wall, hook, 1, "notify", "{}", 1, lease)
    receiver = Receiver()
    worker = worker_on(database, receiver, owner="engine", clock=clock)
    worker.take([claimed])
    clock.forward(11)
    taken = database.writer.write(
        lambda c: outbox.claim(c, owner="other", now_ms=clock.wall, limit=9, per_hook={}, otherwise=9)
    )
    assert [each.row_id for each in taken.rows] == [row]
    async with running(worker):
        await seen(lambda: not worker.slots.held and not worker.hand.rows)
    assert receiver.sent == []
    assert rows(database)[row].owner == "other"


@pytest.mark.parametrize("unrecorded", [False, True], ids=["in flight", "its result unrecorded"])
async def test_a_worker_takes_nothing_over_from_itself(
    database: Database, unrecorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process stood still, or storage was in trouble, for longer than a lease, and nobody else took the row: it is
    held on, and not sent again."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], clock.wall)
    answering, refusing = asyncio.Event(), unrecorded
    tries = 0
    once = Settle.run_many

    def run_many(connection: Any, jobs: Any) -> Any:
        nonlocal tries
        tries += 1
        if refusing:
            raise StorageError("locked")
        return once(connection, jobs)

    async def script(claimed: Claimed) -> Result:
        if not unrecorded:
            await answering.wait()
        return result()

    monkeypatch.setattr(Settle, "run_many", run_many)
    monkeypatch.setattr(Trouble, "failed", lambda self, error: 0.01)
    receiver = Receiver(script)
    async with running(worker_on(database, receiver, clock=clock)) as worker:
        await receiver.until(lambda: len(receiver.sent) == 1)
        await seen(lambda: tries > 0 or not unrecorded)
        before = rows(database)[row]
        clock.forward(10.5)
        worker.wake()
        await seen(lambda: rows(database)[row].lease_ms > before.lease_ms)
        refusing = False
        answering.set()
        await settled(database, row, "ok")
        await seen(lambda: not worker.hand.rows)
    kept = rows(database)[row]
    assert [each.fence for each in receiver.sent] == [1]
    assert (kept.fence, kept.takeovers) == (before.fence, 0)


async def test_a_row_taken_over_is_not_sent_by_a_holder_that_trusts_its_own_clock(database: Database) -> None:
    """Where the lease is too short for the request, only the database says whether it is still held."""
    hook = add_hook(database, "a", timeout=5.0)
    firing, (row,) = fire(database, [hook], now_ms(), owner="engine")
    lease = rows(database)[row].lease_ms

    def steal(connection: Any) -> None:
        set_hook(connection, hook, timeout=30.0)
        outbox.recover(connection, lease + 1)
        outbox.claim(connection, owner="other", now_ms=lease + 1, limit=1, per_hook={}, otherwise=1)

    database.writer.write(steal)
    receiver = Receiver()
    worker = worker_on(database, receiver, owner="engine")
    async with running(worker):
        worker.take([Claimed(row, firing, "u" * 20, 1, "e", now_ms(), hook, 1, "notify", "{}", 1, lease)])
        await seen(lambda: not worker.slots.held and not worker.hand.rows)
    assert receiver.sent == []
    assert rows(database)[row].owner == "other"


async def test_a_row_leased_before_the_clock_was_set_is_not_sent_unasked(database: Database) -> None:
    """Its turn came with a result that waited to be recorded while the database's clock was set: to others its lease
    has lapsed, whatever the monotonic clock says."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    receiver = Receiver()
    worker = worker_on(database, receiver, owner="engine", clock=clock)
    came, before = [], clock.wall - 3_600_000
    for _ in range(2):
        firing, (row,) = fire(database, [hook], before, owner="engine")
        lease = rows(database)[row].lease_ms
        came.append(Claimed(row, firing, "u" * 20, 1, "e", before, hook, 1, "notify", "{}", 1, lease))
    lapsed, taken = came
    database.writer.write(
        lambda c: c.execute(update(DELIVERIES).where(DELIVERIES.c.id == taken.row_id).values(owner="other", fence=2))
    )
    worker.leases.take_over_nothing(60)  # it has seen that the clock was set
    async with running(worker):
        worker.slots.hold([lapsed, taken], before, clock.monotonic())
        worker.wake()
        await settled(database, lapsed.row_id, "ok")
        await seen(lambda: not worker.slots.held and not worker.hand.rows)
    assert [each.row_id for each in receiver.sent] == [lapsed.row_id]


async def test_a_raised_timeout_begins_the_lease_anew(database: Database) -> None:
    """A request starts only with its timeout and a second of lease left, by the hook's timeout as it is now."""
    hook = add_hook(database, "a")
    firing, (row,) = fire(database, [hook], now_ms(), owner="engine")
    lease = rows(database)[row].lease_ms
    database.writer.write(lambda connection: set_hook(connection, hook, timeout=30.0))
    left: list[int] = []

    async def script(claimed: Claimed) -> Result:
        left.append(rows(database)[row].lease_ms - now_ms())
        return result()

    receiver = Receiver(script)
    worker = worker_on(database, receiver, owner="engine")
    async with running(worker):
        worker.take([Claimed(row, firing, "u" * 20, 1, "e", now_ms(), hook, 1, "notify", "{}", 1, lease)])
        await settled(database, row, "ok")
    assert left[0] > 31_000


# -- drain ------------------------------------------------------------------------------------------------------------


async def test_draining_lets_requests_end_and_gives_the_rest_back(database: Database) -> None:
    """In flight: recorded. Held and unsent: due at once for others. Waiting: untouched."""
    hook = add_hook(database, "a")
    ids = [fire(database, [hook], now_ms())[1][0] for _ in range(6)]
    ended = asyncio.Event()

    async def script(claimed: Claimed) -> Result:
        await ended.wait()
        return result()

    receiver = Receiver(script)
    worker = worker_on(database, receiver, concurrency=2)
    task = asyncio.create_task(worker.run())
    await receiver.until(lambda: len(receiver.sent) == 1)
    drained = asyncio.create_task(worker.drain(5.0))
    await asyncio.sleep(0)
    ended.set()
    await drained
    await task
    assert sorted(row.state for row in rows(database, ids).values()) == ["ok"] + ["queued"] * 5


@pytest.mark.parametrize("ended", [False, True], ids=["while it ends", "after its end"])
async def test_what_is_handed_to_a_worker_that_ends_is_given_back(database: Database, ended: bool) -> None:
    """The row was born before the worker was told to end: nobody sends it here, and another worker need not wait."""
    hook = add_hook(database, "a")
    fire(database, [hook], now_ms())
    answering = asyncio.Event()

    async def script(claimed: Claimed) -> Result:
        await answering.wait()
        return result()

    receiver = Receiver(script)
    worker = worker_on(database, receiver, owner="engine")
    task = asyncio.create_task(worker.run())
    await receiver.until(lambda: len(receiver.sent) == 1)
    firing, (row,) = fire(database, [hook], now_ms(), owner="engine")
    lease = rows(database)[row].lease_ms
    late = Claimed(row, firing, "u" * 20, 1, "e", now_ms(), hook, 1, "notify", "{}", 1, lease)
    drained = asyncio.create_task(worker.drain(60.0))
    await seen(lambda: worker.closing)
    if not ended:
        worker.take([late])
        await settled(database, row, "queued")
    answering.set()
    await drained
    await task
    if ended:
        await asyncio.to_thread(worker.take, [late])
        await settled(database, row, "queued")
    kept = rows(database)[row]
    assert (kept.owner, kept.takeovers, len(receiver.sent)) == (None, 0, 1)


async def test_draining_aborts_what_outlasts_the_grace(database: Database, lag: Any) -> None:
    """A receiver that hangs is left after the grace period; its row is due again at once, uncounted."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], now_ms())

    async def script(claimed: Claimed) -> Result:
        await asyncio.Event().wait()
        return result()

    receiver = Receiver(script)
    async with running(worker_on(database, receiver), grace=0.1):
        await receiver.until(lambda: len(receiver.sent) == 1)
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started <= lag.bound(0.6)
    found = rows(database)[row]
    assert (found.state, found.attempts, found.owner) == ("queued", 0, None)


async def test_a_second_call_leaves_at_once(database: Database, lag: Any) -> None:
    """A drain with a long grace is cut short by another one with none; `run` has returned then."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], now_ms())

    async def script(claimed: Claimed) -> Result:
        await asyncio.Event().wait()
        return result()

    receiver = Receiver(script)
    worker = worker_on(database, receiver)
    task = asyncio.create_task(worker.run())
    await receiver.until(lambda: len(receiver.sent) == 1)
    patient = asyncio.create_task(worker.drain(60.0))
    await asyncio.sleep(0)
    assert not patient.done()
    started = asyncio.get_running_loop().time()
    await worker.drain(0.0)
    await task
    await patient
    assert asyncio.get_running_loop().time() - started <= lag.bound(0.5)
    assert state(database, row) == "queued"


async def test_a_command_sends_only_its_own_firing(database: Database) -> None:
    """`send_firings`: one attempt for each of its deliveries in order, and it returns though one failed."""
    hooks = [add_hook(database, key) for key in "ab"]
    _, others = fire(database, hooks, now_ms())
    firing, mine = fire(database, hooks, now_ms())

    async def script(claimed: Claimed) -> Result:
        return failed(500) if claimed.seq == 1 else result()

    receiver = Receiver(script)
    await worker_on(database, receiver).send_firings([firing])
    assert [claimed.row_id for claimed in receiver.sent] == mine
    assert [state(database, row) for row in (*mine, *others)] == ["retrying", "ok", "queued", "blocked"]


# -- trouble ----------------------------------------------------------------------------------------------------------


async def test_storage_trouble_is_said_twice_a_minute_at_most_and_ends_by_itself(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims fail for a while: the worker tries again, logs one line, then one that it works again."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], now_ms())
    tries = 0
    failing = outbox.claim

    def claim(*given: Any, **named: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 4:
            raise StorageError("the disk is full")
        return failing(*given, **named)

    monkeypatch.setattr("hookrow.store.outbox.claim", claim)
    monkeypatch.setattr(Trouble, "LONGEST", 0.01)
    receiver = Receiver()
    with caplog.at_level(logging.WARNING, "hookrow"):
        async with running(worker_on(database, receiver)):
            await settled(database, row, "ok")
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_trouble_backs_off_and_keeps_quiet() -> None:
    """Failing for an hour: at least 5 s between tries, one line a minute."""
    clock = HandClock(T0)
    trouble = Trouble(clock)
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("hookrow").addHandler(handler)
    try:
        pauses = []
        for _ in range(700):
            pauses.append(trouble.failed(StorageError("full")))
            clock.forward(pauses[-1])
        trouble.worked()
    finally:
        logging.getLogger("hookrow").removeHandler(handler)
    assert pauses[10:] == [5.0] * 690
    assert len(lines) <= 60


# -- clocks -----------------------------------------------------------------------------------------------------------


async def test_a_clock_set_back_by_a_day_stops_nothing(database: Database) -> None:
    """Rows that were due when the clock was set back are sent all the same."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    receiver = Receiver()
    async with running(worker_on(database, receiver, clock=clock)):
        _, (row,) = fire(database, [hook], clock.wall)
        await settled(database, row, "ok")
        _, (late,) = fire(database, [hook], clock.wall)
        clock.wall -= 86_400_000
        await settled(database, late, "ok")
    assert len(attempts(database)) == 2


async def test_a_clock_set_forward_takes_no_living_rows(database: Database) -> None:
    """A row in flight is not taken over because the wall clock jumped by a day."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], clock.wall)
    ended = asyncio.Event()

    async def script(claimed: Claimed) -> Result:
        await ended.wait()
        return result()

    receiver = Receiver(script)
    async with running(worker_on(database, receiver, clock=clock)) as worker:
        await receiver.until(lambda: len(receiver.sent) == 1)
        clock.wall += 86_400_000
        _, (second,) = fire(database, [hook], clock.wall)
        worker.wake()
        await receiver.until(lambda: len(receiver.sent) == 2)
        ended.set()
        await settled(database, row, "ok")
        await settled(database, second, "ok")
    assert len(receiver.sent) == 2


async def test_leases_that_lapsed_while_storage_was_away(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their workers could not record either: they are given a few seconds before another takes their rows over."""
    clock = HandClock()
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], clock.now_ms(), owner="another")
    receiver = Receiver()
    worker = worker_on(database, receiver, clock=clock)
    clock.forward(60)

    async def away(job: Any) -> Any:
        raise StorageError("away")

    with monkeypatch.context() as patched:
        patched.setattr(database.writer, "awrite", away)
        await worker.step()
    await worker.step()
    assert state(database, row) == "leased"
    clock.forward(10)
    worker.look = True
    await worker.step()
    await receiver.until(lambda: len(receiver.sent) == 1)
    await worker.drain()


async def test_a_clock_set_back_while_a_step_is_under_way_gives_no_turn_early(database: Database) -> None:
    """The claim looks at the clock anew: by what the step's beginning saw, a later hook's turn would have come."""
    clock = HandClock(now_ms())
    hooks = [add_hook(database, key) for key in "ab"]
    fired: list[int] = []

    async def tend() -> tuple[int, ...]:
        clock.wall -= 3_600_000
        fired.extend(fire(database, hooks, clock.wall, owner="another")[1])
        return ()

    worker = worker_on(database, Receiver(), clock=clock, tend=tend)
    await worker.step()
    assert worker.slots.unsent() == []
    assert [rows(database)[row].state for row in fired] == ["leased", "blocked"]


async def test_a_clock_set_while_a_step_is_under_way_takes_no_living_rows(database: Database) -> None:
    """The claim looks at the clock anew: what the step's beginning saw is no longer true."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], clock.wall, owner="another")
    receiver = Receiver()

    async def tend() -> tuple[int, ...]:
        clock.wall += 3_600_000
        return ()

    worker = worker_on(database, receiver, clock=clock, tend=tend)
    await worker.step()
    assert worker.slots.unsent() == []
    assert (rows(database)[row].state, rows(database)[row].owner) == ("leased", "another")
