"""A database with a long log, written straight into its tables; the log's screen alone, as a program for a terminal.

python big_log.py DATABASE: opens the log on it.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

__all__ = ["EVENT", "Writer", "make"]

EVENT = "before_order_add"
PAYLOAD = json.dumps({"order": {"number": "A-10492", "sum": 12850}}, ensure_ascii=False)
MOMENTS = "WITH RECURSIVE each (at) AS (SELECT :first UNION ALL SELECT at + 1 FROM each WHERE at < :last)"
FIRINGS = f"""{MOMENTS} INSERT INTO firing (id, uid, event, moment, at_ms, outcome, deadline_ms, payload, ms, deferred)
    SELECT at << 20, printf('%020d', at << 20), :event, 'before', at, 'allowed', at + 30000, :payload, 841, 0
    FROM each"""
DELIVERIES = f"""{MOMENTS} INSERT INTO delivery
    (id, firing_id, seq, hook_id, hook_revision, position, mode, state, status, ms, attempts, body, fence)
    SELECT (at << 20) + :seq, at << 20, :seq, :hook, 1, 10 * :seq, 'transform', 'ok', 200, 312, 1, :payload, 0
    FROM each"""


class Writer:
    """Adds firings to a log; ids go up, as the engine's do."""

    def __init__(self, path: Path, hooks: list[int]) -> None:
        self.path = path
        self.hooks = hooks
        self.ids = 0

    def next_id(self, now_ms: int) -> int:
        self.ids = max(now_ms << 20, self.ids + 1)
        return self.ids

    def add(self, count: int, **last: Any) -> None:
        """So many firings with one delivery a hook and an attempt each; `last` goes into the attempts."""
        now_ms = time.time_ns() // 1_000_000
        firings: list[dict[str, Any]] = []
        deliveries: list[dict[str, Any]] = []
        attempts: list[dict[str, Any]] = []
        for _ in range(count):
            firing = self.next_id(now_ms)
            uid = f"{firing:020d}"[-20:]
            firings.append(
                {
                    "id": firing,
                    "uid": uid,
                    "event": EVENT,
                    "moment": "before",
                    "at_ms": now_ms,
                    "outcome": "allowed",
                    "deadline_ms": now_ms + 30_000,
                    "payload": PAYLOAD,
                    "ms": 841,
                    "deferred": 0,
                }
            )
            for seq, hook in enumerate(self.hooks, 1):
                share = self.next_id(now_ms)
                deliveries.append(
                    {
                        "id": share,
                        "firing_id": firing,
                        "seq": seq,
                        "hook_id": hook,
                        "hook_revision": 1,
                        "position": 10 * seq,
                        "mode": "transform",
                        "state": "ok",
                        "status": 200,
                        "ms": 312,
                        "attempts": 1,
                        "body": PAYLOAD,
                        "fence": 0,
                    }
                )
                attempt = {
                    "id": self.next_id(now_ms),
                    "delivery_id": share,
                    "number": 1,
                    "origin": "fire",
                    "at_ms": now_ms,
                    "url": "https://price.example.ru/discount",
                    "elsewhere": 0,
                    "status": 200,
                    "ms": 312,
                    "request_headers": '[["webhook-id", "msg_1"]]',
                    "response_headers": "[]",
                    "response_body": b"{}",
                    "response_length": 2,
                }
                attempts.append({**attempt, **last})
        with self.transaction() as connection:
            for table, rows in (("firing", firings), ("delivery", deliveries), ("attempt", attempts)):
                if rows:
                    names = ", ".join(rows[0])
                    marks = ", ".join(f":{name}" for name in rows[0])
                    connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            yield connection

    def fill(self, count: int) -> None:
        """A long log, a firing each millisecond before now, without attempts: SQLite makes its rows."""
        last = time.time_ns() // 1_000_000
        values = {"first": last - count + 1, "last": last, "event": EVENT, "payload": PAYLOAD}
        self.ids = (last << 20) + len(self.hooks)
        with self.transaction() as connection:
            connection.execute(FIRINGS, values)
            for seq, hook in enumerate(self.hooks, 1):
                connection.execute(DELIVERIES, {**values, "seq": seq, "hook": hook})


def make(folder: Path, count: int, *, name: str = "Скидки по договору") -> tuple[Path, Writer]:
    """A database with two hooks and a log of `count` firings."""
    from hookrow import Hook, HookEngine

    path = folder / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        hooks = [
            engine.hooks.add(
                Hook(name=each, event=EVENT, url="https://price.example.ru/discount", fire_and_forget=False)
            ).id
            for each in (name, "Остатки склада")
        ]
    writer = Writer(path, [number for number in hooks if number is not None])
    if count:
        writer.fill(count)
    return path, writer


def main(path: str) -> int:
    """The log alone on this terminal."""
    from hookrow.lang import use
    from hookrow_tui.app import HookrowApp
    from hookrow_tui.engine import open_engine
    from hookrow_tui.log import screen as log
    from hookrow_tui.log.screen import LogScreen
    from hookrow_tui.terminal.look import choose
    from hookrow_tui.terminal.mended import read_any_bytes

    use("ru")
    look = choose()
    read_any_bytes(look.encoding)

    app = HookrowApp(f"sqlite:///{path}", start=open_engine, look=look)
    app.get_default_screen = LogScreen
    app.css_path = [*app.css_path, Path(log.__file__).with_name("log.tcss")]  # read only for screens that are pushed
    return app.run(mouse=False) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
