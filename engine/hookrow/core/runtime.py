"""What an engine holds together: database, configuration, keys, transport, worker. Made anew where a fork broke it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import Connection

from hookrow.clock import Clock, SystemClock
from hookrow.core.actor import actor
from hookrow.core.arrival import Arrival
from hookrow.core.key_pauses import KeyPauses
from hookrow.core.sealing import Sealing
from hookrow.delivery import plan
from hookrow.errors import EngineClosed, TransactionMisuse
from hookrow.events import Event, Events
from hookrow.hook.egress import Egress, literal
from hookrow.hook.fields import SECRETS
from hookrow.hook.stored import StoredHook
from hookrow.ids import delivery_id, firing_id
from hookrow.lang import Text
from hookrow.observers import Observer, Watch
from hookrow.records import Firing, loads
from hookrow.secrets.keyring import KeyRing
from hookrow.secrets.secret import Secret
from hookrow.secrets.vault import Place, Vault
from hookrow.store import hooks as hookstore
from hookrow.store.configuration import settings as settingstore
from hookrow.store.configuration.cache import Config, ConfigCache
from hookrow.store.configuration.catalogue import keep_events
from hookrow.store.database.opening import open_database
from hookrow.store.log import reading as logstore
from hookrow.store.outbox import writing
from hookrow.store.outbox.claims import Claimed
from hookrow.store.outbox.writing import NewDelivery, Written
from hookrow.transport import Transport
from hookrow.transport.attempt import Limits, Made, Order, Tools, perform
from hookrow.worker import Worker

if TYPE_CHECKING:
    from hookrow.core.row import Occasion, Share

__all__ = ["Runtime"]

PROGRESS = 0.1
"""Seconds between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What attempts on one event loop are made with; `transport` only where it is the shipped one."""

    config: Config
    tools: Tools
    transport: Transport | None


class Runtime:
    """One engine's parts. Threads and connections come into being at their first use."""

    def __init__(
        self,
        url: str,
        *,
        worker: bool,
        events: Iterable[Event],
        egress: str | Egress | None,
        keys: KeyRing | str | None,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock | None,
        create: bool = True,
        observers: Iterable[Observer] = (),
    ) -> None:
        self.clock: Clock = clock or SystemClock()
        self.database = open_database(url, clock=self.clock, create=create)
        self.cache = ConfigCache(self.database)
        self.own_events = tuple(events)
        self.given_transport = transport
        self.observers = tuple(observers)
        self.wants_worker = worker and not self.database.read_only
        self.author_name = actor()
        self.closed = False
        self.routed: tuple[Mapping[str, Event], Events] | None = None
        self.pid = os.getpid()
        try:
            self.vault = Vault.for_database(self.database.path, os.environ, keys)
            self.sealing = Sealing(self.vault, self.clock, marks=not self.database.read_only)
            self.egress = self.tightened(egress)
            self.reset()
            self.key_pauses = KeyPauses(self)
            if not self.database.read_only and keep_events(self.database, self.own_events):
                self.cache.forget()
            if self.wants_worker:
                self.require_keys()
        except BaseException:
            self.database.close()  # nobody else could: the caller gets no engine
            raise
        self.database.disconnect()

    def reset(self) -> None:
        """What belongs to this process and its event loop alone."""
        self.owner = secrets.token_hex(8)
        self.kits: dict[asyncio.AbstractEventLoop, Kit] = {}
        self.worker: Worker | None = None
        self.worker_task: asyncio.Task[None] | None = None
        self.readers: ThreadPoolExecutor | None = None
        self.watch = Watch(self.observers) if self.observers else None

    def require_keys(self) -> None:
        """Who sends needs the keys of what is sealed; who only looks or edits does not (DESIGN 9).

        Raises:
            KeyMissing: a secret's key is in no place where keys are looked for.
            KeyUnsafe, KeyWrong: what is there can't be used.
        """
        for hook in self.config().hooks.values():
            for name in SECRETS:
                token = None if hook.deleted else getattr(hook, name)
                if token is not None and token.split(".")[1] not in self.vault.ring.keys:
                    self.vault.open(token, Place("hook", hook.uid, name))

    def tightened(self, argument: str | Egress | None) -> Egress | None:
        """The policy of the constructor's argument and of HOOKROW_EGRESS, which may only make the setting stricter."""
        found: Egress | None = None
        for given in (argument, os.environ.get("HOOKROW_EGRESS")):
            if given:
                policy = given if isinstance(given, Egress) else Egress.parse(given)
                found = policy if found is None else found.stricter(policy)
        return found

    # -- configuration ------------------------------------------------------------------------------------------------

    def config(self) -> Config:
        """Hooks, events and settings as they stand."""
        if self.closed:
            raise EngineClosed(Text("the engine is closed"))
        self.renew()
        return self.sealing.marked(self.cache.get())

    def config_now(self) -> Config:
        """The same for people, who see at once what a colleague did: on PostgreSQL `config` looks once a second."""
        self.cache.forget()
        return self.config()

    def seal(self, secret: Secret | str, place: Place, current: str | None = None) -> str:
        """Seal a secret; see `Sealing.seal`."""
        self.cache.forget()
        return self.sealing.seal(self.cache.get(), secret, place, current)

    def renew(self) -> None:
        """In a child of fork: leave the parent's loop, worker and connections alone, and begin anew."""
        if os.getpid() != self.pid:
            self.pid = os.getpid()
            self.cache.after_fork()
            self.reset()

    def event(self, config: Config, code: str) -> Event:
        """An event of the stored catalogue. Raises EventNotFound, which names similar ones."""
        found = config.events.get(code)
        return found if found is not None else self.catalogue(config).get(code)

    def catalogue(self, config: Config) -> Events:
        """The events that people and services deal with; made once a configuration, since routes are built of it."""
        if self.routed is None or self.routed[0] is not config.events:
            self.routed = (config.events, Events(event for event in config.events.values() if not event.system))
        return self.routed[1]

    def setting(self, config: Config, name: str) -> str:
        return config.settings.get(name, settingstore.SETTINGS[name].default)

    def number(self, config: Config, name: str) -> int:
        return int(self.setting(config, name))

    def too_deep(self, depth: int, events: Iterable[str]) -> Text | str | None:
        """Why a call that came through so many hooks is refused if it means one of these events; None = it is not.

        An event without a hook in force leads no further.
        """
        config = self.config()
        barrier = Arrival(depth=depth).limited(self.number(config, "loop_depth")).barrier
        now_ms = self.clock.now_ms()
        in_force = any(plan.judge(hook, now_ms).act != "skip" for code in events for hook in config.rows.get(code, ()))
        return barrier.text if barrier is not None and in_force else None

    def refused_address(self, host: str, port: int) -> Text | None:
        """Why a literal address must not be reached; None for a name, or where it may."""
        return self.policy(self.config()).verdict(host, host=host, port=port) if literal(host) is not None else None

    def policy(self, config: Config) -> Egress:
        """Which addresses may be reached, now."""
        stored = Egress.parse(self.setting(config, "egress"), self.setting(config, "egress_allow"))
        return stored if self.egress is None else stored.stricter(self.egress)

    def author(self) -> hookstore.Author:
        return hookstore.Author(self.author_name, self.clock.now_ms())

    # -- requests -----------------------------------------------------------------------------------------------------

    def tools(self, config: Config) -> Tools:
        """What attempts on the running loop are made with; made anew where the configuration is another."""
        loop = asyncio.get_running_loop()
        kit = self.kits.get(loop)
        if kit is not None and kit.config is config:
            return kit.tools
        own: Transport | None = None
        if self.given_transport is None:
            policy = self.policy(config)
            own = Transport(policy, self.clock) if kit is None or kit.transport is None else kit.transport
            own.egress = policy
        transport = own or self.given_transport
        assert transport is not None
        limits = Limits(self.number(config, "reply_limit"), self.number(config, "reply_kept"))
        tools = Tools(transport, self.vault, self.clock, limits, self.watch)
        # A host that runs one loop after another leaves closed ones behind. Several threads may be here at once.
        for closed in [each for each in list(self.kits) if each.is_closed()]:
            self.kits.pop(closed, None)
        self.kits[loop] = Kit(config, tools, own)
        return tools

    async def let_transport_go(self) -> None:
        """Close what attempts on the running loop are made with; the next attempt makes it anew."""
        kit = self.kits.pop(asyncio.get_running_loop(), None)
        if kit is not None and kit.transport is not None:
            await kit.transport.aclose()

    async def send_claimed(self, claimed: Claimed, hook: StoredHook) -> Made:
        """The worker's way to one attempt of a queued delivery."""
        order = Order(
            hook=hook,
            webhook_id=delivery_id(claimed.uid, claimed.seq),
            event=claimed.event,
            mode=claimed.mode,
            number=claimed.number,
            occurred_ms=claimed.occurred_ms,
            body=claimed.body or "",
            timeout=hook.timeout,
            payload=loads(claimed.payload),
            replay_of=None if claimed.replay_of is None else firing_id(claimed.replay_of),
            depth=claimed.depth,
            origin="worker",
        )
        # The worker has just asked for the hook as it stands: no second look is needed.
        made = await perform(self.tools(self.cache.config or self.config()), order)
        if made.error == "key_error":
            self.sealing.failed(hook)
        return made

    async def send_own(self, firing: Firing, progress: Callable[[Firing], None] | None) -> Firing:
        """Send a firing's untried background deliveries in order, one attempt each."""
        if any(delivery.outcome in ("queued", "parked") for delivery in firing.deliveries):
            sending = asyncio.ensure_future(self.new_worker().send_firings({firing.row_id}))
            while not sending.done():
                await asyncio.wait([sending], timeout=PROGRESS)
                if progress is not None:
                    progress(await self.again(firing))
            sending.result()
        return await self.again(firing)

    async def again(self, firing: Firing) -> Firing:
        """The firing as the log has it now; what only its caller may see stays."""
        config, uid = self.config(), firing.id.partition("_")[2]
        found = await self.firing(config, uid)
        return firing if found is None else replace(found, payload=firing.payload, data=firing.data)

    async def raise_event(self, code: str, payload: Mapping[str, Any]) -> None:
        """Fire one of the engine's own events; deliveries of these raise none themselves."""
        from hookrow.core.firing import Run, occasion_for

        config = self.config()
        hooks = config.rows.get(code, ())
        if hooks:
            await Run(self, occasion_for(self, config, code, 30.0), payload, hooks).fire()

    def write_event(self, connection: Connection, code: str, payload: Mapping[str, Any]) -> None:
        """Write one of the engine's own events in the transaction of its cause."""
        from hookrow.core.firing import Run, occasion_for

        config = self.config()
        hooks = config.rows.get(code, ())
        if hooks:
            Run(self, occasion_for(self, config, code, 30.0, in_background=True), payload, hooks).enqueue(connection)

    def enqueuing(self, firing: Firing) -> Callable[[Connection], None]:
        """The job that releases what a deferred firing kept back.

        Raises (when run):
            TransactionMisuse: it was released before.
        """
        number = firing.row_id

        def job(connection: Connection) -> None:
            if not writing.release_deferred(connection, number, self.clock.now_ms()):
                raise TransactionMisuse(Text("{ref} has nothing left to enqueue", ref=firing.id))

        return job

    def nudge(self) -> None:
        """Something may be due: a hint for this process's worker."""
        if self.worker is not None:
            self.worker.wake()

    # -- the worker ---------------------------------------------------------------------------------------------------

    @property
    def takes_over(self) -> bool:
        """Whether rows may be born leased to this process and handed over in memory."""
        return self.worker is not None and self.worker_task is not None and not self.worker_task.done()

    def start_worker(self) -> None:
        """Start the engine's own worker on the running loop, once."""
        self.renew()
        if not self.wants_worker or self.takes_over:
            return
        loop = asyncio.get_running_loop()
        self.worker = self.new_worker()
        self.worker.loop = loop  # at once: a thread may hand rows over before its task has begun
        self.worker_task = loop.create_task(self.work(self.worker), name="hookrow-worker")

    async def work(self, worker: Worker) -> None:
        """The worker's task. Cancelled as its loop ends (`asyncio.run`), it closes the connections of that loop."""
        try:
            await worker.run()
        except asyncio.CancelledError:
            await self.let_transport_go()
            raise

    def new_worker(self, concurrency: int = 32) -> Worker:
        return Worker(
            self.database,
            self.clock,
            owner=self.owner,
            perform=self.send_claimed,
            hook_of=lambda number: self.config().hooks.get(number),
            tend=self.key_pauses.tend,
            raise_event=self.raise_event,
            limits=self.retention,
            config_changed=self.cache.forget,
            concurrency=concurrency,
        )

    def retention(self) -> tuple[float, int]:
        """How many days, and how many bytes, of finished firings are kept, now."""
        config = self.config()
        return self.number(config, "retention_days"), self.number(config, "retention_bytes")

    def handed_over(
        self, occasion: Occasion, shares: Sequence[Share], deliveries: Sequence[NewDelivery], written: Written
    ) -> None:
        """After the commit: give the worker what was born leased to it, or wake it for the rest."""
        if self.worker is None or not any(share.background for share in shares):
            return
        claimed = [
            Claimed(
                row_id=number,
                firing_id=written.firing,
                uid=occasion.uid,
                seq=share.seq,
                event=occasion.event.code,
                occurred_ms=occasion.at_ms,
                hook_id=share.hook.id,
                hook_revision=share.hook.revision,
                mode=share.hook.mode,
                body=share.body or "",
                fence=1,
                lease_ms=delivery.values["lease_ms"],
                order_key=share.order_key,
                replay_of=occasion.replay_of,
                depth=occasion.arrival.depth,
            )
            for share, delivery, number in zip(shares, deliveries, written.deliveries, strict=True)
            if delivery.values["state"] == "leased"
        ]
        if claimed:
            self.worker.take(claimed)
        else:
            self.worker.wake()

    # -- reading and life ---------------------------------------------------------------------------------------------

    async def firing(self, config: Config, uid: str) -> Firing | None:
        """A recorded firing, read without blocking the loop."""
        if self.readers is None:
            self.readers = ThreadPoolExecutor(2, "hookrow-read")

        def ask() -> Firing | None:
            with self.database.read() as connection:
                return logstore.firing_by_uid(connection, config, uid)

        return await asyncio.get_running_loop().run_in_executor(self.readers, ask)

    async def drain(self, grace: float) -> None:
        """End the worker: what it sends may end within `grace` seconds, all else is given back."""
        self.renew()
        if self.worker is not None and self.worker_task is not None and not self.worker_task.done():
            await self.worker.drain(grace)
            await asyncio.wait([self.worker_task])

    async def aclose(self, grace: float) -> None:
        """End the worker within `grace` seconds, close the transport; the loop's part of closing."""
        await self.drain(grace)
        await self.let_transport_go()
        self.worker = self.worker_task = None
        if self.watch is not None:
            await asyncio.to_thread(self.watch.close)

    def close(self) -> None:
        """Write what waits, close every connection."""
        if self.closed:
            return
        self.closed = True
        if self.readers is not None:
            self.readers.shutdown(wait=True)
        if self.watch is not None:
            self.watch.close()
        self.database.close()
