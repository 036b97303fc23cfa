"""The front door: `HookEngine` for threads, `AsyncHookEngine` for event loops. One async core serves both."""

from __future__ import annotations

import asyncio
import atexit
import builtins
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import httpx
from sqlalchemy import Connection

from hookrow.clock import Clock, to_ms
from hookrow.core.doors import Portal, forbid_running_loop
from hookrow.core.firing import Run, occasion_for
from hookrow.core.hooks import COLUMNS, SECRETS, AsyncHooks, Hooks
from hookrow.core.logbook import AsyncLog, AsyncSettings, Log, Settings
from hookrow.core.replaying import Explained, Redelivered, Replayed, Tested, Workbench
from hookrow.core.runtime import Runtime
from hookrow.core.transaction import is_async, run_async, run_sync
from hookrow.egress import Egress
from hookrow.errors import TransactionMisuse
from hookrow.events import Event, Events
from hookrow.lang import Text
from hookrow.models import Hook
from hookrow.modes import mode
from hookrow.records import Firing
from hookrow.store.backup import back_up
from hookrow.store.config import Config, StoredHook
from hookrow.vault import KeyRing, Place, Secret
from hookrow.worker import Worker

__all__ = ["AsyncHookEngine", "HookEngine"]

Payload = Mapping[str, Any]


