"""The table: printed as it grows, and kept in docs/contributing/performance.md with its date, machine and command."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from bench.measure import Bench, Row, paces
from bench.plot import Plot

__all__ = ["Report"]

HEAD = ("what", "ours", "reference", "ratio", "spread", "goal", "holds", "CPU a unit", "memory")
MARKS = {True: "yes", False: "**no**", None: "—"}


class Report:
    """Gathers rows and plots by goal."""

    def __init__(self, bench: Bench, machine: str, page: Path | None = None, command: str = "make bench") -> None:
        """Keep it on this page, one goal after another, if one is given."""
        self.bench = bench
        self.machine = machine
        self.page = page
        self.command = command
        self.parts: dict[str, tuple[str, list[Row | Plot]]] = {}

    def take(self, goals: Sequence[str], load: Callable[[str], ModuleType]) -> None:
        """Measure these goals, printing each row as it comes."""
        print(self.machine, flush=True)
        for name in goals:
            module = load(name)
            paces.clear()
            found: list[Row | Plot] = []
            self.parts[name] = module.TITLE, found
            print(f"\n{module.TITLE}", flush=True)
            for each in module.measure(self.bench):
                found.append(each)
                if isinstance(each, Row):
                    print(line(each), flush=True)
            self.write(name)

    def end(self, seconds: float) -> None:
        """What is left to say."""
        rows = [each for _, found in self.parts.values() for each in found if isinstance(each, Row)]
        judged = [row for row in rows if row.holds is not None]
        print(f"\n{sum(bool(row.holds) for row in judged)} of {len(judged)} goals hold; {seconds / 60:.1f} minutes.")
        for note in self.bench.notes:
            print(note)

    def write(self, name: str) -> None:
        """Put a goal's table between its marks on the page; all else there is a person's."""
        if self.page is None:
            return
        title, found = self.parts[name]
        begin, end = f"<!-- {name}: made by the bench -->", f"<!-- {name}: end -->"
        head, _, rest = self.page.read_text("utf-8").partition(begin)
        _, _, tail = rest.partition(end)
        self.page.write_text(f"{head}{begin}\n{self.section(title, found)}\n{end}{tail}", "utf-8")
        for plot in found:
            if isinstance(plot, Plot):
                self.page.with_name(f"performance-{plot.name}.svg").write_text(plot.svg(), "utf-8")

    def section(self, title: str, found: Sequence[Row | Plot]) -> str:
        """A goal's table and plots, with what the reader needs to judge them."""
        date = time.strftime("%Y-%m-%d %H:%M", time.gmtime())
        lines = [f"### {title}", "", f"`{self.command}`, {date} UTC, {self.machine}."]
        if paces:
            taken = f"{statistics.median(paces):.2f} ms of processor time ({min(paces):.2f} – {max(paces):.2f})"
            lines.append(f"A fixed loop of Python beside it took {taken}.")
        lines.append("")
        lines += [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
        lines += [f"| {' | '.join(cells(each))} |" for each in found if isinstance(each, Row)]
        plots = [each for each in found if isinstance(each, Plot)]
        if plots:
            lines += ["", *(f"![{plot.title}](performance-{plot.name}.svg)" for plot in plots)]
        return "\n".join(lines)


def cells(row: Row) -> list[str]:
    """A row's cells; a bar inside one would end it."""
    mark = MARKS[row.holds]
    found = [row.what, row.ours, row.reference, row.ratio, row.spread, row.goal, mark, row.cpu, row.memory]
    return [cell.replace("|", "/") or "—" for cell in found]


def line(row: Row) -> str:
    """A row on a terminal."""
    mark = {True: "holds", False: "DOES NOT HOLD", None: ""}[row.holds]
    head = f"  {row.what[:68]:68} {row.ours:>18} {row.reference:>18} {row.ratio:>7} {row.goal:>9}  {mark}"
    more = "  ".join(part for part in (row.spread.replace("—", ""), row.cpu, row.memory) if part)
    return f"{head}\n{'':6}{more}" if more else head
