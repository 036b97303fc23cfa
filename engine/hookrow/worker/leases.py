"""The leases of the rows that a worker holds unsent, the clocks that they are counted by, and turns that got lost."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final, NamedTuple, Protocol

from hookrow.delivery.states import LEASE_MARGIN, LONGEST_LEASE
from hookrow.ids import delivery_id
from hookrow.store import outbox
from hookrow.store.database.database import Database
from hookrow.store.database.moments import StorageClock
from hookrow.store.outbox import Claimed
from hookrow.worker.slots import Held, Slots

__all__ = ["RESERVE", "ClockReading", "CurrentHook", "Leases", "may_go", "public"]

log: Final = logging.getLogger("hookrow")

RESERVE = 1.0
"""Seconds of lease that must be left beyond the timeout when a request starts."""
SWEEP = 30.0
"""Seconds between two looks for turns that transactions running at once may have lost (PostgreSQL)."""
JUMP_MS = 2000
"""A wall clock that moves by so much against the monotonic one was set."""


class CurrentHook(Protocol):
    """What the worker asks of a hook as it stands now."""

    @property
    def timeout(self) -> float: ...
    @property
    def active(self) -> bool: ...
    @property
    def paused_by(self) -> str | None: ...
    @property
    def deleted(self) -> bool: ...


class ClockReading(NamedTuple):
    """What the clocks said: seconds of the monotonic one, milliseconds of the database's and of that of its leases.

    `set_back`: one of these was.
    """

    monotonic: float
    now_ms: int
    lease_now: int
    set_back: bool = False

    def jump(self, since: ClockReading) -> tuple[int, int]:
        """Milliseconds by which both were set meanwhile."""
        passed = round((self.monotonic - since.monotonic) * 1000)
        return self.now_ms - since.now_ms - passed, self.lease_now - since.lease_now - passed


class Leases:
    """Keeps leases alive while their rows wait. Raises StorageError where they can't be written."""

    def __init__(self, database: Database, clock: StorageClock, owner: str, slots: Slots) -> None:
        self.database = database
        self.clock = clock
        self.owner = owner
        self.slots = slots
        self.seen: ClockReading | None = None
        self.unsure_until: float = float("-inf")
        """Until then, by the monotonic clock, nobody's leases are taken over: they may only look lapsed."""
        self.swept: float = float("-inf")

    def take_over_nothing(self, seconds: float) -> None:
        """Leave others' leases alone for so long."""
        self.unsure_until = max(self.unsure_until, self.clock.monotonic() + seconds)

    async def lasts(self, held: Held, timeout: float) -> bool:
        """Whether the lease outlasts a request of `timeout` seconds by `RESERVE`; it is begun anew if it does not."""
        if self.left(held) < timeout + RESERVE:
            await self.hold_on([held])
        return self.left(held) >= timeout + RESERVE

    def left(self, held: Held) -> float:
        """Seconds of its lease, by both clocks: that of leases may have been set while the row was being leased."""
        return min(held.until - self.clock.monotonic(), (held.claimed.lease_ms - self.clock.lease_ms()) / 1000)

    async def renew(self) -> None:
        """Hold all unsent rows on, together, once the first of them has used up a third of its lease."""
        now, waiting = self.clock.monotonic(), self.slots.unsent()
        if any(held.until - now < held.length * 2 / 3 for held in waiting):
            await self.hold_on(waiting)
            self.slots.let_go({held.claimed.row_id for held in waiting if held.until == float("-inf")})

    async def hold_on(self, rows: list[Held]) -> None:
        """Begin these rows' leases anew; one that was lost is marked as long past its end."""
        started, now = self.clock.monotonic(), self.clock.lease_ms()
        fences = {held.claimed.row_id: held.claimed.fence for held in rows}
        renewing = partial(outbox.renew, owner=self.owner, fences=fences, lease_now=now)
        kept: dict[int, int] = await self.database.writer.awrite(renewing)
        for held in rows:
            until = kept.get(held.claimed.row_id)
            if until is None:
                held.until = float("-inf")
            else:
                held.claimed.lease_ms = until
                held.length = (until - now) / 1000
                held.until = started + held.length

    async def watch_clock(self) -> ClockReading:
        """See that a clock was set: the database's, or (PostgreSQL, where it is one) that of its leases.

        Set forward, living leases look lapsed: nobody's are taken for a while. Where this fails it is done again at the
        next look.
        """
        now = ClockReading(self.clock.monotonic(), self.clock.now_ms(), self.clock.lease_ms())
        if self.seen is not None:
            wall, leases = now.jump(self.seen)
            if max(abs(wall), abs(leases)) >= JUMP_MS:
                log.warning("the clock was set by %.1f s", (wall or leases) / 1000)
            if leases >= JUMP_MS:
                self.take_over_nothing((LONGEST_LEASE + LEASE_MARGIN) / 1000)
                await self.hold_on(self.slots.unsent())
            if min(wall, leases) <= -JUMP_MS:
                await self.mend_clock()
                now = now._replace(set_back=True)
        self.seen = now
        return now

    async def mend_clock(self) -> None:
        """Put right what was written by a clock that has been set back since."""
        now_ms, held = self.clock.now_ms(), self.clock.lease_ms()
        await self.database.writer.awrite(partial(outbox.mend_clock, now_ms=now_ms, lease_now=held))

    async def sweep(self) -> bool:
        """On PostgreSQL, find turns that got lost between two transactions that did not see each other."""
        now = self.clock.monotonic()
        if self.database.dialect == "sqlite" or now - self.swept < SWEEP:
            return False
        self.swept, now_ms = now, self.clock.now_ms()
        return bool(await self.database.writer.awrite(lambda connection: outbox.unstick(connection, now_ms)))


def public(claimed: Claimed) -> str:
    """What receivers and people call a row; one that was changed by hand so that it has no such name, its number."""
    try:
        return delivery_id(claimed.uid, claimed.seq)
    except (LookupError, TypeError, ValueError):
        return f"row {claimed.row_id}"


def may_go(hook: CurrentHook, claimed: Claimed) -> bool:
    """Whether the hook, as it stands now, may be sent to; a breaker lets its probe through."""
    if hook.deleted or not hook.active:
        return False
    return hook.paused_by is None or (hook.paused_by == "breaker" and claimed.probe)
