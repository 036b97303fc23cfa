"""A log of any length, made of what the engine itself wrote: some real firings, multiplied inside SQLite.

`python -m bench.log_rows DATABASE ROWS` makes one; 5 million firings take a few minutes and about 14 GB.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx

from hookrow import AsyncHookEngine, Hook
from hookrow.events import samples

__all__ = ["EVENTS", "NEEDLE", "NEVER", "SELDOM", "SPAN_MS", "grow", "make", "sown"]

EVENTS = ("before_order_add", "after_registration", "before_order_update", "on_subscription", "before_user_update")
SELDOM = "called-once"
NEVER = "never-called"
SEEDS = 1000
SPAN_MS = 30 * 24 * 3600 * 1000
"""The log reaches this far back: the default retention."""
BATCH = 250_000
NEEDLE = "Колокольчиков"
"""Occurs in one payload of the whole log, in the middle of it."""


def answer(request: httpx.Request) -> httpx.Response:
    """The status is the last part of the path."""
    status = int(request.url.path.rsplit("/", 1)[-1])
    return httpx.Response(status, headers={"content-type": "application/json"}, json={"allow": True, "took": 7})


def hooks() -> Iterator[Hook]:
    """A hook or two an event, one that waits and one that does not; one that fails; one called once, one never."""
    for number, event in enumerate(EVENTS):
        url = f"http://receiver.test/{number}"
        if number % 2 == 0:
            yield Hook(key=f"gate-{number}", name="Проверка", event=event, url=f"{url}/200", wait_for_response=True)
        if number < 2:
            yield Hook(key=f"record-{number}", name="Учёт", event=event, url=f"{url}/201", response_has_data=True)
    yield Hook(key="fails", name="Склад", event=EVENTS[3], url="http://receiver.test/9/503", wait_for_response=True)
    yield Hook(key="off", name="Выключен", event=EVENTS[4], url="http://receiver.test/9/200", active=False)
    yield Hook(key=SELDOM, name="Однажды", event="before_registration", url="http://receiver.test/9/404")
    yield Hook(key=NEVER, name="Никогда", event="before_user_new", url="http://receiver.test/9/200")


async def sown(url: str, count: int = SEEDS) -> None:
    """A database with some real firings: every tenth fails, every hundredth is dead."""
    transport = httpx.MockTransport(answer)
    async with AsyncHookEngine(url, transport=transport) as engine:
        for hook in hooks():
            await engine.hooks.ensure(hook)
        for number in range(count):
            event = EVENTS[4] if number % 50 == 1 else EVENTS[number % 3]
            if number % 20 == 0:
                event = EVENTS[3]
            await engine.fire(event, samples()[event])
        while (await engine.log.summary()).queue:  # noqa: ASYNC110 (looks as a person would)
            await asyncio.sleep(0.02)


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def grow(path: Path, count: int, *, now_ms: int | None = None) -> None:
    """Multiply the database's firings until there are `count`, spread evenly over 30 days before now.

    Ids, public ids and moments are new; all else is the seeds'. Nothing is synchronised to the disk: a database for
    measuring, not for keeping.
    """
    end = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-800000", "foreign_keys=OFF", "temp_store=2"):
            connection.execute(f"PRAGMA {pragma}")
        for table in ("firing", "delivery", "attempt"):
            connection.execute(f"CREATE TEMP TABLE seed_{table} AS SELECT * FROM {table} ORDER BY id")
            connection.execute(f"DELETE FROM {table}")
        seeds = int(connection.execute("SELECT count(*) FROM seed_firing").fetchone()[0])
        connection.execute("CREATE INDEX temp.seed_row ON seed_delivery (firing_id)")
        connection.execute("CREATE INDEX temp.seed_try ON seed_attempt (delivery_id)")
        for start in range(0, count, BATCH):
            multiply(connection, start, min(count, start + BATCH), seeds, end - SPAN_MS, SPAN_MS / count)
        mark(connection, count)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")


def multiply(connection: sqlite3.Connection, low: int, high: int, seeds: int, begin: int, step: float) -> None:
    """Firings number `low` to below `high`, their deliveries and attempts; ids go up, as the engine's do."""
    given = {"low": low, "high": high, "seeds": seeds, "begin": begin, "step": step}
    connection.execute("BEGIN")
    # `at` is when it was; a firing's place among those of one millisecond goes into the id's low bits.
    connection.execute("DROP TABLE IF EXISTS temp.n")
    connection.execute(
        "CREATE TABLE temp.n AS WITH RECURSIVE i(n) AS (SELECT :low UNION ALL SELECT n + 1 FROM i WHERE n + 1 < :high)"
        " SELECT n, n % :seeds + 1 AS seed, :begin + CAST(n * :step AS INTEGER) AS at,"
        " ((:begin + CAST(n * :step AS INTEGER)) << 20) + (n % 65536) * 16 AS id FROM i",
        given,
    )
    moved = {
        "id": "n.id",
        "uid": "printf('%011x%09x', n.at, n.n)",
        "at_ms": "n.at",
        "deadline_ms": "n.at + 30000",
        "idempotency_key": "NULL",
    }
    put(connection, "firing", moved, "JOIN seed_firing s ON s.rowid = n.seed")
    its = "JOIN seed_firing f ON f.rowid = n.seed CROSS JOIN seed_delivery s ON s.firing_id = f.id"
    moved = {"id": "n.id + s.seq", "firing_id": "n.id"}
    moved |= {name: f"s.{name} - f.at_ms + n.at" for name in ("due_ms", "released_ms", "first_ms", "done_ms")}
    put(connection, "delivery", moved, its)
    tries = (
        its.replace("seed_delivery s ON s", "seed_delivery d ON d")
        + " CROSS JOIN seed_attempt s ON s.delivery_id = d.id"
    )
    moved = {"id": "n.id + d.seq", "delivery_id": "n.id + d.seq", "at_ms": "n.at"}
    put(connection, "attempt", moved, tries)
    connection.execute("COMMIT")


