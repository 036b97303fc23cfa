"""The log's filter grammar: what is typed becomes a filter or one clear sentence, and comes back as it was."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookrow.lang import current, use
from hookrow.records import LogFilter
from hookrow.words import OUTCOMES
from hookrow_tui.presenters.log.query import NotAFilter, parse, show

NOW = 1_795_608_187_918
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", LogFilter()),
        ("договор 12", LogFilter(search="договор 12")),
        ("событие:before_order_add итог:сдались", LogFilter(event="before_order_add", outcome="dead")),
        ("Event: before_order_add  Outcome: dead", LogFilter(event="before_order_add", outcome="dead")),
        ("код:5xx", LogFilter(code="5xx")),
        ("код:5хх", LogFilter(code="5xx")),
        ("code:409 хук:7", LogFilter(code="409", hook=7)),
        ("за:1ч", LogFilter(since_ms=NOW - HOUR)),
        ("since:90m до:30мин", LogFilter(since_ms=NOW - HOUR * 3 // 2, until_ms=NOW - HOUR // 2)),
        ("с:2026-11-25T10:00:00Z", LogFilter(since_ms=1_795_600_800_000)),
        ("событие: все  итог: все A-10492", LogFilter(search="A-10492")),
        ('"код:5xx"', LogFilter(search="код:5xx")),
        ("«два слова» три", LogFilter(search="два слова три")),
        ("https://price.example/", LogFilter(search="https://price.example/")),
    ],
)
def test_both_languages_mean_the_same(typed: str, meant: LogFilter) -> None:
    """Every key has a Russian and an English name, quotes keep words together, an address is a word."""
    assert parse(typed, now_ms=NOW) == meant


def test_a_time_without_offset_is_read_in_the_zone_of_the_settings() -> None:
    """«с:"25.11.2026 13:00"» in Moscow is 10:00 UTC."""
    moscow = ZoneInfo("Europe/Moscow")
    assert parse('с:"25.11.2026 13:00"', now_ms=NOW, zone=moscow).since_ms == 1_795_600_800_000


@pytest.mark.parametrize(
    "typed", ["статуc:5xx", "код:6xx", "код:", "итог:чудо", "за:вечность", '"open', "код:1xx код:2xx", "хук:Имя"]
)
def test_what_is_not_understood_is_named(typed: str, language: str) -> None:
    """An unknown key or value, a doubled key, an open quote: one sentence that names it."""
    with pytest.raises(NotAFilter) as refused:
        parse(typed, now_ms=NOW)
    assert str(refused.value)
    assert "{" not in str(refused.value)


def test_a_hook_is_found_by_whoever_knows_the_hooks() -> None:
    """A name in quotes goes to `find_hook` as it is, even if it reads «все»."""
    names = {"Чёрный список": 2, "все": 3}
    for name, number in names.items():
        assert parse(f'хук:"{name}"', now_ms=NOW, find_hook=names.__getitem__) == LogFilter(hook=number)


def test_a_shown_filter_reads_back_as_the_same(language: str) -> None:
    """In both languages, with every outcome."""
    for outcome in OUTCOMES:
        wanted = LogFilter(
            event="a.b", hook=4, outcome=outcome, since_ms=NOW - 1, until_ms=NOW, search="x y", code="5xx"
        )
        assert parse(show(wanted), now_ms=NOW) == wanted


@given(st.text(), st.sampled_from(["ru", "en"]))
def test_any_text_is_a_filter_or_refused(text: str, spoken: str) -> None:
    """Nothing that is typed breaks the parser, and what it understood is shown so that it means the same."""
    before = current()
    use(spoken)  # type: ignore[arg-type]
    try:
        found = parse(text, now_ms=NOW)
    except NotAFilter:
        return
    finally:
        use(before)
    assert parse(show(found, zone=UTC), now_ms=NOW + 5) == found


@given(st.text(min_size=1), st.sampled_from(["", "событие:", "outcome: ", "код:", "за:", "«"]))
def test_any_search_text_can_be_quoted(text: str, before: str) -> None:
    """A filter made elsewhere, whatever it looks for, has a spelling."""
    wanted = LogFilter(search=(before + text), event=text)
    assert parse(show(wanted), now_ms=NOW) == wanted
