"""A real PostgreSQL for a block of code: started by a keeper of its own, ended with it, killed or not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["KeptPostgres", "kept_postgres"]


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


@contextmanager
def kept_postgres(name: str) -> Iterator[KeptPostgres]:
    """The server of this name, started if nobody has, ended with the block (see postgres_keeper.py)."""
    # Not in pytest's own folder: as root the server runs as another user, who could not reach it there.
    folder = Path(tempfile.gettempdir()) / f"hookrow-postgres-{name}"
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