def put(connection: sqlite3.Connection, table: str, moved: dict[str, str], source: str) -> None:
    names = columns(connection, table)
    values = ", ".join(moved.get(name, f"s.{name}") for name in names)
    connection.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM n {source} ORDER BY 1")


def mark(connection: sqlite3.Connection, count: int) -> None:
    """One word, one call of a hook and one answer that occur once, in the middle of the log."""
    middle = connection.execute("SELECT id FROM firing ORDER BY id LIMIT 1 OFFSET ?", (count // 2,)).fetchone()[0]
    word = f'{{"word": "{NEEDLE}", '
    connection.execute("UPDATE firing SET payload = ? || substr(payload, 2) WHERE id = ?", (word, middle))
    connection.execute(
        "UPDATE delivery SET status = 418, hook_id = (SELECT id FROM hook WHERE key = ?)"
        " WHERE firing_id = ? AND seq = 1",
        (SELDOM, middle),
    )


def settle(path: Path) -> None:
    """Give up what is to be tried again (a queue of millions is another measurement), and refuse one in a thousand."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE delivery SET state = 'dead', due_ms = NULL WHERE state = 'retrying'")
        (number,) = connection.execute("SELECT min(id) FROM firing").fetchone()
        connection.execute("UPDATE firing SET outcome = 'vetoed' WHERE id = ?", (number,))
        connection.execute("UPDATE delivery SET state = 'vetoed' WHERE firing_id = ? AND seq = 1", (number,))
        connection.commit()


def make(path: Path, count: int, seeds: int = SEEDS) -> None:
    """A database with a log of `count` firings. Where there is one already, it is taken."""
    if not path.exists():
        asyncio.run(sown(f"sqlite:///{path}", seeds))
        settle(path)
        grow(path, count)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
