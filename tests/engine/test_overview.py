"""All hooks together in steps of time, and the filter for anything that failed, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hookrow import Hook, HookEngine
from hookrow.records import LogFilter

EVENT = "before_order_add"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HookEngine]:
    """An engine with a gate that nobody answers, fired once, and then switched off and fired again."""
    url = f"sqlite:///{tmp_path}/hooks.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with HookEngine(url, worker=False) as made:
        made.hooks.add(Hook(name="gate", event=EVENT, url="http://127.0.0.1:9/x", wait_for_response=True))
        made.fire(EVENT, {"n": 1})
        made.hooks.update("gate", active=False)
        made.fire(EVENT, {"n": 2})
        yield made


def test_the_overview_is_made_of_the_statistics(engine: HookEngine) -> None:
    """The same figures, in 12, 24 and 28 steps; what was left out is no call; nothing waits."""
    seen, (of_hook,) = engine.log.overview(), engine.log.statistics().values()
    assert replace(seen.day.figures, since_ms=0) == replace(of_hook.day, since_ms=0)
    assert [len(stretch.steps) for stretch in (seen.hour, seen.day, seen.week)] == [12, 24, 28]
    for stretch in (seen.hour, seen.day, seen.week):
        assert [(step.calls, step.errors) for step in stretch.steps if step.calls] == [(1, 1)]
    assert sum(made for made, _ in of_hook.hours) == 1
    assert (seen.queue, seen.oldest_due_ms) == (0, None)


@pytest.mark.parametrize("narrowed", [{}, {"event": EVENT}, {"hook": 1}])
def test_a_problem_is_whatever_failed_or_waits_for_another_attempt(
    engine: HookEngine, narrowed: dict[str, Any]
) -> None:
    """Alone and beside other conditions; what was left out is none."""
    found = engine.log.page(LogFilter(outcome="problem", **narrowed))
    assert [firing.payload for firing in found] == [{"n": 1}]
