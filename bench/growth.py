"""Growth: what more hooks, larger payloads, more workers, a longer log and dead receivers change. `make bench-full`."""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from bench.goals.c import draining
from bench.goals.f import filters, took
from bench.log_rows import make
from bench.measure import Bench, Row, delivered
from bench.plot import Plot
from bench.sides.program import Program
from hookrow import HookEngine

__all__ = ["TITLE", "measure"]

TITLE = "Growth"
HOOKS = (1, 10, 100, 1000)
PAYLOADS = (1_000, 100_000, 1_000_000)
WORKERS = (1, 2, 4)
LOGS = (10_000, 100_000, 1_000_000, 5_000_000)
DELIVERIES = 2000
COPIED = (
    "INSERT INTO hook ({names}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
    " SELECT {values} FROM hook, n WHERE hook.key = 'bench'"
)


def measure(bench: Bench) -> Iterator[Row | Plot]:
    """Each dimension by itself; a row a step, and a plot."""
    yield from hooks(bench)
    yield from hooks_in_all(bench)
    yield from payloads(bench)
    yield from receivers(bench)
    yield from workers(bench)
    yield from logs(bench)


def copies(path: Path, count: int, *, event: str | None = None, dead_port: int = 0) -> None:
    """So many copies of the bench's hook without its secrets, on its own event or another; a tenth may be dead."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(hook)") if row[1] != "id"]
        secret = ("auth_password", "custom_header_value", "signing_secret")
        made = dict.fromkeys(secret, "NULL") | {"key": "'copy-' || n.i", "custom_header": "''", "auth_login": "''"}
        if event is not None:
            made["event"] = f"'{event}'"
        if dead_port:
            made["url"] = f"CASE n.i % 10 WHEN 0 THEN 'http://127.0.0.1:{dead_port}/' ELSE hook.url END"
        values = ", ".join(made.get(name, f'hook."{name}"') for name in names)
        quoted = ", ".join(f'"{name}"' for name in names)
        connection.execute(COPIED.format(names=quoted, values=values), (count,))
        connection.commit()


def prepared(bench: Bench, name: str, count: int, **how: object) -> str:
    """A database with the bench's hook and its copies."""
    path = bench.folder / f"{name}.db"
    with Program("ours", [f"sqlite:///{path}", bench.receiver.url, "producer"]):
        pass
    if count:
        copies(path, count, **how)  # type: ignore[arg-type]
    return f"sqlite:///{path}"


def steps(what: str, found: Sequence[tuple[float, float]], unit: str, goal: str, holds: bool | None) -> Iterator[Row]:
    """A row a step, each against the first."""
    for number, (size, value) in enumerate(found):
        last = number == len(found) - 1
        ratio = f"{value / found[0][1]:.3f}" if number else "1"
        said = f"{value:,.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
        yield Row(f"{what}: {size:,.0f}", said, "", ratio, "—", goal if last else "—", holds if last else None)


