"""Goal F: the log at 5 million firings, against the same log at 10,000."""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

from bench.log_rows import EVENTS, NEVER, SELDOM, SPAN_MS, make
from bench.measure import Bench, Row, limit
from hookrow import HookEngine
from hookrow.records import LogFilter

__all__ = ["LARGE", "MIDDLE", "SMALL", "TITLE", "filters", "index_share", "large_log", "measure", "pages", "took"]

TITLE = "F. The log"
SMALL, MIDDLE, LARGE = 10_000, 300_000, 5_000_000
DAY = 24 * 3600 * 1000
OUTCOMES = ("allowed", "vetoed", "failed", "cancelled", "ok", "changed", "refused", "sent", "queued")
OUTCOMES += ("retrying", "parked", "dead", "skipped")
CODES = ("200", "201", "204", "404", "418", "503", "2xx", "4xx", "5xx", "1xx")
REPEATS = 15
"""Of each page and question; tiny, once is enough to see that it works."""
SAMPLE = 9
"""Tiny, one in so many combinations of conditions is asked for: some of two, three and more, with a day and without."""
AGAIN = 10
"""So many of the worst pages are taken again, three times as often: the highest of 452 medians is mostly chance."""
PAGE = 50


def large_log(bench: Bench) -> tuple[Path, int]:
    """The long log, made at the first question: 5 million firings in the full bench."""
    count = bench.count(LARGE if bench.full else MIDDLE)
    path = bench.folder / "large.db"
    make(path, count, bench.seeds)
    return path, count


def repeats(bench: Bench) -> int:
    return REPEATS if bench.rounds > 1 else 1


def filters(engine: HookEngine, sample: int = 1) -> dict[str, LogFilter]:
    """Every kind of filter, with values that are common, rare, and absent; one in `sample` of their combinations."""
    hook = {each.key: each.id for each in engine.hooks.list()}
    newest = engine.log.ids(limit=1)[0] >> 20
    found = {
        "none": LogFilter(),
        "event": LogFilter(event=EVENTS[0]),
        "event, rare": LogFilter(event=EVENTS[4]),
        "event, absent": LogFilter(event="before_user_new"),
        "hook": LogFilter(hook=hook["gate-0"]),
        "hook, called once": LogFilter(hook=hook[SELDOM]),
        "hook, never called": LogFilter(hook=hook[NEVER]),
        "since": LogFilter(since_ms=newest - DAY),
        "until": LogFilter(until_ms=newest - 10 * DAY),
        "since and until": LogFilter(since_ms=newest - 10 * DAY, until_ms=newest - 9 * DAY),
        "until, absent": LogFilter(until_ms=newest - 90 * DAY),
    }
    found |= {f"outcome {word}": LogFilter(outcome=word) for word in OUTCOMES}
    found |= {f"code {code}": LogFilter(code=code) for code in CODES}
    return found | dict(islice(combinations(hook, newest), None, None, sample))


def combinations(hook: dict[str, int], newest: int) -> Iterator[tuple[str, LogFilter]]:
    """Two to five conditions at once: they meet often, once, or never though each of them holds for many rows."""
    outcomes = ("allowed", "vetoed", "failed", "ok", "skipped")
    parts: tuple[tuple[str, ...], ...] = (EVENTS[0], EVENTS[3]), ("gate-0", "fails"), outcomes, ("200", "5xx")
    for of in product(*((None, *each) for each in parts)):
        if of.count(None) < 3:
            event, key, outcome, code = of
            wanted = LogFilter(event=event, hook=hook[key] if key else None, outcome=outcome, code=code)
            name = ", ".join(filter(None, of))
            yield name, wanted
            if of.count(None) == 2:
                yield f"{name}, on one day", replace(wanted, since_ms=newest - 10 * DAY, until_ms=newest - 9 * DAY)


def measure(bench: Bench) -> Iterator[Row]:
    """The slowest filter by its ratio and by its time; search; the banner; bytes."""
    small, (large, count) = bench.folder / "small.db", large_log(bench)
    make(small, bench.count(SMALL), bench.seeds)
    with HookEngine(f"sqlite:///{small}", worker=False) as few, HookEngine(f"sqlite:///{large}", worker=False) as many:
        yield from pages(bench, few, many, count)
        yield from searching(bench, many, count)
        banner = [took(many.log.summary) for _ in range(repeats(bench))]
        reference = statistics.median(took(few.log.summary) for _ in range(repeats(bench)))
        said = f"{reference * 1000:.1f} ms"
        yield limit(f"the banner's figures, {count:,}", statistics.median(banner) * 1000, 5, "ms", reference=said)
    yield limit("index bytes of row bytes", index_share(large) * 100, 20, "%")


