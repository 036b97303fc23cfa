"""One dictionary: every word that a face shows is taken by every filter, in both languages, and is in the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from hookrow import Hook
from hookrow.cli.read.given import Outcome
from hookrow.cli.show.wording import deed, glyph, outcome_cell, verdict_cell
from hookrow.records import Delivery, Firing, HookRef, LogFilter
from hookrow.words import ERRORS, MODES, OUTCOMES, REASONS, SIGNS, SKIPS, STATES, firing_word, outcome_code, read_word
from hookrow_tui.presenters.glyphs import ASCII, UNICODE
from hookrow_tui.presenters.hook_rows import Filter, HookRow
from hookrow_tui.presenters.log.query import parse, show
from hookrow_tui.presenters.log.rows import WORDS, outcome_text, rows_of

PAGE = "".join(page.read_text("utf-8") for page in (Path(__file__).parents[2] / "docs" / "reference").glob("*.md"))
NOW = 1_795_608_187_918
HOOK = HookRef(1, "h", "H")
FIRING = Firing("evt_1", "before_order_add", "before", NOW, "allowed", {}, {}, ms=5)
FIRING_CODES = ("running", "allowed", "vetoed", "failed", "cancelled")


def delivery(state: str, **values: Any) -> Delivery:
    """A share in this state."""
    return Delivery("msg_1", "evt_1", HOOK, 1, 10, "gate", state, NOW, **values)


def shown_outcomes() -> Iterator[tuple[str, str]]:
    """Every outcome word that a face shows at a delivery or a firing, with the code that it stands for."""
    for code in OUTCOMES:
        yield outcome_cell(code).text, code
    for code in FIRING_CODES:
        for moment in ("before", "after"):
            firing = replace(FIRING, outcome=None if code == "running" else code, moment=moment)
            yield verdict_cell(firing).text, code
            yield rows_of(firing, zone=UTC, today_ms=NOW, glyphs=UNICODE)[0].words, code
            failing = replace(firing, deliveries=(delivery("failed"),))
            if code == "allowed":
                yield verdict_cell(failing).text, "failed"
                yield rows_of(failing, zone=UTC, today_ms=NOW, glyphs=UNICODE)[0].words, "failed"
    for code in ("ok", "changed", "sent", "queued", "parked", "dead", "cancelled", "skipped", "failed"):
        yield outcome_text(FIRING, delivery(code)), code
    for code in ERRORS:
        yield outcome_text(FIRING, delivery("failed", error=code)), code
        yield deed(delivery("dead", error=code), FIRING), code
    for code in SKIPS:
        yield outcome_text(FIRING, delivery("skipped", skipped=code)), code
        yield deed(delivery("skipped", skipped=code), FIRING), code


def test_what_is_shown_can_be_typed_everywhere(language: str) -> None:
    """In `--outcome`, and in the log's filter, which shows it again as it was."""
    for text, code in shown_outcomes():
        assert Outcome().convert(text, None, None) == code, text
        typed = f'outcome:"{text}"'
        wanted = parse(typed, now_ms=NOW)
        assert wanted == LogFilter(outcome=code), text
        assert parse(show(wanted), now_ms=NOW) == wanted


@pytest.mark.parametrize("known", [OUTCOMES, REASONS, STATES, MODES], ids=["outcomes", "reasons", "states", "modes"])
def test_code_words_of_both_languages_and_old_ones_mean_the_same(known: dict[str, Any]) -> None:
    """None of them means two things, and capitals, spaces and «ё» make no difference."""
    seen: dict[str, str] = {}
    for code, word in known.items():
        for each in word.typed:
            assert read_word(known, each) == code, each
            assert read_word(known, f" {each.upper().replace('Ё', 'Е')} ") == code, each
            assert seen.setdefault(each.lower(), code) == code
    assert read_word(known, "") is None
    assert read_word(known, "no such word") is None


def test_a_word_of_the_one_kind_is_none_of_the_other() -> None:
    """A filter by outcome takes outcomes, errors and skip reasons: no word of one is the code of another."""
    for code, word in {**OUTCOMES, **REASONS}.items():
        assert [outcome_code(each) for each in word.typed] == [code] * len(word.typed)


def test_the_list_is_filtered_by_the_word_that_it_shows(language: str) -> None:
    """The whole word, the short one and the code."""
    for code, word in STATES.items():
        for typed in (str(word), word.short, code, *word.old):
            assert Filter(state=typed).fits(in_state(code))
        others = [each for each in STATES if each != code]
        assert not any(Filter(state=str(word)).fits(in_state(each)) for each in others)


def in_state(code: str) -> HookRow:
    """A row of the list with a hook in this state."""
    values = {"state": code, "event": "before_order_add", "name": "H", "url": "https://a.example/", "key": "h"}
    return HookRow(Hook.model_construct(**{**values, "id": 1, "position": 10}))


def test_the_reference_has_every_word() -> None:
    """Code and Russian word in one line, and the sign of an outcome."""
    for known in (OUTCOMES, REASONS, STATES):
        for code, word in known.items():
            sign = f" {SIGNS[word.sign]} |" if known is OUTCOMES else ""
            assert f"| `{code}` |{sign} {word.ru} |" in PAGE, code


def test_the_log_has_room_for_every_word(language: str) -> None:
    """On 80 columns the log's column cuts none, also of a delivery that will be tried again."""
    for text, _ in shown_outcomes():
        assert cell_len(text) <= WORDS, text
    for code in ERRORS:
        for attempts in (1, 10):
            retrying = outcome_text(FIRING, delivery("retrying", error=code, attempts=attempts))
            assert cell_len(retrying) <= WORDS, retrying
            assert f"{attempts}/10" in retrying
        assert cell_len(outcome_text(FIRING, delivery("dead", error=code))) <= WORDS
    assert all(len(word.short) <= 7 for word in STATES.values())


def test_a_sign_stands_beside_every_word() -> None:
    """Both faces draw the same one; where the terminal has only ASCII it is one character too."""
    for code, word in OUTCOMES.items():
        assert glyph(code).text == UNICODE.sign(word.sign) == SIGNS[word.sign]
        assert len(ASCII.sign(word.sign)) == 1
        assert ASCII.sign(word.sign).isascii()


def test_a_firing_says_that_a_hook_failed(language: str) -> None:
    """Before the operation the failure lets it pass, or refuses it; afterwards it is only a failure."""
    said = [
        str(firing_word(outcome, moment, failing=True))
        for outcome, moment in (("failed", "before"), ("allowed", "before"), ("allowed", "after"))
    ]
    russian = ["отклонено, ошибка", "разрешено, ошибка", "ошибка"]
    assert said == (russian if language == "ru" else ["failed", "allowed, failed", "failed"])
