"""Word from other processes (PostgreSQL): NOTIFY in the transaction that writes, LISTEN on a connection of its own.

Both are hints. Who hears nothing finds by the next look what was committed, so nothing is lost with a notice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection

from hookrow.outages import Outage

if TYPE_CHECKING:
    from hookrow.store.database.database import Database

__all__ = ["Channel", "Listener", "announce"]

Channel = Literal["hookrow_due", "hookrow_config"]
"""Rows wait for a worker; hooks, events or settings were changed (raised by the tables' own triggers)."""
CHANNELS: tuple[Channel, ...] = ("hookrow_due", "hookrow_config")
AGAIN = 1.0
"""Seconds between two tries to listen again."""


def announce(connection: Connection) -> None:
    """Tell all workers, with this transaction's commit, that rows wait. Once a transaction, however often it is called.

    SQLite's workers look at `data_version` instead.
    """
    if connection.dialect.name == "postgresql":
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
        self.outage = Outage(
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
        """Hear until the connection is lost."""
        import psycopg

        connection = await psycopg.AsyncConnection.connect(**self.database.pg_parameters(), autocommit=True)
        async with connection:
            for channel in CHANNELS:
                await connection.execute(f"LISTEN {channel}")
            self.listening = True
            self.outage.worked()
            for channel in CHANNELS:
                self.heard(channel)
            async for notice in connection.notifies():
                for channel in CHANNELS:
                    if notice.channel == channel:
                        self.heard(channel)
