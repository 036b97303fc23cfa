"""`log_rows` on a PostgreSQL: the same real firings, multiplied inside the server.

`python -m bench.log_rows_server URL ROWS` makes one in an empty database.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, LiteralString, cast

import psycopg
from sqlalchemy import make_url

from bench.log_rows import BATCH, NEEDLE, SEEDS, SELDOM, SPAN_MS, sown
from hookrow.store.database.tables import ATTEMPTS, DELIVERIES, FIRINGS

__all__ = ["TABLES", "connected", "grow", "make"]

TABLES = {table.name: [column.name for column in table.columns] for table in (FIRINGS, DELIVERIES, ATTEMPTS)}
SETTLED = """
UPDATE delivery SET state = 'dead', due_ms = NULL WHERE state = 'retrying';
UPDATE firing SET outcome = 'vetoed' WHERE id = (SELECT min(id) FROM firing);
UPDATE delivery SET state = 'vetoed' WHERE seq = 1 AND firing_id = (SELECT min(id) FROM firing);
"""
QUICKLY = """
SET search_path = hookrow; SET synchronous_commit = off; SET session_replication_role = replica;
SET maintenance_work_mem = '512MB'; SET work_mem = '512MB';
"""
"""No foreign key is looked up for rows that are copied with what they point to."""
SOWN = """
CREATE TEMP TABLE seed_firing AS SELECT row_number() OVER (ORDER BY id) AS place, * FROM firing;
CREATE TEMP TABLE seed_delivery AS SELECT * FROM delivery;
CREATE TEMP TABLE seed_attempt AS SELECT * FROM attempt;
TRUNCATE firing, delivery, attempt;
CREATE INDEX ON seed_firing (place);
CREATE INDEX ON seed_delivery (firing_id);
CREATE INDEX ON seed_attempt (delivery_id);
ANALYZE seed_firing; ANALYZE seed_delivery; ANALYZE seed_attempt;
"""
NUMBERED = """
DROP TABLE IF EXISTS n;
CREATE TEMP TABLE n AS SELECT i.n, i.n % {seeds} + 1 AS seed, i.at,
 (i.at << 20) + (i.n % 65536) * 16 AS id
 FROM (SELECT g AS n, {begin} + floor(g * {step})::bigint AS at FROM generate_series({low}::bigint, {high} - 1) g) i;
ANALYZE n;
"""


def connected(url: str) -> psycopg.Connection[Any]:
    """To a database, each statement by itself."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


def run(connection: psycopg.Connection[Any], statements: str) -> None:
    """These statements; nothing in them comes from outside."""
    connection.execute(cast("LiteralString", statements))


def grow(connection: psycopg.Connection[Any], count: int, *, now_ms: int | None = None) -> None:
    """Multiply the database's firings until there are `count`, spread evenly over 30 days before now.

    As `log_rows.grow`. Indexes are made at the end, and the server's statistics.
    """
    end = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    run(connection, QUICKLY)
    plain = connection.execute(
        "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid IN ('firing'::regclass, 'delivery'::regclass, 'attempt'::regclass)"
        " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = c.oid)"
    ).fetchall()
    with connection.transaction():  # one, with its TRUNCATE: a server of `wal_level = minimal` then writes no log
        run(connection, SOWN)
        found = connection.execute("SELECT count(*) FROM seed_firing").fetchone()
        assert found is not None
        for name, _ in plain:
            run(connection, f"DROP INDEX {name}")
        for low in range(0, count, BATCH):
            given = {"low": low, "high": min(count, low + BATCH), "begin": end - SPAN_MS, "step": SPAN_MS / count}
            run(connection, NUMBERED.format(seeds=found[0], **given))
            multiply(connection)
        for _, definition in plain:
            run(connection, definition)
    mark(connection, count)
    for table in TABLES:
        run(connection, f"VACUUM (ANALYZE) {table}")
    run(connection, "CHECKPOINT")


def multiply(connection: psycopg.Connection[Any]) -> None:
    """The firings of `n`, their deliveries and attempts; ids go up, as the engine's do."""
    whose = "n JOIN seed_firing f ON f.place = n.seed JOIN"
    moved = {
        "id": "n.id",
        "uid": "lpad(to_hex(n.at), 11, '0') || lpad(to_hex(n.n), 9, '0')",
        "at_ms": "n.at",
        "deadline_ms": "n.at + 30000",
        "idempotency_key": "NULL",
    }
    put(connection, "firing", moved, "n JOIN seed_firing s ON s.place = n.seed")
    moved = {"id": "n.id + s.seq", "firing_id": "n.id"}
    moved |= {name: f"s.{name} - f.at_ms + n.at" for name in ("due_ms", "released_ms", "first_ms", "done_ms")}
    put(connection, "delivery", moved, f"{whose} seed_delivery s ON s.firing_id = f.id")
    moved = {"id": "n.id + d.seq", "delivery_id": "n.id + d.seq", "at_ms": "n.at"}
    tries = f"{whose} seed_delivery d ON d.firing_id = f.id JOIN seed_attempt s ON s.delivery_id = d.id"
    put(connection, "attempt", moved, tries)


def put(connection: psycopg.Connection[Any], table: str, moved: dict[str, str], source: str) -> None:
    names = TABLES[table]
    values = ", ".join(moved.get(name, f"s.{name}") for name in names)
    run(connection, f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {source} ORDER BY 1")


def mark(connection: psycopg.Connection[Any], count: int) -> None:
    """One word, one call of a hook and one answer that occur once, in the middle of the log."""
    middle = connection.execute("SELECT id FROM firing ORDER BY id LIMIT 1 OFFSET %s", [count // 2]).fetchone()
    assert middle is not None
    word = f'{{"word": "{NEEDLE}", '
    connection.execute("UPDATE firing SET payload = %s || substr(payload, 2) WHERE id = %s", [word, middle[0]])
    connection.execute(
        "UPDATE delivery SET status = 418, hook_id = (SELECT id FROM hook WHERE key = %s)"
        " WHERE firing_id = %s AND seq = 1",
        [SELDOM, middle[0]],
    )


def make(url: str, count: int, seeds: int = SEEDS) -> None:
    """A log of `count` firings in an empty database."""
    asyncio.run(sown(url, seeds))
    with connected(url) as connection:
        run(connection, "SET search_path = hookrow;" + SETTLED)
        grow(connection, count)


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
