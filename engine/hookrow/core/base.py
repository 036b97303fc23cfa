"""What both engines are: how one is made, and what a call of `fire()` is before it runs and when it has its verdict."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

from hookrow.clock import Clock
from hookrow.core.arrival import PLAIN, Arrival, FireArgs, depth_of, traceparent_of
from hookrow.core.calls import CallInHand, call_in_hand
from hookrow.core.context import context_for
from hookrow.core.events import Catalogue
from hookrow.core.firing import Run
from hookrow.core.runtime import Runtime
from hookrow.core.sending import Sending
from hookrow.errors import StorageError, TransactionMisuse
from hookrow.events import Event
from hookrow.hook.egress import Egress
from hookrow.hook.modes import ROW_LIMIT
from hookrow.lang import Text
from hookrow.observers import Observer
from hookrow.payload import Payload
from hookrow.records import CallerConnection, Firing
from hookrow.secrets.keyring import KeyRing
from hookrow.store.configuration.cache import Config
from hookrow.store.database.address import address_of, login_of
from hookrow.store.database.locks import FIRE
from hookrow.system.lazy import cached_property

if TYPE_CHECKING:
    import httpx
    from sqlalchemy import URL
    from sqlalchemy import Engine as SQLEngine
    from sqlalchemy.ext.asyncio import AsyncEngine

    from hookrow.core.explaining import Explaining
    from hookrow.core.hooks import Hooks
    from hookrow.core.replaying import Replaying

__all__ = ["Engine"]


class Engine(ABC):
    """An engine, whoever waits for it. `AsyncHookEngine` is awaited, `HookEngine` blocks.

    What a process that fires and sends does not need is loaded at its first use, by the thread that asks for it.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | URL | SQLEngine | AsyncEngine = "hooks.db",
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
            url: an SQLite file's path, or a URL: `sqlite:///hooks.db`, `postgresql://…`; or the service's own
                SQLAlchemy engine: its server and its login, on connections of Hookrow's own (docs/postgresql.md).
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
        address, login = address_of(url), login_of(url)
        del url  # its password would stand in this frame, should the server refuse it: an address hides its own
        self.runtime: Final = Runtime(
            address,
            login=login,
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
        self.events: Final = Catalogue(self.runtime)
        self._assemble()

    def _assemble(self) -> None:  # noqa: B027 (not every kind has something)
        """Make what this kind of engine has beside that."""

    @cached_property
    def hook_door(self) -> Hooks:
        from hookrow.core.hooks import Hooks

        return Hooks(self.runtime)

    @cached_property
    def explaining(self) -> Explaining:
        from hookrow.core.explaining import Explaining

        return Explaining(self.hook_door)

    @cached_property
    def replaying(self) -> Replaying:
        from hookrow.core.replaying import Replaying

        return Replaying(self.explaining, self.sending)

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

    async def afire(
        self,
        event: str,
        payload: Payload,
        *,
        idempotency_key: str | None = None,
        deadline: float = ROW_LIMIT,
        defer: bool = False,
        depth: int | str | None = None,
        traceparent: str | None = None,
    ) -> Firing:
        """As `fire`, awaited on whatever event loop runs: for the middleware, and services that have threads and loops.

        A `HookEngine` makes the requests on a loop of its own; its firing's `enqueue` blocks: call it in a thread.
        """
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

    async def fire_as(self, arrival: Arrival | None, event: str, payload: Payload, **how: Unpack[FireArgs]) -> Firing:
        """`afire` for who stands before the service (`hookrow.middleware`): with what the API call brings along."""
        began = self.runtime.clock.monotonic()
        found: Config | StorageError
        try:
            seconds = min(FIRE, how.get("deadline", ROW_LIMIT))
            asked = self.runtime.database.path is None  # a file answers at once
            found = await self.runtime.config_asked(seconds) if asked else self.runtime.config(seconds)
        except StorageError as error:
            found = error
        run = self.new_run(arrival, event, payload, found, began, **how)
        if isinstance(run, Firing):
            return self.with_enqueue(run)
        if not self.sending.working:
            self.sending.start_worker()
        firing = await run.fire()
        self.fired_by_handler(event)
        return self.with_enqueue(firing)

    def with_enqueue(self, firing: Firing, connection: CallerConnection | None = None) -> Firing:
        """The firing as its caller gets it: one that was deferred can be enqueued. It is as sure as `connection`."""
        return replace(firing, enqueuer=self.enqueue) if firing.deferred else firing

    @abstractmethod
    def enqueue(self, firing: Firing, connection: CallerConnection | None) -> Awaitable[None] | None:
        """Release what a deferred firing kept back, in the caller's transaction or in one of our own."""

    def new_run(
        self,
        arrival: Arrival | None,
        event: str,
        payload: Payload,
        found: Config | StorageError | None = None,
        began: float | None = None,
        *,
        idempotency_key: str | None = None,
        deadline: float = ROW_LIMIT,
        defer: bool = False,
        depth: int | str | None = None,
        traceparent: str | None = None,
    ) -> Run | Firing:
        """A firing that has not begun; one that is over where the middleware fired it, or the hooks can't be read.

        Args:
            found: the hooks, or why they can't be read, where they were asked for already; `began`: since when.
        """
        call = call_in_hand(self.runtime)
        if arrival is None:
            arrival = self.arrival(depth, traceparent, call)
        known = None if call is None else call.take(event, payload, deferred=defer, key=idempotency_key)
        if known is not None:
            return known
        began = self.runtime.clock.monotonic() if began is None else began
        try:
            if isinstance(found, StorageError):
                raise found
            config = found or self.runtime.config(min(FIRE, deadline))
            context = context_for(self.runtime, config, event, deadline, arrival)
            hooks = config.rows.get(event, ())
            return Run(self.runtime, context, payload, hooks, idempotency_key=idempotency_key, defer=defer, began=began)
        except StorageError as error:
            return self.unreadable(event, payload, deadline, error)

    def arrival(self, depth: int | str | None, traceparent: str | None, call: CallInHand | None) -> Arrival:
        """How a call of `fire` came about; what it does not say itself is known of the API call in hand."""
        arrival = PLAIN if call is None else call.arrival
        if depth is not None:
            arrival = replace(arrival, depth=depth_of(depth))
        if traceparent is not None:
            known = traceparent_of(traceparent)
            arrival = replace(arrival, traceparent=known, chosen=known is not None)
        return arrival

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
        return Run(self.runtime, context_for(self.runtime, known, event, deadline), payload, ()).unrecorded(error, None)

    def run_in_background(
        self, arrival: Arrival, event: str, payload: Payload, deadline: float, *, key: str | None, defer: bool
    ) -> Run:
        """A firing that makes no request now: in the caller's transaction. Raises TransactionMisuse, EventNotFound."""
        if key is not None or defer:
            raise TransactionMisuse(
                Text(
                    "connection= goes with neither idempotency_key= nor defer=: what is fired stands or falls with the "
                    "caller's transaction as it is"
                )
            )
        config = self.runtime.config(min(FIRE, deadline))
        if self.runtime.event(config, event).moment == "before":
            raise TransactionMisuse(
                Text(
                    "a before event's hooks must be called before the transaction: fire(defer=True) first, then "
                    "firing.enqueue(connection) inside it"
                )
            )
        context = context_for(self.runtime, config, event, deadline, arrival, in_background=True)
        return Run(self.runtime, context, payload, config.rows.get(event, ()))
