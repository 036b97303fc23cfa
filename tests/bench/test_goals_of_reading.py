"""The benchmarks of the log, the start and the terminal run, tiny; what they draw and write is whole."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tiny_bench import ROOT, rows_of


def test_the_benchmarks_of_reading_run() -> None:
    """Each goal has its heading and its rows."""
    assert len(rows_of("fgh")) >= 19


def test_a_page_keeps_what_a_person_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what stands between a goal's marks is made anew; the plot is a file beside the page, and well-formed."""
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.measure import Bench, Row
    from bench.plot import Plot
    from bench.report import Report

    page = tmp_path / "performance.md"
    page.write_text("Mine.\n<!-- a: made by the bench -->\nbefore\n<!-- a: end -->\nMine too.\n", "utf-8")
    report = Report(Bench(None, tmp_path, 1, 1), "two cores", page)  # type: ignore[arg-type]
    points = [(10_000.0, 0.2), (5_000_000.0, 0.25)]
    row = Row("a | b", "1 ms", "2 ms", "0.50", "0.40 - 0.60", "at most 1", True)
    report.parts["a"] = ("A. One", [row, Plot("one", "Title & more", "x", "y", points)])
    for _ in range(2):
        report.write("a")
        text = page.read_text("utf-8")
        assert text.startswith("Mine.\n")
        assert text.endswith("\nMine too.\n")
        assert "before" not in text
        assert "| a / b | 1 ms | 2 ms | 0.50 |" in text
    drawn = ElementTree.parse(tmp_path / "performance-one.svg")
    assert "5M" in "".join(drawn.getroot().itertext())
