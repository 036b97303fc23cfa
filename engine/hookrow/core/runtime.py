"""What an engine holds together: database, configuration, keys, transport. Made anew where a fork broke it."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from sqlalchemy import URL, Connection

from hookrow.clock import Clock, SystemClock, zone_named
from hookrow.core.actor import actor
from hookrow.core.arrival import Arrival
from hookrow.core.care.sealing import Sealing, all_tokens
from hookrow.core.drafts import Handover
from hookrow.core.threads.patched import require_real_threads
from hookrow.delivery import plan
from hookrow.delivery.message import user_agent
from hookrow.errors import DatabaseBusy, EngineClosed, StorageError, TransactionMisuse
from hookrow.events import Event, Events
from hookrow.hook.egress import Egress, literal
from hookrow.hook.fields import SECRETS
from hookrow.hook.local_time import LocalTime
from hookrow.lang import Language, Text
from hookrow.observers import LAST, Observer, Watch
from hookrow.records import Firing
from hookrow.secrets.keyring import KeyRing
from hookrow.secrets.secret import Secret
from hookrow.secrets.vault import Place, Vault, load_cipher
from hookrow.store import hooks as hookstore
from hookrow.store.aside import aside, in_time
from hookrow.store.configuration import settings as settingstore
from hookrow.store.configuration.cache import Config, ConfigCache
from hookrow.store.configuration.catalogue import keep_events
from hookrow.store.database.address import Login
from hookrow.store.database.locks import FIRE, SLACK
from hookrow.store.database.opening import open_database
from hookrow.store.database.outages import Outage
from hookrow.store.log import reading as logstore
from hookrow.store.log.failing import Failing
from hookrow.store.outbox import writing
from hookrow.system.locks import lock_for
from hookrow.transport import Transport
from hookrow.transport.attempt import Limits, Tools

if TYPE_CHECKING:
    import httpx

__all__ = ["Runtime"]


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
        address: URL,
        *,
        login: Login | None = None,
        worker: bool,
        events: Iterable[Event],
        egress: str | Egress | None,
        keys: KeyRing | str | None,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock | None,
        create: bool = True,
        observers: Iterable[Observer] = (),
    ) -> None:
        require_real_threads()
        self.clock: Clock = clock or SystemClock()
        self.database: Final = open_database(address, clock=self.clock, create=create, login=login)
        self.cache: Final = ConfigCache(self.database)
        self.failing: Final = Failing(self.database, self.clock)
        self.unrecorded: Final = Outage(self.clock, "firings could not be recorded", "firings are recorded again")
        self.own_events: Final = tuple(events)
        self.given_transport = transport
        self.observers: Final = tuple(observers)
        self.wants_worker: bool = worker and not self.database.read_only
        self.author_name: Final = actor()
        self.closed: bool = False
        self.routed: tuple[Mapping[str, Event], Events] | None = None
        self.said: tuple[Config, tuple[int, ZoneInfo, Language]] | None = None
        self.pid: int = os.getpid()
        self.lock: threading.RLock = lock_for(self)
        self.handover: Handover | None = None
        try:
            self.vault: Final = Vault.for_database(self.database.path, os.environ, keys)
            self.sealing: Final = Sealing(self.vault, self.clock, marks=not self.database.read_only)
            self.egress: Final = self.stricter_egress(egress)
            self.reset()
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
        self.owner: str = secrets.token_hex(8)
        """Who holds the leases that this process takes."""
        self.kits: dict[asyncio.AbstractEventLoop, Kit] = {}
        self.readers: ThreadPoolExecutor | None = None
        self.looks: dict[asyncio.AbstractEventLoop, asyncio.Future[Config]] = {}
        self.watch: Watch | None = Watch(self.observers) if self.observers else None
        self.database.committed = self.watch.commit if self.watch is not None and self.watch.of_commits else None

    def require_keys(self) -> None:
        """Who sends needs the keys of what is sealed; who only looks or edits does not (docs/security.md).

        Raises:
            KeyMissing: a secret's key is in no place where keys are looked for.
            KeyUnsafe, KeyWrong: what is there can't be used.
        """
        for hook in self.config().hooks.values():
            for name in SECRETS:
                token = None if hook.deleted else getattr(hook, name)
                if token is not None and token.split(".")[1] not in self.vault.ring.keys:
                    self.vault.open(token, Place("hook", hook.uid, name))

    def stricter_egress(self, argument: str | Egress | None) -> Egress | None:
        """The policy of the constructor's argument and of HOOKROW_EGRESS, which may only make the setting stricter."""
        found: Egress | None = None
        for given in (argument, os.environ.get("HOOKROW_EGRESS")):
            if given:
                policy = given if isinstance(given, Egress) else Egress.parse(given)
                found = policy if found is None else found.stricter(policy)
        return found

    # -- configuration ------------------------------------------------------------------------------------------------

    def config(self, seconds: float = inf) -> Config:
        """Hooks, events and settings as they stand. Raises EngineClosed, StorageError.

        Args:
            seconds: how long the database may take to say so.
        """
        if self.closed:
            raise EngineClosed()
        self.renew()
        found, known = self.cache.get(seconds), self.sealing.known
        if known is not None and known.read is found:
            if not known.shut:
                return known.made
        elif self.wants_worker:
            self.load_for_sending(found)
        return self.sealing.marked(found)

    @staticmethod
    def load_for_sending(config: Config) -> None:
        """Load what a delivery needs now, in the thread that asks.

        A child that is forked while another thread loads a module waits for that module for ever.
        """
        user_agent()
        if any(all_tokens(hook) for hook in config.hooks.values()):
            load_cipher()
        if not config.settings.get("egress_allow", "").isascii():
            import idna  # noqa: F401 (names of hosts)

    async def config_asked(self, seconds: float = inf) -> Config:
        """The same for the running loop, which no slow or silent server holds up: it is asked in a thread, once for all
        who wait, each for so long as it wants to. Raises as `config`."""
        self.renew()
        if self.closed or self.cache.asks_nobody:
            return self.config(seconds)
        loop = asyncio.get_running_loop()
        until, look = loop.time() + seconds, self.looks.get(loop)
        if look is not None and not look.done():
            with suppress(StorageError):  # it began before, and may have failed before this one's time is up
                return await in_time(look, seconds)
            look = self.looks.get(loop)
        if look is None or look.done():
            self.looks = {each: asked for each, asked in self.looks.items() if not each.is_closed()}
            look = self.looks[loop] = aside(partial(self.config, max(seconds, FIRE)), self.reading())
        return await in_time(look, max(until - loop.time(), 0))

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
        if os.getpid() == self.pid:
            return
        require_real_threads()  # gunicorn patches after the fork what was loaded before it
        with self.lock:  # several threads of the child may come at once
            if os.getpid() != self.pid:
                self.cache.after_fork()
                self.reset()
                if self.handover is not None:
                    self.handover.reset()
                self.pid = os.getpid()  # last: who finds it uses all this

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

    def zone(self) -> ZoneInfo:
        """The zone in which moments are typed and shown (the setting `timezone`); UTC where this machine lacks it."""
        return self.zone_of(self.config_now())

    def zone_of(self, config: Config) -> ZoneInfo:
        """`zone`, of a configuration that was read."""
        return zone_named(self.setting(config, "timezone"))

    def said_of(self, config: Config) -> tuple[int, ZoneInfo, Language]:
        """What every firing is told of the settings, read once a configuration: how many bytes a payload may have,
        whose clocks `now` goes by, in which language clients are told of a refusal."""
        if self.said is None or self.said[0] is not config:
            language: Language = "ru" if config.settings.get("language") == "ru" else "en"
            self.said = (config, (self.number(config, "payload_limit"), self.zone_of(config), language))
        return self.said[1]

    def moment(self) -> LocalTime:
        """What `now` means in bodies and conditions at this moment."""
        return LocalTime(self.clock.now_ms(), self.zone())

    def number(self, config: Config, name: str) -> int:
        return int(self.setting(config, name))

    def too_deep(self, config: Config, depth: int, events: Iterable[str]) -> Text | str | None:
        """Why a call that came through so many hooks is refused if it means one of these events; None = it is not.

        An event without a hook in force leads no further.
        """
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
        return hookstore.Author(self.author_name, self.database.clock.now_ms())

    # -- requests -----------------------------------------------------------------------------------------------------

    def tools(self, config: Config) -> Tools:
        """What attempts on the running loop are made with; made anew where the configuration is another."""
        loop = asyncio.get_running_loop()
        kit = self.kits.get(loop)
        if kit is not None and kit.config is config:
            return kit.tools
        own: Transport | None = None
        if self.given_transport is None:
            own = Transport(Egress(), self.clock) if kit is None or kit.transport is None else kit.transport
        tools = self.tools_over(own or self.given_transport, config)
        # A host that runs one loop after another leaves closed ones behind. Several threads may be here at once.
        for closed in [each for each in list(self.kits) if each.is_closed()]:
            self.kits.pop(closed, None)
        self.kits[loop] = Kit(config, tools, own)
        return tools

    def tools_over(self, transport: Transport | httpx.AsyncBaseTransport | None, config: Config) -> Tools:
        """What attempts over this transport are made with under this configuration."""
        assert transport is not None
        if isinstance(transport, Transport):
            transport.egress = self.policy(config)
        limits = Limits(self.number(config, "reply_limit"), self.number(config, "reply_kept"))
        return Tools(transport, self.vault, self.clock, limits, self.watch)

    async def close_transport(self) -> None:
        """Close what attempts on the running loop are made with; the next attempt makes it anew."""
        kit = self.kits.pop(asyncio.get_running_loop(), None)
        if kit is not None and kit.transport is not None:
            await kit.transport.aclose()

    def enqueuing(self, firing: Firing) -> Callable[[Connection], None]:
        """The job that releases what a deferred firing kept back.

        Raises (when run):
            TransactionMisuse: it was released before.
        """
        self.renew()
        number = firing.row_id

        def job(connection: Connection) -> None:
            if not writing.release_deferred(connection, number, self.database.clock.now_ms()):
                raise TransactionMisuse(Text("{ref} has nothing left to enqueue", ref=firing.id))

        return job

    def retention(self, config: Config) -> tuple[float, int]:
        """How many days, and how many bytes, of finished firings are kept."""
        return self.number(config, "retention_days"), self.number(config, "retention_bytes")

    # -- reading and life ---------------------------------------------------------------------------------------------

    async def firing(self, config: Config, uid: str, seconds: float = inf) -> Firing | None:
        """A recorded firing, read without blocking the loop."""

        def ask() -> Firing | None:
            with self.database.read(seconds) as connection:
                return logstore.firing_by_uid(connection, config, uid)

        return await in_time(aside(ask, self.reading()), seconds)

    def reading(self) -> ThreadPoolExecutor:
        """The threads in which a loop has the database read."""
        if self.readers is None:
            self.readers = ThreadPoolExecutor(2, "hookrow-read")
        return self.readers

    async def aclose(self) -> None:
        """Close what belongs to the running loop."""
        await self.close_transport()
        if self.watch is not None:
            with suppress(DatabaseBusy):  # no thread had room for it; `close` does it
                await in_time(aside(self.watch.close, self.database.threads.pool()), LAST + SLACK)

    def close(self) -> None:
        """Write what waits, close every connection. It may be interrupted, and done again."""
        self.closed = True
        if self.readers is not None:
            self.readers.shutdown(wait=True)
        if self.watch is not None:
            self.watch.close()
        self.database.close()
