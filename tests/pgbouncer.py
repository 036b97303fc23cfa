"""A real PgBouncer before the tests' PostgreSQL, in one of its pool modes, else as it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url

__all__ = ["missing", "pgbouncer"]

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


@contextmanager
def pgbouncer(url: str, mode: str) -> Iterator[URL]:
    """The same database through a PgBouncer (`session`, `transaction`), which ends with the block."""
    assert PROGRAM is not None, "pgbouncer is not installed: apt-get install pgbouncer"
    address = make_url(url)
    host = str(address.query.get("host") or address.host)
    with socket.socket() as free, tempfile.TemporaryDirectory(prefix="hookrow-pgbouncer-") as name:
        free.bind(("127.0.0.1", 0))
        door: int = free.getsockname()[1]
        free.close()
        folder = Path(name)
        folder.chmod(0o777)  # it refuses to run as root
        (folder / "users").write_text(f'"{address.username}" ""\n')
        settings = SETTINGS.format(host=host, port=address.port or 5432, door=door, folder=folder, mode=mode)
        (folder / "settings").write_text(settings)
        # The server's own user, who may reach its socket.
        theirs = os.stat(host) if os.geteuid() == 0 else None
        as_other: Any = {} if theirs is None else {"user": theirs.st_uid, "group": theirs.st_gid, "extra_groups": ()}
        running = subprocess.Popen([PROGRAM, "-q", folder / "settings"], stderr=subprocess.DEVNULL, **as_other)
        try:
            listening(door, running, folder / "log")
            through = address.difference_update_query(["host"])
            yield through.set(drivername="postgresql+psycopg", host="127.0.0.1", port=door)
        finally:
            running.kill()
            running.wait()


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
