"""Goal F on PostgreSQL (`make bench-full`; alone: `python -m bench many_rows --full`): pages of a log of 5 million
firings, and purging it beside callers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sqlalchemy import event

from bench.goals.f import LARGE, MIDDLE, SMALL, pages
from bench.log_rows_server import TABLES, connected, make
from bench.measure import Bench, Row, limit
from bench.peers import own
from hookrow import HookEngine
from hookrow.events import samples
from hookrow.store.database.opening import open_database
from hookrow.store.log.purge import Purging
from hookrow.worker.retention import PAUSE

__all__ = ["TITLE", "measure"]

TITLE = "F on PostgreSQL"
TURNS, SECONDS = 12, 10
"""A caller without a purge and beside one, in turn; so many times, so long."""
CALL_PAUSE = 0.01
EVENT = "after_registration"
NIGHT = 8
"""Hours."""


def measure(bench: Bench) -> Iterator[Row]:
    """Both logs in databases of their own; the pages, then the purge."""
    if bench.postgres is None:
        return
    urls, many = [], bench.count(LARGE if bench.full else MIDDLE)
    for name, count in (("few_rows", bench.count(SMALL)), ("many_rows", many)):
        urls.append(own(bench, name))
        make(urls[-1], count, bench.seeds)
    with HookEngine(urls[0], worker=False) as short, HookEngine(urls[1], worker=False) as long:
        yield from pages(bench, short, long, many)
    yield from purging(urls[1], many)


def purging(url: str, count: int) -> Iterator[Row]:
    """Its statements one by one, what its neighbours' calls take without it and beside it, and how long it needs."""
    alone: list[float] = []
    beside: list[float] = []
    with closing(open_database(url)) as database, HookEngine(url, worker=False) as engine:
        taken, before = statements(database), standing(url)
        # What is older than a day, so that there is enough of it.
        purge = Purging(database, days=1, most_bytes=1 << 60, now_ms=time.time_ns() // 1_000_000, gentle=True)
        for _ in range(TURNS):
            alone += calls(engine, SECONDS)
            ended = Event()
            thread = Thread(target=gone, args=(purge, ended))
            thread.start()
            beside += calls(engine, SECONDS)
            ended.set()
            thread.join()
    head = f"a purge at {count:,}: "
    every = [took for each in taken.values() for took in each]
    slowest = max(taken, key=lambda each: percentile(clock(taken[each])))
    for what, found in (
        (f"{head}its statements, p99 of {len(every):,}", every),
        (f"… the slowest, «{slowest}», p99", taken[slowest]),
    ):
        row = limit(what, percentile(clock(found)), 100, "ms")
        yield replace(row, cpu=f"{percentile([server for _, server in found]):.1f} ms")
    ratio = percentile(beside) / percentile(alone)
    said = [f"{percentile(each):.1f} ms" for each in (beside, alone)]
    yield Row(f"{head}p99 of calls beside it, without it", *said, f"{ratio:.2f}", "—", "≤ 1.1", ratio <= 1.1)
    rate = purge.firings / (TURNS * SECONDS)
    yield Row(f"{head}firings a second", f"{rate:,.0f}", "", "", "—", "—", None)
    yield limit(f"… all {count:,}", count / rate / 3600, NIGHT, "h")
    after = standing(url)
    said = [f"{each['bytes'] / 1e9:.2f} GB" for each in (after, before)]
    yield Row(f"{head}tables and indexes after it, before it", *said, "", "—", "—", None)
    vacuums = f"{after['vacuums'] - before['vacuums']} vacuums"
    yield Row("… dead rows that wait for the server's vacuum", f"{after['dead']:,}", vacuums, "", "—", "—", None)


def gone(purge: Purging, ended: Event) -> None:
    """Purge as a worker does, until it is told to stop."""
    while not ended.is_set() and purge.step():
        ended.wait(PAUSE)


def standing(url: str) -> dict[str, Any]:
    """Of the log's tables: bytes, dead rows, and how often the server's autovacuum has come."""
    with connected(url) as connection:
        found = connection.execute(
            "SELECT sum(pg_total_relation_size(relid)), sum(n_dead_tup), sum(autovacuum_count) FROM pg_stat_user_tables"
            " WHERE schemaname = 'hookrow' AND relname = ANY(%s)",
            [list(TABLES)],
        ).fetchone()
    return dict(zip(("bytes", "dead", "vacuums"), map(int, found or ()), strict=True))


def clock(took: list[tuple[float, float]]) -> list[float]:
    return [each for each, _ in took]


def percentile(values: list[float], of: int = 99) -> float:
    return sorted(values)[len(values) * of // 100]


def calls(engine: HookEngine, seconds: float) -> list[float]:
    """Milliseconds of each of a caller's firings, for so long."""
    found, end, payload = [], time.perf_counter() + seconds, samples()[EVENT]
    while time.perf_counter() < end:
        began = time.perf_counter()
        engine.fire(EVENT, payload)
        found.append((time.perf_counter() - began) * 1000)
        time.sleep(CALL_PAUSE)
    return found


def served(connection: Any) -> float:
    """Milliseconds of processor time that the connection's server process has taken, where this machine tells."""
    process = connection.connection.driver_connection.info.backend_pid
    with suppress(OSError):
        return int(Path(f"/proc/{process}/schedstat").read_text("ascii").split()[0]) / 1e6
    return 0.0


def statements(database: Any) -> dict[str, list[tuple[float, float]]]:
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
