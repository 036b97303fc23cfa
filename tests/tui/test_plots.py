"""Plots: blocks made of numbers, the overview of all hooks, what a wide terminal shows of each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from apps import in_thread, shown, until
from hypothesis import given
from hypothesis import strategies as st
from screens import drawn

from hookrow import Hook, HookEngine
from hookrow_tui.hooks.overview import OverviewScreen
from hookrow_tui.presenters.glyphs import ASCII, UNICODE
from hookrow_tui.presenters.plots import axis, bars, narrowed, spark

COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)


def test_a_line_of_bars() -> None:
    """The largest is full, whatever is not nothing is seen, an hour with errors is a sign; also in ASCII."""
    assert spark([0, 1, 50, 100], [0, 0, 0, 0], UNICODE) == " ▁▄█"
    assert spark([0, 1, 50, 100], [0, 0, 1, 0], UNICODE) == " ▁!█"
    assert spark([0, 100], [0, 0], ASCII).isascii()
    assert spark([], [], UNICODE) == ""


def test_bars_over_several_lines() -> None:
    """Eighths of a line; None is nothing; a gap between wide bars."""
    assert bars([0, 8, None, 16], 2, 1, UNICODE) == ["   █", " █ █"]
    assert bars([4, 8], 1, 3, UNICODE) == ["▄▄ ██ "]
    assert bars([0, None], 1, 1, UNICODE) == ["  "]


@given(COUNTS, st.integers(1, 8), st.integers(1, 5))
def test_bars_have_their_size(values: list[int], rows: int, width: int) -> None:
    """Whatever the numbers: so many lines, each so many columns; the largest reaches the top."""
    lines = bars(values, rows, width, UNICODE)
    assert [len(line) for line in lines] == [len(values) * width] * rows
    assert ("█" in lines[0]) == bool(max(values))


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9)), max_size=24), st.integers(1, 24))
def test_fewer_steps_hold_the_same(values: list[tuple[int, int]], count: int) -> None:
    """Nothing is lost by adding up."""
    fewer = narrowed(values, count)
    assert len(fewer) <= count
    assert [sum(each) for each in zip(*fewer, strict=True)] == [sum(each) for each in zip(*values, strict=True)]


def test_the_moments_below_bars() -> None:
    """Times of a day, dates of a week, as many as fit."""
    assert axis(0, 3_600_000, 24, 3, UTC).split()[:3] == ["00:00", "03:00", "06:00"]
    assert axis(0, 21_600_000, 28, 2, UTC).split()[:2] == ["01.01", "02.01"]
    assert len(axis(0, 3_600_000, 24, 3, UTC)) <= 72


def fired(path: Path) -> HookEngine:
    """An engine with three calls of a gate that nobody answers, and none of a second hook."""
    engine = HookEngine(f"sqlite:///{path / 'hooks.db'}", worker=False)

    def fill() -> None:
        made = {"event": "before_order_add", "url": "http://127.0.0.1:9/x"}
        engine.hooks.add(Hook(name="gate", wait_for_response=True, **made))
        engine.hooks.add(Hook(name="off", active=False, **made))
        for number in range(3):
            engine.fire("before_order_add", {"n": number})

    in_thread(fill)
    return engine


def test_the_figures_of_all_hooks_together(tmp_path: Path) -> None:
    """They are those of the statistics, in steps; what is older than a stretch is not in it."""
    with fired(tmp_path) as engine:
        seen, of_hooks = engine.log.overview(), engine.log.statistics()
        assert replace(seen.day.figures, since_ms=0) == replace(of_hooks[1].day, since_ms=0)
        assert (seen.day.figures.calls, seen.day.figures.errors) == (3, 3)
        for name, count in (("hour", 12), ("day", 24), ("week", 28)):
            stretch = getattr(seen, name)
            assert len(stretch.steps) == count
            assert sum(step.calls for step in stretch.steps) == 3
            assert stretch.steps[-1].errors == 3
        assert of_hooks[1].hours[-1] == (3, 3)
        assert sum(made for made, _ in of_hooks[1].hours) == 3
        assert of_hooks[2].hours == ((0, 0),) * 24
        assert seen.as_json()["hour"]["calls"] == 3


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 20), (80, 24), (120, 40)])
async def test_the_overview_on_the_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    """o opens it, 1, 2, 3 choose the stretch, Escape goes back; everything fits the smallest screen."""
    async with shown((120, 40), engine=fired(tmp_path)) as at:
        await at.pilot.resize_terminal(*size)
        await at.press("o")
        await until(at.pilot, lambda: "Вызовов 3" in drawn(at.app), "the figures")
        assert "Ошибок 3" in drawn(at.app)
        assert "█" in drawn(at.app)
        for key, name in (("1", "последний час"), ("3", "последние 7 дней"), ("2", "последние 24 часа")):
            await at.press(key)
            assert name in drawn(at.app).splitlines()[0]
        assert isinstance(at.app.screen, OverviewScreen)
        await at.press("escape")
        await until(at.pilot, lambda: not isinstance(at.app.screen, OverviewScreen), "the list")


@pytest.mark.anyio
@pytest.mark.parametrize("width", [120, 127, 139, 180])
async def test_a_wide_terminal_shows_last_call_p95_and_hours(width: int, on_the_day: Any) -> None:
    """Every row and the heading are as wide as each other's columns."""
    async with shown((width, 40)) as at:
        await until(at.pilot, lambda: "480" in drawn(at.app), "the statistics")
        lines = drawn(at.app).splitlines()
        head = next(line for line in lines if "p95" in line)
        row = next(line for line in lines if "Скидки по договору" in line)
        assert row[: head.index("p95") + 3].endswith("480")
        assert "14:59" in row[head.index("p95") + 3 : head.index("24 часа")]
        assert "!" in row[head.index("24 часа") :]
