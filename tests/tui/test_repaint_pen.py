"""The pen that draws only differences: fewer bytes, the same colours."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st

from hookrow_tui.terminal.repaint import turn

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
