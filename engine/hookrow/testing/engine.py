"""Engines for tests: on a database of their own that is gone with them, with time that the test moves."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hookrow.core.base import Engine
from hookrow.core.blocking import HookEngine
from hookrow.core.engine import AsyncHookEngine
from hookrow.core.runtime import Runtime
from hookrow.core.sending import Sending
from hookrow.events import Event
from hookrow.hook.egress import Egress
from hookrow.ids import firing_uid
from hookrow.lang import detect
from hookrow.observers import Observer
from hookrow.records import CallerConnection, Firing
from hookrow.secrets.keyring import KeyRing
from hookrow.store.configuration.zones import machine_zone
from hookrow.store.database.opening import open_database
from hookrow.store.database.reserve import SIZE, reserve_of
from hookrow.store.log import reading as logstore
from hookrow.testing.clock import ManualClock

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncMemoryEngine", "MemoryEngine"]

MEMORY = "/dev/shm"
"""Where Linux keeps files in memory. SQLite's own `:memory:` would not do: each connection would see another one."""


def folder() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory where the machine has such a place, else among its temporary files."""
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    made = tempfile.TemporaryDirectory(prefix="hookrow-test-", dir=place)
    with reserve_of(Path(made.name) / "hooks.db").open("wb") as file:
        file.truncate(SIZE)  # a hole: a database of tests needs no real one, which would take memory
    return made


@cache
def empty(zone: str, language: str) -> bytes:
    """A database in which nothing has happened, made once a process, as this machine's zone and language make it."""
    with folder() as name:
        path = Path(name) / "hooks.db"
        with closing(open_database(f"sqlite:///{path}")):
            pass
        return path.read_bytes()


class Fired:
    """What an engine has fired, in order: also events that no hook listens to, which the log does not keep."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.firings: list[Firing] = []
        self.uncertain: set[str] = set()
        """Those that the caller's transaction may still take back."""

    def add(self, firing: Firing, connection: object) -> Firing:
        self.firings.append(firing)
        if connection is not None and firing.deliveries:
            self.uncertain.add(firing.id)
        return firing

    def standing(self) -> list[Firing]:
        """All but those that were rolled back."""
        config = self.runtime.config()
        with self.runtime.database.read() as reading:
            for ref in list(self.uncertain):
                if logstore.firing_by_uid(reading, config, firing_uid(ref) or "") is not None:
                    self.uncertain.discard(ref)
        return [each for each in self.firings if each.id not in self.uncertain]


async def deliver_due(sending: Sending) -> int:
    """Send what is due by the engine's clock, and what that releases, until nothing is; gives the attempts made."""
    worker = sending.new_worker()
    while True:
        begun = worker.begun
        await worker.claim()
        worker.start()
        if worker.hand.rows:
            await worker.hand.empty.wait()
        elif worker.begun == begun:  # nor did a result hand over a row that is sent by now
            return begun


class InMemory(Engine):
    """What both engines for tests have: a database that is gone with them, a clock, and what they have fired."""

    def __init__(
        self,
        url: str | None = None,
        *,
        clock: ManualClock | None = None,
        worker: bool = False,
        events: Iterable[Event] = (),
        egress: str | Egress | None = None,
        keys: KeyRing | str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        """As `HookEngine`, without `create`.

        Args:
            url: a database of the test's own, which is left as it is: a PostgreSQL one, say, whose secrets are then
                encrypted by a key that is made here, unless `keys` has one.
        """
        self.clock: Final = clock or ManualClock()
        self.folder: Final = folder() if url is None else None
        at = f"{self.folder.name}/hooks.db" if self.folder is not None else str(url)
        if self.folder is not None:
            Path(at).touch(0o600)
            Path(at).write_bytes(empty(machine_zone()[0], detect()))
        if keys is None and at.startswith("postgres"):
            keys = KeyRing.new()
        super().__init__(
            at,
            worker=worker,
            events=events,
            egress=egress,
            keys=keys,
            transport=transport,
            clock=self.clock,
            observers=observers,
        )

    def forget(self) -> None:
        """Remove a database of our own."""
        if self.folder is not None:
            self.folder.cleanup()

    @property
    def fired(self) -> list[Firing]:
        """Every firing in order, as it was given to its caller; without those that a caller rolled back."""
        return self.calls.standing()

    def _assemble(self) -> None:
        super()._assemble()
        self.calls: Fired = Fired(self.runtime)

    def with_enqueue(self, firing: Firing, connection: CallerConnection | None = None) -> Firing:
        return self.calls.add(super().with_enqueue(firing), connection)


class MemoryEngine(InMemory, HookEngine):
    """A `HookEngine` on a throw-away SQLite database, in memory where the machine can; gone when it is closed.

    No worker runs: `deliver()` sends what is due, so that a test says when. `clock` stands still until the test moves
    it. `fired` holds every firing.
    """

    def deliver(self) -> int:
        """Send what is due by the clock, and what that releases, until nothing is; gives the attempts made."""
        return self.portal.call(deliver_due(self.sending))

    def outcomes(self, firing: Firing) -> dict[str, str]:
        """What has become of each hook by now: key to outcome, or to the reason where it was skipped."""
        return outcomes(self.log.get(firing.id))

    def close(self, grace: float = 5.0) -> None:
        """As `HookEngine.close`; the database is removed."""
        super().close(grace)
        if self.runtime.closed:  # not yet in a signal handler
            self.forget()


class AsyncMemoryEngine(InMemory, AsyncHookEngine):
    """`MemoryEngine` for an event loop."""

    async def deliver(self) -> int:
        """Send what is due by the clock, and what that releases, until nothing is; gives the attempts made."""
        return await deliver_due(self.sending)

    async def outcomes(self, firing: Firing) -> dict[str, str]:
        """What has become of each hook by now: key to outcome, or to the reason where it was skipped."""
        return outcomes(await self.log.get(firing.id))

    async def close(self, grace: float = 5.0) -> None:
        """As `AsyncHookEngine.close`; the database is removed."""
        await super().close(grace)
        self.forget()


def outcomes(firing: Firing) -> dict[str, str]:
    return {each.hook.key: each.skipped or each.outcome for each in firing.deliveries}
