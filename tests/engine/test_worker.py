"""The worker on both databases: what it sends, when, to whom first, and what it tells."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy import Connection, literal_column, update

from hookrow.errors import StorageError
from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.database.tables import DELIVERIES
from hookrow.store.outbox import Claimed, Settle
from hookrow.worker.trouble import Trouble
from outbox_rows import (
    Result,
    add_hook,
    failed,
    fire,
    result,
    rows,
    set_hook,
)
from scripted import HandClock
from worker_bench import Receiver, now_ms, running, seen, settled, worker_on

pytestmark = pytest.mark.anyio


# -- sending ----------------------------------------------------------------------------------------------------------


async def test_rows_written_by_others_are_sent_within_a_second(database: Database, lag: Any) -> None:
    """An idle worker sees what another connection commits, without being woken."""
    hook = add_hook(database, "a")
    receiver = Receiver()
    async with running(worker_on(database, receiver)):
        await asyncio.sleep(0)
        started = asyncio.get_running_loop().time()
        _, (row,) = await asyncio.to_thread(fire, database, [hook], now_ms())
        await receiver.until(lambda: len(receiver.sent) == 1)
        assert asyncio.get_running_loop().time() - started <= lag.bound(1.0)
        await settled(database, row, "ok")


async def test_rows_written_by_others_are_sent_while_the_clock_stands(database: Database) -> None:
    """A service's test that moves time by hand still sees what its own transactions committed."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    receiver = Receiver()
    async with running(worker_on(database, receiver, clock=clock)):
        for sent in (1, 2):
            fire(database, [hook], clock.wall)
            await receiver.until(lambda sent=sent: len(receiver.sent) == sent)  # type: ignore[misc]


async def test_a_worker_that_had_rows_looks_again_at_once(database: Database, lag: Any) -> None:
    """Whoever writes rows writes more: they don't wait for the next look of a worker at rest."""
    hook = add_hook(database, "a")
    receiver = Receiver()
    fire(database, [hook], now_ms())
    async with running(worker_on(database, receiver, poll=60.0)):
        await receiver.until(lambda: len(receiver.sent) == 1)
        for sent in (2, 3):
            started = asyncio.get_running_loop().time()
            await asyncio.to_thread(fire, database, [hook], now_ms())
            await receiver.until(lambda sent=sent: len(receiver.sent) == sent)  # type: ignore[misc]
            assert asyncio.get_running_loop().time() - started <= lag.bound(1.0)


async def test_rows_handed_over_in_memory_are_sent_without_a_claim(database: Database) -> None:
    """What `fire()` wrote as leased to this owner is sent once, under its first fence."""
    hook = add_hook(database, "a")
    receiver = Receiver()
    worker = worker_on(database, receiver, owner="engine")
    firing, (row,) = fire(database, [hook], now_ms(), owner="engine")
    found = rows(database)[row]
    claimed = Claimed(row, firing, "u" * 20, 1, "e", now_ms(), hook, 1, "notify", "{}", 1, found.lease_ms)
    async with running(worker):
        worker.take([claimed])
        await settled(database, row, "ok")
    assert [each.fence for each in receiver.sent] == [1]


async def test_a_rows_retry_goes_at_its_own_time(database: Database, lag: Any) -> None:
    """A failed row without any other traffic is retried when it is due."""
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], now_ms())
    times: list[float] = []

    async def script(claimed: Claimed) -> Result:
        times.append(asyncio.get_running_loop().time())
        return result() if claimed.attempts else failed(404)

    receiver = Receiver(script)
    async with running(worker_on(database, receiver)):
        await settled(database, row, "retrying")
        await receiver.until(lambda: len(receiver.sent) == 2)
        await settled(database, row, "ok")
    assert 4.0 <= times[1] - times[0] <= lag.bound(6.5)


async def test_the_row_is_sent_in_its_order(database: Database) -> None:
    """Deliveries of one firing leave in the row's order."""
    hooks = [add_hook(database, key) for key in "abc"]
    _, ids = fire(database, hooks, now_ms())
    receiver = Receiver()
    async with running(worker_on(database, receiver)):
        await settled(database, ids[-1], "ok")
    assert [claimed.row_id for claimed in receiver.sent] == ids


