"""The pen that draws only differences: fewer bytes, the same colours."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st

from hookrow_tui.terminal.repaint import changed_runs, turn

COLOURS = st.sampled_from(["", "31", "97", "38;5;111", "38;2;1;2;3"])
GROUNDS = st.sampled_from(["", "41", "107", "48;5;234", "48;2;9;8;7"])
ATTRIBUTES = st.sampled_from(["", "1", "7", "1;7", "4"])
PENS = st.tuples(ATTRIBUTES, COLOURS, GROUNDS).map(lambda parts: ";".join(part for part in parts if part))


@given(st.lists(PENS, min_size=1, max_size=12))
def test_a_terminal_shows_the_same_as_if_each_pen_were_set_anew(pens: list[str]) -> None:
    """Whatever the order of attributes and colours, every character looks as it should."""
    screens = []
    for short in (True, False):
        screen = pyte.Screen(20, 1)
        stream = pyte.Stream(screen)
        before = None
        for pen in pens:
            stream.feed((turn(before, pen) if short else turn(None, pen)) + "x")
            before = pen
        screens.append([screen.buffer[0][place] for place in range(len(pens))])
    assert screens[0] == screens[1]


FRAME = st.lists(st.tuples(st.sampled_from(" x"), PENS), min_size=24, max_size=24)


def seen(char: pyte.screens.Char) -> object:
    """What a person sees of a cell: of a blank its background, unless it is drawn through."""
    through = char.underscore or char.reverse or char.strikethrough or char.blink
    return char.bg if char.data == " " and not through else char


@given(FRAME, FRAME)
def test_what_is_not_sent_again_looks_the_same(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> None:
    """A blank whose colour of letters or weight alone has changed is none; every other change is drawn."""
    screens = []
    for frames in ([(before, [(0, 24)]), (after, changed_runs(before, after))], [(after, [(0, 24)])]):
        screen = pyte.Screen(30, 1)
        stream = pyte.Stream(screen)
        for cells, runs in frames:
            for start, end in runs:
                stream.feed(f"\x1b[1;{start + 1}H")
                stream.feed("".join(turn(None, pen) + text for text, pen in cells[start:end]))
        screens.append([seen(screen.buffer[0][place]) for place in range(24)])
    assert screens[0] == screens[1]


def test_a_blank_that_only_changed_its_weight_is_not_sent() -> None:
    """The title's blanks, when the words beside them come."""
    before, after = [(" ", "38;5;1;48;5;59")] * 30, [(" ", "1;38;5;2;48;5;59")] * 29 + [("x", "48;5;59")]
    assert changed_runs(before, after) == [(29, 30)]
