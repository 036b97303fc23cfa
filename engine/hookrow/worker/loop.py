"""The worker's loop: it claims due deliveries, sends them a few at a time, and has the results recorded.

It lives on one event loop; any number of workers share a database. What it may rely on is in the rows alone (leases,
fences), so it may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from hookrow.errors import EngineClosed, StorageError, Unrecorded
from hookrow.store import outbox
from hookrow.store.aside import aside
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.database.notify import Channel, Listener
from hookrow.store.log.failing import Failing
from hookrow.store.outbox import Claimed, Taken
from hookrow.worker.leases import RESERVE, ClockReading, CurrentHook
from hookrow.worker.notices import HookOf, Notices, RaiseEvent
from hookrow.worker.retention import Limits, Retention
from hookrow.worker.sender import Perform, Sender
from hookrow.worker.slots import Slots
from hookrow.worker.trouble import Trouble

__all__ = ["CurrentHook", "Perform", "Worker", "new_owner"]

log: Final = logging.getLogger("hookrow")

CONCURRENCY = 32
POLL = 0.25
"""Seconds between two looks for what other processes have written."""
BUSY_POLL = 0.01
BUSY = 2.0
"""Seconds: a claim that found rows lets the worker look as often as `BUSY_POLL` says for so long, since whoever wrote
them is likely to write more; nothing tells a worker on SQLite of it."""
LISTENING = 4
"""How much longer a worker may wait that is told of it (PostgreSQL): rows are still seen within a second."""
LAST_MOMENT = 1.0
"""Seconds in which aborted requests give their rows back."""


def new_owner() -> str:
    """An id for one engine's leases; never used again, so that no restart inherits a dead process's rows."""
    return secrets.token_hex(12)


class Worker(Sender):
    """Sends what is due until it is told to end.

    `run` is the loop; `take` hands over rows that `fire()` wrote as leased to this `owner`; `wake` says from any thread
    that something may be due; `drain` ends it. `send_firings` does without the loop.
    """

    running: bool
    closing: bool
    look: bool

    def __init__(
        self,
        database: Database,
        clock: StorageClock,
        *,
        perform: Perform,
        hook_of: HookOf,
        tend: Callable[[], Awaitable[Collection[int]]] | None = None,
        raise_event: RaiseEvent | None = None,
        limits: Limits | None = None,
        config_changed: Callable[[], None] | None = None,
        owner: str | None = None,
        failing: Failing | None = None,
        concurrency: int = CONCURRENCY,
        poll: float = POLL,
    ) -> None:
        """Make a worker; nothing happens before `run`.

        Args:
            perform: makes one attempt of a claimed row with the hook as it stands now. A receiver's failure is a
                result; what it raises is a fault of ours, and the row goes again when its lease has lapsed.
            hook_of: the hook of an id, from the cache or asked for aside; None if there is none.
            tend: awaited at each step, to hold what can't be sent; gives the hooks of which no row may be claimed.
            raise_event: fires a system event.
            limits: what the settings keep; without it this worker deletes nothing.
            config_changed: told, on the worker's loop, that this worker paused or resumed a hook, or that another
                process edited hooks or settings (PostgreSQL).
            failing: told which hooks fail, and which work again.
            poll: seconds.
        """
        super().__init__(
            database,
            clock,
            perform=perform,
            notices=Notices(hook_of, raise_event, failing),
            owner=owner or new_owner(),
            slots=Slots(concurrency),
        )
        self.config_changed = config_changed
        self.tend = tend
        self.retention: Final = None if limits is None else Retention(database, clock, limits)
        self.listener: Final = Listener(database, self.hear) if database.notifies else None
        self.poll = poll
        self.loop: asyncio.AbstractEventLoop | None = None
        self.ended: Final = asyncio.Event()
        self.leave_at: float = float("inf")
        self.claiming: bool = False
        self.reopened: bool = False  # the hooks that earlier versions left paused by a closed breaker
        self.version: int = -1
        self.asked: float = float("-inf")
        self.busy_until: float = float("-inf")

    # -- from outside -------------------------------------------------------------------------------------------------

    def take(self, rows: Iterable[Claimed]) -> None:
        """Rows that were committed as leased to this owner; from any thread."""
        if self.closing:  # its loop may run no more
            self.decline(rows)
            return
        lease_now, started = self.clock.lease_ms(), self.clock.monotonic()
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is not None and self.loop in (here, None):
            self.hold(rows, lease_now, started)
        elif self.loop is not None:
            try:
                self.loop.call_soon_threadsafe(self.hold, rows, lease_now, started)
            except RuntimeError:  # its loop is closed
                self.decline(rows)

    def hold(self, rows: Iterable[Claimed], lease_now: int, started: float) -> None:
        """Take over rows that were leased for this worker elsewhere; as `slots.Slots.hold`."""
        if self.closing:  # they were born before it was
            self.decline(rows)
            return
        self.slots.hold(rows, lease_now, started)
        if self.running:
            self.start()

    def decline(self, rows: Iterable[Claimed]) -> None:
        """Give back rows that came too late to be sent, from any thread, without waiting for it."""
        with suppress(EngineClosed):  # their leases lapse
            self.database.writer.submit(partial(outbox.give_back, rows=list(rows), now_ms=self.clock.now_ms()))

    def wake(self) -> None:
        """Something may be due. From any thread; only a hint, the poll finds it too."""
        loop = self.loop
        if loop is not None:
            with suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(self.wake_here)

    def wake_here(self) -> None:
        """As `wake`, on the worker's loop."""
        self.look = True
        self.woken.set()

    def hear(self, channel: Channel) -> None:
        """Another process announced something."""
        if channel == "hookrow_config" and self.config_changed is not None:
            self.config_changed()
        self.wake_here()

    async def drain(self, grace: float = 5.0) -> None:
        """End: nothing new starts, what is in flight may end within `grace` seconds, all else is given back.

        Called again, it may shorten the grace: with 0 the worker leaves at once. `run` returns when it is done.
        """
        self.closing = True
        self.leave_at = min(self.leave_at, asyncio.get_running_loop().time() + grace)
        self.woken.set()
        if self.running:
            await self.ended.wait()
        else:
            await self.finish()

    async def send_firings(self, firings: Collection[int], *, first_only: bool = True) -> None:
        """Send the deliveries of these firings (row ids) alone, in their order, and return; instead of `run`.

        Args:
            first_only: one attempt each; retries are left to a worker.

        Raises:
            Unrecorded: some were sent, but their results could not be recorded in time (docs/reference/waits.md).
            StorageError: any other.
        """
        self.once = True
        try:
            while not self.closing:
                self.woken.clear()
                if self.tend is not None:
                    self.slots.shut = await self.tend()
                started, now_ms, held = self.clock.monotonic(), self.clock.now_ms(), self.clock.lease_ms()
                claiming = partial(outbox.claim_firings, owner=self.owner, now_ms=now_ms, lease_now=held)
                claiming = partial(claiming, firings=firings, limit=self.slots.room(), first_only=first_only)
                taken: Taken = await self.database.writer.awrite(claiming)
                self.hold(taken.rows, held, started)
                self.start()
                if not self.hand.rows and not self.slots.held and (taken.next_ms is None or self.shortage.waits):
                    break
                due = self.poll if taken.next_ms is None else max((taken.next_ms - now_ms) / 1000, 0.01)
                await self.rest(due)
        except StorageError as error:
            # What has left: what came of it is to be said.
            await asyncio.gather(*self.hand.tasks, return_exceptions=True)
            if not self.lost:
                raise
            self.lost.append(error)
        if self.lost:
            sent = [each for error in self.lost if isinstance(error, Unrecorded) for each in error.deliveries]
            raise Unrecorded(sent, getattr(self.lost[0], "reason", self.lost[0].text))

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Claim, send and record until it is told to end; cancelled, it leaves at once."""
        self.loop = asyncio.get_running_loop()
        self.running = True
        listening = None if self.listener is None else self.loop.create_task(self.listener.run())
        try:
            await self.mend_clock()
            while not self.closing:
                self.woken.clear()
                pause = await self.step()
                if not self.closing:
                    await self.rest(pause)
        except asyncio.CancelledError:
            self.leave_at = self.loop.time()
            raise
        finally:
            self.closing = True
            if listening is not None:
                listening.cancel()
                if self.listener is not None:
                    self.listener.hang_up()
                await asyncio.wait([listening], timeout=LAST_MOMENT)
            await self.finish()
            self.running = False
            self.ended.set()

    async def finish(self) -> None:
        """Give back what is unsent; let requests end until it is time to leave, then abort them."""
        unsent = [held.claimed for held in self.slots.unsent()]
        self.slots.held.clear()
        await self.give_back(unsent)
        loop = asyncio.get_running_loop()
        while self.hand.rows and loop.time() < self.leave_at:
            self.woken.clear()
            await self.rest(self.leave_at - loop.time())
        await self.hand.let_go(LAST_MOMENT)
        if self.retention is not None:
            await self.retention.stop(LAST_MOMENT)

    async def rest(self, pause: float) -> None:
        """Wait until something happens, at most `pause` seconds."""
        try:
            async with asyncio.timeout(pause):
                await self.woken.wait()
        except TimeoutError:
            return

    async def step(self) -> float:
        """Look, claim, renew and start what may start; seconds until it must be done again."""
        try:
            await self.watch_clock()
            await self.leases.renew()
            if not self.reopened:
                await self.database.writer.awrite(outbox.reopen_closed)
                self.reopened = True
            if await self.leases.sweep():
                self.look = True
            if self.tend is not None:
                self.slots.shut = await self.tend()
            if not self.closing and self.slots.wanting() and await self.changed():
                await self.claim()
            # Reading alone proves nothing: a standby and a full disk can be read.
            if not self.unrecorded and self.database.writer.failed is None:
                self.trouble.worked()
        except EngineClosed:
            raise
        except Exception as error:  # noqa: BLE001 (a row that was changed by hand must not end all the others)
            self.look = True
            if await self.faults.ended(error):
                return 0.0
            pause = self.trouble.failed(self.faults.hook or error)
            # Others could not record either: what they hold is not taken over before they had time to.
            self.leases.take_over_nothing(Trouble.LONGEST + RESERVE)
            self.start()
            return pause
        if self.retention is not None:
            self.retention.tend()
        self.start()
        longest = self.pace()
        return longest if self.next_ms is None else min(longest, max((self.next_ms - self.clock.now_ms()) / 1000, 0.01))

    def pace(self) -> float:
        """Seconds between two looks for what others have written."""
        if self.listener is not None:
            return self.poll * LISTENING if self.listener.listening else self.poll
        busy = self.database.dialect == "sqlite" and asyncio.get_running_loop().time() < self.busy_until
        return min(BUSY_POLL, self.poll) if busy else self.poll

    async def changed(self) -> bool:
        """Whether a claim could find something: it is known that there is, something became due, somebody wrote.

        That is asked once a `pace`, since our own commits look the same; what they led to is known already.
        """
        if self.look or (self.next_ms is not None and self.next_ms <= self.clock.now_ms()):
            return True
        now = asyncio.get_running_loop().time()  # a test's clock may stand still
        if now - self.asked < min(self.pace(), self.poll) * 0.9:
            return False
        self.asked = now
        if self.database.dialect == "sqlite":
            version = self.database.data_version()
        else:
            version = await aside(self.database.data_version, self.database.threads.pool())
        before, self.version = self.version, version
        return version != before

    async def claim(self) -> None:
        """Lease what may start now."""
        started, now_ms, held, _ = await self.watch_clock()  # it may have been set since the step began
        claiming = partial(outbox.claim, owner=self.owner, now_ms=now_ms, lease_now=held, limit=self.slots.wanted())
        claiming = partial(claiming, per_hook=self.slots.allowances(), otherwise=max(self.slots.concurrency // 2, 1))
        claiming = partial(claiming, recovering=started >= self.leases.unsure_until, suspects=int(not self.suspected()))
        claiming = partial(claiming, in_hand=self.hand.rows)  # itself: it may wait for long to be run
        self.look, self.claiming, self.next_ms = False, True, None
        taken: Taken = await self.database.writer.awrite(partial(claiming, free=self.slots.beginning()))
        self.next_ms = min((each for each in (self.next_ms, taken.next_ms) if each is not None), default=None)
        self.look |= taken.more
        if taken.rows:
            self.busy_until = asyncio.get_running_loop().time() + BUSY
        if taken.recovered:
            log.warning("%d deliveries were taken over from a process that is gone", taken.recovered)
        self.slots.hold(taken.rows, held, started)
        self.claiming = False
        for claimed, result, settled in taken.interrupted:
            await self.notices.of_result(claimed, result, settled)
        if taken.resumed and self.config_changed is not None:
            self.config_changed()
        for hook in taken.resumed:
            await self.notices.tell("hook.resumed", hook, {"by": "breaker"})

    def suspected(self) -> bool:
        """Whether a row is here whose last attempt was interrupted: one at a time, or all would count as killers."""
        return bool(self.suspects) or any(each.claimed.error == outbox.INTERRUPTED for each in self.slots.unsent())

    async def watch_clock(self) -> ClockReading:
        """See whether the wall clock was set, before its word is taken for anything."""
        moment = await self.leases.watch_clock()
        self.look |= moment.set_back
        return moment

    async def mend_clock(self) -> None:
        """Put right what was written by a clock that has been set back since."""
        try:
            await self.leases.mend_clock()
        except StorageError as error:
            await self.rest(self.trouble.failed(error))
        self.look = True
