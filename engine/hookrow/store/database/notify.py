"""Word from other processes (PostgreSQL): NOTIFY in the transaction that writes, LISTEN on a connection of its own.

Both are hints. Who hears nothing finds by the next look what was committed, so nothing is lost with a notice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import Connection

from hookrow.store.aside import apart
from hookrow.store.database.address import POOLER
from hookrow.store.database.outages import Outage
from hookrow.store.database.prepared import queueing

if TYPE_CHECKING:
    import psycopg

    from hookrow.store.database.database import Database

__all__ = ["Channel", "Listener", "announce"]

Channel = Literal["hookrow_due", "hookrow_config"]
"""Rows wait for a worker; hooks, events or settings were changed (raised by the tables' own triggers)."""
CHANNELS: tuple[Channel, ...] = ("hookrow_due", "hookrow_config")
AGAIN = 1.0
"""Seconds between two tries to listen again."""
ECHO = 5.0
"""Seconds in which a connection must hear its own word, else it is given up."""
ECHOES = 15.0
"""Seconds between two words of its own: a pooler that hands on no notice and a silent server say nothing of it."""


def announce(connection: Connection) -> None:
    """Tell all workers, with this transaction's commit, that rows wait. Once a transaction, however often it is called.

    SQLite's workers look at `data_version` instead.
    """
    if (driver := queueing(connection)) is not None:
        driver.later("SELECT pg_notify('hookrow_due', '')")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_notify('hookrow_due', '')")


class Listener:
    """Hears what is announced, on the running loop, until it is cancelled. A lost connection is made anew."""

    def __init__(self, database: Database, heard: Callable[[Channel], None]) -> None:
        """Make it; nothing is connected before `run`.

        Args:
            heard: told of each notice, and of every channel once the connection stands: what was announced before is
                to be looked for.
        """
        self.database = database
        self.heard = heard
        self.listening: bool = False
        """Whether a notice would arrive now."""
        self.connection: psycopg.AsyncConnection[Any] | None = None
        self.outage: Final = Outage(
            database.clock,
            "word of new rows comes late, trying to listen again",
            "word of new rows comes at once again",
            level=logging.WARNING,
        )

    async def run(self) -> None:
        """Listen until cancelled."""
        import psycopg

        while True:
            try:
                await self.listen()
            except (psycopg.Error, OSError) as error:
                self.outage.failed(str(error).partition("\n")[0])
            finally:
                self.listening = False
            await asyncio.sleep(AGAIN)

    async def listen(self) -> None:
        """Hear until the connection is lost, or hears no more."""
        import psycopg

        own = f"hookrow_{secrets.token_hex(8)}"
        connection = await self.connected()
        async with connection:
            self.connection = connection
            for channel in (*CHANNELS, own):
                await self.say(f"LISTEN {channel}")
            while True:
                await self.say(f"NOTIFY {own}")
                if not await self.hear(connection, own):
                    raise psycopg.OperationalError(
                        "no notice arrives; if a pooler in transaction mode stands between, add "
                        f"{POOLER}=transaction to the URL"
                    )
                if not self.listening:
                    self.stands()
                async for notice in connection.notifies(timeout=ECHOES):
                    self.take(notice.channel)

    async def connected(self) -> psycopg.AsyncConnection[Any]:
        """A connection to the first address that lets it in; psycopg alone would look names up where an exit waits."""
        import psycopg
        from psycopg.conninfo import conninfo_attempts

        failed: psycopg.Error | None = None
        each: Any
        # Of a host's function that gives the password, and of a name server, nobody knows when they answer.
        for each in await asyncio.wrap_future(apart(lambda: conninfo_attempts(self.database.pg_parameters()))):
            try:
                return await psycopg.AsyncConnection.connect(**each)
            except psycopg.Error as error:
                failed = error
        assert failed is not None
        raise failed

    async def say(self, words: str) -> None:
        """Run a statement; a server that says nothing to it is hung up on."""
        assert self.connection is not None
        late = asyncio.get_running_loop().call_later(ECHO, self.hang_up)
        try:
            await self.connection.execute(words)
        finally:
            late.cancel()

    async def hear(self, connection: psycopg.AsyncConnection[Any], own: str) -> bool:
        """Whether its own word comes back; what else is heard meanwhile counts."""
        until = asyncio.get_running_loop().time() + ECHO
        while (left := until - asyncio.get_running_loop().time()) > 0:
            heard = [notice.channel async for notice in connection.notifies(timeout=left, stop_after=1)]
            for channel in heard:
                self.take(channel)
            if own in heard:
                return True
        return False

    def stands(self) -> None:
        """From now on notices arrive."""
        self.listening = True
        self.outage.worked()
        for channel in CHANNELS:
            self.heard(channel)

    def take(self, heard: str) -> None:
        for channel in CHANNELS:
            if heard == channel:
                self.heard(channel)

    def hang_up(self) -> None:
        """End the connection from this side, whatever the server does: nobody waits for it any longer."""
        if self.connection is not None and not self.connection.closed:
            hang_up(self.connection.fileno())


def hang_up(file: int) -> None:
    """End a connection of which only the socket's number is known."""
    with suppress(OSError), socket.socket(fileno=os.dup(file)) as wire:
        wire.shutdown(socket.SHUT_RDWR)
