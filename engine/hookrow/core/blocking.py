"""`HookEngine`: the front door for threads: it runs what awaits on an event loop of its own."""

from __future__ import annotations

import asyncio
import atexit
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from sqlalchemy import Connection

from hookrow.clock import to_ms
from hookrow.core.arrival import Arrival, FireArgs
from hookrow.core.base import Engine
from hookrow.core.calls import call_in_hand
from hookrow.core.threads.bridge import forbid_running_loop, off_loops
from hookrow.core.threads.direct import Direct
from hookrow.core.threads.loops import Loops
from hookrow.core.threads.portal import NoThread, Portal
from hookrow.core.transaction import is_async, run_sync
from hookrow.errors import EngineClosed, TransactionMisuse
from hookrow.hook.modes import ROW_LIMIT
from hookrow.lang import Text
from hookrow.payload import JsonObject, Payload
from hookrow.records import CallerConnection, Firing, LogFilter
from hookrow.store.aside import started
from hookrow.store.database.failures import interrupted_commit
from hookrow.store.database.locks import LET_GO, held, now
from hookrow.store.database.outages import Outage
from hookrow.system.lazy import cached_property
from hookrow.worker import Worker

if TYPE_CHECKING:
    from hookrow.core.care.health import Health
    from hookrow.core.care.keys import Keys
    from hookrow.core.hooks import Hooks
    from hookrow.core.insight.insight import ConditionMatches
    from hookrow.core.insight.rehearsal import Rehearsal
    from hookrow.core.log import Log
    from hookrow.core.settings import Settings
    from hookrow.hook.model import Hook
    from hookrow.results import Explained, Redelivered, Replayed, Tapped, Tested

__all__ = ["HookEngine"]


