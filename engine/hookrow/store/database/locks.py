"""Waiting for SQLite's locks."""

from __future__ import annotations

import sqlite3
import time

__all__ = ["LOCK_LIMIT", "insist"]

LOCK_LIMIT = 5.0
"""Seconds that a writer waits for another process's transaction (SQLite)."""
LOCK_PAUSE = 0.0007


def insist(connection: sqlite3.Connection, statement: str) -> None:
    """Run a statement that needs a lock, again and again for up to LOCK_LIMIT while another process has it.

    SQLite's own busy handler does not do: it starves other processes at `BEGIN IMMEDIATE`, and is not asked at all
    where two connections, each with a shared lock, want to change the journal's mode.

    Raises:
        sqlite3.Error: still locked, or anything else.
    """
    started = time.perf_counter()  # noqa: TID251 - the machine's lock is waited for, whatever time the engine is given
    while True:
        try:
            connection.execute(statement).fetchone()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.perf_counter() - started > LOCK_LIMIT:  # noqa: TID251
                raise
            time.sleep(LOCK_PAUSE)
