"""Goal F on PostgreSQL (`make bench-full`; alone: `python -m bench many_rows --full`): pages of a log of 5 million
firings, and purging it beside callers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

from bench.goals.f import LARGE, MIDDLE, SMALL, pages
from bench.log_rows_server import TABLES, connected, make
from bench.measure import Bench, Row, limit
from bench.peers import own as of_its_own
from bench.sides.program import Program
from bench.sides.purging import Purge
from hookrow import HookEngine
from hookrow.events import samples
from hookrow.store.database.opening import open_database

__all__ = ["TITLE", "measure"]

TITLE = "F on PostgreSQL"
TURNS, SECONDS = 12, 10
"""A caller without a purge, beside one, and in its process, in turn; so many times, so long."""
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
        urls.append(of_its_own(bench, name))
        make(urls[-1], count, bench.seeds)
    with HookEngine(urls[0], worker=False) as short, HookEngine(urls[1], worker=False) as long:
        yield from pages(bench, short, long, many)
    yield from purging(urls[1], many)


def purging(url: str, count: int) -> Iterator[Row]:
    """Its statements one by one, what its neighbours' calls take without it and beside it, and how long it needs.

    It runs in a process of its own, as `hookrow worker` is one, and, in turn, in the callers' process, where it takes
    the interpreter's lock from them too.
    """
    alone: list[float] = []
    beside: list[float] = []
    within: list[float] = []
    with (
        Program("purging", [url]) as other,
        closing(open_database(url)) as database,
        HookEngine(url, worker=False) as engine,
    ):
        own, before, last = Purge(database), standing(url), 0
        for _ in range(TURNS):
            alone += calls(engine, SECONDS)
            other.ask("begin", after=last)
            beside += calls(engine, SECONDS)
            last = other.ask("end")["done"]
            own.begin(last)
            within += calls(engine, SECONDS)
            last = own.end()
        done = other.ask("taken")["done"]
    taken = done["statements"]
    head = f"a purge at {count:,}: "
    every = [took for each in taken.values() for took in each]
    slowest = max(taken, key=lambda each: percentile(clock(taken[each])))
    for what, found in (
        (f"{head}its statements, p99 of {len(every):,}", every),
        (f"… the slowest, «{slowest}», p99", taken[slowest]),
    ):
        row = limit(what, percentile(clock(found)), 100, "ms")
        yield replace(row, cpu=f"{percentile([server for _, server in found]):.1f} ms")
    for what, calls_then in ((f"{head}p99 of calls beside it", beside), ("… in the process of its callers", within)):
        ratio = percentile(calls_then) / percentile(alone)
        said = [f"{percentile(each):.1f} ms" for each in (calls_then, alone)]
        yield Row(f"{what}, without it", *said, f"{ratio:.2f}", "—", "≤ 1.1", ratio <= 1.1)
    rate = done["firings"] / (TURNS * SECONDS)
    yield Row(f"{head}firings a second", f"{rate:,.0f}", "", "", "—", "—", None)
    yield limit(f"… all {count:,}", count / rate / 3600, NIGHT, "h")
    after = standing(url)
    said = [f"{each['bytes'] / 1e9:.2f} GB" for each in (after, before)]
    yield Row(f"{head}tables and indexes after it, before it", *said, "", "—", "—", None)
    vacuums = f"{after['vacuums'] - before['vacuums']} vacuums"
    yield Row("… dead rows that wait for the server's vacuum", f"{after['dead']:,}", vacuums, "", "—", "—", None)


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