class HookEngine(Engine):
    """The engine for threads. Use it as `with HookEngine(url) as engine:`; calls block, threads start at first need."""

    def _assemble(self) -> None:
        self.portal: Portal = Portal(self)
        self.loops: Loops = Loops(self.portal, self.runtime.close_transport)
        self.direct: Direct = Direct(self.runtime, self.loops)
        self.idle: Outage = Outage(self.runtime.clock, "deliveries wait: no worker can be started", "a worker started")
        self.closer: threading.Thread | None = None
        atexit.register(close_at_exit, weakref.ref(self))

    @cached_property
    def hooks(self) -> Hooks:
        """The hooks, and all that changes them."""
        from hookrow.core.hooks import Hooks

        return off_loops(Hooks)(self.runtime)

    @cached_property
    def log(self) -> Log:
        """What happened, and its figures."""
        from hookrow.core.log import Log

        return off_loops(Log)(self.runtime)

    @cached_property
    def settings(self) -> Settings:
        """What every process on this database obeys."""
        from hookrow.core.settings import Settings

        return off_loops(Settings)(self.runtime)

    @cached_property
    def keys(self) -> Keys:
        """The keys that encrypt its secrets."""
        from hookrow.core.care.keys import Keys

        return off_loops(Keys)(self.runtime)

    @cached_property
    def health(self) -> Health:
        """The database's state, for monitoring."""
        from hookrow.core.care.health import Health

        return off_loops(Health)(self.runtime)

    def __enter__(self) -> Self:
        self.ensure_worker()
        return self

    def ensure_worker(self) -> None:
        """Start this process's worker, where it is wanted and does not run."""
        self.runtime.renew()
        if self.runtime.wants_worker and not self.sending.working:
            try:
                self.portal.call(self.begin())
                self.idle.worked()
            except NoThread as error:  # what is queued is sent by whatever worker comes next
                self.idle.failed(error)

    async def begin(self) -> None:
        self.sending.start_worker()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self, grace: float = 5.0) -> None:
        """As `AsyncHookEngine.close`. Calling it twice is harmless, and goes on where the first was interrupted.

        In a signal handler that interrupted a call of this engine it returns at once; the engine ends after that call.
        """
        if self.portal.inside or held(self.runtime.database.writer.running):
            self.close_beside(grace)
            return
        until = now() + grace
        self.portal.renew()
        with self.portal.ending:
            if self.portal.at_it:  # it goes on when this signal's handler has returned
                return
            self.portal.at_it = True
            try:
                self.close_all(grace, until)
            finally:
                self.portal.at_it = False

    def close_all(self, grace: float, until: float) -> None:
        """Every step may be interrupted, and is done again by whoever closes the engine next."""
        self.portal.shut()
        if self.portal.started:
            with suppress(EngineClosed):  # its loop was told to stop already
                self.portal.call(self.end(grace), last=True)
            self.portal.close()
        if not self.portal.wait_for_threads(until - now()):
            self.cut_off()
            self.portal.wait_for_threads(until + LET_GO - now())
        self.loops.close()
        self.direct.close()
        self.runtime.close()

    def close_beside(self, grace: float) -> None:
        """In a signal's handler that interrupted a call of its thread: the engine ends when that has, by itself or cut
        off. Raises NoThread."""
        if self.closer is None or not self.closer.is_alive():
            closer = threading.Thread(target=self.close, args=(grace,), name="hookrow-closer")
            if not started(closer):
                raise NoThread("no thread can be started")
            self.closer = closer

    def forbid_waiting(self) -> None:
        """What waits for the loop's thread may wait for a commit. Raises UseAsyncEngine, DatabaseBusy."""
        forbid_running_loop()
        if held(self.runtime.database.writer.running):
            raise interrupted_commit()

    def cut_off(self) -> None:
        self.loops.cancel()
        self.direct.cancel()

    async def end(self, grace: float) -> None:
        asyncio.get_running_loop().call_later(grace, self.cut_off)  # calls end at once, on whatever loop, or on none
        await asyncio.gather(self.portal.settle(grace), self.sending.drain(grace))
        await self.sending.aclose(grace)

    def fire(
        self,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None = None,
        deadline: float = ROW_LIMIT,
        connection: CallerConnection | None = None,
        defer: bool = False,
        depth: int | str | None = None,
        traceparent: str | None = None,
    ) -> Firing:
        """As `AsyncHookEngine.fire`. With `connection=` everything happens in the calling thread, on a loop too.

        Raises:
            UseAsyncEngine: called where an event loop runs, without `connection=`; besides, all that
                `AsyncHookEngine.fire` raises.
        """
        if connection is not None:
            if is_async(connection):
                raise TransactionMisuse(Text("an async connection belongs to AsyncHookEngine"))
            arrival = self.arrival(depth, traceparent, call_in_hand(self.runtime))
            run = self.run_in_background(arrival, event, payload, deadline, key=idempotency_key, defer=defer)
            firing = run_sync(self.runtime.database, connection, run.enqueue)
            self.fired_by_handler(event)
            self.ensure_worker()
            return self.with_enqueue(firing, connection)
        return self.fire_here(
            None,
            event,
            payload,
            idempotency_key=idempotency_key,
            deadline=deadline,
            defer=defer,
            depth=depth,
            traceparent=traceparent,
        )

    def fire_here(self, arrival: Arrival | None, event: str, payload: Payload, **how: Unpack[FireArgs]) -> Firing:
        """`fire` for who stands before the service (`hookrow.wsgi`): with what the API call brings along."""
        forbid_running_loop()
        new = self.new_run(arrival, event, payload, **how)
        if isinstance(new, Firing):
            return self.with_enqueue(new)
        self.ensure_worker()
        with self.portal.in_thread():
            firing = new.fire_here(self.direct)
        self.fired_by_handler(event)
        return self.with_enqueue(firing)

    async def fire_as(self, arrival: Arrival | None, event: str, payload: Payload, **how: Unpack[FireArgs]) -> Firing:
        return await self.portal.join(super().fire_as(arrival, event, payload, **how))

    def enqueue(self, firing: Firing, connection: CallerConnection | None) -> None:
        job: Callable[[Connection], None] = self.runtime.enqueuing(firing)
        if connection is None:
            forbid_running_loop()
            self.runtime.database.writer.write(job)
            self.sending.nudge()
        else:
            run_sync(self.runtime.database, connection, job)

    def backup(
        self, target: Path, *, replace: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Path:
        """As `AsyncHookEngine.backup`; `progress` is told in the calling thread."""
        forbid_running_loop()
        from hookrow.store.database.backup import back_up

        return back_up(self.runtime.database, target, replace=replace, progress=progress)

    def explain(self, event: str, payload: Payload | None = None, *, at: datetime | None = None) -> list[Explained]:
        """As `AsyncHookEngine.explain`."""
        forbid_running_loop()
        return self.explaining.explain(event, payload, at_ms=None if at is None else to_ms(at))

    def condition_matches(self, event: str, condition: str, *, last: int = 50) -> ConditionMatches:
        """As `AsyncHookEngine.condition_matches`."""
        forbid_running_loop()
        from hookrow.core.insight.insight import condition_matches

        return condition_matches(self.runtime, event, condition, last=last)

    def rehearse(
        self,
        hook: Hook,
        wanted: LogFilter | None = None,
        *,
        limit: int = 10_000,
        progress: Callable[[int, int], object] | None = None,
    ) -> Rehearsal:
        """As `AsyncHookEngine.rehearse`; `progress` is told in the calling thread."""
        forbid_running_loop()
        from hookrow.core.insight.rehearsal import Candidate, rehearse

        return rehearse(self.runtime, Candidate.of(hook), wanted, limit=limit, progress=progress)

    def last_payload(self, event: str) -> JsonObject | None:
        """As `AsyncHookEngine.last_payload`."""
        forbid_running_loop()
        from hookrow.core.insight.insight import last_payload

        return last_payload(self.runtime, event)

    def replay(
        self,
        ref: str,
        *,
        hook: int | str | None = None,
        to: str | None = None,
        with_auth: bool = False,
        payload: Payload | None = None,
        dry_run: bool = False,
    ) -> Replayed:
        """As `AsyncHookEngine.replay`."""
        self.forbid_waiting()
        self.ensure_worker()
        return self.portal.call(
            self.replaying.replay(ref, hook=hook, to=to, with_auth=with_auth, payload=payload, dry_run=dry_run)
        )

    def redeliver(
        self, ref: str, *, to: str | None = None, with_auth: bool = False, dry_run: bool = False
    ) -> list[Redelivered]:
        """As `AsyncHookEngine.redeliver`."""
        self.forbid_waiting()
        return self.portal.call(self.replaying.redeliver(ref, to=to, with_auth=with_auth, dry_run=dry_run))

    def tap(self, attempt: int, *, to: str | None = None, with_auth: bool = False) -> Tapped | None:
        """As `AsyncHookEngine.tap`."""
        self.forbid_waiting()
        from hookrow.core.insight.tapping import tap

        return self.portal.call(tap(self.replaying, attempt, to=to, with_auth=with_auth))

    def test(self, hook: int | str | Hook, payload: Payload | None = None, *, keep_secrets: bool = False) -> Tested:
        """As `AsyncHookEngine.test`."""
        self.forbid_waiting()
        return self.portal.call(self.explaining.test(hook, payload, keep_secrets=keep_secrets))

    def run_worker(self, *, concurrency: int = 32, started: Callable[[Worker], None] | None = None) -> None:
        """As `AsyncHookEngine.run_worker`; blocks until the worker has drained."""
        self.forbid_waiting()
        self.portal.call(self.sending.run_worker(concurrency, started))

    def drain(
        self,
        timeout: float | None = None,
        *,
        concurrency: int = 32,
        started: Callable[[Worker], None] | None = None,
    ) -> bool:
        """As `AsyncHookEngine.drain`."""
        self.forbid_waiting()
        return self.portal.call(self.sending.send_due(timeout, concurrency, started))

    def send_own(self, firing: Firing, progress: Callable[[Firing], None] | None = None) -> Firing:
        """As `AsyncHookEngine.send_own`."""
        self.forbid_waiting()
        return self.portal.call(self.sending.send_own(firing, progress))


def close_at_exit(engine: weakref.ref[HookEngine]) -> None:
    """A service that forgot to close: its last firings are committed, its leases given back."""
    found = engine()
    if found is not None:
        found.close()