def hooks(bench: Bench) -> Iterator[Row | Plot]:
    """Deliveries a second, background, all hooks on the fired event."""
    found = []
    for number in sorted({min(each, bench.count(HOOKS[-1])) for each in HOOKS}):
        database = prepared(bench, f"hooks{number}", number - 1)
        firings = max(1, bench.count(DELIVERIES) // number)
        with Program("ours", [database, bench.receiver.url]) as program:
            sample = burst(bench, program, firings, number)
        found.append((float(number), sample))
    fits = found[-1][1] >= 0.8 * found[0][1]
    yield from steps("hooks on one event", found, "deliveries/s", "≥ 0.8", fits)
    yield Plot("hooks", "Deliveries a second by hooks on one event", "hooks", "deliveries/s", found)


def burst(bench: Bench, program: Program, firings: int, each: int, rounds: int = 3) -> float:
    """Deliveries a second of firings of which each makes so many deliveries that arrive; the best of some rounds."""
    best = 0.0
    for _ in range(rounds):
        before = bench.receiver.count()
        taken = took(lambda before=before: arrived(bench, program, firings, before + firings * each))  # type: ignore[misc]
        best = max(best, firings * each / taken)
    return best


def arrived(bench: Bench, program: Program, firings: int, count: int) -> None:
    program.tell("fire", count=firings, concurrency=min(32, firings))
    bench.receiver.wait_for(count)
    program.line()


def hooks_in_all(bench: Bench) -> Iterator[Row]:
    """10,000 hooks of which one listens."""
    found = []
    for number in (1, max(2, bench.count(10_000))):
        database = prepared(bench, f"all{number}", number - 1, event="on_subscription")
        with Program("ours", [database, bench.receiver.url]) as program:
            sample = delivered(bench, program, bench.count(DELIVERIES))
        found.append((float(number), sample.units / sample.seconds))
    yield from steps("hooks in all, one of them on the event", found, "deliveries/s", "≥ 0.75", flat(found))


def flat(found: Sequence[tuple[float, float]]) -> bool:
    """The last is at most a quarter worse than the first."""
    return found[-1][1] >= 0.75 * found[0][1]


def payloads(bench: Bench) -> Iterator[Row | Plot]:
    """Megabytes a second."""
    found = []
    for number in PAYLOADS:
        database = prepared(bench, f"payload{number}", 0)
        count = max(2, min(bench.count(DELIVERIES), bench.count(20_000_000) // number))
        with Program("ours", [database, bench.receiver.url, f"pad={number}"]) as program:
            sample = delivered(bench, program, count)
        found.append((float(number), count * number / sample.seconds / 1e6))
    # A megabyte must not cost more than a thousand kilobytes do.
    yield from steps("payload bytes", found, "MB/s", "≥ 1", found[-1][1] >= found[0][1])
    yield Plot("payloads", "Megabytes of payload a second", "bytes of a payload", "MB/s", found)


def receivers(bench: Bench) -> Iterator[Row]:
    """1,000 receivers; then a tenth of them refuses connections."""
    found = []
    count = max(10, bench.count(1000))
    for number, dead in enumerate((0, 1)):
        database = prepared(bench, f"receivers{number}", count - 1, dead_port=9 if dead else 0)
        living = count - (count - 1) // 10 if dead else count
        with Program("ours", [database, bench.receiver.url]) as program:
            found.append((10.0 * dead, burst(bench, program, 1, living, rounds=2)))
    yield from steps(
        f"{count:,} receivers, percent of them dead", found, "deliveries/s", "≥ 0.9", found[-1][1] >= 0.9 * found[0][1]
    )


def workers(bench: Bench) -> Iterator[Row | Plot]:
    """Worker processes on one SQLite file, a receiver that takes 100 ms."""
    found = []
    for number in WORKERS:
        found.append((float(number), draining(bench, f"grow{number}", number, deliveries=600 * number)))  # noqa: PERF401
    fits = found[1][1] >= 1.6 * found[0][1]
    yield from steps("worker processes", found, "deliveries/s", "two: ≥ 1.6", fits)
    yield Plot("workers", "Deliveries a second by worker processes", "workers", "deliveries/s", found)


def logs(bench: Bench) -> Iterator[Row | Plot]:
    """A page of 50, the median over all filters."""
    found = []
    for number in LOGS:
        large = number == LOGS[-1]
        path = bench.folder / ("large.db" if large else f"log{number}.db")
        if large and not path.exists():  # goal F makes it, in the same run
            break
        make(path, bench.count(number), bench.seeds)
        with HookEngine(f"sqlite:///{path}", worker=False) as engine:
            wanted = list(filters(engine).values())
            times = [took(lambda each=each: engine.log.page(each)) for _ in range(5) for each in wanted]  # type: ignore[misc]
        if not large:
            path.unlink()
        found.append((float(number), statistics.median(times) * 1000))
    yield from steps("firings in the log", found, "ms a page", "≤ 1.5", found[-1][1] <= 1.5 * found[0][1])
    yield Plot("log", "A page of the log by its length, median over all filters", "firings", "ms", found)
