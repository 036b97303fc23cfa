"""Figures of runs: a line of JSON for each, and the table that they add up to.

`python tests/chaos/figures.py FILE` prints the table of docs/contributing/reliability.md. Runs before the last finding
on a database don't count: the count starts anew. Nor does a run that was judged wrongly (`void`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["KEPT", "append", "on_page", "table"]

KEPT = Path(__file__).parents[2] / "docs" / "contributing" / "chaos.jsonl"
"""The runs that the page counts."""
TIMES = ("lock", "full disk", "silence", "cut", "restart", "kill", "stop", "jump", "kill_feeder", "restart_callers")
COLUMNS = {
    "minutes": lambda runs: f"{sum(run['seconds'] for run in runs) / 60:.0f} in {len(runs)}",
    "deliveries": lambda runs: added(runs, "deliveries"),
    "requests": lambda runs: added(runs, "requests"),
    "`fire()`": lambda runs: added(runs, "calls"),
    "cancelled, interrupted": lambda runs: f"{added(runs, 'cancelled')}, {added(runs, 'interrupted')}",
    "lost": lambda runs: added(runs, "lost"),
    "unrecorded": lambda runs: f"{added(runs, 'unrecorded')} (callers told of {added(runs, 'told')})",
    "taken twice": lambda runs: f"{added(runs, 'twice')} (in flight {added(runs, 'in_flight')})",
    "longest `fire()`": lambda runs: f"{max(run['slowest'] for run in runs)} s",
}


def added(runs: Iterable[Mapping[str, Any]], name: str) -> str:
    return f"{sum(run.get(name, 0) for run in runs):,}"


def append(path: Path, line: Mapping[str, Any]) -> None:
    """One run's line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def counted(path: Path) -> dict[str, list[dict[str, Any]]]:
    """By database, the runs since the last finding."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text("utf-8").splitlines():
        run = json.loads(line)
        kept = runs.setdefault(run["database"], [])
        if run["finding"]:
            kept.clear()
        elif "void" not in run:
            kept.append(run)
    return runs


MARKS = ("<!-- chaos: made of chaos.jsonl by tests/chaos/figures.py -->\n", "<!-- end -->")


def on_page(page: str) -> str:
    """The page with the table as the runs make it."""
    begin, end = page.index(MARKS[0]) + len(MARKS[0]), page.index(MARKS[1], page.index(MARKS[0]))
    return f"{page[:begin]}{table()}\n{page[end:]}"


def table(path: Path = KEPT) -> str:
    """Markdown: a row for each database, and what was done to it."""
    runs = {name: each for name, each in sorted(counted(path).items()) if each}
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, each in runs.items():
        lines.append(f"| {name} | " + " | ".join(make(each) for make in COLUMNS.values()) + " |")
    lines.append("")
    for name, each in runs.items():
        done = [(word, sum(run.get(f"deed {word}", 0) for run in each)) for word in TIMES]
        said = ", ".join(f"{word.replace('_', ' ')} {count:,}" for word, count in done if count)
        seeds = ", ".join(str(run["seed"]) for run in each)
        lines += [f"{name}: {said}. Seeds {seeds}.", ""]
    return "\n".join(lines).rstrip("\n")


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
