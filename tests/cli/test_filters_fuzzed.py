"""What is typed at a prompt or into the filter's line: something to ask the log for, or a declared refusal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from hypothesis import strategies as st

from fuzzing import EXAMPLES, fuzz, pieces
from hookrow import Hook, HookEngine
from hookrow.cli.commands.listen import ReplyChoice
from hookrow.cli.read.given import log_filter, moment, parse_payload
from hookrow.cli.read.selection import Rate, RowRange
from hookrow.errors import HookrowError
from hookrow.hook.dates import Here
from hookrow_tui.presenters.log.query import parse

REFUSALS = (HookrowError, click.UsageError)
HERE = Here(datetime(2026, 11, 25, 12, tzinfo=UTC), UTC)
TIMES = pieces(
    "today",
    "2h",
    "1ч",
    "999999d",
    "01.11.2026",
    " 10:00",
    "T10:00",
    "Z",
    "+03:00",
    "9999-12-31",
    "0001-01-01",
    "сегодня",
    "-",
    "нед",
    "30сек",
    "27.11",
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "event": pieces("before_order_add", "after", more="_. "),
        "hook": pieces("1", "Stock", "stock", "9" * 30, more="0-٣ "),
        "outcome": st.sampled_from(["dead", "vetoed", "running"]),
        "since": TIMES,
        "until": TIMES,
        "search": pieces("x", "%", "_", "\\", "'", '"', "\0", "\ud800", more="*[] "),
        "code": pieces("404", "5xx", "5хх", more="0123456789x٣"),
    },
)
QUERY = pieces(
    "код:",
    "5xx",
    "за:",
    "1ч",
    "99999w",
    "хук:",
    "1",
    '"',
    "«",
    "»",
    "событие:",
    "until:",
    "9999-12-31",
    "все",
    more=': "%\0',
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HookEngine]:
    """With one hook and one firing."""
    with HookEngine(f"sqlite:///{tmp_path_factory.mktemp('fuzz')}/hooks.db", worker=False) as made:
        made.hooks.add(Hook(name="Stock", key="stock", event="before_order_add", url="http://h/", active=False))
        made.fire("before_order_add", {"order": {"note": "x"}})
        yield made


@pytest.mark.parametrize("count", EXAMPLES)
def test_any_options_choose_firings_or_are_refused(engine: HookEngine, count: int) -> None:
    """The filters of `log`, `redeliver`, `replay` and `drop`: the log answers whatever passes them."""

    def ask(options: dict[str, Any]) -> None:
        found = log_filter(engine, options)
        assert len(engine.log.page(found)) <= 1
        engine.log.ids(found)

    fuzz(OPTIONS, ask, count=count, refusals=REFUSALS)


@pytest.mark.parametrize("count", EXAMPLES)
def test_any_filter_line_chooses_firings_or_is_refused(engine: HookEngine, count: int) -> None:
    """The interface's line, in the same way."""

    def ask(typed: str) -> None:
        now_ms = time.time_ns() // 1_000_000
        found = parse(typed, now_ms=now_ms, find_hook=lambda ref: engine.hooks.get(ref).id or 0)
        assert len(engine.log.page(found)) <= 1

    fuzz(QUERY | TIMES.map("за:".__add__), ask, count=count, refusals=REFUSALS)


@pytest.mark.parametrize("typed", ["999999d", "800000 д"])
def test_so_long_ago_is_refused_in_a_sentence(typed: str) -> None:
    """Before the first year there is no moment."""
    with pytest.raises(HookrowError, match="as a time"):
        moment(typed, HERE, "--since", "log")


def convert(kind: click.ParamType[Any]) -> Any:
    """What a command does with an option's text."""
    return lambda text: kind.convert(text, None, None)


VALUES: dict[str, tuple[st.SearchStrategy[Any], Any]] = {
    "a moment": (TIMES, lambda text: moment(text, HERE, "--since", "log")),
    "a moment's end": (TIMES, lambda text: moment(text, HERE, "--until", "log", end=True)),
    "a rate": (pieces("5", "/s", "/m", "0", "1e9", more="./,9٣"), convert(Rate())),
    "a stretch": (pieces("..", "evt_a", more="._"), convert(RowRange())),
    "a reply": (
        pieces("slow:", "status:", "allow", "veto", "99", "1e9", more=":.0123456789٣-"),
        convert(ReplyChoice()),
    ),
    "a payload": (
        pieces("{", "}", '"a":', "NaN", "[" * 2000, "9" * 5000, '"\\ud800"', more='{}[]",:0').map(
            lambda t: t.encode(errors="replace")
        )
        | st.binary(max_size=20),
        lambda raw: parse_payload(raw, "-"),
    ),
}


@pytest.mark.parametrize("count", EXAMPLES)
@pytest.mark.parametrize("name", VALUES)
def test_any_value_is_read_or_refused(name: str, count: int) -> None:
    """Moments, rates, ranges, a listener's reply, payloads."""
    fuzz(*VALUES[name], count=count, refusals=REFUSALS)
