"""What the pages say of the measurements is what the tables hold."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
TABLES = (DOCS / "contributing" / "performance.md").read_text("utf-8")


def held(*goals: str) -> tuple[int, int]:
    """How many of these goals hold, and of how many."""
    text = "".join(re.findall(rf"<!-- (?:{'|'.join(goals)}): made .*?(?=<!-- \w+: end -->)", TABLES, re.DOTALL))
    yes, no = text.count("| yes |"), text.count("| **no** |")
    return yes, yes + no


def test_the_goals_are_counted_as_the_tables_do() -> None:
    """Those of a run, those of growth, that of the soak."""
    yes, of = held(*"abcdefgh")
    assert f"**{yes} of the {of} goals A to H hold**" in TABLES
    yes, of = held("growth")
    assert f"of growth's {of} goals {yes} hold" in TABLES
    assert held("soak") == (1, 1)


def test_the_figures_for_users_are_measured_ones() -> None:
    """The first column of a row in the tables, beside the number on the page."""
    page = (DOCS / "performance.md").read_text("utf-8")
    for said, what, measured in (
        ("2,160 a second", "deliveries, huey", "2,156 deliveries/s"),
        ("| 0.95 ms |", "fire(), K = 1", "952 µs"),
        ("| 0.92 ms |", "durable await fire(), p50; a transaction by hand, FULL", "915 µs"),
        ("| 81 MB |", "resident memory of the whole process", "81 MB"),
        ("nine tenths", "deliveries on PostgreSQL, ours on SQLite", "2,300 deliveries/s | 2,256 deliveries/s | 0.94"),
        ("costs 14 µs", "await fire(), no hook for the event; nothing written", "14.0 µs"),
        ("to a third", "hooks on one event: 1,000", "866 deliveries/s | — | 0.335"),
        ("95 % of the rate", "1,000 receivers, percent of them dead: 10", "830 deliveries/s | — | 0.946"),
    ):
        assert said in page
        assert f"\n| {what} | {measured} |" in TABLES, what
    assert all((DOCS / chart).exists() for chart in re.findall(r"contributing/performance-\w+\.svg", page))
