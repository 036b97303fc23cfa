"""A purge in a process of its own, beside what others do with the database: `purging.py DATABASE_URL`."""

from __future__ import annotations

import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sqlalchemy import event
from talk import told

from hookrow.store.database.database import Database
from hookrow.store.database.opening import open_database
from hookrow.store.log.purge import Purging
from hookrow.worker.retention import PAUSE

__all__ = ["Purge"]


class Purge:
    """As a worker's retention does it, from `begin` to `end`, again and again; each of its statements is weighed."""

    def __init__(self, database: Database) -> None:
        self.taken = statements(database)
        # What is older than a day, so that there is enough of it.
        now_ms = time.time_ns() // 1_000_000
        self.purging = Purging(database, days=1, most_bytes=1 << 60, now_ms=now_ms, gentle=True)
        self.ended = Event()

    def begin(self, after: int) -> None:
        """Go on behind this firing."""
        self.purging.after = after
        self.ended.clear()
        self.thread = Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.ended.is_set() and self.purging.step():
            self.ended.wait(PAUSE)

    def end(self) -> int:
        """The last firing that was looked at."""
        self.ended.set()
        self.thread.join()
        return self.purging.after


def served(connection: Any) -> float:
    """Milliseconds of processor time that the connection's server process has taken, where this machine tells."""
    process = connection.connection.driver_connection.info.backend_pid
    with suppress(OSError):
        return int(Path(f"/proc/{process}/schedstat").read_text("ascii").split()[0]) / 1e6
    return 0.0


def statements(database: Database) -> dict[str, list[tuple[float, float]]]:
    """Of each statement that this database is asked from now on, by their first words: milliseconds by the clock, and
    of the server's processor time, which others' load does not change."""
    found: dict[str, list[tuple[float, float]]] = {}

    def before(connection: Any, *_: Any) -> None:
        connection.info["asked"] = served(connection), time.perf_counter()

    def after(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        before, asked = connection.info["asked"]
        took = (time.perf_counter() - asked) * 1000
        found.setdefault(" ".join(statement.split())[:40], []).append((took, served(connection) - before))

    for purpose in ("read", "write"):
        event.listen(database.engine(purpose), "before_cursor_execute", before)
        event.listen(database.engine(purpose), "after_cursor_execute", after)
    return found


def main(url: str) -> None:
    """Begin and end as the bench says."""
    with closing(open_database(url)) as database:
        purge = Purge(database)

        def do(what: str, after: int = 0) -> Any:
            if what == "begin":
                return purge.begin(after)
            if what == "end":
                return purge.end()
            return {"firings": purge.purging.firings, "statements": purge.taken}

        told(do)


if __name__ == "__main__":
    main(*sys.argv[1:])