def pages(bench: Bench, few: HookEngine, many: HookEngine, count: int) -> Iterator[Row]:
    """Pages of 50 records from the top and from the middle of what a filter finds."""
    asked: dict[str, tuple[Callable[[], list[Any]], Callable[[], list[Any]]]] = {}
    ratios: dict[str, float] = {}
    times: dict[str, list[float]] = {}
    newest = few.log.ids(limit=PAGE)
    record = statistics.median(took(lambda: few.log.by_rows(newest)) for _ in range(repeats(bench))) / PAGE
    sample = 1 if bench.rounds > 1 else SAMPLE
    for (name, wanted), here in zip(filters(many, sample).items(), filters(few, sample).values(), strict=True):
        for place, far, near in (("", None, None), (", from the middle", middle(many), middle(few))):
            long, short = partial(many.log.page, wanted, before=far), partial(few.log.page, here, before=near)
            asked[name + place] = long, short

    def take(name: str, often: int) -> None:
        long, short = asked[name]
        theirs: list[float] = []
        mine: list[float] = []
        for _ in range(often):
            theirs.append(took(short))
            mine.append(took(long))
        # The short log may not fill a page: the records missing there are added as what records cost there.
        missing = max(0, len(long()) - len(short()))
        ratios[name] = statistics.median(mine) / (statistics.median(theirs) + missing * record)
        times.setdefault(name, mine)

    for name in asked:
        take(name, repeats(bench))
    for name in sorted(ratios, key=lambda name: ratios[name])[-AGAIN:]:
        take(name, 3 * repeats(bench))
    worst = max(ratios, key=lambda name: ratios[name])
    ratio = statistics.median(ratios.values())
    fits = ratios[worst] <= 1.5
    head = f"a page of 50 at {count:,} against {bench.count(SMALL):,}, p50"
    yield Row(f"{head}: median of {len(ratios)} pages", "", "", f"{ratio:.2f}", "—", "≤ 1.5", ratio <= 1.5)
    yield Row(f"{head}: the worst, «{worst}»", "", "", f"{ratios[worst]:.2f}", "—", "≤ 1.5", fits)
    slowest = max(times, key=lambda name: max(times[name]))
    every = sorted(value for values in times.values() for value in values)
    yield limit("… p99 of all filters' pages", every[len(every) * 99 // 100] * 1000, 5, "ms")
    yield limit(f"… the slowest filter's p50, «{slowest}»", statistics.median(times[slowest]) * 1000, None, "ms")


def middle(engine: HookEngine) -> int:
    """An id in the middle of the log."""
    return engine.log.ids(limit=1)[0] - (SPAN_MS // 2 << 20)


def searching(bench: Bench, engine: HookEngine, count: int) -> Iterator[Row]:
    """The first hits of a common word, and how soon progress shows for one that occurs nowhere."""
    common = [took(lambda: engine.log.search(LogFilter(search="order"), limit=50)) for _ in range(repeats(bench))]
    nowhere = [took(lambda: engine.log.search(LogFilter(search="Нигде"))) for _ in range(repeats(bench))]
    yield limit(f"text search, {count:,}: first hits", statistics.median(common) * 1000, 100, "ms")
    yield limit("… a word that is nowhere: between two looks at the progress", max(nowhere) * 1000, 100, "ms")


def took(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def index_share(path: Path) -> float:
    """Bytes of the log's indexes over those of its rows."""
    with closing(sqlite3.connect(path)) as connection:
        names = dict(
            connection.execute(
                "SELECT name, type FROM sqlite_master WHERE tbl_name IN ('firing', 'delivery', 'attempt')"
                " AND rootpage > 0"
            )
        )
        # Pages, all of one size: the sum of bytes overflows in there at 2 GB.
        sizes = dict(connection.execute("SELECT name, pageno FROM dbstat WHERE aggregate = TRUE"))
    indexes = sum(sizes.get(name, 0) for name, kind in names.items() if kind == "index")
    rows = sum(sizes.get(name, 0) for name, kind in names.items() if kind == "table")
    return indexes / rows
