"""`fire()`: from the arguments to the committed record. What the row decides stands in `hookrow.core.row`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection

from hookrow.core.arrival import OF_ITS_OWN
from hookrow.core.context import checked_key, context_for
from hookrow.core.drafts import NOT_ENQUEUED, DeliveryDraft, FiringContext, bear, bear_blocked
from hookrow.core.row import Row
from hookrow.core.threads.ending import cut_short, end_awaited, end_in_thread, over
from hookrow.core.together import ask_together, parts
from hookrow.errors import StorageError
from hookrow.events import redact
from hookrow.hook.modes import ROW_LIMIT
from hookrow.hook.stored import StoredHook
from hookrow.ids import firing_id
from hookrow.payload import admit, canonical_hash, dumps, get_pointer, pointer_parts, put
from hookrow.reasons.reason import Reason, kept_value
from hookrow.records import Firing
from hookrow.store.aside import aside, in_time
from hookrow.store.database.locks import FIRE, RECORD, SLACK, Until
from hookrow.store.log.thawed import QuickFiring
from hookrow.store.outbox.breaker import Moved, Note
from hookrow.store.outbox.ending import Ending
from hookrow.store.outbox.writing import LATE_MS, Begin, NewDelivery, Rows, Written
from hookrow.words import FiringOutcome

if TYPE_CHECKING:
    from hookrow.core.runtime import Runtime
    from hookrow.core.threads.direct import Direct
    from hookrow.transport.attempt import Tools

__all__ = ["Run"]

log: Final = logging.getLogger("hookrow")
POLL = 0.02  # seconds between two looks at a firing of the same key that runs elsewhere
UNWATCHED: Final = nullcontext()
CALLED = ("ok", "changed", "vetoed", "refused", "failed", "dead")
"""States of deliveries of which something is known as the firing ends."""


class Run:
    """One `fire()` under way."""

    def __init__(
        self,
        runtime: Runtime,
        context: FiringContext,
        payload: Mapping[str, Any],
        hooks: Sequence[StoredHook],
        *,
        idempotency_key: str | None = None,
        defer: bool = False,
        handover: bool = True,
        began: float | None = None,
    ) -> None:
        """`began`: when its call did (monotonic), which has read the configuration meanwhile."""
        self.runtime = runtime
        self.context: FiringContext = context
        self.hooks = hooks
        self.key: Final = None if idempotency_key is None else checked_key(idempotency_key)
        self.defer = defer
        self.handover: bool = handover and not context.in_background  # nobody sees its rows before the commit
        plain, text = admit(payload, context.payload_limit)
        self.text: Final = text
        self.row: Final = Row(context, plain, text)
        if context.arrival.barrier is not None:
            self.row.refuse_beforehand(hooks)
        self.payload = plain
        self.started: Final = runtime.clock.monotonic()
        self.waited: float = 0.0 if began is None else self.started - began
        """Seconds that the database took so far."""
        self.firing_id: int | None = None
        self.written: int = 0
        self.seen: int = 0
        """How many of the row's hooks were looked at for something that must be committed before a request leaves."""
        self.outcome: FiringOutcome | None = None
        self.ids: dict[int, int] = {}
        self.moved: Final = Moved()
        self.ended: Firing | None = None
        self.here: Tools | None = None  # what a thread makes requests with, without a loop

    def seconds_left(self) -> float:
        """Seconds until the row's deadline."""
        return self.context.deadline - (self.runtime.clock.monotonic() - self.started)

    def patience(self, least: float = SLACK) -> float:
        """Seconds for which the database may still be waited for."""
        return max(min(FIRE - self.waited, self.seconds_left()), least)

    async def counted(self, answer: Awaitable[Any]) -> Any:
        """The database's answer; the time that it takes is counted."""
        began = self.runtime.clock.monotonic()
        try:
            return await answer
        finally:
            self.waited += self.runtime.clock.monotonic() - began

    # -- the way of most firings --------------------------------------------------------------------------------------

    async def fire(self) -> Firing:
        """Call, queue, record.

        Raises:
            StorageError, IdempotencyConflict: as `HookEngine.fire` says.
        """
        if not self.hooks:
            return self.record()
        try:
            with self.observed():
                self.ended = (await self.ask_hooks() if self.asks() else None) or await self.finish()
        except BaseException as error:
            if self.ended is None and cut_short(error, begun=bool(self.row.drafts)):
                await end_awaited(self)
            raise
        return self.ended

    def fire_here(self, direct: Direct) -> Firing:
        """`fire` in a thread, which commits by itself, and asks its hooks by itself where it asks one at a time."""
        if not self.hooks:
            return self.record()
        try:
            with self.observed():
                self.ended = direct.asked(self) if self.asks() else None
                if self.ended is None:
                    self.ended = self.finish_here()
                    if self.moved.paused or self.moved.resumed:
                        direct.loops.run(self.raise_own_events())
        except BaseException as error:
            if self.ended is None and cut_short(error, begun=bool(self.row.drafts)):
                end_in_thread(self, error)
            raise
        return self.ended

    def asks(self) -> bool:
        """Whether a hook or another firing is to be waited for; where none is, all hooks have had their turns."""
        if self.key is not None or self.context.url is not None or any(map(self.row.waits, self.hooks)):
            return True
        self.row.take_turns(self.hooks)
        return False

    def observed(self, *, recorded: bool = True) -> AbstractContextManager[None]:
        """Tell the engine's observers how it ends. Where one of them traces, it belongs to a span of its own."""
        watch, context = self.runtime.watch, self.context
        if watch is None:
            return UNWATCHED
        came = context.arrival
        how = {"traceparent": came.traceparent, "chosen": came.chosen, "replayed": came.replayed}
        span = watch.begin("firing", context.event.code, context.at_ms, **how)
        if span is not None and span.traceparent is not None:
            self.context = replace(context, arrival=replace(came, traceparent=span.traceparent))
            self.row.context = self.context
        return watch.observing(self, span, recorded=recorded)

    async def ask_hooks(self) -> Firing | None:
        """Ask the hooks that are waited for; gives the firing where that has ended it and nothing is left to record."""
        try:
            if self.key is not None:
                earlier = await self.begin()
                if earlier is not None:
                    return earlier
            await self.walk()
        except StorageError as error:
            return self.unrecorded(error, None)
        return None

    def enqueue(self, connection: Connection) -> Firing:
        """Write the whole firing through a connection, without a request: all of it goes out after the commit."""
        if not self.hooks:
            return self.record()
        with self.observed(recorded=False):
            self.row.take_turns(self.hooks)
            self.outcome = "allowed"
            written = self.rows(self.row.drafts)(connection)
            self.firing_id = written.firing
            self.ids = {draft.seq: number for draft, number in zip(self.row.drafts, written.deliveries, strict=True)}
            self.ended = self.record()
        return self.ended

    async def walk(self) -> None:
        """Every hook in its turn; gates that are asked together in one."""
        tools = None
        for part in parts(self.row, self.hooks) if self.context.together else zip(self.hooks, strict=True):
            draft = self.row.turn(part[0]) if len(part) == 1 else None
            if draft is None or draft.act == "call" or (draft.background and self.context.url is not None):
                tools = tools or self.here or self.runtime.tools(self.runtime.cache.config or self.runtime.config())
                if draft is None:
                    await ask_together(self.row, part, tools, self.seconds_left, self.flush)
                else:
                    await self.row.call(draft, tools, self.seconds_left, self.flush)

    async def flush(self, seq: int) -> None:
        """Commit what stands before a blocking hook in the row and goes to the outbox (docs/firing.md).

        After a failed commit a `before` event commits its own row first, and raises before any request if that fails.
        """
        unseen = self.row.drafts[max(self.written, self.seen) : seq - 1]
        background = not self.defer and any(draft.background and draft.shadow is None for draft in unseen)
        self.seen = seq - 1
        distrust = self.context.before and self.runtime.database.writer.failed is not None and self.firing_id is None
        if background or distrust:
            waiting_rows = self.row.drafts[self.written : seq - 1]
            job = self.rows(waiting_rows)
            self.note_written(waiting_rows, job, await self.committed(job, drafts=waiting_rows))

    async def finish(self) -> Firing:
        """Commit what is not committed yet, and give the verdict."""
        drafts, job = self.unwritten()
        try:
            self.note_written(drafts, job, await self.committed(job, RECORD, drafts))
        except StorageError as error:
            return self.unrecorded(error, self.record())
        if self.moved.paused or self.moved.resumed:
            await self.raise_own_events()
        if self.row.troubled or self.runtime.failing.rows:
            with suppress(StorageError):
                await in_time(aside(self.note_failures, self.runtime.database.threads.pool()), self.patience())
        return self.record()

    def finish_here(self) -> Firing:
        """As `finish`, in a thread; hooks that were paused or resumed are still to be told of."""
        drafts, job = self.unwritten()
        try:
            self.note_written(drafts, job, self.runtime.database.writer.write(job, self.patience(RECORD)))
        except StorageError as error:
            return self.unrecorded(error, self.record())
        if self.row.troubled or self.runtime.failing.rows:
            self.note_failures()
        return self.record()

    def note_failures(self) -> None:
        """Take note of hooks that fail, and of those that work again; another address (`--to`) says nothing of them."""
        with Until(self.patience()):
            for draft in self.row.drafts:
                if draft.state in CALLED and draft.shadow is None and self.context.url is None:
                    self.runtime.failing.saw(draft.hook, failed=draft.error is not None, error=draft.error)

    def unwritten(self) -> tuple[Sequence[DeliveryDraft], Rows]:
        """What is not written yet, and the job that writes it with the outcome."""
        self.outcome = "allowed"
        if (veto := self.row.veto) is not None:
            self.outcome = "vetoed" if veto.by == "hook" else "failed"
        if self.row.trials:
            self.row.end_trials()
        drafts = self.row.drafts[self.written :]
        if self.row.troubled and self.context.url is None:
            for draft in self.row.drafts:
                failed = self.runtime.failing.before(draft.hook.id) if draft.error is not None else 0
                if failed:
                    self.row.warnings.append(Reason("fails_every_time", hook=draft.hook.name, n=failed + 1))
        return drafts, self.rows(drafts)

    def unrecorded(self, error: StorageError, verdict: Firing | None) -> Firing:
        """A commit failed. A `before` event says so; what has already happened goes on and only carries the error.

        Args:
            verdict: None where it failed before the last hook was asked: then there is none.

        Raises:
            StorageError: the event is a `before` one.
        """
        mine = type(error)(self.row.unrecorded(error.text), firing=verdict)
        if self.context.before:
            raise mine from None
        self.runtime.unrecorded.failed(f"{self.context.event.code}: {mine}")
        return replace(verdict or self.record(), error=mine)

    async def raise_own_events(self) -> None:
        """Raise the engine's own events for what this firing's attempts did to hooks; these raise none themselves."""
        if self.context.event.system:
            return
        for draft in self.row.drafts:
            if draft.hook.id in self.moved.paused:
                why = {"by": "gone" if draft.gone else "breaker", "reason": draft.note.reason if draft.note else ""}
                await self.raise_for_hook("hook.paused", draft, why)
            if draft.hook.id in self.moved.resumed:
                await self.raise_for_hook("hook.resumed", draft, {"by": "breaker"})

    async def raise_for_hook(self, code: str, draft: DeliveryDraft, payload: dict[str, Any]) -> None:
        log.warning("%s: hook %s", code, draft.hook.key or draft.hook.id)
        given = {"hook": draft.hook.ref.as_json(), **payload}
        await self.counted(raise_event(self.runtime, code, given, self.waited))

    def ending(self) -> Ending:
        """The job that writes what is not committed yet: with its outcome, if that was known, else as cancelled."""
        if self.outcome is None:
            for hook in self.hooks[len(self.row.drafts) :]:
                self.row.drafts.append(DeliveryDraft(hook, len(self.row.drafts) + 1, state="cancelled"))
            for draft in self.row.drafts[self.written :]:
                if draft.undecided:
                    draft.act, draft.state = None, "cancelled"
            self.outcome, self.row.veto = "cancelled", None
        self.handover = False
        unheard = [draft.seq for draft in self.row.drafts[self.written :] if draft.leased]
        now_ms = self.runtime.database.clock.now_ms()
        return Ending(self.context.uid, self.runtime.owner, now_ms, unheard, self.lacking)

    def lacking(self, firing: int | None, there: int) -> Rows | None:
        """The rows that end it, where so many of its deliveries are committed; None: another call has its key."""
        if firing is None and self.key is not None:
            return None
        self.firing_id = firing
        return self.rows(self.row.drafts[there:])

    # -- writing ------------------------------------------------------------------------------------------------------

    async def begin(self) -> Firing | None:
        """Commit the row as running under its key; or wait for the one that has the key, and give its outcome."""
        while True:
            found = await self.committed(Begin(self.rows(())))
            if isinstance(found, Written):
                self.firing_id = found.firing
                return None
            config = await self.counted(self.runtime.config_asked(self.patience()))
            while found.outcome is None and self.runtime.database.clock.now_ms() <= found.deadline_ms + LATE_MS:
                await asyncio.sleep(POLL)
                firing = await self.counted(self.runtime.firing(config, found.uid, self.patience(RECORD)))
                if firing is not None and firing.outcome is not None:
                    if firing.outcome in ("allowed", "vetoed"):
                        return self.reused(firing)
                    break
            else:
                if found.outcome is not None:
                    earlier = await self.counted(self.runtime.firing(config, found.uid, self.patience(RECORD)))
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
            veto = replace(veto, message=veto.reason.said(self.context.language))
        return replace(earlier, reused=True, payload=self.payload, data=data, veto=veto)

    def note_written(self, drafts: Sequence[DeliveryDraft], job: Rows, written: Written) -> None:
        """They are committed: hand those that are born leased to this process's worker."""
        self.runtime.unrecorded.worked()
        self.firing_id = written.firing
        self.written += len(drafts)
        if written.moved is not None:
            self.moved.paused |= written.moved.paused
            self.moved.resumed |= written.moved.resumed
        if self.moved.paused or self.moved.resumed:
            self.runtime.cache.forget()
        for draft, number in zip(drafts, written.deliveries, strict=True):
            self.ids[draft.seq] = number
        if self.runtime.handover is not None:
            its = (self.context, drafts, job.deliveries, written)
            self.runtime.handover.handed_over(*its, whole=self.outcome is not None)

    async def committed(self, job: Any, least: float = SLACK, drafts: Sequence[DeliveryDraft] = ()) -> Any:
        """The job's answer, for which there are `least` seconds, whatever is left. A caller that is cancelled meanwhile
        learns of it when the commit has ended; what was committed for them is handed over all the same."""
        writer, seconds, began = self.runtime.database.writer, self.patience(least), self.runtime.clock.monotonic()
        waiting = None if self.here is not None else writer.begin(job, seconds)
        try:
            return writer.write(job, seconds) if waiting is None else await waiting.future
        except asyncio.CancelledError:
            assert waiting is not None
            with suppress(Exception):  # what the caller is told is that it was cancelled
                answer = await over(waiting.awaited_again())
                if isinstance(job, Begin) and isinstance(answer, Written):
                    self.firing_id = answer.firing
                elif isinstance(job, Rows):
                    self.note_written(drafts, job, answer)
            raise
        finally:
            self.waited += self.runtime.clock.monotonic() - began

    def rows(self, drafts: Sequence[DeliveryDraft]) -> Rows:
        """The job that writes the firing and these drafts."""
        runtime, new = self.runtime, self.firing_id is None
        now_ms, lease_now = runtime.database.clock.now_ms(), runtime.database.clock.lease_ms()
        deliveries: list[NewDelivery] = []
        background: list[tuple[DeliveryDraft, NewDelivery]] = []
        notes: list[Note] = []
        gone: list[int] = []
        admit_later = ordered = False
        for draft in drafts:
            deliveries.append(NewDelivery(draft.values(now_ms), draft.attempts))
            if draft.background:
                background.append((draft, deliveries[-1]))
                ordered = ordered or draft.order_key is not None
            if draft.gone:
                gone.append(draft.hook.id)
            elif draft.note is not None:
                notes.append(draft.note)
        if self.defer:
            for _, delivery in background:
                delivery.values |= {"state": "cancelled", "skipped": NOT_ENQUEUED}
        elif not new or ordered:
            admit_later = bool(background) and not self.context.in_background
            bear_blocked(background, now_ms, in_transaction=self.context.in_background)
        elif background:
            handover = runtime.handover if self.handover else None
            taken = handover is not None and handover.takes_over
            owner = runtime.owner if taken else None
            bear(background, now_ms, lease_now, owner, in_transaction=self.context.in_background)
        firing = self.new_columns(now_ms) if new else None
        if not new and self.outcome is not None:
            firing = self.ended_columns()
        return Rows(now_ms, firing, self.firing_id, deliveries, admit_later, notes, gone, lease_now)

    def new_columns(self, now_ms: int) -> dict[str, Any]:
        """The columns of a firing that is written for the first time."""
        context = self.context
        # Of the kept payload: a hash that took in a password could be tried out against guesses.
        hashed = None if self.key is None else canonical_hash(redact(self.payload, context.event.private)[0])
        return {
            "uid": context.uid,
            "event": context.event.code,
            "moment": context.event.moment,
            "at_ms": context.at_ms,
            "deadline_ms": now_ms + round(self.seconds_left() * 1000),
            "idempotency_key": self.key,
            "payload_hash": hashed,
            "replay_of": context.replay_of,
            "asked_by": context.asked_by,
            "depth": context.arrival.depth,
            "traceparent": context.arrival.traceparent,
            **self.ended_columns(),
        }

    def ended_columns(self) -> dict[str, Any]:
        """The columns that are known once the row has ended."""
        row = self.row
        kept, hidden = redact(self.payload, self.context.event.private)
        hidden = (*hidden, *(pointer for pointer in row.hidden if pointer not in hidden)) if row.hidden else hidden
        return {
            "payload": self.text if kept is self.payload else dumps(kept),
            "hidden": dumps(list(hidden)) if hidden else None,
            "data": dumps(row.kept) if row.data is not self.payload else None,
            "result": dumps(row.kept_result) if row.has_result else None,
            "outcome": self.outcome,
            "veto": None if row.veto is None else dumps(row.veto.as_kept()),
            "warnings": dumps([kept_value(warning) for warning in row.warnings]) if row.warnings else None,
            "ms": None if self.outcome is None else round((self.runtime.clock.monotonic() - self.started) * 1000),
            "deferred": self.defer and any(draft.background for draft in row.drafts),
        }

    # -- what the caller gets -----------------------------------------------------------------------------------------

    def record(self) -> Firing:
        """The firing as its caller sees it: with the whole payload, private values too."""
        row, context = self.row, self.context
        return QuickFiring(
            id=firing_id(context.uid),
            event=context.event.code,
            moment=context.event.moment,
            at_ms=context.at_ms,
            outcome=self.outcome or "allowed",
            payload=self.payload,
            data=row.data,
            result=row.result,
            shown_result=row.kept_result,
            has_result=row.has_result,
            veto=row.veto,
            warnings=tuple(map(str, row.warnings)),
            deliveries=tuple(
                draft.record(context, deferred=self.defer, row_id=self.ids.get(draft.seq, 0)) for draft in row.drafts
            ),
            ms=round((self.runtime.clock.monotonic() - self.started) * 1000),
            hidden=row.hidden,
            replay_of=None if context.replay_of is None else firing_id(context.replay_of),
            asked_by=context.asked_by,
            depth=context.arrival.depth,
            traceparent=context.arrival.traceparent,
            deferred=self.defer and any(draft.background for draft in row.drafts),
            row_id=self.firing_id or 0,
        )


async def raise_event(runtime: Runtime, code: str, payload: Mapping[str, Any], waited: float = 0.0) -> None:
    """Fire one of the engine's own events; these raise none. Its cause `waited` for the database already."""
    config = await runtime.config_asked(max(FIRE - waited, SLACK))
    if hooks := config.rows.get(code, ()):
        began = runtime.clock.monotonic() - waited
        context = context_for(runtime, config, code, ROW_LIMIT, OF_ITS_OWN)
        await Run(runtime, context, payload, hooks, began=began).fire()


def write_event(runtime: Runtime, connection: Connection, code: str, payload: Mapping[str, Any]) -> None:
    """Write one of the engine's own events in the transaction of its cause."""
    if hooks := (config := runtime.config()).rows.get(code, ()):
        context = context_for(runtime, config, code, ROW_LIMIT, OF_ITS_OWN, in_background=True)
        Run(runtime, context, payload, hooks).enqueue(connection)
