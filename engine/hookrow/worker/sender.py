"""The sending of rows that are held, one after another in each slot, and the recording of what came of them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from hookrow.errors import StorageError, Unrecorded
from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.database.writer import Waiting
from hookrow.store.outbox import Claimed, ResultLike, Settle, Settled
from hookrow.worker.hand import Hand
from hookrow.worker.leases import CurrentHook, Leases, may_go, public
from hookrow.worker.notices import Notices
from hookrow.worker.slots import Held, Slots
from hookrow.worker.trouble import Faults, Shortage, Trouble, recorded

__all__ = ["Perform", "Sender"]

log: Final = logging.getLogger("hookrow")

MOST_IN_HAND = 4
"""How many rows a slot may have in hand at most: the one in flight, and results that are not recorded yet."""
SLOW = 1.0
"""Seconds: a hook whose last attempt took longer gets half of the slots."""

Perform = Callable[[Claimed, Any], Awaitable[ResultLike]]


class Sender:
    """What a worker does with the rows that it holds; the arguments are those of `loop.Worker`."""

    def __init__(
        self,
        database: Database,
        clock: StorageClock,
        *,
        perform: Perform,
        notices: Notices,
        owner: str,
        slots: Slots,
    ) -> None:
        self.database = database
        self.clock = clock
        self.perform = perform
        self.notices: Final = notices
        self.owner: Final = owner
        self.slots: Final = slots
        self.hand: Final = Hand()
        self.begun: int = 0
        """How many deliveries were started so far."""
        self.leases: Final = Leases(database, clock, owner, slots)
        self.once: bool = False  # somebody waits: results are not tried to be recorded without end
        self.lost: list[StorageError] = []
        self.trouble: Final = Trouble(clock)
        self.shortage: Final = Shortage(clock)
        self.faults: Final = Faults(database, clock)
        self.unrecorded: set[int] = set()
        self.suspects: set[int] = set()
        """Rows in flight whose last attempt was interrupted."""
        self.config_changed: Callable[[], None] | None = None
        self.woken: Final = asyncio.Event()
        self.running: bool = False
        self.closing: bool = False
        self.look: bool = True
        self.next_ms: int | None = None
        """When something is due next, as far as is known."""

    def start(self) -> None:
        """Start held rows in free slots, unless too many results wait to be recorded."""
        while (held := self.next_row()) is not None:
            self.hand.keep(self.send_on(held))

    def next_row(self) -> Held | None:
        """Take the next row in hand that may go now."""
        if not self.slots.held or self.closing or len(self.hand.rows) >= MOST_IN_HAND * self.slots.concurrency:
            return None
        held = self.slots.next()
        if held is not None:
            self.hand.take(held.claimed)
            if held.claimed.error == outbox.INTERRUPTED:
                self.suspects.add(held.claimed.row_id)
            self.begun += 1
        return held

    def put_down(self, claimed: Claimed) -> None:
        """A row is in hand no longer."""
        self.hand.put_down(claimed)
        self.start()
        # Else the loop has nothing to do before its time.
        if not self.running or self.closing or (self.look and self.slots.wanting()):
            self.woken.set()

    async def send_on(self, held: Held | None) -> None:
        """Send a row, and the next ones for as long as there are any: a task for each would cost a tenth of it."""
        while held is not None:
            posted = False
            try:
                posted = await self.deliver(held)
            finally:
                if not posted:
                    self.put_down(held.claimed)
            held = self.next_row()
            self.start()  # a hook that has turned out to be well may use more slots

    async def deliver(self, held: Held) -> bool:
        """Send one row if it may go now, and have the result recorded; gives whether `recorded` is still to be told."""
        claimed, freed = held.claimed, False
        try:
            hook = await self.hook_for(held)
            if hook is None:
                return False
            started = self.clock.monotonic()
            try:
                result = await self.perform(claimed, hook)
            except asyncio.CancelledError:
                await self.give_back([claimed], begun=True)
                raise
            if result.error == "key_error" and claimed.against is None:  # no attempt: it is held until its key is back
                await self.give_back([claimed])
                return False
            if result.error == "local_error":  # our own trouble, too: it waits a while
                await self.give_back(
                    [claimed], later_ms=self.shortage.failed(claimed.row_id, public(claimed), result.detail)
                )
                return False
            self.shortage.worked(claimed.row_id)
            quick = self.clock.monotonic() - started <= SLOW
            well = self.slots.well[claimed.hook_id] = quick and not result.gone and result.answer.kind != "failed"
            if well:
                # The slot is the next row's: no receiver waits for our disk. What a failure means is recorded first.
                self.slots.free(claimed.hook_id)
                freed = True
                if not self.once:
                    self.database.writer.post(self.job(claimed, result), self.recorded)
                    return True
                self.start()
            await self.record(claimed, result)
        except Exception as error:  # noqa: BLE001 (a sender has other rows to send)
            await self.broke(claimed, error)
        finally:
            self.suspects.discard(claimed.row_id)
            if not freed:
                self.slots.free(claimed.hook_id)
        return False

    async def hook_for(self, held: Held) -> CurrentHook | None:
        """The hook of a row that may go now; of one that may not, None: it is given back."""
        claimed, found = held.claimed, None
        try:
            hook: CurrentHook | None = await self.notices.hook_of(claimed.hook_id)
            if hook is not None and may_go(hook, claimed) and await self.lasts(held, hook) and not self.closing:
                found = hook
        except asyncio.CancelledError:  # the database is silent, and the worker has to leave: nothing was sent
            await self.give_back([claimed])
            raise
        if found is None:
            await self.give_back([claimed])
        return found

    async def broke(self, claimed: Claimed, error: Exception) -> None:
        """A delivery ended by an error that is none of its receiver's."""
        if isinstance(error, Unrecorded):
            self.lost.append(error)
        elif isinstance(error, StorageError):  # the hooks can't be read
            await self.give_back([claimed], later_ms=self.shortage.failed(claimed.row_id, public(claimed), error.text))
        elif not await self.faults.ended(error, [claimed.row_id]):
            failed = "%s: its task failed (%s: %s); it goes again when its lease has lapsed"
            log.error(failed, public(claimed), type(error).__name__, error)

    def job(self, claimed: Claimed, result: ResultLike) -> Settle:
        """What records a result."""
        owner = self.owner if not self.closing and self.slots.wanted() > 0 else ""
        return Settle(
            claimed,
            result,
            self.clock.now_ms(),
            random.uniform(-1, 1),
            owner=owner,
            room=self.slots.spare,
            lease_now=self.clock.lease_ms(),
            began=self.clock.monotonic(),
        )

    def recorded(self, posted: Waiting) -> None:
        """A success was recorded, or could not be; mostly nothing follows from it but the next rows of its firing."""
        job: Any = posted.job
        simple = posted.error is None and posted.answer.simple and self.notices.silent(job.claimed)
        if not simple or (posted.answer.next and self.closing):
            self.hand.keep(self.see_to(posted))
            return
        self.slots.hold(posted.answer.next, job.held_now, job.began)
        self.put_down(job.claimed)

    async def see_to(self, posted: Waiting) -> None:
        """What follows from a result; or once more, however long storage is in trouble."""
        job: Any = posted.job
        try:
            if posted.error is None:
                await self.follow(job, posted.answer)
                return
            if not isinstance(posted.error, StorageError):
                raise posted.error
            await self.in_trouble(job, posted.error)
            await self.record(job.claimed, job.result)
        except Exception as error:  # noqa: BLE001 (as in `deliver`)
            await self.broke(job.claimed, error)
        finally:
            self.put_down(job.claimed)

    async def record(self, claimed: Claimed, result: ResultLike) -> None:
        """Have a result written, however long storage is in trouble; then tell what followed from it.

        Raises:
            Unrecorded: somebody waits for it, and it could not be written.
        """
        job = self.job(claimed, result)
        settled: Settled | None = None
        if self.once:
            settled = await recorded(partial(self.database.writer.awrite, job), public(claimed))
        while settled is None:
            try:
                settled = await self.database.writer.awrite(job)
            except StorageError as error:
                await self.in_trouble(job, error)
        await self.follow(job, settled)

    async def in_trouble(self, job: Settle, error: StorageError) -> None:
        """A result could not be written: wait before it is tried again."""
        self.unrecorded.add(job.claimed.row_id)
        await asyncio.sleep(self.trouble.failed(error))

    async def follow(self, job: Settle, settled: Settled) -> None:
        """What a result leads to that was recorded, or refused."""
        claimed = job.claimed
        self.unrecorded.discard(claimed.row_id)
        if not settled.accepted:
            log.warning("%s: its lease was lost meanwhile, the result is not recorded", public(claimed))
            return
        if settled.next:
            await self.go_on(settled.next, job.held_now, job.began)
        if settled.due:
            self.look = True
        if settled.again_ms is not None:
            self.goes_again(settled.again_ms)
        if (settled.paused or settled.resumed) and self.config_changed is not None:
            self.config_changed()
        await self.notices.of_result(claimed, job.result, settled)

    def goes_again(self, at_ms: int) -> None:
        """A row is due again at this moment. That needs no look: each failure's would go through all hooks."""
        if self.next_ms is None or at_ms < self.next_ms:
            self.next_ms = at_ms
            self.woken.set()

    async def go_on(self, rows: Sequence[Claimed], lease_now: int, started: float) -> None:
        """Rows that were leased with a result, at `lease_now` (milliseconds) and `started` (monotonic seconds)."""
        if self.closing:
            await self.give_back(list(rows))
            return
        self.slots.hold(rows, lease_now, started)
        self.start()

    async def give_back(self, rows: list[Claimed], *, begun: bool = False, later_ms: int = 0) -> None:
        """Let rows go, unsent or cut short; if storage refuses, their leases lapse by themselves."""
        if not rows:
            return
        now_ms = self.clock.now_ms()
        try:
            await self.database.writer.awrite(
                lambda connection: outbox.give_back(connection, rows, now_ms, begun=begun, later_ms=later_ms)
            )
        except StorageError as error:
            self.trouble.failed(error)
        self.look = True

    async def lasts(self, held: Held, hook: CurrentHook) -> bool:
        """Whether the lease outlasts the request by a second; it is begun anew if it does not."""
        try:
            return await self.leases.lasts(held, max(hook.timeout, (held.claimed.shadow or 0) / 1000))
        except StorageError as error:
            self.trouble.failed(error)
            return False
