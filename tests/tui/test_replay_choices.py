"""What the dialog of a repetition offers: every choice is on the screen, whole, whatever they are."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from apps import shown, until
from fake_engine import FakeEngine
from log_fixtures import with_attempts
from screens import SIZES, drawn

from hookrow_tui.presenters.glyphs import UNICODE
from hookrow_tui.presenters.log.detail import Detail
from hookrow_tui.replay.screen import Many, ReplayScreen
from hookrow_tui.widgets.ways import BEFORE, Ways

pytestmark = pytest.mark.anyio

FIRINGS = {each.row_id: each for each in with_attempts(FakeEngine()).log.rows}
MILLIONS = 1_204_311


def details() -> Iterator[Detail]:
    """A delivery that was sent, one that was not, a firing with failed ones, one without, one with many hooks."""
    sent, waiting = FIRINGS[5].deliveries[0], FIRINGS[5].deliveries[2]
    yield Detail(FIRINGS[5], sent)
    yield Detail(FIRINGS[5], waiting)
    yield Detail(FIRINGS[4])
    yield Detail(FIRINGS[5])
    yield Detail(replace(FIRINGS[4], deliveries=list(FIRINGS[4].deliveries) * 121))


def many() -> Iterator[Many]:
    """Nothing but this row, a few, as many as there may be, some of which are still being read; or the marked ones."""
    yield Many(array("q", [5]), complete=True)
    for count, complete in product((2, MILLIONS), (True, False)):
        for marked, failed in ((False, False), (True, True)):
            yield Many(array("q", bytes(8 * count)), complete=complete, marked=marked, failed=failed)


def together() -> Iterator[tuple[Detail, Many]]:
    """Each row with nothing else and with the longest labels; one row, that has most of its own, with all of them."""
    longest = Many(array("q", bytes(8 * MILLIONS)), complete=False, marked=True, failed=True)
    alone = Many(array("q", [5]), complete=True)
    yield from product(details(), (alone, longest))
    yield from product([list(details())[-1]], many())


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("size", [SIZES[0], pytest.param(SIZES[1], marks=pytest.mark.torture)])  # which has more room
async def test_every_choice_is_seen_whole(size: tuple[int, int], lang: Any) -> None:
    """Whatever is offered together, each label stands on one line, and the answers below them are in sight."""
    async with shown(size, lang=lang) as at:
        for detail, chosen in together():
            screen = ReplayScreen(detail, chosen)
            await at.app.push_screen(screen)
            await at.pilot.pause()
            text, ways = drawn(at.app), screen.query_one(Ways)
            assert [label for _, label in ways.items if f") {label} " not in text] == []
            assert ("F4" in text, "Отмена" in text or "Cancel" in text) == (True, True)
            screen.dismiss(None)
            await until(at.pilot, lambda left=screen: at.app.screen is not left, "the dialog's end")  # type: ignore[misc]


def test_a_label_without_room_goes_on_below_itself() -> None:
    """No word is lost, however narrow it is, and each line knows whose it is."""
    ways = Ways([("one", "a label of some words"), ("two", "short")], UNICODE, id="ways")
    assert list(ways.lines(BEFORE + 10)) == [
        (0, "  (*) a label of"),
        (0, "      some words"),
        (1, "  ( ) short"),
    ]
    assert ways.get_content_height(None, None, BEFORE + 10) == 3
