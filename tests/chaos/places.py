"""The two databases on which chaos takes place, and the troubles that each can have, for some seconds each."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from sqlalchemy import make_url

from crash_sizes import until
from mounting import mount
from postgres_kept import KeptPostgres

__all__ = ["FilePlace", "Place", "ServerPlace", "Trouble"]

Trouble = Callable[[float], None]
"""Lasts for so many seconds."""
PATIENCE = 60.0
"""Seconds for which the judge asks a database that others hold up."""


class Place(Protocol):
    """A database."""

    kind: str
    db: str
    """Its URL."""
    troubles: dict[str, tuple[int, float, Trouble]]
    """By name: how often as against the others, how many seconds at most, and how."""

    def url(self, dice: random.Random) -> str:
        """By which a new process reaches it."""
        ...

    def ask(self, statement: str) -> list[Any]:
        """Rows, whatever trouble there is."""
        ...

    def whole(self) -> None:
        """The database has no fault."""
        ...


def patiently(ask: Callable[[], list[Any]], *errors: type[Exception]) -> list[Any]:
    """The answer, as soon as there is one."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except errors:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


class FilePlace:
    """An SQLite file; on a disk of its own, which can be full, where mounting is allowed."""

    kind = "sqlite"

    def __init__(self, folder: Path, *, mounted: bool) -> None:
        self.folder, self.path = folder, folder / "hooks.db"
        self.db = f"sqlite:///{self.path}"
        self.troubles: dict[str, tuple[int, float, Trouble]] = {"lock": (4, 7.0, self.lock)}
        if mounted:
            self.troubles["full disk"] = (1, 4.0, self.fill)

    def url(self, dice: random.Random) -> str:
        return self.db

    def ask(self, statement: str) -> list[Any]:
        def once() -> list[Any]:
            with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=30)) as plain:
                return plain.execute(statement).fetchall()

        return patiently(once, sqlite3.OperationalError)

    def whole(self) -> None:
        with closing(sqlite3.connect(self.path)) as plain:
            assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert plain.execute("PRAGMA foreign_key_check").fetchall() == []

    def lock(self, seconds: float) -> None:
        """Another program holds the lock."""
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            other.execute("ROLLBACK")

    def fill(self, seconds: float) -> None:
        """Others fill the disk: it becomes as small as what lies on it."""
        try:
            for pages in (16, 64, 256, 1024):  # others are writing: it may have grown since it was asked
                disk = os.statvfs(self.folder)
                used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
                if not mount(self.folder, "-o", f"remount,size={used + pages * 4096}"):
                    time.sleep(seconds)
                    break
        finally:
            assert not mount(self.folder, "-o", f"remount,size={LARGE}")


LARGE = "4g"
"""What the disk may hold when it isn't full; of memory it takes what lies on it."""


@contextmanager
def own_disk(folder: Path) -> Iterator[bool]:
    """Whether this folder became a disk of its own; it is one until the block ends."""
    refused = mount(folder, "-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs")
    try:
        yield not refused
    finally:
        if not refused:
            subprocess.run(["umount", "-l", str(folder)], check=True)


class ServerPlace:
    """A PostgreSQL of its own; some processes reach it through a proxy that can go silent."""

    kind = "postgresql"
    TABLES = ("firing", "delivery", "delivery", "attempt", "hook")

    def __init__(self, kept: KeptPostgres, nursery: Any, folder: Path, dice: random.Random) -> None:
        self.kept, self.dice, self.silent = kept, dice, folder / "silent"
        self.db = kept.url.replace("://", "+psycopg://", 1)
        ready = folder / "proxy.txt"
        self.proxy = nursery.start("chaos.children:proxy", db=self.db, ready=str(ready), silent=str(self.silent))
        until(lambda: ready.exists() and ready.read_text().endswith("\n"))
        through = make_url(self.db).difference_update_query(["host"]).set(host="127.0.0.1", port=int(ready.read_text()))
        self.through = through.render_as_string(hide_password=False)
        self.guard = threading.Lock()
        self.holder: psycopg.Connection[Any] | None = None
        self.troubles: dict[str, tuple[int, float, Trouble]] = {
            "lock": (3, 7.0, self.lock),
            "silence": (3, 7.0, self.silence),
            "cut": (3, 0.0, self.cut),
            "restart": (1, 0.0, self.restart),
        }

    def url(self, dice: random.Random) -> str:
        return self.through if dice.random() < 0.5 else self.db

    def connected(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.kept.url, options="-csearch_path=hookrow", autocommit=True, connect_timeout=10)

    def ask(self, statement: str) -> list[Any]:
        """Through whoever holds a table: nobody else may read it."""

        def once() -> list[Any]:
            with self.guard:
                if self.holder is not None:
                    return self.holder.execute(statement).fetchall()
            with self.connected() as asking:
                asking.execute("SET lock_timeout = '1s'")
                return asking.execute(statement).fetchall()

        return patiently(once, psycopg.Error)

    def whole(self) -> None:
        """The server holds its keys itself."""

    def lock(self, seconds: float) -> None:
        """Another session holds a table."""
        with self.connected() as other:
            other.execute("SET lock_timeout = '30s'")
            other.execute(f"BEGIN; LOCK TABLE {self.dice.choice(self.TABLES)}")
            try:
                self.holder = other
                time.sleep(seconds)
            finally:
                with self.guard:
                    self.holder = None
            other.execute("ROLLBACK")

    def silence(self, seconds: float) -> None:
        """Nothing comes through the proxy, and nothing says so."""
        self.silent.touch()
        time.sleep(seconds)
        self.silent.unlink()

    def cut(self, seconds: float) -> None:
        """All connections are ended by the server."""
        with self.connected() as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    def restart(self, seconds: float) -> None:
        """The server is shut down, or dies; and is started again at once."""
        self.kept.restart(self.dice.choice(("fast", "immediate")))
