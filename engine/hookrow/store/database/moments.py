"""The one clock of a database: by it ids, due times and leases are reckoned, whichever process writes or reads them.

SQLite: due times are those of this machine's wall clock. Leases and probes are counted by the time since the machine
started, which nobody sets; the file says which moment of the wall that time began at (docs/decisions/0016-clocks.md).
PostgreSQL: all of it is the server's clock, asked for together with a transaction's BEGIN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Select, delete, insert, select, update

from hookrow.clock import Clock, SystemClock
from hookrow.store.database.tables import DELIVERIES, SETTINGS

__all__ = ["KEPT_AS", "StorageClock", "agree"]

KEPT_AS: Final = "lease_clock"
"""The row of `setting` that holds the start of the machine and the offset: no setting of anybody's."""
FRESH = 0.25
"""Seconds for which the server's clock need not be asked anew."""
KEPT: Final[Select[Any]] = select(SETTINGS.c.value).where(SETTINGS.c.name == KEPT_AS)


class StorageClock:
    """A `Clock`, and the moment by which leases are reckoned."""

    def __init__(self, clock: Clock, *, remote: bool = False) -> None:
        """`remote`: the database has a clock of its own; a clock that a test moves goes before it."""
        self.own = clock
        self.asks: Final[bool] = remote and isinstance(clock, SystemClock)
        self.monotonic: Final[Callable[[], float]] = clock.monotonic
        self.server: float | None = None
        """Milliseconds that the server's clock is ahead of this machine's `monotonic`."""
        self.asked: float = float("-inf")
        self.began: int | None = None
        """The moment, in milliseconds, at which `monotonic` was 0, as the file has it."""

    def now_ms(self) -> int:
        """Milliseconds since 1970: ids, due times, what is kept for how long."""
        return self.own.now_ms() if self.server is None else round(self.monotonic() * 1000 + self.server)

    def lease_ms(self) -> int:
        """Milliseconds by which leases and probes are reckoned; no set clock moves them on SQLite."""
        return self.now_ms() if self.began is None else round(self.monotonic() * 1000) + self.began

    # -- PostgreSQL ---------------------------------------------------------------------------------------------------

    @property
    def stale(self) -> bool:
        """Whether the server is to be asked with the next BEGIN."""
        return self.monotonic() - self.asked > FRESH

    def heard(self, said_ms: float, since: float) -> None:
        """The server's clock said this, asked at `since` (`monotonic`). What is known is moved no more than it must be:
        an answer was slow, or the clock was set."""
        now = self.monotonic()
        least, most = said_ms - now * 1000, said_ms - since * 1000
        self.server = least if self.server is None else min(max(self.server, least), most)
        self.asked = now

    # -- SQLite -------------------------------------------------------------------------------------------------------

    @property
    def boot(self) -> str | None:
        """Which start of the machine `monotonic` counts from; None where that can't be told."""
        return getattr(self.own, "boot", None)

    def learn(self, connection: Connection) -> bool:
        """Take over what the file says of this start of the machine; False where it says nothing of it."""
        kept: str = connection.execute(KEPT).scalar() or ""
        boot, _, began = kept.rpartition(" ")
        if not boot or boot != self.boot:
            return False
        self.began = int(began)
        return True


def agree(connection: Connection, clock: StorageClock) -> None:
    """In a write transaction on SQLite: what leases are reckoned by from now on, on every process of this machine.

    Leases of before the machine started have lapsed: whoever held them is gone.
    """
    if clock.boot is None or clock.learn(connection):
        return
    began = clock.own.now_ms() - round(clock.monotonic() * 1000)
    if connection.execute(delete(SETTINGS).where(SETTINGS.c.name == KEPT_AS)).rowcount:
        connection.execute(update(DELIVERIES).where(DELIVERIES.c.state == "leased").values(lease_ms=0))
    connection.execute(insert(SETTINGS).values(name=KEPT_AS, value=f"{clock.boot} {began}"))
    clock.began = began
