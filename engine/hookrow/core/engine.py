"""`AsyncHookEngine`: the front door for event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from hookrow.clock import to_ms
from hookrow.core.arrival import Arrival, FireArgs
from hookrow.core.base import Engine
from hookrow.core.calls import call_in_hand
from hookrow.core.threads.running import RunningCalls
from hookrow.core.transaction import run_async
from hookrow.hook.modes import ROW_LIMIT
from hookrow.payload import JsonObject, Payload
from hookrow.records import CallerConnection, Firing, LogFilter
from hookrow.store.aside import aside
from hookrow.store.database.locks import FIRE
from hookrow.system.lazy import cached_property
from hookrow.worker import Worker

if TYPE_CHECKING:
    from hookrow.core.care.health import AsyncHealth
    from hookrow.core.care.keys import AsyncKeys
    from hookrow.core.changes.awaited import AsyncHooks
    from hookrow.core.insight.insight import ConditionMatches
    from hookrow.core.insight.rehearsal import Rehearsal
    from hookrow.core.log import AsyncLog
    from hookrow.core.settings import AsyncSettings
    from hookrow.hook.model import Hook
    from hookrow.results import Explained, Redelivered, Replayed, Tapped, Tested

__all__ = ["AsyncHookEngine"]


class AsyncHookEngine(Engine):
    """The engine for an event loop. Use it as `async with AsyncHookEngine(url) as engine:`."""

    def _assemble(self) -> None:
        self.under_way: RunningCalls = RunningCalls()

    @cached_property
    def hooks(self) -> AsyncHooks:
        """The hooks, and all that changes them."""
        from hookrow.core.changes.awaited import AsyncHooks

        return AsyncHooks(self.hook_door)

    @cached_property
    def log(self) -> AsyncLog:
        """What happened, and its figures."""
        from hookrow.core.log import AsyncLog, Log

        return AsyncLog(Log(self.runtime))

    @cached_property
    def settings(self) -> AsyncSettings:
        """What every process on this database obeys."""
        from hookrow.core.settings import AsyncSettings, Settings

        return AsyncSettings(Settings(self.runtime))

    @cached_property
    def keys(self) -> AsyncKeys:
        """The keys that encrypt its secrets."""
        from hookrow.core.care.keys import AsyncKeys, Keys

        return AsyncKeys(Keys(self.runtime))

    @cached_property
    def health(self) -> AsyncHealth:
        """The database's state, for monitoring."""
        from hookrow.core.care.health import AsyncHealth, Health

        return AsyncHealth(Health(self.runtime))

    async def __aenter__(self) -> Self:
        self.sending.start_worker()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, grace: float = 5.0) -> None:
        """End: what is in flight may finish within `grace` seconds, nothing new starts, the rest stays queued."""
        await asyncio.gather(self.under_way.settle(grace, asyncio.current_task()), self.sending.drain(grace))
        await self.sending.aclose(grace)
        self.runtime.close()

    # -- fire ---------------------------------------------------------------------------------------------------------

    async def fire(
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
        """Call the event's hooks in order, queue the background ones, commit the record, return the result.

        Args:
            payload: a JSON object (docs/firing.md: what it may hold).
            idempotency_key: a second call with it within 10 minutes gets the first one's outcome.
            deadline: seconds for all blocking hooks together.
            connection: the caller's own transaction, for `after` and `on` events: everything goes out with its commit.
            defer: hold the background deliveries until `firing.enqueue()`.
            depth: the header `hook-depth` of the call that led here, as it came: past the setting `loop_depth` hooks go
                round in a circle, and a `before` event is refused.
            traceparent: the header of that name (W3C Trace Context) of the call that led here, as it came: receivers
                get it. One that can't be read counts as none. Behind the middleware it is known.

        Raises:
            EventNotFound, InvalidPayload, IdempotencyConflict
            InvalidInput: an idempotency key of more than 300 characters.
            StorageError: a `before` firing could not be recorded; `.firing` holds the result.
            TransactionMisuse, WrongDatabase: `connection=` where it can't hold, or with `idempotency_key=` or `defer=`.
        """
        if connection is not None:
            arrival = self.arrival(depth, traceparent, call_in_hand(self.runtime))
            within = self.fire_within(
                connection, arrival, event, payload, deadline=deadline, key=idempotency_key, defer=defer
            )
            return await self.under_way.run(within)
        return await self.fire_as(
            None,
            event,
            payload,
            idempotency_key=idempotency_key,
            deadline=deadline,
            defer=defer,
            depth=depth,
            traceparent=traceparent,
        )

    async def fire_within(
        self,
        connection: CallerConnection,
        arrival: Arrival,
        event: str,
        payload: Payload,
        *,
        deadline: float,
        key: str | None,
        defer: bool,
    ) -> Firing:
        """`fire` in the caller's own transaction."""
        await self.runtime.config_asked(min(FIRE, deadline))
        run = self.run_in_background(arrival, event, payload, deadline, key=key, defer=defer)
        self.sending.start_worker()
        firing: Firing = await run_async(self.runtime.database, connection, run.enqueue)
        self.fired_by_handler(event)
        return self.with_enqueue(firing, connection)

    async def fire_as(self, arrival: Arrival | None, event: str, payload: Payload, **how: Unpack[FireArgs]) -> Firing:
        return await self.under_way.run(super().fire_as(arrival, event, payload, **how))

    async def enqueue(self, firing: Firing, connection: CallerConnection | None) -> None:
        job = self.runtime.enqueuing(firing)
        if connection is None:
            await self.runtime.database.writer.awrite(job)
            self.sending.nudge()
        else:
            await run_async(self.runtime.database, connection, job)

    async def backup(
        self, target: Path, *, replace: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Path:
        """Copy the SQLite database as of one moment, while others write; verified, 0600.

        Args:
            replace: a file that is there may be replaced.
            progress: told after each step, in a thread: pages copied, pages in all.

        Raises:
            Refused: the file exists.
            StorageError, DatabaseDamaged
        """
        from hookrow.store.database.backup import back_up

        return await asyncio.to_thread(back_up, self.runtime.database, target, replace=replace, progress=progress)

    # -- again --------------------------------------------------------------------------------------------------------

    async def explain(
        self, event: str, payload: Payload | None = None, *, at: datetime | None = None
    ) -> list[Explained]:
        """What each hook of the event would do with this payload (else the sample) at a moment; sends nothing.

        Args:
            at: an aware datetime; None = now.

        Raises:
            EventNotFound, InvalidPayload
        """
        at_ms = None if at is None else to_ms(at)
        return await aside(partial(self.explaining.explain, event, payload, at_ms=at_ms), self.runtime.reading())

    async def condition_matches(self, event: str, condition: str, *, last: int = 50) -> ConditionMatches:
        """How a condition fares on the event's last recorded payloads; see `core.insight`.

        Raises:
            EventNotFound, InvalidTemplate
        """
        from hookrow.core.insight.insight import condition_matches

        return await asyncio.to_thread(condition_matches, self.runtime, event, condition, last=last)

    async def rehearse(
        self,
        hook: Hook,
        wanted: LogFilter | None = None,
        *,
        limit: int = 10_000,
        progress: Callable[[int, int], object] | None = None,
    ) -> Rehearsal:
        """Take recorded firings of its event through a hook as it is to be, saved or not; nothing is sent or saved.

        Args:
            wanted: which firings; all of its event where it is left out.
            limit: how many at most, the newest.
            progress: called in another thread with how many are done, and of how many.

        Raises:
            EventNotFound, InvalidTemplate
        """
        from hookrow.core.insight.rehearsal import Candidate, rehearse

        candidate = Candidate.of(hook)
        return await asyncio.to_thread(rehearse, self.runtime, candidate, wanted, limit=limit, progress=progress)

    async def last_payload(self, event: str) -> JsonObject | None:
        """The event's newest recorded payload; None where nothing is recorded. Raises EventNotFound."""
        from hookrow.core.insight.insight import last_payload

        return await asyncio.to_thread(last_payload, self.runtime, event)

    async def replay(
        self,
        ref: str,
        *,
        hook: int | str | None = None,
        to: str | None = None,
        with_auth: bool = False,
        payload: Payload | None = None,
        dry_run: bool = False,
    ) -> Replayed:
        """Fire a recorded payload anew, through today's hooks: a new firing with `replay_of`.

        Args:
            ref: an `evt_…`; a `msg_…` means its firing, with that hook only.
            hook: limits it to one hook.
            to: another URL for every request; nothing but the attempt is recorded of it, nothing is repeated.
            with_auth: send the hook's credentials there, too.
            payload: in the place of the recorded one.
            dry_run: nothing leaves; the plan and the requests are given.

        Raises:
            FiringNotFound, HookNotFound, Ambiguous, InvalidPayload
            InvalidInput: `to` is no URL to send to.
        """

        async def replay() -> Replayed:
            self.sending.start_worker()
            return await self.replaying.replay(
                ref, hook=hook, to=to, with_auth=with_auth, payload=payload, dry_run=dry_run
            )

        return await self.under_way.run(replay())

    async def redeliver(
        self, ref: str, *, to: str | None = None, with_auth: bool = False, dry_run: bool = False
    ) -> list[Redelivered]:
        """Send a recorded delivery again: the same bytes and `webhook-id`. A firing's id means its failed deliveries.

        Raises:
            FiringNotFound, NotRedeliverable
            InvalidInput: `to` is no URL to send to.
        """
        return await self.under_way.run(self.replaying.redeliver(ref, to=to, with_auth=with_auth, dry_run=dry_run))

    async def tap(self, attempt: int, *, to: str | None = None, with_auth: bool = False) -> Tapped | None:
        """Send a copy of a recorded request to a developer's machine, marked `hook-tap: 1`; nothing of it is recorded.

        Args:
            attempt: a row id that `log.attempts_since` gave.
            to: where the copy goes; None: it is made and not sent.
            with_auth: with the hook's credentials, and signed; else it holds no secret.

        Returns:
            The copy beside the original; None where the log does not hold it any more, or its hook was removed.

        Raises:
            InvalidInput: `to` is no URL to send to.
            KeyProblem: `with_auth`, and a secret can't be opened.
        """
        from hookrow.core.insight.tapping import tap

        return await self.under_way.run(tap(self.replaying, attempt, to=to, with_auth=with_auth))

    async def test(
        self, hook: int | str | Hook, payload: Payload | None = None, *, keep_secrets: bool = False
    ) -> Tested:
        """Send a marked request as this hook would, saved or not, and keep nothing of it.

        Args:
            keep_secrets: of a hook that is not saved and has a URL of another origin: its kept secrets are sent there.

        Raises:
            HookNotFound, Ambiguous, InvalidTemplate, EventNotFound
            InvalidHook: kept secrets would go to another origin.
        """
        return await self.under_way.run(self.explaining.test(hook, payload, keep_secrets=keep_secrets))

    # -- the outbox ---------------------------------------------------------------------------------------------------

    async def send_own(self, firing: Firing, progress: Callable[[Firing], None] | None = None) -> Firing:
        """Send this firing's queued deliveries now, one attempt each, in order; retries are left to a worker."""
        return await self.under_way.run(self.sending.send_own(firing, progress))

    async def drain(
        self,
        timeout: float | None = None,
        *,
        concurrency: int = 32,
        started: Callable[[Worker], None] | None = None,
    ) -> bool:
        """Send all deliveries that are due, and return: for scripts that end. Whether none is due any more.

        Retries that are due later stay queued, and so does what is parked. What this engine sends is waited for, also
        where others called this at the same time; what another process sends is not.

        Args:
            timeout: seconds; what is in flight then may take up to 5 more.
            concurrency, started: as `run_worker`, where the engine's own worker does not run.

        Raises:
            DatabaseReadOnly: this user may not write the database.
            KeyMissing, KeyUnsafe, KeyWrong: the key of an encrypted secret can't be used.
            StorageError: the database failed for 5 seconds.
        """
        return await self.under_way.run(self.sending.send_due(timeout, concurrency, started))

    async def run_worker(self, *, concurrency: int = 32, started: Callable[[Worker], None] | None = None) -> None:
        """Send the outbox until `worker.drain()` is awaited on its loop, or the engine is closed.

        Args:
            started: given the worker before it begins.

        Raises:
            DatabaseReadOnly: this user may not write the database.
            KeyMissing, KeyUnsafe, KeyWrong: the key of an encrypted secret can't be used.
        """
        await self.under_way.run(self.sending.run_worker(concurrency, started))
