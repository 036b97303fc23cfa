"""What the tests cost, folder by folder, held against the table in seconds.toml: a whole run that costs more fails.

Counted is the processor's time of the tests and of the processes that they start: it is the same on a busy machine.
Where all folders cost more alike, it is the machine or the interpreter that is slower.
"""

from __future__ import annotations

import resource
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

__all__ = ["GRACE", "TABLE", "TOLERANCE", "Seconds", "exceeded", "whole"]

TABLE = tomllib.loads(Path(__file__).with_name("seconds.toml").read_text("utf-8"))
TOLERANCE = 1.8
"""What is not yet a doubling: folders differ in what they do, and machines in what they do slowly."""
GRACE = 10.0
"""Seconds that a folder may cost more in any case, on the table's machine."""


def exceeded(spent: Mapping[str, float], table: Mapping[str, float]) -> dict[str, float]:
    """The folders that cost more than the table says, with what they were due on this machine."""
    slowness = statistics.median(spent[name] / due for name, due in table.items())
    due = {name: table.get(name, 0.0) * slowness for name in spent}
    return {name: due[name] for name in spent if spent[name] > due[name] * TOLERANCE + GRACE * slowness}


def processor_time() -> float:
    """Seconds that this process has used, and those of its children that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


class Seconds:
    """The plugin: each test's report says what it cost; the process that gets all reports sums them up."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self.over: dict[str, float] = {}
        self.before = 0.0

    def pytest_report_header(self, config: pytest.Config) -> str | None:
        return f"All tests: about {TABLE['minutes']} minutes on two cores." if whole(config) else None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """What takes long on the clock is begun first: no process is left alone with it at the end."""
        first = {name: place for place, name in enumerate(TABLE["first"])}
        items.sort(key=lambda item: first.get(item.nodeid.partition("::")[0], len(first)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self.before = processor_time()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "teardown":
            report.user_properties.append(("processor_time", processor_time() - self.before))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.spent[report.nodeid.split("/")[1]] += float(str(dict(report.user_properties)["processor_time"]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if whole(session.config) and session.exitstatus == pytest.ExitCode.OK and set(self.spent) >= set(TABLE["cpu"]):
            self.over = exceeded(self.spent, TABLE["cpu"])
            if self.over:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if whole(terminalreporter.config):
            said = ", ".join(f"{name} {seconds:.0f}" for name, seconds in sorted(self.spent.items()))
            terminalreporter.write_line(f"Seconds of processor time by folder: {said}")
        for name, due in self.over.items():
            terminalreporter.write_line(
                f"tests/{name} cost {self.spent[name]:.0f} s where {due:.0f} were due on this machine: make it "
                "cheaper, or say in tests/seconds.toml what it costs.",
                red=True,
            )


def whole(config: pytest.Config) -> bool:
    """Whether all tests are run that run by default."""
    chosen = config.option.keyword or config.option.markexpr != "not torture" or config.option.deselect
    chosen = chosen or config.option.collectonly or config.getoption("ignore") or config.getoption("lf", False)
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen
