"""Waiting for locks: SQLite's here, PostgreSQL's by the server, which is told how long."""

from __future__ import annotations

import sqlite3
import time

from hookrow.store.database.waits import LOCK, left, now

__all__ = ["LOCK_LIMIT", "insist", "limits"]

LOCK_LIMIT = LOCK
"""Seconds that a writer waits for another's transaction (SQLite)."""
LOCK_PAUSE = 0.0007


def insist(connection: sqlite3.Connection, statement: str) -> None:
    """Run a statement that needs a lock, again and again for up to LOCK_LIMIT while another process has it.

    SQLite's own busy handler does not do: it starves other processes at `BEGIN IMMEDIATE`, and is not asked at all
    where two connections, each with a shared lock, want to change the journal's mode.

    Raises:
        sqlite3.Error: still locked, or anything else.
    """
    end = now() + left(LOCK_LIMIT)
    while True:
        try:
            connection.execute(statement).fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or now() > end:
                raise
            time.sleep(LOCK_PAUSE)


def limit(name: str, seconds: float) -> str:
    """Set a limit for this transaction, unless the administrator's own is shorter (0 is none)."""
    ms = max(round(seconds * 1000), 1)
    theirs = f"nullif(extract(epoch FROM current_setting('{name}')::interval) * 1000, 0)"
    return f"set_config('{name}', least({theirs}, {ms})::int::text, true)"


def limits(lock: float, statement: float) -> str:
    """What a transaction begins with, so that the server itself ends what lasts too long."""
    return f"{limit('lock_timeout', lock)}, {limit('statement_timeout', statement)}"
