"""A real PgBouncer before the tests' PostgreSQL, in one of its pool modes, else as it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, make_url

from postgres_pair import as_user

__all__ = ["Pooler", "missing", "pgbouncer", "pooler"]

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
SETTINGS = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {door}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = {mode}
logfile = {folder}/log
"""


def missing() -> bool:
    """Whether it is not installed; CI installs it (`.ci/run`), so that there this is a failure."""
    return PROGRAM is None and (not os.environ.get("CI") or bool(os.environ.get("WITHOUT_PGBOUNCER")))


class Pooler:
    """One PgBouncer and the settings that it reads."""

    def __init__(self, folder: Path, url: str, mode: str, more: str = "") -> None:
        self.settings, self.log, self.mode, self.more = folder / "settings", folder / "log", mode, more
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.door: int = free.getsockname()[1]
        address = make_url(url)
        (folder / "users").write_text(f'"{address.username}" ""\n')
        through = address.difference_update_query(["host"])
        self.url: URL = through.set(drivername="postgresql+psycopg", host="127.0.0.1", port=self.door)
        self.write(url)
        # It refuses to run as root; the server's own user may reach its socket.
        command = [str(PROGRAM), "-q", self.settings]
        self.running = subprocess.Popen(command, stderr=subprocess.DEVNULL, **as_user())

    def write(self, url: str) -> None:
        """Say where the server is."""
        address = make_url(url)
        host = str(address.query.get("host") or address.host)
        given = {"host": host, "port": address.port or 5432, "door": self.door, "folder": self.settings.parent}
        self.settings.write_text(SETTINGS.format(**given, mode=self.mode) + self.more)

    def point_at(self, url: str) -> None:
        """Another server from now on, as an administrator or a failover manager says it: the file, then RELOAD."""
        self.write(url)
        self.running.send_signal(signal.SIGHUP)


@contextmanager
def pooler(url: str, mode: str, more: str = "") -> Iterator[Pooler]:
    """A PgBouncer before a database (`session`, `transaction`; more lines of settings), which ends with the block."""
    assert PROGRAM is not None, "pgbouncer is not installed: apt-get install pgbouncer"
    with tempfile.TemporaryDirectory(prefix="hookrow-pgbouncer-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        made = Pooler(folder, url, mode, more)
        try:
            listening(made.door, made.running, made.log)
            yield made
        finally:
            made.running.kill()
            made.running.wait()


@contextmanager
def pgbouncer(url: str, mode: str) -> Iterator[URL]:
    """The same database through a PgBouncer, which ends with the block."""
    with pooler(url, mode) as made:
        yield made.url


def listening(door: int, running: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it listens, at most 20 s."""
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", door), 1).close()
        except OSError:
            assert running.poll() is None, log.read_text() if log.exists() else "pgbouncer did not start"
            assert time.monotonic() < end, "pgbouncer does not listen"
            time.sleep(0.02)
        else:
            return
