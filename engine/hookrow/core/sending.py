"""Sending in background: the engine's own worker, and what it is given. `fire()` knows it as a `Handover` only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hookrow.core.arrival import traceparent_of
from hookrow.delivery.reply import ReplyOutcome
from hookrow.delivery.states import FINISHED
from hookrow.errors import DatabaseReadOnly, EngineClosed
from hookrow.hook.stored import StoredHook
from hookrow.ids import delivery_id, firing_id
from hookrow.lang import Text
from hookrow.observers import DeliveryObserved
from hookrow.records import Firing, loads
from hookrow.store.database.locks import LOCK
from hookrow.store.outbox import ResultLike, Settled
from hookrow.store.outbox.claims import Claimed
from hookrow.store.outbox.writing import NewDelivery, Written
from hookrow.transport.attempt import AttemptResult, Dispatch, perform
from hookrow.worker import Worker

if TYPE_CHECKING:
    from hookrow.core.drafts import DeliveryDraft, FiringContext
from hookrow.core.care.key_pauses import KeyPauses
from hookrow.core.firing import raise_event
from hookrow.core.runtime import Runtime

__all__ = ["Sending"]

VOID: Final = AttemptResult(ReplyOutcome("void"), None, None, None, 0, False, None, {})
"""No request: its candidate is no more."""
GRACE = 5.0
"""Seconds in which a request may end whose sender was cancelled."""
STEP = 0.02
"""Seconds between two looks whether anything is left to send."""
PROGRESS = 0.1
"""Seconds between two reports of progress."""


class Sending:
    """What leaves an engine in background, in this process.

    A worker belongs to who made it, who alone ends it; but `drain` ends all that are `at_work`. The engine's own is
    `worker`: rows are handed over to it alone, no other takes its place, and it stays there when it has ended.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.key_pauses: Final = KeyPauses(runtime)
        self.reset()
        runtime.handover = self

    def reset(self) -> None:
        """What belongs to this process and its event loop alone."""
        self.worker: Worker | None = None
        self.worker_task: asyncio.Task[None] | None = None
        self.at_work: dict[Worker, asyncio.Task[None]] = {}
        self.ending: bool = False

    @property
    def working(self) -> bool:
        """Whether this process has a worker of the engine's own at work, which may be ending."""
        task = self.worker_task
        return task is not None and not task.done() and not task.get_loop().is_closed()

    @property
    def takes_over(self) -> bool:
        """Whether rows may be born leased to this process and handed over in memory; not to a worker that is ending."""
        return self.working and self.worker is not None and not self.worker.closing

    @property
    def in_hand(self) -> set[tuple[int, int]]:
        """Rows (id, fence) that this process's workers send, or whose results they still have to record."""
        return set[tuple[int, int]]().union(*(worker.hand.rows for worker in list(self.at_work)))

    def start_worker(self) -> None:
        """Start the engine's own worker on the running loop, once."""
        self.runtime.renew()
        if not self.runtime.wants_worker or self.working or self.ending:
            return
        alone = Context()  # it outlives the call that happens to need it first, and works for all
        self.worker = alone.run(self.new_worker)
        self.worker_task = self.begin(self.worker, partial(self.work, self.worker), alone)

    def begin(
        self, worker: Worker, work: Callable[[], Coroutine[Any, Any, None]], context: Context | None = None
    ) -> asyncio.Task[None]:
        """Have a worker work in a task on the running loop. Raises EngineClosed, also while it is being closed.

        Args:
            context: None: the caller's, who waits for it.
        """
        if self.ending:
            raise EngineClosed()
        self.forget_lost()
        loop = asyncio.get_running_loop()
        worker.loop = loop  # at once: a thread may hand rows over before its task has begun
        task = self.at_work[worker] = loop.create_task(work(), name="hookrow-worker", context=context)
        task.add_done_callback(partial(self.left, worker))
        return task

    def left(self, worker: Worker, task: asyncio.Task[None]) -> None:
        """A worker has ended: what it gave back is due for those that are still here."""
        self.at_work.pop(worker, None)
        for each in self.at_work_here():
            each.wake_here()

    def at_work_here(self) -> list[Worker]:
        """The workers on the running loop."""
        here = asyncio.get_running_loop()
        return [worker for worker, task in list(self.at_work.items()) if task.get_loop() is here]

    def forget_lost(self) -> None:
        """Workers whose loop was closed under them: others send what they had not begun."""
        for worker, task in list(self.at_work.items()):
            if task.get_loop().is_closed():
                del self.at_work[worker]
                worker.closing = True  # what is left of its tasks is run once more as it is collected, on any loop
                if unsent := [held.claimed for held in worker.slots.unsent()]:
                    worker.decline(unsent)

    async def work(self, worker: Worker) -> None:
        """The worker's task. Cancelled as its loop ends (`asyncio.run`), it closes the connections of that loop."""
        try:
            await worker.run()
        except asyncio.CancelledError:
            await self.runtime.close_transport()
            raise

    def new_worker(self, concurrency: int = 32) -> Worker:
        worker = Worker(
            self.runtime.database,
            self.runtime.database.clock,
            owner=self.runtime.owner,
            perform=self.send_claimed,
            hook_of=self.hook_now,
            tend=self.key_pauses.tend,
            raise_event=partial(raise_event, self.runtime),
            limits=self.retention,
            config_changed=self.runtime.cache.forget,
            failing=self.runtime.failing,
            concurrency=concurrency,
        )
        if self.runtime.watch is not None and self.runtime.watch.of_deliveries:
            worker.notices.recorded = self.settled
        return worker

    async def hook_now(self, number: int) -> StoredHook | None:
        """The hook of an id as it stands. A loop has others to serve: it never reads the database itself."""
        return (await self.runtime.config_asked()).hooks.get(number)

    async def retention(self) -> tuple[float, int]:
        """What the settings keep, as they stand."""
        return self.runtime.retention(await self.runtime.config_asked())

    async def settled(self, claimed: Claimed, result: ResultLike, settled: Settled) -> None:
        """Tell observers of a delivery that has come to its end."""
        watch, hook = self.runtime.watch, await self.hook_now(claimed.hook_id)
        if watch is not None and hook is not None and settled.state in FINISHED:
            watch.delivery(
                DeliveryObserved(
                    id=delivery_id(claimed.uid, claimed.seq),
                    firing_id=firing_id(claimed.uid),
                    event=claimed.event,
                    hook=hook.ref,
                    mode=claimed.mode,
                    outcome=settled.state,
                    attempts=settled.attempts,
                    error=result.error,
                )
            )

    async def run_worker(self, concurrency: int, started: Callable[[Worker], None] | None) -> None:
        """Drain the outbox; see `AsyncHookEngine.run_worker`. Raises DatabaseReadOnly, KeyProblem."""
        await self.runtime.config_asked()  # beside the loop: what is to be known of keys is known then
        await self.begun(concurrency, started)[1]

    def begun(self, concurrency: int, started: Callable[[Worker], None] | None) -> tuple[Worker, asyncio.Task[None]]:
        """A worker of the caller's own, and its task. Raises DatabaseReadOnly, KeyProblem, EngineClosed."""
        database = self.runtime.database
        if database.read_only:
            raise DatabaseReadOnly(
                Text("this user may only read the database {path}", path=database.path or database.url)
            )
        self.runtime.require_keys()
        worker = self.new_worker(concurrency)
        if started is not None:
            started(worker)
        return worker, self.begin(worker, worker.run)

    async def send_due(self, timeout: float | None, concurrency: int, started: Callable[[Worker], None] | None) -> bool:
        """Send all that is due; see `AsyncHookEngine.drain`. Raises DatabaseReadOnly, KeyProblem, StorageError."""
        own, its = self.worker, self.worker_task
        if own is not None and its is not None and own in self.at_work_here():
            own.wake_here()
            return await self.until_idle(own, its, timeout)
        await self.runtime.config_asked()  # as in `run_worker`
        worker, task = self.begun(concurrency, started)
        try:
            return await self.until_idle(worker, task, timeout)
        finally:
            await self.end(worker, task, GRACE)
            await task

    async def until_idle(self, worker: Worker, task: asyncio.Future[None], timeout: float | None) -> bool:
        """Wait until a worker has nothing to send now, nor has another one here; whether it has come to that, within so
        many seconds.

        Raises:
            StorageError: the database can't be read or written for LOCK seconds.
        """
        loop = asyncio.get_running_loop()
        began = working = loop.time()
        while not all(idle(each, self.runtime.clock.now_ms()) for each in (worker, *self.at_work_here())):
            at = loop.time()
            if worker.trouble.failures == 0:
                working = at
            elif at - working > LOCK:
                await self.runtime.database.writer.awrite(lambda connection: None)  # what is wrong with it
            if timeout is not None and at - began >= timeout:
                return False
            if (await asyncio.wait([task], timeout=STEP))[0]:  # somebody has ended it, or it failed
                task.result()
                return False
        return True

    def nudge(self) -> None:
        """Something may be due: a hint for this process's workers."""
        for worker in list(self.at_work):
            worker.wake()

    def handed_over(
        self,
        context: FiringContext,
        drafts: Sequence[DeliveryDraft],
        deliveries: Sequence[NewDelivery],
        written: Written,
        *,
        whole: bool,
    ) -> None:
        """After the commit: give the engine's own worker what was born leased to it, or have all look for the rest."""
        if not (self.at_work or self.worker) or not any(draft.background for draft in drafts):
            return
        claimed = [
            Claimed(
                row_id=number,
                firing_id=written.firing,
                uid=context.uid,
                seq=draft.seq,
                event=context.event.code,
                occurred_ms=context.at_ms,
                hook_id=draft.hook.id,
                hook_revision=draft.hook.revision,
                mode=draft.hook.mode,
                body=draft.body or "",
                fence=1,
                lease_ms=delivery.values["lease_ms"],
                order_key=draft.order_key,
                replay_of=context.replay_of,
                depth=context.arrival.depth,
                traceparent=context.arrival.traceparent,
                last=whole and draft is drafts[-1],
                payload=draft.shown,
                shadow=draft.shadow,
                against=draft.against,
            )
            for draft, delivery, number in zip(drafts, deliveries, written.deliveries, strict=True)
            if delivery.values["state"] == "leased"
        ]
        if claimed and self.worker is not None:
            self.worker.take(claimed)
        else:
            self.nudge()

    async def send_claimed(self, claimed: Claimed, hook: StoredHook) -> AttemptResult:
        """The worker's way to one attempt of a queued delivery."""
        if claimed.against is not None:
            its = candidate_of(hook, claimed.hook_revision)
            if its is None:
                return VOID
            hook = its
        # The worker has just asked for the hook as it stands: no second look is needed.
        config = self.runtime.cache.config or await self.runtime.config_asked()
        dispatch = Dispatch(
            hook=hook,
            webhook_id=delivery_id(claimed.uid, claimed.seq),
            event=claimed.event,
            mode=claimed.mode,
            number=claimed.number,
            occurred_ms=claimed.occurred_ms,
            body=claimed.body or "",
            timeout=hook.timeout if claimed.shadow is None else min(hook.timeout, claimed.shadow / 1000),
            payload_limit=self.runtime.said_of(config)[0],
            payload=loads(claimed.payload),
            shadow=claimed.shadow is not None,
            candidate=claimed.against is not None,
            can_refuse=claimed.shadow is not None,
            deadline_ms=claimed.shadow,
            replay_of=None if claimed.replay_of is None else firing_id(claimed.replay_of),
            depth=claimed.depth,
            traceparent=claimed.traceparent and traceparent_of(claimed.traceparent),  # rows are changed by hand, too
            origin="worker",
        )
        result = await perform(self.runtime.tools(config), dispatch)
        if result.error == "key_error" and claimed.against is None:
            self.runtime.sealing.failed(hook)
        return result

    async def send_own(self, firing: Firing, progress: Callable[[Firing], None] | None) -> Firing:
        """Send a firing's untried background deliveries in order, one attempt each."""
        if any(delivery.outcome in ("queued", "parked") for delivery in firing.deliveries):
            worker = self.new_worker()
            sending = self.begin(worker, partial(worker.send_firings, {firing.row_id}))
            try:
                while not sending.done():
                    await asyncio.wait([sending], timeout=PROGRESS)
                    if progress is not None:
                        progress(await self.as_logged(firing))
            finally:  # ctrl+c, or nobody reads of its progress any more: what has left may end, the rest is given back
                await self.end(worker, sending, GRACE)
            sending.result()
        return await self.as_logged(firing)

    async def as_logged(self, firing: Firing) -> Firing:
        """The firing as the log has it now; what only its caller may see stays."""
        config, uid = await self.runtime.config_asked(), firing.id.partition("_")[2]
        found = await self.runtime.firing(config, uid)
        return firing if found is None else replace(found, payload=firing.payload, data=firing.data)

    async def drain(self, grace: float) -> None:
        """End all workers, for good: what they send may end within `grace` seconds, all else is given back."""
        self.runtime.renew()
        self.ending = True
        self.runtime.database.writer.end_within(grace + LOCK)
        self.forget_lost()
        await asyncio.gather(*(self.end(worker, task, grace) for worker, task in self.at_work.items()))

    async def end(self, worker: Worker, task: asyncio.Task[None], grace: float) -> None:
        """End a worker; its task may have failed."""
        loop = task.get_loop()
        if loop is asyncio.get_running_loop():
            if not task.done():
                await worker.drain(grace)
                await asyncio.wait([task])
        elif loop.is_running():  # in another thread, where it may be stopped meanwhile
            there = asyncio.run_coroutine_threadsafe(self.end(worker, task, grace), loop)
            await asyncio.wait([asyncio.wrap_future(there)], timeout=grace + LOCK)

    async def aclose(self, grace: float) -> None:
        """End all workers within `grace` seconds, close what belongs to the running loop."""
        await self.drain(grace)
        await self.runtime.aclose()


def candidate_of(hook: StoredHook, revision: int) -> StoredHook | None:
    """The candidate that a delivery of this revision was made for; None where it was dropped, promoted or replaced."""
    return hook.candidate if hook.tried is not None and hook.tried.revision <= revision else None


def idle(worker: Worker, now_ms: int) -> bool:
    """Whether a worker has nothing in hand, and knows of nothing that is due."""
    if worker.hand.rows or worker.slots.held or worker.look or worker.claiming:
        return False
    return worker.next_ms is None or worker.next_ms > now_ms
