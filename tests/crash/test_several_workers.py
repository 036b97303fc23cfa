"""Several worker processes on one PostgreSQL: shared work, killed connections, a restarted server."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

from crash_children import EVENT, FastClock
from crash_sizes import until
from hookrow import HookEngine

WORKERS = 3
SIZES = [
    pytest.param("postgresql", 90, (1, WORKERS), 0, id="check"),  # speed is no matter for a busy machine
    pytest.param("postgresql", 2000, (1, 2, 4, 8), 2.5, id="torture", marks=pytest.mark.torture),
]
SECONDS = [
    pytest.param("postgresql", 3, 0.4, id="check"),
    pytest.param("postgresql", 60, 2.0, id="torture", marks=pytest.mark.torture),
]
"""How long, and the longest pause between two cuts: what can't be recorded for a whole lease (7 s) goes again."""

TIMES = [
    pytest.param("own postgresql", 1, id="check"),
    pytest.param("own postgresql", 10, id="torture", marks=pytest.mark.torture),
]


def start(court: Any, count: int, **given: Any) -> list[int]:
    """So many workers, all of them waiting for work."""
    made = [court.nursery.start("worker", db=court.db, **given) for _ in range(count)]
    court.connected(count)
    return made


def stop(court: Any, workers: list[int]) -> None:
    """Tell them to end, and see them gone."""
    for each in workers:
        court.nursery.kill(each, signal.SIGTERM)
    for each in workers:
        court.nursery.gone(each)


def fire_at_once(court: Any, count: int) -> None:
    """So many firings, committed together in a transaction of the host's own."""
    theirs = create_engine(court.db)
    clock = FastClock(1)  # the workers' own: by the machine's all this would be years old, and purged
    with (
        HookEngine(court.db, worker=False, clock=clock) as engine,
        court.acks.open("a") as acks,
        theirs.begin() as connection,
    ):
        for number in range(count):
            for delivery in engine.fire(EVENT, {"number": number}, connection=connection).deliveries:
                print(delivery.id, file=acks)
    theirs.dispose()


@pytest.mark.parametrize(("courts", "rows", "numbers", "least"), SIZES, indirect=["courts"])
def test_more_workers_send_more(courts: Callable[..., Any], rows: int, numbers: tuple[int, ...], least: float) -> None:
    """A commit wakes them all; each row is sent once; as many times faster as there are workers, or nearly so."""
    court = courts(slow=0.05)
    court.hooks("slow")
    took: dict[int, float] = {}
    for number in numbers:
        workers = start(court, number, concurrency=4)
        fire_at_once(court, rows)
        began = time.monotonic()
        until(court.done)
        took[number] = time.monotonic() - began
        stop(court, workers)
    total, duplicates, _ = court.judge(0)
    assert (total, duplicates) == (rows * len(numbers), 0)
    print(", ".join(f"{n} workers: {rows / each:.0f}/s, × {took[1] / each:.1f}" for n, each in took.items()))
    assert max(took[1] / each for each in took.values()) >= least


@pytest.mark.parametrize(("courts", "seconds", "pause"), SECONDS, indirect=["courts"])
def test_killed_connections(court: Any, dice: random.Random, seconds: int, pause: float) -> None:
    """All connections are ended again and again, in mid-claim too: no process needs a restart, no row goes twice."""
    court.hooks("a", "b")
    workers = start(court, WORKERS)
    feeder = court.nursery.start("feeder", db=court.db, acks=str(court.acks), pause=0.01)
    until(lambda: court.sends().total() > 10)
    kills, end = 0, time.monotonic() + seconds
    with psycopg.connect(court.postgres, autocommit=True) as admin:
        while time.monotonic() < end:
            time.sleep(dice.uniform(pause / 8, pause))  # the random moment
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            kills += ended.rowcount
    court.nursery.kill(feeder)
    fire_at_once(court, 5)
    until(court.done)
    stop(court, workers)
    rows, duplicates, _ = court.judge(0, cut=True)
    print(f"connections ended {kills}, rows {rows}, lost 0, duplicates {duplicates}")
    assert kills > WORKERS


@pytest.mark.parametrize(("courts", "times"), TIMES, indirect=["courts"])
def test_a_restarted_server(court: Any, own_postgres: Any, times: int) -> None:
    """Shut down, or dead at once, under workers and a host: no restart of theirs, nothing lost; twice goes at most what
    was in flight, where its result could not be recorded for a whole lease."""
    court.hooks("a")
    workers = start(court, 2, concurrency=4)
    feeder = court.nursery.start("feeder", db=court.db, acks=str(court.acks), pause=0.01)
    for how in ("fast", "immediate") * times:
        goes_on(court)
        own_postgres.restart(how)
    goes_on(court)
    court.nursery.kill(feeder)
    until(court.done)
    stop(court, workers)
    rows, duplicates, _ = court.judge(len(workers) * 4 * 2 * times, cut=True)
    print(f"restarts {2 * times}, rows {rows}, lost 0, duplicates {duplicates}")


def goes_on(court: Any) -> None:
    """See more rows sent."""
    sent = court.sends().total()
    until(lambda: court.sends().total() > sent + 10)
