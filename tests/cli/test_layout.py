"""Text that lines up and can't script a terminal: rules that hold for any text."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from hookrow.cli.show.layout import Cell, Column, cut, pad, table, width
from hookrow.cli.show.output import to_json
from hookrow.safetext import visible, visible_lines

TEXT = st.text(max_size=40)


@given(TEXT)
def test_nothing_visible_acts_on_a_terminal(text: str) -> None:
    """No control, direction or line character is left, and what was printable stays."""
    shown = visible(text)
    assert not any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in shown)
    assert not any(each in shown for each in "\u202e\u2066\u200b\ufeff")
    shown.encode("utf-8")
    if text.isprintable() and not any(unicodedata.category(each) == "Cf" for each in text):
        assert shown == text


def test_lines_and_tabs_are_kept_in_bodies() -> None:
    """A body keeps its lines; a written backslash is not taken for a tab."""
    assert visible_lines("a\tb\r\n\\t\x1b") == "a\tb\n\\t\\x1b"


@given(TEXT, st.integers(2, 30))
def test_cutting_and_padding_give_the_width_asked_for(text: str, columns: int) -> None:
    """In columns of a terminal, not in characters."""
    shown = visible(text)
    assert width(cut(shown, columns)) <= columns
    assert width(pad(cut(shown, columns), columns)) == columns


def test_wide_and_combining_characters() -> None:
    """East Asian letters take two columns, accents and emoji's variation selectors none."""
    assert width("Заказ") == 5
    assert width("注文") == 4
    assert width("е\u0301") == 1
    assert width("⚙\ufe0f") == 1


@given(st.lists(st.tuples(TEXT, TEXT, st.integers(0, 99999)), min_size=1, max_size=5))
def test_columns_line_up(rows: list[tuple[str, str, int]]) -> None:
    """Whatever the cells hold, the last column begins at the same place in each line."""
    lines = table([Column("A"), Column("B"), Column("N")], [(Cell(a), b, f"|{n}") for a, b, n in rows])
    assert len({width(line[: line.rindex("|")]) for line in lines[1:]}) == 1


def test_a_narrow_terminal_cuts_what_may_shrink() -> None:
    """The table fits; the cut is marked; a column that may not shrink keeps its text."""
    lines = table([Column(), Column(shrink=True)], [("before_order_add", "x" * 100)], limit=40)
    assert width(lines[0]) == 40
    assert lines[0].startswith("before_order_add")
    assert lines[0].endswith("…")


@given(st.dictionaries(TEXT, TEXT | st.integers() | st.none(), max_size=5))
def test_json_is_the_same_data_without_dangerous_characters(value: dict[str, object]) -> None:
    """--json reads back as it was, on one line, and holds nothing that acts on a terminal."""
    text = to_json(value)
    assert json.loads(text) == value
    assert not any(unicodedata.category(each) in ("Cc", "Zl", "Zp") for each in text)