class Catalogue:
    """`engine.events`: what can happen on this database, the document's events and every service's own."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def current(self) -> Events:
        return self.runtime.catalogue(self.runtime.config())

    def list(self) -> builtins.list[Event]:
        """All events, in order."""
        return list(self.current())

    def __iter__(self) -> Iterator[Event]:
        return iter(self.current())

    def __contains__(self, code: object) -> bool:
        return code in self.current()

    def get(self, code: str) -> Event:
        """The event of this code. Raises EventNotFound, which names similar ones."""
        return self.current().get(code)

    def match(self, method: str, path: str, *, holds: Collection[str] = ()) -> tuple[Event, ...]:
        """The events that an API call means (DESIGN 3); `holds` names the conditions that the host knows to hold."""
        return self.current().match(method, path, holds=holds)


class AsyncHookEngine:
    """The engine for an event loop. Use it as `async with AsyncHookEngine(url) as engine:`."""

    def __init__(
        self,
        url: str = "sqlite:///hooks.db",
        *,
        worker: bool = True,
        events: Iterable[Event] = (),
        egress: str | Egress | None = None,
        keys: KeyRing | str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        create: bool = True,
    ) -> None:
        """Open a database, making or migrating it where needed. No thread starts yet.

        Args:
            url: a SQLAlchemy URL: `sqlite:///hooks.db`, `postgresql+psycopg://…`.
            worker: whether this process sends what waits in the outbox.
            events: the service's own events, stored so that the form offers them.
            egress: `public` to refuse inner networks here; never wider than the database's setting.
            keys: the key ring, else HOOKROW_KEYS, a key file beside the database.
            transport: the seam for tests: any httpx transport.
            clock: the seam for time.
            create: make the database where there is none.

        Raises:
            NoDatabase, DatabaseDamaged, DatabaseReadOnly, SchemaTooNew, KeyProblem, InvalidInput
        """
        self.runtime = Runtime(
            url,
            worker=worker,
            events=events,
            egress=egress,
            keys=keys,
            transport=transport,
            clock=clock,
            create=create,
        )
        self.bench = Workbench(self.runtime)
        self.hook_door = Hooks(self.runtime)
        self.hooks = AsyncHooks(self.hook_door)
        self.log = AsyncLog(Log(self.runtime))
        self.settings = AsyncSettings(Settings(self.runtime))
        self.events = Catalogue(self.runtime)

    @property
    def url(self) -> str:
        """The database, without a password."""
        return self.runtime.database.url

    @property
    def path(self) -> Path | None:
        """The SQLite file."""
        return self.runtime.database.path

    @property
    def read_only(self) -> bool:
        """This user may only read the database."""
        return self.runtime.database.read_only

    async def __aenter__(self) -> Self:
        self.runtime.start_worker()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, grace: float = 5.0) -> None:
        """End: what is in flight may finish within `grace` seconds, nothing new starts, the rest stays queued."""
        await self.runtime.aclose(grace)
        self.runtime.close()

    # -- fire ---------------------------------------------------------------------------------------------------------

    async def fire(
        self,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None = None,
        deadline: float = 30.0,
        connection: Any = None,
        defer: bool = False,
    ) -> Firing:
        """Call the event's hooks in order, queue those that nobody waits for, commit the record, give the verdict.

        Args:
            payload: a JSON object (DESIGN 5: what it may hold).
            idempotency_key: a second call with it within 10 minutes gets the first one's outcome.
            deadline: seconds for all waiting hooks together.
            connection: the caller's own transaction, for `after` and `on` events: everything goes out with its commit.
            defer: keep back what nobody waits for until `firing.enqueue()`.

        Raises:
            EventNotFound, InvalidPayload, IdempotencyConflict
            StorageError: a `before` firing could not be recorded; `.firing` holds the verdict.
            TransactionMisuse, WrongDatabase: `connection=` where it can't hold.
        """
        if connection is not None:
            run = self.run_in_background(event, payload, deadline)
            self.runtime.start_worker()
            return await run_async(self.runtime.database, connection, run.enqueue)
        config = self.runtime.config()
        self.runtime.start_worker()
        occasion = occasion_for(self.runtime, config, event, deadline)
        run = Run(
            self.runtime,
            occasion,
            payload,
            config.rows.get(event, ()),
            idempotency_key=idempotency_key,
            defer=defer,
        )
        return self.enqueueable(await run.fire(), self.enqueue)

    def unheard(self, event: str, payload: Payload, deadline: float) -> Firing:
        """The firing of an event that no hook is attached to: checked, allowed, not recorded."""
        return Run(
            self.runtime, occasion_for(self.runtime, self.runtime.config(), event, deadline), payload, ()
        ).record()

    def run_in_background(self, event: str, payload: Payload, deadline: float) -> Run:
        """A firing that makes no request now: inside the caller's transaction."""
        config = self.runtime.config()
        if self.runtime.event(config, event).moment == "before":
            raise TransactionMisuse(
                Text(
                    "a before event's hooks must be asked before the transaction: "
                    "fire(defer=True) first, then firing.enqueue(connection) inside it"
                )
            )
        occasion = occasion_for(self.runtime, config, event, deadline, in_background=True)
        return Run(self.runtime, occasion, payload, config.rows.get(event, ()), handover=False)

    def enqueueable(self, firing: Firing, enqueue: Callable[[Firing, Any], Any]) -> Firing:
        return replace(firing, enqueuer=enqueue) if firing.deferred else firing

    async def enqueue(self, firing: Firing, connection: Any) -> None:
        """Release what a deferred firing kept back, in the caller's transaction or in one of our own."""
        job = self.runtime.enqueuing(firing)
        if connection is None:
            await self.runtime.database.writer.awrite(job)
            self.runtime.nudge()
        else:
            await run_async(self.runtime.database, connection, job)

    # -- again --------------------------------------------------------------------------------------------------------

    async def explain(self, event: str, payload: Payload | None = None, *, at: Any = None) -> list[Explained]:
        """What each hook of the event would do with this payload (else the sample) at a moment; sends nothing.

        Args:
            at: an aware datetime; None = now.

        Raises:
            EventNotFound, InvalidPayload
        """
        return self.bench.explain(event, payload, at_ms=None if at is None else to_ms(at))

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
        """
        number = None if hook is None else self.hook_door.find(hook).id
        self.runtime.start_worker()
        return await self.bench.replay(ref, hook=number, to=to, with_auth=with_auth, payload=payload, dry_run=dry_run)

    async def redeliver(
        self, ref: str, *, to: str | None = None, with_auth: bool = False, dry_run: bool = False
    ) -> list[Redelivered]:
        """Send a recorded delivery again: the same bytes and `webhook-id`. A firing's id means its failed deliveries.

        Raises:
            FiringNotFound, NotRedeliverable
        """
        return await self.bench.redeliver(ref, to=to, with_auth=with_auth, dry_run=dry_run)

    async def test(self, hook: int | str | Hook, payload: Payload | None = None) -> Tested:
        """Send a marked request as this hook would, saved or not, and keep nothing of it.

        Raises:
            HookNotFound, Ambiguous, InvalidTemplate, EventNotFound
        """
        stored = self.hook_door.find(hook) if not isinstance(hook, Hook) else self.draft(hook)
        given = self.hook_door.example(stored.event) if payload is None else payload
        return await self.bench.test(stored, given)

    def draft(self, hook: Hook) -> StoredHook:
        """A hook that is not saved, as the firing path needs it; secrets left as they were come from the saved one."""
        config: Config = self.runtime.config()
        saved = config.hooks.get(hook.id) if hook.id is not None else None
        uid = "draft" if saved is None else saved.uid
        values: dict[str, Any] = {
            code: getattr(hook, code) for code in COLUMNS if code not in ("valid_from", "valid_until")
        }
        for name in SECRETS:
            secret: Secret | None = getattr(hook, name)
            kept = secret is not None and secret.is_kept
            if kept:
                values[name] = None if saved is None else getattr(saved, name)
            else:
                values[name] = (
                    self.runtime.vault.seal(secret.value, Place("hook", uid, name))
                    if secret and secret.is_set
                    else None
                )
        return StoredHook(
            **{**values, "position": hook.position or 0},
            id=hook.id or 0,
            uid=uid,
            valid_from_ms=None,
            valid_until_ms=None,
            signing_secret_old=None,
            signing_old_until_ms=None,
            revision=hook.revision,
            paused_by=None,
            paused_reason=None,
            paused_ms=None,
            deleted_ms=None,
            mode=mode(hook.fire_and_forget, hook.wait_for_response, hook.response_has_data),
        )

    # -- the outbox ---------------------------------------------------------------------------------------------------

    async def send_own(self, firing: Firing, progress: Callable[[Firing], None] | None = None) -> Firing:
        """Send this firing's queued deliveries now, one attempt each, in order; retries are left to a worker."""
        return await self.runtime.send_own(firing, progress)

    async def run_worker(self, *, concurrency: int = 32, started: Callable[[Worker], None] | None = None) -> None:
        """Drain the outbox until `worker.drain()` is awaited on its loop; `started` is given the worker."""
        worker = self.runtime.new_worker(concurrency)
        self.runtime.worker = worker
        if started is not None:
            started(worker)
        await worker.run()


