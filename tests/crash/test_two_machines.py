"""Two machines whose wall clocks are two minutes apart, on one PostgreSQL: nobody waits, nothing held is taken."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from crash_children import EVENT, Machine, hook_at
from crash_sizes import until
from hookrow import HookEngine
from hookrow.clock import from_ms

APART = 60_000
"""Milliseconds that one is ahead of the server, and the other behind."""
ON = "on_subscription"
FIRINGS = 30
LATE = 20.0
"""Seconds within which everything goes: a busy machine takes some, a wrong clock would take sixty and more."""


@pytest.fixture
def machines(court: Any) -> Iterator[list[HookEngine]]:
    """A service on each."""
    made = [HookEngine(court.db, worker=False, clock=Machine(wrong)) for wrong in (APART, -APART)]
    yield made
    for each in made:
        each.close()


@pytest.mark.parametrize("courts", ["postgresql"], indirect=True)
def test_two_machines_two_minutes_apart(court: Any, machines: list[HookEngine]) -> None:
    """Rows of both go at once and in order, a retry in its time, and what a killed one held when its lease lapses."""
    court.hooks("keyed", order_key="/key", timeout=1)
    court.hooks("hang", event=ON, fire_and_forget=False, timeout=0.5)
    workers = [court.nursery.start("worker", db=court.db, concurrency=4, wrong_ms=wrong) for wrong in (APART, -APART)]
    court.connected(2)
    began = time.monotonic()
    failing = machines[0].fire(ON, {}).deliveries[0].id
    order: dict[int, list[str]] = defaultdict(list)
    fired = []
    for number in range(FIRINGS):
        key = number // 2 % 3
        fired.append(machines[number % 2].fire(EVENT, {"key": key}).deliveries[0].id)
        order[key].append(fired[-1])
    until(lambda: len(requests(court, "keyed")) > 5)
    in_flight = court.leased()
    court.nursery.kill(workers.pop(0))
    in_flight |= court.leased()
    wanted = set(fired)
    until(lambda: wanted <= {name for name, _ in requests(court, "keyed")} and len(requests(court, "hang")) > 1)
    came = requests(court, "keyed")
    assert max(moment for _, moment in came) - began < LATE
    assert len(came) - len(wanted) <= len(in_flight)
    for some in order.values():
        first = dict(reversed(came))
        assert sorted(some, key=first.__getitem__) == some
    [first_try, second_try, *_] = [moment for name, moment in requests(court, "hang") if name == failing]
    assert 4.0 <= second_try - first_try < LATE
    listed = [each.deliveries[0].id for each in machines[0].log.page(limit=FIRINGS)]
    assert listed == fired[::-1]


def requests(court: Any, path: str) -> list[tuple[str, float]]:
    """What came to this path, and when (monotonic)."""
    found = [each.split() for each in court.log.read_text().splitlines()] if court.log.exists() else []
    return [(name, float(moment)) for name, to, _, moment in found if to == f"/{path}"]


@pytest.mark.parametrize("courts", ["postgresql"], indirect=True)
def test_a_period_ends_by_the_clock_of_who_fires(court: Any, machines: list[HookEngine]) -> None:
    """It is over for the one that is ahead."""
    now = from_ms(machines[0].runtime.clock.now_ms() - APART)
    machines[0].hooks.add(hook_at(f"{court.url}/a", "a", valid_until=now + timedelta(seconds=30)))
    ahead, behind = (each.fire(EVENT, {}) for each in machines)
    assert [each.skipped for each in ahead.deliveries] == ["expired"]
    assert [each.skipped for each in behind.deliveries] == [None]
    assert ahead.at_ms - behind.at_ms > APART