async def test_a_firing_is_claimed_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of its row comes with the results, of hooks that were never tried as well. Its clock stands: on a slow
    machine a lease would come too short to be sent under, and be claimed anew."""
    claims = []
    clock = HandClock(now_ms())
    claim = outbox.claim
    monkeypatch.setattr(outbox, "claim", lambda *given, **named: claims.append(claim(*given, **named)) or claims[-1])
    hooks = [add_hook(database, key) for key in "abcdef"]
    receiver = Receiver()
    async with running(worker_on(database, receiver, clock=clock)):
        for _ in range(2):
            claims.clear()
            _, made = await asyncio.to_thread(fire, database, hooks, clock.wall)
            await settled(database, made[-1], "ok")
            taken = [row.row_id for each in claims for row in each.rows]
    assert [each.row_id for each in receiver.sent][-6:] == made
    assert taken == made[:1]


async def test_a_retry_is_not_looked_for_before_its_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is due is known. A claim after each failure went through all hooks: of a thousand a tenth are dead."""
    hooks = [add_hook(database, f"h{number}") for number in range(20)]
    claims: list[Any] = []
    claim = outbox.claim

    def counted(*args: Any, **given: Any) -> Any:
        claims.append(given)
        return claim(*args, **given)

    async def fails(claimed: Claimed) -> Result:
        return failed(503)

    monkeypatch.setattr(outbox, "claim", counted)
    monkeypatch.setattr("hookrow.worker.loop.BUSY", 0.0)  # else its own commits look like those of others meanwhile
    clock = HandClock(now_ms())
    fire(database, hooks, clock.wall)
    receiver = Receiver(fails)
    async with running(worker_on(database, receiver, poll=60.0, clock=clock)) as worker:
        await receiver.until(lambda: len(receiver.sent) == len(hooks))
        await worker.hand.empty.wait()
        assert len(claims) <= 5
        assert worker.next_ms is not None
        assert worker.next_ms <= min(row.due_ms for row in rows(database).values())


async def test_a_worker_that_starts_tries_what_the_breaker_has_paused_for_ever(database: Database) -> None:
    """An undo of earlier versions left such hooks: their breaker is closed, so nothing is due."""
    hook = add_hook(database, "a", paused_by="breaker")
    _, (row,) = fire(database, [hook], now_ms())
    database.writer.write(lambda connection: outbox.park(connection, hook, now_ms()))
    receiver = Receiver()
    async with running(worker_on(database, receiver)):
        await settled(database, row, "ok")
    assert [each.probe for each in receiver.sent] == [True]


