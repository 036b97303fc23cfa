"""The worker drains the outbox: it claims due deliveries, sends them a few at a time, and has the results recorded.

It lives on one event loop, inside an engine or in a process of its own; any number of them share a database. What it
may rely on is in the rows alone (leases, fences), so it may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from hookrow.clock import Clock
from hookrow.errors import StorageError
from hookrow.states import LEASE_MARGIN, LONGEST_LEASE
from hookrow.store import outbox
from hookrow.store.database import Database
from hookrow.store.outbox import Claimed, Made, Settle, Settled, Taken
from hookrow.store.rows import delivery_id, firing_id

__all__ = ["SYSTEM_EVENTS", "CurrentHook", "Worker", "new_owner"]

log = logging.getLogger("hookrow")

CONCURRENCY = 32
POLL = 0.25
"""Seconds between two looks for what other processes have written."""
SLOW = 1.0
"""Seconds: a hook whose last attempt took longer gets half of the slots."""
RESERVE = 1.0
"""Seconds of lease that must be left beyond the timeout when a request starts."""
JUMP_MS = 2000
"""A wall clock that moves by so much against the monotonic one was set."""
SYSTEM_EVENTS = frozenset({"hook.paused", "hook.resumed", "delivery.dead"})
"""Raised by the engine itself; their own deliveries raise none (DESIGN 7)."""


class CurrentHook(Protocol):
    """What the worker asks of a hook as it stands now."""

    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def timeout(self) -> float: ...
    @property
    def active(self) -> bool: ...
    @property
    def paused_by(self) -> str | None: ...
    @property
    def deleted(self) -> bool: ...


Perform = Callable[[Claimed, Any], Awaitable[Made]]
HookOf = Callable[[int], Any]
RaiseEvent = Callable[[str, dict[str, Any]], Awaitable[None]]


def new_owner() -> str:
    """An id for one engine's leases; never used again, so that no restart inherits a dead process's rows."""
    return secrets.token_hex(12)


@dataclass(slots=True)
class Held:
    """A row that this process may send, and until when by the monotonic clock (seconds)."""

    claimed: Claimed
    until: float
    length: float


class Trouble:
    """Storage that does not work: how long to wait, and at most two log lines a minute."""

    QUIET = 60.0
    LONGEST = 5.0

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.failures = 0
        self.said = float("-inf")
        self.told = False

    def failed(self, error: StorageError) -> float:
        """Take a failure; seconds to wait before the next try."""
        self.failures += 1
        now = self.clock.monotonic()
        if now - self.said >= self.QUIET:
            self.said, self.told = now, True
            log.error("the outbox can't be read or written, trying again: %s", error)
        return min(0.25 * 2.0 ** min(self.failures - 1, 10), self.LONGEST)

    def worked(self) -> None:
        if self.failures and self.told:
            log.warning("the outbox works again")
            self.told = False
        self.failures = 0


class Worker:
    """Sends what is due until it is drained.

    `run` is the loop; `take` hands over rows that `fire()` wrote as leased to this `owner`; `wake` says from any thread
    that something may be due; `drain` ends it.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        perform: Perform,
        hook_of: HookOf,
        raise_event: RaiseEvent | None = None,
        owner: str | None = None,
        concurrency: int = CONCURRENCY,
        poll: float = POLL,
    ) -> None:
        """Make a worker; nothing happens before `run`.

        Args:
            perform: makes one attempt of a claimed row with the hook as it stands now. A receiver's failure is a
                result; what it raises is a fault of ours, and the row goes again when its lease has lapsed.
            hook_of: the hook of an id, from the cache; None if there is none.
            raise_event: fires a system event.
            poll: seconds.
        """
        self.database = database
        self.clock = clock
        self.perform = perform
        self.hook_of = hook_of
        self.raise_event = raise_event
        self.owner = owner or new_owner()
        self.concurrency = concurrency
        self.poll = poll
        self.held: dict[int, deque[Held]] = {}
        self.flying: dict[int, int] = {}
        self.well: dict[int, bool] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.woken = asyncio.Event()
        self.closing = False
        self.ended = asyncio.Event()
        self.running = False
        self.trouble = Trouble(self.clock)
        self.version = -1
        self.next_ms: int | None = None
        self.look = True
        self.wall_offset: float | None = None
        self.unsure_until = float("-inf")

    # -- from outside -------------------------------------------------------------------------------------------------

    def take(self, rows: Iterable[Claimed]) -> None:
        """Rows that were committed as leased to this owner; to be called on the worker's loop."""
        self.hold_all(rows, self.clock.now_ms(), self.clock.monotonic())
        self.woken.set()

    def wake(self) -> None:
        """Something may be due. From any thread; only a hint, the poll finds it too."""
        loop = self.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.wake_here)

    def wake_here(self) -> None:
        self.look = True
        self.woken.set()

    async def drain(self, grace: float = 5.0) -> None:
        """End: nothing new starts, what is in flight may end within `grace` seconds, all else is given back."""
        self.closing = True
        self.woken.set()
        if self.running:
            await self.ended.wait()
        unsent = [held.claimed for queue in self.held.values() for held in queue]
        self.held.clear()
        await self.give_back(unsent)
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def send_firings(self, firings: Collection[int], *, first_only: bool = True) -> None:
        """Send the deliveries of these firings (row ids) alone, in their order, and return; instead of `run`.

        Args:
            first_only: one attempt each; retries are left to a worker.

        Raises:
            StorageError
        """
        while not self.closing:
            self.woken.clear()
            now_ms, started, limit = self.clock.now_ms(), self.clock.monotonic(), self.room()
            claiming = partial(outbox.claim_firings, owner=self.owner, now_ms=now_ms, firings=firings, limit=limit)
            taken: Taken = await self.database.writer.awrite(partial(claiming, first_only=first_only))
            self.hold_all(taken.rows, now_ms, started)
            self.start()
            if not self.tasks and not self.held and taken.next_ms is None:
                return
            due = self.poll if taken.next_ms is None else max((taken.next_ms - now_ms) / 1000, 0.01)
            await self.rest(due)

    # -- the loop -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Claim, send and record until `drain`."""
        self.loop = asyncio.get_running_loop()
        self.running = True
        try:
            await self.mend_clock(None)
            while not self.closing:
                self.woken.clear()
                pause = await self.step()
                if not self.closing:
                    await self.rest(pause)
        finally:
            self.running = False
            self.ended.set()

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
            await self.renew()
            if await self.changed() and self.room() > 0:
                await self.claim()
            self.trouble.worked()
        except StorageError as error:
            self.look = True
            pause = self.trouble.failed(error)
            self.start()
            return pause
        self.start()
        pause = self.poll
        if self.next_ms is not None:
            pause = min(pause, max((self.next_ms - self.clock.now_ms()) / 1000, 0.01))
        return pause

    async def changed(self) -> bool:
        """Whether a claim could find something: somebody wrote, or something has become due."""
        if self.database.dialect == "sqlite":
            version = self.database.data_version()
        else:
            version = await asyncio.to_thread(self.database.data_version)
        due = self.next_ms is not None and self.next_ms <= self.clock.now_ms()
        found = self.look or due or version != self.version
        self.version = version
        return found

    async def claim(self) -> None:
        known = {*self.held, *self.flying, *self.well}
        per_hook = {hook: self.cap(hook) - self.busy(hook) - len(self.held.get(hook, ())) for hook in known}
        started = self.clock.monotonic()
        now_ms, limit, otherwise = self.clock.now_ms(), self.room(), max(self.concurrency // 2, 1)
        recovering = started >= self.unsure_until
        claiming = partial(outbox.claim, owner=self.owner, now_ms=now_ms, limit=limit, recovering=recovering)
        taken: Taken = await self.database.writer.awrite(partial(claiming, per_hook=per_hook, otherwise=otherwise))
        self.look = False
        self.next_ms = taken.next_ms
        if taken.recovered:
            log.warning("%d deliveries were taken over from a process that is gone", taken.recovered)
            self.look = True
        self.hold_all(taken.rows, now_ms, started)
        for hook in taken.resumed:
            await self.tell("hook.resumed", hook, None, {"by": "breaker"})
        if taken.more:
            self.look = True

    # -- slots --------------------------------------------------------------------------------------------------------

    def hold(self, held: Held) -> None:
        self.held.setdefault(held.claimed.hook_id, deque()).append(held)

    def hold_all(self, rows: Iterable[Claimed], now_ms: int, started: float) -> None:
        """Hold rows that were leased from `now_ms` by the wall's clock, `started` by the monotonic one."""
        for claimed in rows:
            length = (claimed.lease_ms - now_ms) / 1000
            self.hold(Held(claimed, started + length, length))

    def busy(self, hook: int) -> int:
        return self.flying.get(hook, 0)

    def cap(self, hook: int) -> int:
        """How many slots a hook may use: all while its last attempt was a quick success, else half of what others that
        are not well leave, at least one. A hook that was not tried yet is not known to be well."""
        if self.well.get(hook, False):
            return self.concurrency
        others = sum(count for other, count in self.flying.items() if other != hook and not self.well.get(other, False))
        return max((self.concurrency - others) // 2, 1)

    def room(self) -> int:
        """How many rows more could start now, beside those that are held and could."""
        free = self.concurrency - sum(self.flying.values())
        startable = sum(min(len(queue), max(self.cap(hook) - self.busy(hook), 0)) for hook, queue in self.held.items())
        return free - startable

    def start(self) -> None:
        """Start held rows in free slots, hooks in turn."""
        progress = True
        while progress and not self.closing:
            progress = False
            for hook in list(self.held):
                queue = self.held[hook]
                if not queue:
                    del self.held[hook]
                    continue
                if sum(self.flying.values()) >= self.concurrency:
                    return
                if self.busy(hook) >= self.cap(hook):
                    continue
                self.flying[hook] = self.busy(hook) + 1
                task = asyncio.get_running_loop().create_task(self.deliver(queue.popleft()))
                self.tasks.add(task)
                task.add_done_callback(self.landed)
                progress = True

    def landed(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self.woken.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("a delivery's task failed; it goes again when its lease has lapsed", exc_info=task.exception())

    # -- one delivery -------------------------------------------------------------------------------------------------

    async def deliver(self, held: Held) -> None:
        claimed = held.claimed
        try:
            hook: CurrentHook | None = self.hook_of(claimed.hook_id)
            if hook is None or not may_go(hook, claimed) or not await self.lease_lasts(held, hook):
                await self.give_back([claimed])
                return
            started = self.clock.monotonic()
            try:
                made = await self.perform(claimed, hook)
            except asyncio.CancelledError:
                await self.give_back([claimed])
                raise
            quick = self.clock.monotonic() - started <= SLOW
            self.well[claimed.hook_id] = quick and not made.gone and made.answer.kind != "failed"
            await self.record(held, made)
        finally:
            left = self.busy(claimed.hook_id) - 1
            if left:
                self.flying[claimed.hook_id] = left
            else:
                del self.flying[claimed.hook_id]

    async def lease_lasts(self, held: Held, hook: CurrentHook) -> bool:
        """Whether the lease outlasts the request by a second; a waiting row's lease is begun anew if it does not."""
        if held.until - self.clock.monotonic() < hook.timeout + RESERVE:
            try:
                await self.hold_on([held])
            except StorageError as error:
                self.trouble.failed(error)
        return held.until - self.clock.monotonic() >= hook.timeout + RESERVE

    async def record(self, held: Held, made: Made) -> None:
        """Have a result written, however long storage is in trouble; then tell what followed from it."""
        claimed = held.claimed
        job = Settle(claimed, made, self.clock.now_ms(), random.uniform(-1, 1))
        settled: Settled | None = None
        while settled is None:
            try:
                settled = await self.database.writer.awrite(job)
            except StorageError as error:
                await asyncio.sleep(self.trouble.failed(error))
        if not settled.accepted:
            log.warning("%s: its lease was lost meanwhile, the result is not recorded", public(claimed))
            return
        if settled.due or settled.state == "retrying":
            self.look = True
        await self.tell_all(claimed, made, settled)

    async def tell_all(self, claimed: Claimed, made: Made, settled: Settled) -> None:
        if settled.dead:
            told: dict[str, Any] = {"id": public(claimed), "firing": firing_id(claimed.uid), "event": claimed.event}
            told |= {"attempts": claimed.attempts + 1, "error": made.error, "status": made.status}
            await self.tell("delivery.dead", claimed.hook_id, claimed, {"delivery": told})
        if settled.paused is not None:
            reason = f"{made.error or ''} {made.status or ''}".strip()
            await self.tell("hook.paused", claimed.hook_id, claimed, {"by": settled.paused, "reason": reason})
        if settled.resumed:
            await self.tell("hook.resumed", claimed.hook_id, claimed, {"by": "breaker"})

    async def tell(self, code: str, hook_id: int, claimed: Claimed | None, payload: dict[str, Any]) -> None:
        """Raise a system event; those that a system event's own delivery caused are only logged."""
        hook: CurrentHook | None = self.hook_of(hook_id)
        named = {"id": hook_id, "key": hook.key if hook else None, "name": hook.name if hook else None}
        log.warning("%s: hook %s", code, named["key"] or hook_id)
        if self.raise_event is None or (claimed is not None and claimed.event in SYSTEM_EVENTS):
            return
        try:
            await self.raise_event(code, {"hook": named, **payload})
        except StorageError as error:
            log.error("the event %s could not be recorded: %s", code, error)

    async def give_back(self, rows: list[Claimed]) -> None:
        """Let rows go unsent; if storage refuses, their leases lapse by themselves."""
        if not rows:
            return
        now_ms = self.clock.now_ms()
        try:
            await self.database.writer.awrite(lambda connection: outbox.give_back(connection, rows, now_ms))
        except StorageError as error:
            self.trouble.failed(error)
        self.look = True

    # -- leases and clocks --------------------------------------------------------------------------------------------

    async def renew(self) -> None:
        """Hold all unsent rows on, together, once the first of them has used up a third of its lease."""
        now = self.clock.monotonic()
        waiting = [held for queue in self.held.values() for held in queue]
        if any(held.until - now < held.length * 2 / 3 for held in waiting):
            await self.hold_on(waiting)
            lost = {id(held) for held in waiting if held.until <= self.clock.monotonic()}
            if lost:
                for hook, queue in self.held.items():
                    self.held[hook] = deque(held for held in queue if id(held) not in lost)

    async def hold_on(self, rows: list[Held]) -> None:
        """Begin these rows' leases anew; one that was lost is marked as at its end."""
        started, now_ms = self.clock.monotonic(), self.clock.now_ms()
        fences = {held.claimed.row_id: held.claimed.fence for held in rows}
        kept: dict[int, int] = await self.database.writer.awrite(
            lambda connection: outbox.renew(connection, owner=self.owner, fences=fences, now_ms=now_ms)
        )
        for held in rows:
            until = kept.get(held.claimed.row_id)
            if until is None:
                held.until = float("-inf")
            else:
                held.length = (until - now_ms) / 1000
                held.until = started + held.length

    async def watch_clock(self) -> None:
        """See that the wall clock was set. Set forward, living leases look lapsed: nobody's are taken for a while."""
        monotonic = self.clock.monotonic()
        now_ms = self.clock.now_ms()
        offset = now_ms - monotonic * 1000
        before, self.wall_offset = self.wall_offset, offset
        if before is None or abs(offset - before) < JUMP_MS:
            return
        log.warning("the clock was set by %.1f s", (offset - before) / 1000)
        if offset > before:
            self.unsure_until = monotonic + (LONGEST_LEASE + LEASE_MARGIN) / 1000
            await self.hold_on([held for queue in self.held.values() for held in queue])
        else:
            await self.mend_clock(round(before + monotonic * 1000))

    async def mend_clock(self, before_ms: int | None) -> None:
        now_ms = self.clock.now_ms()
        try:
            await self.database.writer.awrite(
                lambda connection: outbox.mend_clock(connection, now_ms, before_ms=before_ms)
            )
        except StorageError as error:
            await asyncio.sleep(self.trouble.failed(error))
        self.look = True


def may_go(hook: CurrentHook, claimed: Claimed) -> bool:
    """Whether the hook, as it stands now, may be sent to; a breaker lets its probe through."""
    if hook.deleted or not hook.active:
        return False
    return hook.paused_by is None or (hook.paused_by == "breaker" and claimed.probe)


def public(claimed: Claimed) -> str:
    return delivery_id(claimed.uid, claimed.seq)
