"""`kill -9` of workers at random and at named points, over real requests: nothing is lost, little is sent twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from crash_children import POINTS
from crash_sizes import sizes, until

SPEED = 8
"""How fast the clocks run: a lease of 7 s lapses in 0.9."""
POINT_SPEED = 16
PATIENT_SPEED = 2
"""Where nobody is killed and nothing may go twice: a lease of 3.5 s, longer than a busy machine makes one wait."""
EXPECTED = {"settle:inside": {1, 2}, "send:after": {2}, "settle:before": {2}}
"""How often a row is sent whose first worker was killed at a point; once at all others."""
CHECK_OR_TORTURE = sizes(sqlite=(20, 200), postgresql=(8, 200))
REPEATS = sizes(sqlite=(2, 25), postgresql=(1, 25))
SECONDS = sizes(sqlite=(3, 60), postgresql=(3, 60))


def finish(court: Any, speed: float = SPEED, seconds: float = 300.0, *, alone: bool = True) -> None:
    """A worker that nobody kills ends the work; then it is told to end, and does.

    A row that three kills met waits for its next attempt for half an hour, by these clocks for four and a half minutes.
    """
    if alone:
        court.quiet()
    last = court.nursery.start("worker", db=court.db, speed=speed)
    end = time.monotonic() + seconds
    while not court.done():
        assert time.monotonic() < end, [court.ask("SELECT id, state, owner FROM delivery"), court.nursery.errors()]
        time.sleep(0.1)
    court.nursery.kill(last, signal.SIGTERM)
    court.nursery.gone(last)


@pytest.mark.parametrize(("courts", "kills"), CHECK_OR_TORTURE, indirect=["courts"])
def test_random_kills_with_a_feeder(court: Any, dice: random.Random, kills: int) -> None:
    """Killed at random while a feeder fires; one of twenty workers or more by exec, not by fork: nothing differs."""
    court.hooks("a", "b")
    feeder = court.nursery.start("feeder", db=court.db, acks=str(court.acks), speed=SPEED, pause=0.02)
    in_flight: set[tuple[int, int]] = set()
    for number in range(kills):
        by_exec = number % 50 == 10
        worker = court.nursery.start("worker", db=court.db, speed=SPEED, by_exec=by_exec, concurrency=4)
        court.connected(1)
        time.sleep(dice.uniform(0.05, 0.45) + (1.5 if by_exec else 0))  # the random moment
        court.nursery.kill(worker)
        in_flight |= court.leased()
    court.nursery.kill(feeder)
    finish(court)
    rows, duplicates, most = court.judge(len(in_flight))
    print(
        f"kills {kills + 1}, rows {rows}, lost 0, "
        f"duplicates {duplicates} (in flight {len(in_flight)}), most sends {most}"
    )
    met = Counter(row for row, _ in in_flight)
    assert most <= 1 + max(met.values(), default=0), "a row goes once more for each kill that met it"
    assert in_flight, "no kill met a leased row: the test showed nothing"


@pytest.mark.parametrize(("courts", "repeats"), REPEATS, indirect=["courts"])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point(courts: Callable[..., Any], point: str, repeats: int) -> None:
    """A duplicate only where the request was answered and its result not committed, and exactly one there."""
    court = courts()
    court.hooks("a")
    sends: dict[str, int] = {}
    for _ in range(repeats):
        before = court.sends()
        court.fire_fast(POINT_SPEED)
        worker = court.nursery.start("worker", db=court.db, speed=POINT_SPEED, point=point, concurrency=1)
        court.nursery.gone(worker)
        finish(court, POINT_SPEED)
        sends |= {name: count for name, count in court.sends().items() if name not in before}
    rows, duplicates, _ = court.judge(repeats)
    print(f"{point}: rows {rows}, lost 0, duplicates {duplicates}")
    assert set(sends.values()) <= EXPECTED.get(point, {1})


@pytest.mark.parametrize(("courts", "seconds"), SECONDS, indirect=["courts"])
def test_two_workers_killed_in_turn(court: Any, dice: random.Random, seconds: int) -> None:
    """One of the two is always at work."""
    court.hooks("a", "b")
    feeder = court.nursery.start("feeder", db=court.db, acks=str(court.acks), speed=SPEED)
    workers = [court.nursery.start("worker", db=court.db, speed=SPEED) for _ in range(2)]
    in_flight: set[tuple[int, int]] = set()
    kills, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.05, 0.4))  # the random moment
        court.nursery.kill(workers.pop(0))
        in_flight |= court.leased()
        kills += 1
        workers.append(court.nursery.start("worker", db=court.db, speed=SPEED))
    for each in (feeder, *workers):
        court.nursery.kill(each)
    in_flight |= court.leased()
    finish(court)
    rows, duplicates, most = court.judge(len(in_flight))
    print(
        f"kills {kills}, rows {rows}, lost 0, duplicates {duplicates} (in flight {len(in_flight)}), most sends {most}"
    )


@pytest.mark.parametrize("courts", ["sqlite", "postgresql"], indirect=True)
def test_a_zombies_result_is_refused(courts: Callable[..., Any]) -> None:
    """Stopped past its lease with a request in flight, another worker sends the row; woken, it records nothing."""
    court = courts(slow=1.5)
    court.hooks("slow", timeout=15)
    court.fire_fast(SPEED)
    zombie = court.nursery.start("worker", db=court.db, speed=SPEED)
    until(lambda: court.sends().total() == 1)
    court.stop(zombie)
    finish(court, alone=False)
    os.kill(zombie, signal.SIGCONT)
    until(lambda: "lease was lost" in court.nursery.errors() or "not recorded" in court.nursery.errors())
    court.nursery.kill(zombie, signal.SIGTERM)
    court.nursery.gone(zombie)
    assert court.sends().total() == 2
    assert court.ask("SELECT state, attempts, fence FROM delivery") == [("sent", 1, 2)]
    assert court.ask("SELECT count(*) FROM attempt") == [(1,)]


@pytest.mark.parametrize(("courts", "count"), sizes(sqlite=(100, 1000), postgresql=(100, 1000)), indirect=["courts"])
def test_born_leased_rows_are_sent_once(courts: Callable[..., Any], count: int) -> None:
    """Handed over in memory behind a slow hook whose timeout rises meanwhile, beside another worker: none twice."""
    court = courts(slow=0.5)
    court.hooks("slow")
    host = court.nursery.start("born_leased", db=court.db, acks=str(court.acks), count=count, speed=PATIENT_SPEED)
    other = court.nursery.start("worker", db=court.db, speed=PATIENT_SPEED)
    until(lambda: len(court.acks.read_text().splitlines() if court.acks.exists() else ()) == count and court.done())
    for each in (host, other):
        court.nursery.kill(each)
    rows, duplicates, _ = court.judge(0)
    print(f"rows {rows}, duplicates {duplicates}")
    assert (rows, duplicates) == (count, 0)
