"""`fire()`: from the arguments to the committed record. What the row decides stands in `hookrow.core.row`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from hookrow.core.occasion import checked_key, occasion_for
from hookrow.core.row import NOT_ENQUEUED, DeliveryDraft, FiringContext, Row
from hookrow.delivery import states
from hookrow.errors import EngineClosed, StorageError
from hookrow.events import redact
from hookrow.hook.modes import ROW_LIMIT, WAITING
from hookrow.hook.stored import StoredHook
from hookrow.ids import firing_id
from hookrow.observers import FiringObserved
from hookrow.payload import admit, canonical_hash, dumps, get_pointer, pointer_parts, put
from hookrow.reasons.reason import Reason, kept_value
from hookrow.records import Firing
from hookrow.store.outbox.breaker import Moved
from hookrow.store.outbox.writing import LATE_MS, Begin, NewDelivery, Rows, Written
from hookrow.waits import FIRE, LET_GO, RECORD, SLACK, Until
from hookrow.words import FiringOutcome

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime

__all__ = ["Run"]

log: Final = logging.getLogger("hookrow")
INTERRUPTS = (KeyboardInterrupt, SystemExit)
"""What signal handlers raise in the main thread, wherever it is."""
POLL = 0.02  # seconds between two looks at a firing of the same key that runs elsewhere
CALLED = ("ok", "changed", "vetoed", "refused", "failed", "dead")
"""States of shares of which something is known as the firing ends."""


class Run:
    """One `fire()` under way."""

    def __init__(
        self,
        runtime: Runtime,
        occasion: FiringContext,
        payload: Mapping[str, Any],
        hooks: Sequence[StoredHook],
        *,
        idempotency_key: str | None = None,
        defer: bool = False,
        handover: bool = True,
        began: float | None = None,
    ) -> None:
        """Make it; nothing is asked or written before `fire`.

        Args:
            began: when its call did (monotonic), which has read the configuration meanwhile.
        """
        self.runtime = runtime
        self.occasion = occasion
        self.hooks = hooks
        self.key: Final = None if idempotency_key is None else checked_key(idempotency_key)
        self.defer = defer
        self.handover = handover
        plain, text = admit(payload, occasion.payload_limit)
        self.text: Final = text
        self.row: Final = Row(occasion, plain, text)
        if occasion.arrival.barrier is not None:
            self.row.expect(hooks)
        self.payload = plain
        self.started: Final = runtime.clock.monotonic()
        self.waited: float = 0.0 if began is None else self.started - began
        """Seconds that the database took so far."""
        self.firing_id: int | None = None
        self.written: int = 0
        self.outcome: FiringOutcome | None = None
        self.ids: dict[int, int] = {}
        self.moved: Final = Moved()
        self.ended: Firing | None = None

    def left(self) -> float:
        """Seconds until the row's deadline."""
        return self.occasion.deadline - (self.runtime.clock.monotonic() - self.started)

    def patience(self, least: float = SLACK) -> float:
        """Seconds for which the database may still be waited for."""
        return max(min(FIRE - self.waited, self.left()), least)

    # -- the way of most firings --------------------------------------------------------------------------------------

    async def fire(self) -> Firing:
        """Call, queue, record.

        Raises:
            StorageError, IdempotencyConflict: as `HookEngine.fire` says.
        """
        if not self.hooks:
            return self.record()
        with self.observed():
            self.ended = await self.ask() or await self.finish()
        return self.ended

    def fire_here(self, wait: Callable[[Coroutine[Any, Any, Any]], Any]) -> Firing:
        """`fire` in a thread, which commits by itself: only requests and other firings need the event loop.

        Args:
            wait: runs a coroutine on the engine's loop and waits for it.
        """
        if not self.hooks:
            return self.record()
        with self.observed():
            if self.key is not None or any(hook.mode in WAITING for hook in self.hooks):
                self.ended = wait(self.ask())
            else:
                for hook in self.hooks:
                    self.row.turn(hook)
            if self.ended is None:
                self.ended = self.finish_here()
                if self.moved.paused or self.moved.resumed:
                    wait(self.tell())
        return self.ended

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Tell the engine's observers how it ends."""
        watch = self.runtime.watch
        if watch is None:
            yield
            return
        try:
            yield
        except StorageError as error:
            watch.firing(FiringObserved.of(error.firing or replace(self.record(), outcome="failed"), error=error))
            raise
        except (asyncio.CancelledError, EngineClosed, *INTERRUPTS):
            watch.firing(FiringObserved.of(replace(self.record(), outcome="cancelled")))
            raise
        if self.ended is not None:
            watch.firing(FiringObserved.of(self.ended))

    async def ask(self) -> Firing | None:
        """Ask the hooks that are waited for; gives the firing where that has ended it and nothing is left to record."""
        try:
            if self.key is not None:
                earlier = await self.begin()
                if earlier is not None:
                    return earlier
            await self.walk()
        except StorageError as error:
            return self.unrecorded(error, None)
        except (asyncio.CancelledError, *INTERRUPTS):  # ctrl+c, where this loop runs in the main thread
            await self.cancelled()
            raise
        except BaseException:
            # A fault of ours, or of a transport that the host brought: a request may have left, which is recorded.
            if self.row.shares:
                await self.cancelled()
            raise
        return None

    def enqueue(self, connection: Connection) -> Firing:
        """Write the whole firing through a connection, without a request: all of it goes out after the commit."""
        if not self.hooks:
            return self.record()
        for hook in self.hooks:
            self.row.turn(hook)
        self.outcome = "allowed"
        written = self.rows(self.row.shares)(connection)
        self.firing_id = written.firing
        self.ids = {share.seq: number for share, number in zip(self.row.shares, written.deliveries, strict=True)}
        firing = self.record()
        if self.runtime.watch is not None:
            self.runtime.watch.firing(FiringObserved.of(firing, recorded=False))
        return firing

    async def walk(self) -> None:
        """Every hook in its turn."""
        tools = None
        for hook in self.hooks:
            share = self.row.turn(hook)
            sent_now = share.act == "call" or (share.background and self.occasion.url is not None)
            if not sent_now:
                continue
            share.act = None
            if tools is None:
                tools = self.runtime.tools(self.runtime.cache.config or self.runtime.config())
            await self.row.call(share, tools, self.left, self.flush)

    async def flush(self) -> None:
        """Commit what stands before a blocking hook in the row and goes to the outbox (docs/firing.md).

        After a failed commit a `before` event commits its own row first, and raises before any request if that fails.
        """
        waiting_rows = self.row.shares[self.written : -1]
        background = not self.defer and any(share.background for share in waiting_rows)
        distrust = self.occasion.before and self.runtime.database.writer.failed is not None and self.firing_id is None
        if background or distrust:
            await self.write(waiting_rows)

    async def finish(self) -> Firing:
        """Commit what is not committed yet, and give the verdict."""
        shares, job = self.last()
        try:
            self.took(shares, job, await self.committed(job, RECORD))
        except StorageError as error:
            return self.unrecorded(error, self.record())
        await self.tell()
        if self.row.troubled or self.runtime.failing.rows:
            await asyncio.to_thread(self.noticed)
        return self.record()

    def finish_here(self) -> Firing:
        """As `finish`, in a thread; hooks that were paused or resumed are still to be told of."""
        shares, job = self.last()
        writer = self.runtime.database.writer
        try:
            self.took(shares, job, writer.write(job, self.patience(RECORD)))
        except StorageError as error:
            return self.unrecorded(error, self.record())
        except INTERRUPTS:
            # The hooks were asked, so that it must be recorded; if it was already, its uid refuses a second time.
            wait_for([writer.submit(job)], LET_GO)
            raise
        if self.row.troubled or self.runtime.failing.rows:
            self.noticed()
        return self.record()

    def noticed(self) -> None:
        """Take note of hooks that fail, and of those that work again."""
        with Until(self.patience()):
            for share in self.row.shares:
                if share.state in CALLED:
                    self.runtime.failing.saw(share.hook, failed=share.error is not None, error=share.error)

    def last(self) -> tuple[Sequence[DeliveryDraft], Rows]:
        """What is not written yet, and the job that writes it with the outcome."""
        veto = self.row.veto
        if veto is None:
            self.outcome = "allowed"
        else:
            self.outcome = "vetoed" if veto.by == "hook" else "failed"
        shares = self.row.shares[self.written :]
        if self.row.troubled:
            for share in self.row.shares:
                failed = self.runtime.failing.before(share.hook.id) if share.error is not None else 0
                if failed:
                    self.row.warnings.append(Reason("fails_every_time", hook=share.hook.name, n=failed + 1))
        return shares, self.rows(shares)

    def unrecorded(self, error: StorageError, verdict: Firing | None) -> Firing:
        """A commit failed. A `before` event says so; what has already happened goes on and only carries the error.

        Args:
            verdict: None where it failed before the last hook was asked: then there is none.

        Raises:
            StorageError: the event is a `before` one.
        """
        mine = type(error)(error.text, firing=verdict)
        if self.occasion.before:
            raise mine from None
        log.error("a firing of %s could not be recorded: %s", self.occasion.event.code, mine)
        return replace(verdict or self.record(), error=mine)

    async def tell(self) -> None:
        """Raise the engine's own events for what this firing's attempts did to hooks; these raise none themselves."""
        if self.occasion.event.system:
            return
        for share in self.row.shares:
            if share.hook.id in self.moved.paused:
                by = "gone" if share.gone else "breaker"
                await self.told("hook.paused", share, {"by": by, "reason": share.note.reason if share.note else ""})
            if share.hook.id in self.moved.resumed:
                await self.told("hook.resumed", share, {"by": "breaker"})

    async def told(self, code: str, share: DeliveryDraft, payload: dict[str, Any]) -> None:
        log.warning("%s: hook %s", code, share.hook.key or share.hook.id)
        await raise_event(self.runtime, code, {"hook": share.hook.ref.as_json(), **payload})

    async def cancelled(self) -> None:
        """The caller was cancelled: what happened so far is committed before they learn that it has ended."""
        if self.key is not None and self.firing_id is None:
            return  # it was still waiting for the one that has the key
        self.outcome = "cancelled"
        for hook in self.hooks[len(self.row.shares) :]:
            self.row.shares.append(DeliveryDraft(hook, len(self.row.shares) + 1, state="cancelled"))
        for share in self.row.shares[self.written :]:
            if share.background:
                share.act, share.state = None, "cancelled"
        try:
            last = self.rows(self.row.shares[self.written :])
            await self.runtime.database.writer.awrite(last, self.patience(RECORD))
        except StorageError as error:
            log.error("a cancelled firing of %s could not be recorded: %s", self.occasion.event.code, error)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def begin(self) -> Firing | None:
        """Commit the row as running under its key; or wait for the one that has the key, and give its outcome."""
        while True:
            found = await self.committed(Begin(self.rows(())))
            if isinstance(found, Written):
                self.firing_id = found.firing
                return None
            config = self.runtime.config(self.patience())
            while found.outcome is None and self.runtime.clock.now_ms() <= found.deadline_ms + LATE_MS:
                await asyncio.sleep(POLL)
                firing = await self.runtime.firing(config, found.uid, self.patience(RECORD))
                if firing is not None and firing.outcome is not None:
                    if firing.outcome in ("allowed", "vetoed"):
                        return self.reused(firing)
                    break
            else:
                if found.outcome is not None:
                    earlier = await self.runtime.firing(config, found.uid, self.patience(RECORD))
                    if earlier is not None:
                        return self.reused(earlier)

    def reused(self, earlier: Firing) -> Firing:
        """The earlier outcome. What was not kept of its payload, as private, its caller has again brought along."""
        data = earlier.data
        for pointer in earlier.hidden:
            value = get_pointer(self.payload, pointer)
            if value is not None:
                data = put(data, pointer_parts(pointer), value)
        veto = earlier.veto
        if veto is not None and veto.reason is not None:
            veto = replace(veto, message=veto.reason.said(self.occasion.language))
        return replace(earlier, reused=True, payload=self.payload, data=data, veto=veto)

    async def write(self, shares: Sequence[DeliveryDraft]) -> None:
        """Commit shares."""
        job = self.rows(shares)
        self.took(shares, job, await self.committed(job))

    def took(self, shares: Sequence[DeliveryDraft], job: Rows, written: Written) -> None:
        """Shares are committed: hand those that are born leased to this process's worker."""
        self.firing_id = written.firing
        self.written += len(shares)
        self.moved.paused |= written.moved.paused
        self.moved.resumed |= written.moved.resumed
        if self.moved.paused or self.moved.resumed:
            self.runtime.cache.forget()
        self.ids.update({share.seq: number for share, number in zip(shares, written.deliveries, strict=True)})
        if self.runtime.handover is not None:
            self.runtime.handover.handed_over(self.occasion, shares, job.deliveries, written)

    async def committed(self, job: Any, least: float = SLACK) -> Any:
        """The job's answer. A caller that is cancelled meanwhile learns of it when the commit has ended.

        Args:
            least: seconds that it has, whatever is left.
        """
        began = self.runtime.clock.monotonic()
        commit = self.runtime.database.writer.begin(job, self.patience(least))
        try:
            answer = await asyncio.shield(commit)
            self.waited += self.runtime.clock.monotonic() - began
            return answer
        except asyncio.CancelledError:
            await asyncio.wait([commit])
            if isinstance(job, Begin) and commit.exception() is None and isinstance(commit.result(), Written):
                self.firing_id = commit.result().firing
            elif isinstance(job, Rows) and commit.exception() is None:
                self.firing_id = commit.result().firing
                self.written += len(job.deliveries)
            raise

    def rows(self, shares: Sequence[DeliveryDraft]) -> Rows:
        """The job that writes the firing and these shares."""
        runtime, now_ms = self.runtime, self.runtime.clock.now_ms()
        new = self.firing_id is None
        deliveries = [NewDelivery(share.values(now_ms), share.attempts) for share in shares]
        background = [(share, delivery) for share, delivery in zip(shares, deliveries, strict=True) if share.background]
        admit_later = False
        if self.defer:
            for _, delivery in background:
                delivery.values |= {"state": "cancelled", "skipped": NOT_ENQUEUED}
        elif not new or any(share.order_key is not None for share, _ in background):
            # Inside the caller's transaction the first is due and a worker's claim gives the turns: a look at order
            # keys locks them all (PostgreSQL), which must not last until their commit.
            admit_later = bool(background) and not self.occasion.in_background
            first_due = now_ms if self.occasion.in_background else None
            for share, delivery in background:
                if share.act == "park":
                    delivery.values |= {"state": "parked", "due_ms": now_ms}
                else:
                    delivery.values |= {"state": "blocked", "due_ms": first_due}
                    first_due = None
        elif background:
            leases = [share.hook.timeout for share, _ in background]
            handover = runtime.handover if self.handover else None
            born = states.births(
                [share.act == "park" for share, _ in background],
                now_ms,
                lease=leases if handover is not None and handover.takes_over else None,
            )
            for (_, delivery), birth in zip(background, born, strict=True):
                delivery.values |= {
                    "state": birth.state,
                    "due_ms": birth.due_ms,
                    "released_ms": birth.released_ms,
                    "lease_ms": birth.lease_ms,
                    "owner": runtime.owner if birth.state == "leased" else None,
                    "fence": 1 if birth.state == "leased" else 0,
                }
        firing = None
        if new:
            firing = self.new_columns()
        elif self.outcome is not None:
            firing = self.ended_columns()
        notes = [share.note for share in shares if share.note is not None and not share.gone]
        gone = [share.hook.id for share in shares if share.gone]
        return Rows(now_ms, firing, self.firing_id, deliveries, admit=admit_later, notes=notes, gone=gone)

    def new_columns(self) -> dict[str, Any]:
        """The columns of a firing that is written for the first time."""
        occasion = self.occasion
        kept, _ = redact(self.payload, occasion.event.private)
        columns = {
            "uid": occasion.uid,
            "event": occasion.event.code,
            "moment": occasion.event.moment,
            "at_ms": occasion.at_ms,
            "deadline_ms": occasion.at_ms + round(occasion.deadline * 1000),
            "idempotency_key": self.key,
            # Of the kept payload: a hash that took in a password could be tried out against guesses.
            "payload_hash": None if self.key is None else canonical_hash(kept),
            "replay_of": occasion.replay_of,
            "asked_by": occasion.asked_by,
            "depth": occasion.arrival.depth,
        }
        return columns | self.ended_columns()

    def ended_columns(self) -> dict[str, Any]:
        """The columns that are known once the row has ended."""
        row = self.row
        kept, hidden = redact(self.payload, self.occasion.event.private)
        hidden = (*hidden, *(pointer for pointer in row.hidden if pointer not in hidden))
        return {
            "payload": self.text if kept is self.payload else dumps(kept),
            "hidden": dumps(list(hidden)) if hidden else None,
            "data": dumps(row.kept) if row.data is not self.payload else None,
            "result": dumps(row.kept_result) if row.has_result else None,
            "outcome": self.outcome,
            "veto": None if row.veto is None else dumps(row.veto.as_kept()),
            "warnings": dumps([kept_value(warning) for warning in row.warnings]) if row.warnings else None,
            "ms": None if self.outcome is None else round((self.runtime.clock.monotonic() - self.started) * 1000),
            "deferred": self.defer and any(share.background for share in row.shares),
        }

    # -- what the caller gets -----------------------------------------------------------------------------------------

    def record(self) -> Firing:
        """The firing as its caller sees it: with the whole payload, private values too."""
        row, occasion = self.row, self.occasion
        return Firing(
            id=firing_id(occasion.uid),
            event=occasion.event.code,
            moment=occasion.event.moment,
            at_ms=occasion.at_ms,
            outcome=self.outcome or "allowed",
            payload=self.payload,
            data=row.data,
            result=row.result,
            shown_result=row.kept_result,
            has_result=row.has_result,
            veto=row.veto,
            warnings=tuple(str(warning) for warning in row.warnings),
            deliveries=tuple(
                share.record(occasion, deferred=self.defer, row_id=self.ids.get(share.seq, 0)) for share in row.shares
            ),
            ms=round((self.runtime.clock.monotonic() - self.started) * 1000),
            hidden=row.hidden,
            replay_of=None if occasion.replay_of is None else firing_id(occasion.replay_of),
            asked_by=occasion.asked_by,
            depth=occasion.arrival.depth,
            deferred=self.defer and any(share.background for share in row.shares),
            row_id=self.firing_id or 0,
        )


async def raise_event(runtime: Runtime, code: str, payload: Mapping[str, Any]) -> None:
    """Fire one of the engine's own events; deliveries of these raise none themselves."""
    config = runtime.config()
    hooks = config.rows.get(code, ())
    if hooks:
        await Run(runtime, occasion_for(runtime, config, code, ROW_LIMIT), payload, hooks).fire()


def write_event(runtime: Runtime, connection: Connection, code: str, payload: Mapping[str, Any]) -> None:
    """Write one of the engine's own events in the transaction of its cause."""
    config = runtime.config()
    hooks = config.rows.get(code, ())
    if hooks:
        occasion = occasion_for(runtime, config, code, ROW_LIMIT, in_background=True)
        Run(runtime, occasion, payload, hooks).enqueue(connection)