class HookEngine:
    """The engine for threads. Use it as `with HookEngine(url) as engine:`; calls block, threads start at first need."""

    def __init__(
        self,
        url: str = "sqlite:///hooks.db",
        *,
        worker: bool = True,
        events: Iterable[Event] = (),
        egress: str | Egress | None = None,
        keys: KeyRing | str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        create: bool = True,
    ) -> None:
        """As `AsyncHookEngine`."""
        self.core = AsyncHookEngine(
            url,
            worker=worker,
            events=events,
            egress=egress,
            keys=keys,
            transport=transport,
            clock=clock,
            create=create,
        )
        self.runtime = self.core.runtime
        self.portal = Portal()
        self.hooks = self.core.hook_door
        self.log = self.core.log.inner
        self.settings = self.core.settings.inner
        self.events = self.core.events
        me = weakref.ref(self)
        atexit.register(close_at_exit, me)

    url = property(lambda self: self.core.url, doc="The database, without a password.")
    path = property(lambda self: self.core.path, doc="The SQLite file.")
    read_only = property(lambda self: self.core.read_only, doc="This user may only read the database.")

    def __enter__(self) -> Self:
        self.ensure_worker()
        return self

    def ensure_worker(self) -> None:
        """Start this process's worker, where it is wanted and does not run."""
        self.runtime.renew()
        if self.runtime.wants_worker and not self.runtime.takes_over:
            self.portal.call(self.begin())

    async def begin(self) -> None:
        self.runtime.start_worker()

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self, grace: float = 5.0) -> None:
        """As `AsyncHookEngine.close`. Calling it twice is harmless."""
        if self.runtime.closed:
            return
        if self.portal.started:
            self.portal.call(self.end(grace))
            self.portal.close()
        self.runtime.close()

    async def end(self, grace: float) -> None:
        await asyncio.gather(self.portal.settle(grace, asyncio.current_task()), self.runtime.drain(grace))
        await self.runtime.aclose(grace)

    def fire(
        self,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None = None,
        deadline: float = 30.0,
        connection: Any = None,
        defer: bool = False,
    ) -> Firing:
        """As `AsyncHookEngine.fire`. With `connection=` everything happens in the calling thread.

        Raises:
            UseAsyncEngine: called where an event loop runs; besides, all that `AsyncHookEngine.fire` raises.
        """
        if connection is not None:
            if is_async(connection):
                raise TransactionMisuse(Text("an async connection belongs to AsyncHookEngine"))
            run = self.core.run_in_background(event, payload, deadline)
            firing = run_sync(self.runtime.database, connection, run.enqueue)
            self.ensure_worker()
            return firing
        forbid_running_loop()
        if not self.runtime.config().rows.get(event):
            self.ensure_worker()
            return self.core.unheard(event, payload, deadline)
        firing = self.portal.call(
            self.core.fire(event, payload, idempotency_key=idempotency_key, deadline=deadline, defer=defer)
        )
        return self.core.enqueueable(firing, self.enqueue)

    def enqueue(self, firing: Firing, connection: Any) -> None:
        job: Callable[[Connection], None] = self.runtime.enqueuing(firing)
        if connection is None:
            self.runtime.database.writer.write(job)
            self.runtime.nudge()
        else:
            run_sync(self.runtime.database, connection, job)

    def backup(
        self, target: Path, *, replace: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> Path:
        """Copy the SQLite database as of one moment, while others write; verified, 0600.

        Args:
            replace: a file that is there may be replaced.
            progress: told after each step: pages copied, pages in all.

        Raises:
            Refused: the file exists.
            StorageError, DatabaseDamaged
        """
        return back_up(self.runtime.database, target, replace=replace, progress=progress)

    def explain(self, event: str, payload: Payload | None = None, *, at: Any = None) -> list[Explained]:
        """As `AsyncHookEngine.explain`."""
        return self.core.bench.explain(event, payload, at_ms=None if at is None else to_ms(at))

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
        forbid_running_loop()
        return self.portal.call(
            self.core.replay(ref, hook=hook, to=to, with_auth=with_auth, payload=payload, dry_run=dry_run)
        )

    def redeliver(
        self, ref: str, *, to: str | None = None, with_auth: bool = False, dry_run: bool = False
    ) -> list[Redelivered]:
        """As `AsyncHookEngine.redeliver`."""
        forbid_running_loop()
        return self.portal.call(self.core.redeliver(ref, to=to, with_auth=with_auth, dry_run=dry_run))

    def test(self, hook: int | str | Hook, payload: Payload | None = None) -> Tested:
        """As `AsyncHookEngine.test`."""
        forbid_running_loop()
        return self.portal.call(self.core.test(hook, payload))

    def run_worker(self, *, concurrency: int = 32, started: Callable[[Worker], None] | None = None) -> None:
        """As `AsyncHookEngine.run_worker`; blocks until the worker has drained."""
        forbid_running_loop()
        self.portal.call(self.core.run_worker(concurrency=concurrency, started=started))

    def send_own(self, firing: Firing, progress: Callable[[Firing], None] | None = None) -> Firing:
        """As `AsyncHookEngine.send_own`."""
        forbid_running_loop()
        return self.portal.call(self.core.send_own(firing, progress))


def close_at_exit(engine: weakref.ref[HookEngine]) -> None:
    """A service that forgot to close: its last firings are committed, its leases given back."""
    found = engine()
    if found is not None:
        found.close()
