"""A real PostgreSQL for a block of code: started by a keeper of its own, ended with it, killed or not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import disk_usage

__all__ = ["KeptPostgres", "kept_postgres"]

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes; a whole run takes up to a third of them."""


class KeptPostgres:
    """A real PostgreSQL, for as long as its keeper lives."""

    def __init__(self, keeper: subprocess.Popen[str]) -> None:
        self.keeper = keeper
        self.url = self.heard()

    def heard(self) -> str:
        """What the keeper says when the server runs: its URL."""
        assert self.keeper.stdout is not None
        url = self.keeper.stdout.readline().strip()
        assert url, "PostgreSQL did not start; its keeper's message is above"
        return url

    def restart(self, how: str = "fast") -> None:
        """Stop it as `pg_ctl stop -m` (`fast`: connections are ended; `immediate`: as in a crash); start it again."""
        assert self.keeper.stdin is not None
        self.keeper.stdin.write(how + "\n")
        self.keeper.stdin.flush()
        assert self.heard() == self.url


def place() -> Path:
    """Where the server's data are. Not in pytest's own folder: as root the server runs as another user, who could not
    reach it there. In memory where there is much room: a new database is three hundred files."""
    with suppress(OSError):
        if disk_usage(MEMORY).free >= ROOM and os.access(MEMORY, os.W_OK):
            return MEMORY
    return Path(tempfile.gettempdir())


@contextmanager
def kept_postgres(name: str) -> Iterator[KeptPostgres]:
    """The server of this name, started if nobody has, ended with the block (see postgres_keeper.py)."""
    folder = place() / f"hookrow-postgres-{name}"
    keeper = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("postgres_keeper.py"), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # ctrl+c is for pytest; the keeper ends when the pipe does
        env={
            **os.environ,
            "LC_ALL": "C.UTF-8",  # in the locale C the server tells no large letter beyond ASCII from small
            "PYTHONWARNINGS": "ignore:XDG_RUNTIME_DIR",  # which a machine of CI has not, and the server does not need
        },
    )
    with keeper:
        yield KeptPostgres(keeper)
