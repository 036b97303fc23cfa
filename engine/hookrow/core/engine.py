"""`AsyncHookEngine`: the front door for event loops, and the one implementation that serves both engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import httpx

from hookrow.clock import Clock, to_ms
from hookrow.core.arrival import PLAIN, Arrival, depth_of
from hookrow.core.calls import CURRENT, call_in_hand
from hookrow.core.care.health import AsyncHealth, Health
from hookrow.core.care.keys import AsyncKeys, Keys
from hookrow.core.events import Catalogue
from hookrow.core.explaining import Explaining
from hookrow.core.firing import Run
from hookrow.core.hooks import COLUMNS, AsyncHooks, Hooks, is_kept
from hookrow.core.insight.insight import ConditionMatches, condition_matches, last_payload
from hookrow.core.log import AsyncLog, Log
from hookrow.core.occasion import occasion_for
from hookrow.core.replaying import Replaying
from hookrow.core.runtime import Runtime
from hookrow.core.sending import Sending
from hookrow.core.settings import AsyncSettings, Settings
from hookrow.core.transaction import run_async
from hookrow.errors import DatabaseReadOnly, InvalidHook, Problem, StorageError, TransactionMisuse
from hookrow.events import Event
from hookrow.hook.egress import Egress
from hookrow.hook.fields import SECRETS, carried, not_carried
from hookrow.hook.model import Hook
from hookrow.hook.modes import mode
from hookrow.hook.stored import StoredHook
from hookrow.lang import Text
from hookrow.observers import Observer
from hookrow.payload import JsonObject, Payload
from hookrow.records import CallerConnection, Enqueuer, Firing
from hookrow.results import Explained, Redelivered, Replayed, Tested
from hookrow.secrets.keyring import KeyRing
from hookrow.secrets.secret import Secret
from hookrow.secrets.vault import Place
from hookrow.store.configuration.cache import Config
from hookrow.store.database.backup import back_up
from hookrow.worker import Worker

__all__ = ["AsyncHookEngine"]


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
        observers: Iterable[Observer] = (),
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
            observers: told of every firing and attempt (`hookrow.observers`).

        Raises:
            NoDatabase, DatabaseDamaged, DatabaseReadOnly, SchemaTooNew, KeyProblem, InvalidInput
        """
        self.runtime: Final = Runtime(
            url,
            worker=worker,
            events=events,
            egress=egress,
            keys=keys,
            transport=transport,
            clock=clock,
            create=create,
            observers=observers,
        )
        self.sending: Final = Sending(self.runtime)
        self.explaining: Final = Explaining(self.runtime)
        self.replaying: Final = Replaying(self.explaining)
        self.hook_door: Final = Hooks(self.runtime)
        self.hooks: Final = AsyncHooks(self.hook_door)
        self.log: Final = AsyncLog(Log(self.runtime))
        self.settings: Final = AsyncSettings(Settings(self.runtime))
        self.events: Final = Catalogue(self.runtime)
        self.keys: Final = AsyncKeys(Keys(self.runtime))
        self.health: Final = AsyncHealth(Health(self.runtime))

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
        self.sending.start_worker()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, grace: float = 5.0) -> None:
        """End: what is in flight may finish within `grace` seconds, nothing new starts, the rest stays queued."""
        await self.sending.aclose(grace)
        self.runtime.close()

    # -- fire ---------------------------------------------------------------------------------------------------------

    async def fire(
        self,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None = None,
        deadline: float = 30.0,
        connection: CallerConnection | None = None,
        defer: bool = False,
        depth: int | str | None = None,
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

        Raises:
            EventNotFound, InvalidPayload, IdempotencyConflict
            InvalidInput: an idempotency key of more than 300 characters.
            StorageError: a `before` firing could not be recorded; `.firing` holds the result.
            TransactionMisuse, WrongDatabase: `connection=` where it can't hold.
        """
        if connection is not None:
            run = self.run_in_background(event, payload, deadline, depth)
            self.sending.start_worker()
            firing: Firing = await run_async(self.runtime.database, connection, run.enqueue)
            self.fired_by_handler(event)
            return firing
        return await self.fire_as(
            None, event, payload, idempotency_key=idempotency_key, deadline=deadline, defer=defer, depth=depth
        )

    async def fire_as(
        self,
        arrival: Arrival | None,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None = None,
        deadline: float = 30.0,
        defer: bool = False,
        depth: int | str | None = None,
    ) -> Firing:
        """`fire` for who stands before the service (`hookrow.asgi`): with what the API call brings along."""
        inside = CURRENT.get() is not None
        if arrival is None:
            arrival = self.arrival(depth) if inside or depth is not None else PLAIN
        if inside:
            known = self.fired_already(event, payload, idempotency_key, defer)
            if known is not None:
                return known
        try:
            run = self.run(
                event, payload, idempotency_key=idempotency_key, deadline=deadline, defer=defer, arrival=arrival
            )
        except StorageError as error:
            return self.unreadable(event, payload, deadline, error)
        self.sending.start_worker()
        firing = await run.fire()
        if inside:
            self.fired_by_handler(event)
        return self.enqueueable(firing, self.enqueue)

    # -- inside an API call that a middleware handles -----------------------------------------------------------------

    def arrival(self, depth: int | str | None) -> Arrival:
        """How a call of `fire` came about; without a depth of its own it is that of the API call in hand."""
        call = call_in_hand(self.runtime) if depth is None else None
        return Arrival(depth=depth_of(depth) if call is None else call.depth)

    def fired_already(self, event: str, payload: Payload, key: str | None, defer: bool) -> Firing | None:
        """The firing of the middleware around this, where it is the same."""
        call = call_in_hand(self.runtime)
        return None if call is None else call.take(event, payload, deferred=defer, key=key)

    def fired_by_handler(self, event: str) -> None:
        """The middleware need not fire it any more."""
        call = call_in_hand(self.runtime)
        if call is not None:
            call.note(event)

    def unreadable(self, event: str, payload: Payload, deadline: float, error: StorageError) -> Firing:
        """The firing of an event whose hooks can't be read now: not recorded; a `before` event raises."""
        known = self.runtime.cache.config
        if known is None:
            raise error
        return Run(self.runtime, occasion_for(self.runtime, known, event, deadline), payload, ()).unrecorded(
            error, None
        )

    def run(
        self,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None,
        deadline: float,
        defer: bool,
        arrival: Arrival = PLAIN,
    ) -> Run:
        """A firing that has not begun."""
        config = self.runtime.config()
        occasion = occasion_for(self.runtime, config, event, deadline, arrival)
        hooks = config.rows.get(event, ())
        return Run(self.runtime, occasion, payload, hooks, idempotency_key=idempotency_key, defer=defer)

    def run_in_background(self, event: str, payload: Payload, deadline: float, depth: int | str | None) -> Run:
        """A firing that makes no request now: inside the caller's transaction."""
        config = self.runtime.config()
        if self.runtime.event(config, event).moment == "before":
            raise TransactionMisuse(
                Text(
                    "a before event's hooks must be called before the transaction: fire(defer=True) first, then "
                    "firing.enqueue(connection) inside it"
                )
            )
        occasion = occasion_for(self.runtime, config, event, deadline, self.arrival(depth), in_background=True)
        return Run(self.runtime, occasion, payload, config.rows.get(event, ()), handover=False)

    def enqueueable(self, firing: Firing, enqueue: Enqueuer) -> Firing:
        return replace(firing, enqueuer=enqueue) if firing.deferred else firing

    async def enqueue(self, firing: Firing, connection: CallerConnection | None) -> None:
        """Release what a deferred firing kept back, in the caller's transaction or in one of our own."""
        job = self.runtime.enqueuing(firing)
        if connection is None:
            await self.runtime.database.writer.awrite(job)
            self.sending.nudge()
        else:
            await run_async(self.runtime.database, connection, job)

    async def afire(
        self,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None = None,
        deadline: float = 30.0,
        defer: bool = False,
        depth: int | str | None = None,
    ) -> Firing:
        """As `fire`: what serves both engines awaits this."""
        return await self.fire(
            event, payload, idempotency_key=idempotency_key, deadline=deadline, defer=defer, depth=depth
        )

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
        return self.explaining.explain(event, payload, at_ms=None if at is None else to_ms(at))

    async def condition_matches(self, event: str, condition: str, *, last: int = 50) -> ConditionMatches:
        """How a condition fares on the event's last recorded payloads; see `core.insight`.

        Raises:
            EventNotFound, InvalidTemplate
        """
        return await asyncio.to_thread(condition_matches, self.runtime, event, condition, last=last)

    async def last_payload(self, event: str) -> JsonObject | None:
        """The event's newest recorded payload; None where nothing is recorded. Raises EventNotFound."""
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
        number = None if hook is None else self.hook_door.find(hook).id
        self.sending.start_worker()
        return await self.replaying.replay(
            ref, hook=number, to=to, with_auth=with_auth, payload=payload, dry_run=dry_run
        )

    async def redeliver(
        self, ref: str, *, to: str | None = None, with_auth: bool = False, dry_run: bool = False
    ) -> list[Redelivered]:
        """Send a recorded delivery again: the same bytes and `webhook-id`. A firing's id means its failed deliveries.

        Raises:
            FiringNotFound, NotRedeliverable
            InvalidInput: `to` is no URL to send to.
        """
        return await self.replaying.redeliver(ref, to=to, with_auth=with_auth, dry_run=dry_run)

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
        if isinstance(hook, Hook):
            stored = self.draft(hook, keep_secrets=keep_secrets)
        else:
            stored = self.hook_door.find(hook)
        given = self.hook_door.example(stored.event) if payload is None else payload
        return await self.explaining.test(stored, given)

    def draft(self, hook: Hook, *, keep_secrets: bool) -> StoredHook:
        """A hook that is not saved, as the firing path needs it; secrets left as they were come from the saved one.

        Raises:
            InvalidHook: kept secrets would go to another origin.
        """
        config: Config = self.runtime.config()
        saved = config.hooks.get(hook.id) if hook.id is not None else None
        new = {name: getattr(hook, name) for name in SECRETS if not is_kept(getattr(hook, name))}
        if saved is not None and not keep_secrets:
            held = {"url": saved.url} | {name: getattr(hook, name) for name in SECRETS}
            if taken := carried(held, {"url": hook.url, **new}):
                raise InvalidHook([Problem("keep_secrets", not_carried(taken))])
        uid = "draft" if saved is None else saved.uid
        values: JsonObject = {
            code: getattr(hook, code) for code in COLUMNS if code not in ("valid_from", "valid_until")
        }
        for name in SECRETS:
            secret: Secret | None = getattr(hook, name)
            kept = secret is not None and secret.is_kept
            if kept:
                values[name] = None if saved is None else getattr(saved, name)
            else:
                values[name] = (
                    self.runtime.seal(
                        secret.value, Place("hook", uid, name), None if saved is None else getattr(saved, name)
                    )
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
        return await self.sending.send_own(firing, progress)

    async def run_worker(self, *, concurrency: int = 32, started: Callable[[Worker], None] | None = None) -> None:
        """Send the outbox until `worker.drain()` is awaited on its loop; `started` is given the worker.

        Raises:
            DatabaseReadOnly: this user may not write the database.
            KeyMissing, KeyUnsafe, KeyWrong: the key of an encrypted secret can't be used.
        """
        if self.read_only:
            raise DatabaseReadOnly(Text("this user may only read the database {path}", path=self.path or self.url))
        self.runtime.require_keys()
        worker = self.sending.new_worker(concurrency)
        self.sending.worker = worker
        if started is not None:
            started(worker)
        await worker.run()