async def test_it_tries_them_again_where_storage_was_in_trouble(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they stayed so until the next start."""
    hook = add_hook(database, "a", paused_by="breaker")
    _, (row,) = fire(database, [hook], now_ms())
    database.writer.write(lambda connection: outbox.park(connection, hook, now_ms()))
    reopen, failures = outbox.reopen_closed, [StorageError("locked")]

    def failing(connection: Connection) -> None:
        if failures:
            raise failures.pop()
        reopen(connection)

    monkeypatch.setattr(outbox, "reopen_closed", failing)
    async with running(worker_on(database, Receiver())):
        await settled(database, row, "ok")


async def test_a_hook_that_comes_after_the_end_was_told_sends_nothing(database: Database) -> None:
    """The hooks are asked aside (PostgreSQL): meanwhile the worker may be told to end."""
    _, (row,) = fire(database, [add_hook(database, "a")], now_ms())
    receiver, asked, answers = Receiver(), asyncio.Event(), asyncio.Event()
    worker = worker_on(database, receiver)
    plain = worker.notices.hook_of

    async def slow(number: int) -> Any:
        asked.set()
        await answers.wait()
        return await plain(number)

    worker.notices.hook_of = slow
    working = asyncio.create_task(worker.run())
    await asked.wait()
    ending = asyncio.create_task(worker.drain(5.0))
    await seen(lambda: worker.closing)
    answers.set()
    await ending
    await working
    assert receiver.sent == []
    assert (rows(database)[row].state, rows(database)[row].takeovers) == ("queued", 0)


async def test_one_suspect_at_a_time_also_while_its_hook_is_asked_for(database: Database) -> None:
    """Of two whose last attempts were interrupted the second waits: it would count as a killer with the first."""
    firings = [fire(database, [add_hook(database, key)], now_ms())[1][0] for key in "ab"]
    suspect = update(DELIVERIES).where(DELIVERIES.c.id.in_(firings)).values(takeovers=1, error="interrupted")
    database.writer.write(lambda connection: connection.execute(suspect))
    receiver, asked, answers = Receiver(), list[int](), asyncio.Event()
    worker = worker_on(database, receiver)
    plain = worker.notices.hook_of

    async def slow(number: int) -> Any:
        asked.append(number)
        await answers.wait()
        return await plain(number)

    worker.notices.hook_of = slow
    async with running(worker):
        await seen(lambda: bool(asked))
        for _ in range(3):
            claims = worker.database.writer.commits
            worker.look = True
            worker.wake()
            await seen(lambda: worker.database.writer.commits > claims)  # noqa: B023 (seen at once)
        assert len(asked) == 1
        answers.set()
        for row in firings:
            await settled(database, row, "ok")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_workers_on_one_file_with_nothing_to_do_come_to_rest(database: Database) -> None:
    """A claim that finds nothing leads to no other one: neither its own nor that of another process."""
    fire(database, [add_hook(database, "a", paused_by="person")], now_ms())
    other = open_database(database.address.render_as_string(hide_password=False))
    workers = [worker_on(each, Receiver()) for each in (database, other)]
    claims: list[int] = []

    def counted(worker: Any) -> Any:
        claim = worker.claim

        async def claiming() -> None:
            claims[-1] += 1
            await claim()

        return claiming

    for worker in workers:
        await worker.mend_clock()
        worker.claim = counted(worker)  # type: ignore[method-assign]
    for _ in range(8):
        claims.append(0)
        for worker in workers:
            worker.asked = float("-inf")  # as if a quarter of a second had passed
            await worker.step()
            worker.database.checkpoint()  # as after a second without work
    other.close()
    assert claims[0] == 2
    assert claims[3:] == [0] * 5


async def test_a_hook_that_is_not_well_gathers_no_rows(database: Database) -> None:
    """One of it may come with a result while none is here; of a hook that is well as many as there are slots."""
    worker = worker_on(database, Receiver(), concurrency=8)
    hook = add_hook(database, "a")
    assert worker.slots.spare(hook) == 1
    fire(database, [hook], now_ms())
    await worker.claim()
    assert worker.slots.spare(hook) == 0
    assert worker.slots.next() is not None
    assert worker.slots.spare(hook) == 0
    worker.slots.well[hook] = True
    assert worker.slots.spare(hook) == 8


async def test_a_row_that_comes_with_a_result_while_the_worker_ends_is_let_go(database: Database) -> None:
    """It is due again at once, for another worker."""
    _, made = fire(database, [add_hook(database, key) for key in "ab"], now_ms())
    worker = worker_on(database, Receiver())
    worker.closing = True
    claimed = database.writer.write(
        lambda connection: outbox.claim(
            connection, owner=worker.owner, now_ms=now_ms(), limit=9, per_hook={}, otherwise=9
        )
    ).rows
    await worker.go_on(claimed, now_ms(), 0.0)
    assert [row.state for row in rows(database).values() if row.id in made] == ["queued", "blocked"]


async def test_a_slow_hook_does_not_starve_the_others(database: Database, lag: Any) -> None:
    """200 rows of a hook that hangs, then 20 of a healthy one: half of the slots are left; the healthy ones go soon."""
    hangs, healthy = add_hook(database, "hangs"), add_hook(database, "healthy")
    for _ in range(200):
        fire(database, [hangs], now_ms())
    ids = [fire(database, [healthy], now_ms())[1][0] for _ in range(20)]
    ended = asyncio.Event()

    async def script(claimed: Claimed) -> Result:
        if claimed.hook_id == hangs:
            await ended.wait()
        return result()

    receiver = Receiver(script)
    started = asyncio.get_running_loop().time()
    async with running(worker_on(database, receiver, concurrency=4)):
        await settled(database, ids[-1], "ok")
        assert asyncio.get_running_loop().time() - started <= lag.bound(2.0)
        assert receiver.most[hangs] == 2
        ended.set()


async def test_a_hook_that_is_well_may_use_all_slots(database: Database) -> None:
    """After its first success a lone hook gets every slot."""
    hook = add_hook(database, "a")
    fire(database, [hook], now_ms())
    ended = asyncio.Event()

    async def script(claimed: Claimed) -> Result:
        if len(receiver.sent) > 1:
            await ended.wait()
        return result()

    receiver = Receiver(script)
    async with running(worker_on(database, receiver, concurrency=4)) as worker:
        await receiver.until(lambda: len(receiver.sent) == 1)
        for _ in range(8):
            fire(database, [hook], now_ms())
        worker.wake()
        await receiver.until(lambda: len(receiver.sent) == 5)
        assert receiver.most[hook] == 4
        ended.set()


async def test_no_receiver_waits_for_our_disk(database: Database) -> None:
    """A success that waits to be recorded keeps no slot: with one, three rows go out while nothing can be committed.
    The clock stands: a lease that a slow machine let come near its end could not be renewed here."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    receiver = Receiver()
    _, (first,) = fire(database, [hook], clock.wall)
    written = [fire(database, [hook], clock.wall, owner="engine") for _ in range(3)]
    leases = rows(database)
    claimed = [
        Claimed(row, firing, "u" * 20, 1, "e", clock.wall, hook, 1, "notify", "{}", 1, leases[row].lease_ms)
        for firing, (row,) in written
    ]
    async with running(worker_on(database, receiver, clock=clock, owner="engine", concurrency=1)) as worker:
        await settled(database, first, "ok")
        with database.writer.running:
            worker.take(claimed)
            await receiver.until(lambda: len(receiver.sent) == 4)
            assert {rows(database)[each.row_id].state for each in claimed} == {"leased"}
        await settled(database, claimed[-1].row_id, "ok")


async def test_a_sender_takes_row_after_row_and_nothing_of_the_call_that_began_it(database: Database) -> None:
    """One task for a slot, not for a row; it outlives the call that handed its first row over."""
    asked: ContextVar[str] = ContextVar("asked", default="nobody")
    seen_by: set[tuple[int, str]] = set()

    async def script(claimed: Claimed) -> Result:
        seen_by.add((id(asyncio.current_task()), asked.get()))
        return result()

    hook = add_hook(database, "a")
    written = [fire(database, [hook], now_ms(), owner="engine") for _ in range(4)]
    leases = rows(database)
    worker = worker_on(database, Receiver(script), owner="engine", concurrency=1)
    asked.set("a call")
    worker.take(
        Claimed(row, firing, "u" * 20, 1, "e", now_ms(), hook, 1, "notify", "{}", 1, leases[row].lease_ms)
        for firing, (row,) in written
    )
    worker.start()
    await worker.hand.empty.wait()
    await worker.drain()
    assert [who for _, who in seen_by] == ["nobody"]
    assert {row.state for row in rows(database).values()} == {"ok"}


@pytest.mark.parametrize("error", [StorageError("the disk is gone"), RuntimeError("a fault of ours")])
async def test_a_success_that_cannot_be_recorded(database: Database, error: Exception, monkeypatch: Any) -> None:
    """Storage in trouble: it is tried again. A fault of ours: the row goes again once its lease has lapsed. The sender
    has other rows to send meanwhile."""
    monkeypatch.setattr(Trouble, "failed", lambda self, error: 0.0)
    once = Settle.run_many
    broken: list[int] = []

    def run_many(connection: Any, jobs: Any) -> Any:
        if first in {job.claimed.row_id for job in jobs} and len(broken) < 3:  # its batch, then itself alone, twice
            broken.append(first)
            raise error
        return once(connection, jobs)

    hook = add_hook(database, "a")
    monkeypatch.setattr(Settle, "run_many", run_many)
    receiver = Receiver()
    _, (first,) = fire(database, [hook], now_ms())
    async with running(worker_on(database, receiver, concurrency=1)) as worker:
        await seen(lambda: len(broken) > 0)
        _, (second,) = fire(database, [hook], now_ms())
        worker.wake()
        await settled(database, second, "ok")
        if isinstance(error, StorageError):
            await settled(database, first, "ok")
        await seen(lambda: not worker.hand.rows)
    assert [each.row_id for each in receiver.sent] == [first, second]
    assert rows(database)[first].state == ("ok" if isinstance(error, StorageError) else "leased")
    assert not worker.unrecorded


async def test_a_paused_hooks_row_is_let_go_before_it_is_sent(database: Database) -> None:
    """A row in memory whose hook was paused meanwhile is parked, not sent."""
    hook = add_hook(database, "a")
    firing, (row,) = fire(database, [hook], now_ms(), owner="engine")
    database.writer.write(lambda connection: set_hook(connection, hook, paused_by="person"))
    receiver = Receiver()
    worker = worker_on(database, receiver, owner="engine")
    lease = rows(database)[row].lease_ms
    async with running(worker):
        worker.take([Claimed(row, firing, "u" * 20, 1, "e", now_ms(), hook, 1, "notify", "{}", 1, lease)])
        await settled(database, row, "parked")
    assert receiver.sent == []


async def test_an_attempt_that_breaks_goes_again_after_its_lease(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours in the attempt loses no row: it is taken over when the lease has lapsed."""
    clock = HandClock(now_ms())
    hook = add_hook(database, "a")
    _, (row,) = fire(database, [hook], clock.wall)

    async def script(claimed: Claimed) -> Result:
        if claimed.fence == 1:
            raise RuntimeError("broken")
        return result()

    receiver = Receiver(script)
    async with running(worker_on(database, receiver, clock=clock)) as worker:
        await receiver.until(lambda: len(receiver.sent) == 1)
        await worker.hand.empty.wait()
        clock.forward(10.5)
        worker.wake()
        await settled(database, row, "ok")
    assert rows(database)[row].attempts == 1
    assert "task failed" in caplog.text


async def test_a_row_changed_by_hand_ends_no_worker(database: Database) -> None:
    """SQLite takes a word where the place in the row belongs: a row has no name then, and the next one is sent."""
    hook = add_hook(database, "a")
    (_, (broken,)), (_, (row,)) = (fire(database, [hook], now_ms()) for _ in range(2))
    if database.dialect == "sqlite":
        by_hand = update(DELIVERIES).where(DELIVERIES.c.id == broken).values(seq=literal_column("'soon'"))
        database.writer.write(lambda connection: connection.execute(by_hand).rowcount)
    async with running(worker_on(database, Receiver())) as worker:
        await settled(database, row, "ok")
        assert worker.running


# -- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "raised"), [("after_order_add", ["delivery.dead", "hook.paused"]), ("hook.paused", [])]
)
async def test_system_events_are_raised_but_not_by_their_own_deliveries(
    database: Database, event: str, raised: list[str]
) -> None:
    """A dead delivery and a receiver that is gone are told, unless a system event's own delivery met them."""
    broken, gone = add_hook(database, "broken"), add_hook(database, "gone")
    ids = [fire(database, [hook], now_ms(), event=event)[1][0] for hook in (broken, gone)]

    async def script(claimed: Claimed) -> Result:
        if claimed.hook_id == gone:
            return failed(410, gone=True)
        return result("failed", error="template_error", status=None, values={})

    receiver = Receiver(script)
    async with running(worker_on(database, receiver)):
        await settled(database, ids[0], "dead")
        await settled(database, ids[1], "parked")
    assert sorted(code for code, _ in receiver.events) == raised
    for code, payload in receiver.events:
        assert payload["hook"]["key"] == ("gone" if code == "hook.paused" else "broken")
