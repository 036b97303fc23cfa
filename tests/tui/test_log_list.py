"""The window over the log: ids in order whatever comes when, a cursor that nothing moves but the person."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hookrow_tui.presenters.log.list import Ids, LogList, Place
from hookrow_tui.presenters.log.rows import LogRow


def block(number: int, deliveries: int = 2, failing: int = -1) -> tuple[LogRow, ...]:
    """The lines of a made-up firing."""
    return tuple(
        LogRow(number, line, f"{number}.{line}", "", "", f"row {number}.{line}", "", "", "", "good", line == failing)
        for line in range(deliveries + 1)
    )


def filled(count: int = 20) -> LogList:
    """A log of ids 1…count with two deliveries each, all in memory."""
    log = LogList()
    log.older(list(range(count, 0, -1)))
    log.learn(block(number) for number in range(1, count + 1))
    log.home()
    return log


@given(st.lists(st.lists(st.integers(1, 60), unique=True)), st.lists(st.integers(1, 60), unique=True))
def test_ids_stay_in_order_whatever_becomes_visible_when(windows: list[list[int]], first: list[int]) -> None:
    """Windows of newest ids that overlap, or bring an older id late, end as one descending row without doubles."""
    ids = Ids()
    ids.add_older(sorted(first, reverse=True))
    known = set(first)
    for window in windows:
        assert ids.add_newest(sorted(window, reverse=True)) == len(set(window) - known)
        known |= set(window)
    assert [ids[place] for place in range(len(ids))] == sorted(known, reverse=True)
    assert all(ids[ids.place(number)] == number and ids.index(number) is not None for number in known)
    assert ids.index(1000) is None


def test_new_rows_move_neither_cursor_nor_window() -> None:
    """Row 10 is selected, fifty new ones come: the same row, at the same line, and their number is said."""
    log = filled()
    log.move(10, 12)
    assert not log.following
    before, cursor = [line.place for line in log.shown(12)], log.cursor
    assert log.newest(range(70, 20, -1)) == 50
    assert [line.place for line in log.shown(12)] == before
    assert log.cursor == cursor
    assert log.missed == 50


def test_following_goes_with_the_newest() -> None:
    """While following the cursor stands on the newest row; one step down ends that, `follow` begins it anew."""
    log = filled()
    log.newest([21])
    assert log.cursor == Place(21)
    log.move(1, 10)
    log.newest([22])
    assert not log.following
    assert log.cursor != Place(22)
    log.follow(True)
    assert log.cursor == log.top == Place(22)
    assert log.missed == 0


def test_a_row_that_grows_keeps_the_cursor_on_its_line() -> None:
    """A firing above the cursor is read, or gets more lines: the cursor's line stays what it was."""
    log = LogList()
    log.older([5, 4, 3, 2, 1])
    log.learn([block(4)])
    log.go(Place(4, 1), 4)
    log.learn([block(5, 5), block(4, 3)])
    assert log.cursor == Place(4, 1)


def test_only_the_window_and_its_neighbours_are_asked_for() -> None:
    """Of a million ids a window of ten lines needs a few dozen firings."""
    log = LogList()
    log.older(range(1_000_000, 0, -1))
    log.go(Place(500_000), 10)
    wanted = log.wanted(10)
    assert 500_000 in wanted
    assert len(wanted) < 100


def test_the_next_failure_is_found_in_both_directions() -> None:
    """`]` goes to the delivery that failed below, `[` to the one above; at the edge the cursor stays."""
    log = filled()
    log.learn([block(15, failing=2), block(5, failing=1)])
    assert log.failure(1, 10)
    assert log.cursor == Place(15, 2)
    assert log.failure(1, 10)
    assert log.cursor == Place(5, 1)
    assert not log.failure(1, 10)
    assert log.failure(-1, 10)
    assert log.cursor == Place(15, 2)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.lists(st.integers(-40, 40), max_size=20),
    st.integers(1, 15),
)
def test_the_cursor_is_always_in_the_window(heights: list[int], moves: list[int], window: int) -> None:
    """However it is moved, and however many lines the firings have."""
    log = LogList()
    log.older(list(range(len(heights), 0, -1)))
    log.learn(block(number, height) for number, height in enumerate(heights, 1))
    for lines in moves:
        before = log.cursor
        log.move(lines, window)
        assert log.cursor in [line.place for line in log.shown(window)]
        if before is not None and log.cursor is not None and lines > 0:
            assert not log.before(log.cursor, before)
