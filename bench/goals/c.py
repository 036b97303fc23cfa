"""Goal C: the worker in a process of its own; PostgreSQL; two workers where the receiver is slow."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from bench.measure import Bench, Row, at_least, delivered, interleave, limit
from bench.peers import own, peers, procrastinate
from bench.sides.program import Program, begin
from hookrow.secrets.keyring import KeyRing
from hookrow.store.database.address import POOLER

__all__ = ["TITLE", "draining", "measure", "working"]

TITLE = "C. Worker in a process of its own; PostgreSQL"
DELIVERIES = 600
SLOW_MS = 100
"""With 32 slots a worker makes at most 320 requests a second of it: what limits is waiting, not work."""


@contextmanager
def working(database: str, count: int = 1) -> Iterator[list[psutil.Process]]:
    """So many `hookrow worker` on a database, begun together, until the block ends."""
    command = ["-m", "hookrow", "--db", database, "worker"]
    with ExitStack() as stack:
        begun = [begin(command, stderr=subprocess.PIPE) for _ in range(count)]
        for process in begun:
            stack.enter_context(process)
            stack.callback(process.terminate)
        for process in begun:
            assert process.stderr is not None
            process.stderr.readline()
        yield [psutil.Process(process.pid) for process in begun]


def measure(bench: Bench) -> Iterator[Row]:
    """Rates against the best peer, on SQLite and PostgreSQL; what a second worker adds."""
    url, count = bench.receiver.url, bench.count(DELIVERIES)
    with ExitStack() as stack:
        database = f"sqlite:///{bench.folder}/c.db"
        producer = stack.enter_context(Program("ours", [database, url, "producer"]))
        its = stack.enter_context(working(database))
        producer.more += its
        others = {name: stack.enter_context(program) for name, program in peers(bench).items()}
        sides = {"hookrow": lambda: delivered(bench, producer, count)}
        sides |= {name: (lambda its=its: delivered(bench, its, count)) for name, its in others.items()}
        taken = interleave(sides, bench.rounds)
        memory = max(process.memory_info().rss for process in its)
    ours = taken.pop("hookrow")
    best = min(taken, key=lambda name: taken[name].median, default=None)
    if best is not None:
        yield at_least(f"deliveries by a worker process, {best}", ours, taken[best], 2.2, rate="deliveries")
    yield limit("resident memory of a worker process", memory / 1e6, 68, "MB", digits=0)
    yield from on_postgres(bench)
    yield from two_workers(bench)


def on_postgres(bench: Bench) -> Iterator[Row]:
    if bench.postgres is None:
        return
    from pgbouncer import missing, pgbouncer  # which needs the same package as the server

    url, count = bench.receiver.url, bench.count(DELIVERIES)
    with ExitStack() as stack:
        if (peer := procrastinate(bench)) is not None:
            stack.enter_context(peer)
        address = own(bench, "hookrow").replace("postgresql://", "postgresql+psycopg://")
        # Here no file stands beside the database that a key could be made in.
        keys = {"HOOKROW_KEYS": KeyRing.new().entries()}
        ours = stack.enter_context(Program("ours", [address, url], env=keys))
        lite = stack.enter_context(Program("ours", [f"sqlite:///{bench.folder}/c2.db", url]))
        sides = {
            "hookrow": lambda: delivered(bench, ours, count),
            "sqlite": lambda: delivered(bench, lite, count),
        }
        if missing():
            bench.note("PgBouncer is not installed (`apt-get install pgbouncer`): its row was left out.")
        else:
            pooler = stack.enter_context(pgbouncer(own(bench, "pooled"), "transaction"))
            address = pooler.update_query_dict({POOLER: "transaction"}).render_as_string(hide_password=False)
            pooled = stack.enter_context(Program("ours", [address, url], env=keys))
            sides["pooled"] = lambda: delivered(bench, pooled, count)
        if peer is not None:
            sides["procrastinate"] = lambda: delivered(bench, peer, count)
        taken = interleave(sides, bench.rounds)
    if peer is not None:
        mine, theirs = taken["hookrow"], taken["procrastinate"]
        yield at_least("deliveries on PostgreSQL, procrastinate", mine, theirs, 10, rate="deliveries")
    yield at_least(
        "deliveries on PostgreSQL, ours on SQLite", taken["hookrow"], taken["sqlite"], 0.8, rate="deliveries"
    )
    if "pooled" in taken:  # the goals hold for the direct connection
        what = "deliveries through PgBouncer in transaction mode, directly"
        yield at_least(what, taken["pooled"], taken["hookrow"], None, goal="—", rate="deliveries")


def two_workers(bench: Bench) -> Iterator[Row]:
    one, two = [], []
    for number in range(max(1, bench.rounds // 2)):
        one.append(draining(bench, f"one{number}", 1, deliveries=2 * DELIVERIES))
        two.append(draining(bench, f"two{number}", 2, deliveries=4 * DELIVERIES))
    ratios = [second / first for first, second in zip(one, two, strict=True)]
    ratio = statistics.median(ratios)
    yield Row(
        f"two workers, one worker; a receiver that takes {SLOW_MS} ms",
        f"{statistics.median(two):,.0f} deliveries/s",
        f"{statistics.median(one):,.0f} deliveries/s",
        f"{ratio:.2f}",
        f"{min(ratios):.2f} – {max(ratios):.2f}",
        "≥ 1.6",
        ratio >= 1.6,
    )


def draining(bench: Bench, name: str, workers: int, *, slow_ms: int = SLOW_MS, deliveries: int = DELIVERIES) -> float:
    """Deliveries a second of so many workers on a full queue, over its middle eight tenths."""
    count = bench.count(deliveries)
    path = Path(bench.folder) / f"drain-{name}.db"
    database = f"sqlite:///{path}"
    with ExitStack() as stack:
        producer = stack.enter_context(Program("ours", [database, f"{bench.receiver.url}{slow_ms or ''}", "producer"]))
        producer.ask("fire", count=count)
        before = bench.receiver.count()
        stack.enter_context(working(database, workers))
        # The first one up may have begun: what counts is what they do together.
        high = before + count - count // 10
        low = min(high - 1, max(before + max(1, count // 10), bench.receiver.count()))
        bench.receiver.wait_for(low)
        low = min(high - 1, bench.receiver.count())
        began = time.perf_counter()
        bench.receiver.wait_for(high)
        rate = (high - low) / (time.perf_counter() - began)
        bench.receiver.wait_for(before + count)
    return rate
