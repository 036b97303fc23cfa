"""Who follows the log by outcome sees what begins to match, however long ago it was fired."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hookrow import Firing, Hook, LogFilter
from hookrow.cli.commands.log import follow_log
from hookrow.testing import Answer, HookReceiver, MemoryEngine
from hookrow_tui.log.reader import Reader
from hookrow_tui.presenters.glyphs import UNICODE

EVENT = "after_registration"
RETRYING = LogFilter(outcome="retrying")


@pytest.fixture
def engine() -> Iterator[MemoryEngine]:
    """Its only hook is told in the background, and fails."""
    with MemoryEngine() as made, HookReceiver(Answer(500)) as receiver:
        made.hooks.add(Hook(key="told", name="told", event=EVENT, url=receiver.url, fire_and_forget=False))
        yield made


def fired(engine: MemoryEngine, *, later: float = 0.0, sent: bool = True) -> Firing:
    """A firing, `later` seconds after the last, with its delivery tried once."""
    engine.clock.forward(later)
    firing = engine.fire(EVENT, {"n": 1})
    return engine.send_own(firing) if sent else firing


@pytest.mark.parametrize("wanted", [RETRYING, LogFilter(outcome="retrying", search='"n":')])
def test_a_followed_log_does_not_show_again_what_matched_long_before(engine: MemoryEngine, wanted: LogFilter) -> None:
    """It is tried again and matches still: nothing that begins, however long ago it was tried first."""
    old, first = fired(engine), fired(engine, later=60)
    engine.clock.forward(60)
    followed = follow_log(engine, wanted, 1)
    assert next(followed).id == first.id
    engine.redeliver(old.deliveries[0].id)
    second = fired(engine, later=60)
    assert next(followed).id == second.id


def test_a_followed_log_shows_what_begins_to_match(engine: MemoryEngine) -> None:
    """Once: not again with its next attempt, nor what was tried before the log was followed."""
    before, old = fired(engine, sent=False), fired(engine, sent=False)
    engine.clock.forward(60)
    engine.send_own(before)
    first = fired(engine)
    followed = follow_log(engine, RETRYING, 1)
    assert next(followed).id == first.id
    engine.clock.forward(60)
    engine.send_own(old)
    second = fired(engine)
    assert [next(followed).id, next(followed).id] == [old.id, second.id]
    engine.redeliver(old.deliveries[0].id)
    third = fired(engine)
    assert next(followed).id == third.id


def test_a_live_log_reads_what_began_to_match(engine: MemoryEngine) -> None:
    """Of the whole log the firings that were tried since the last look are looked at."""
    old = fired(engine, sent=False)
    fired(engine, later=60)
    (top,) = engine.log.ids(LogFilter(), limit=1)
    tried = engine.log.newest_attempt()
    assert old.row_id not in Reader(UNICODE).newest(engine, RETRYING, top, tried, (), 5).ids
    engine.send_own(old)
    fresh = Reader(UNICODE).newest(engine, RETRYING, top, tried, (), 5)
    assert list(fresh.ids) == [top, old.row_id]
    assert fresh.tried > tried


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, False),  # it matched from the beginning
        ({"outcome": "running"}, False),
        ({"outcome": "problem"}, True),
        ({"outcome": "bad_status"}, True),
        ({"outcome": "dead"}, False),
        ({"code": "5xx"}, True),
        ({"code": "404"}, False),
        ({"would": "veto"}, False),
        ({"outcome": "retrying", "event": EVENT}, True),
        ({"outcome": "retrying", "event": "on_subscription"}, False),
        ({"outcome": "retrying", "search": '"n":'}, True),
        ({"outcome": "retrying", "search": "nowhere"}, False),
        ({"outcome": "retrying", "until_ms": 1}, False),
    ],
)
def test_which_firings_an_attempt_made_match(engine: MemoryEngine, wanted: dict[str, Any], found: bool) -> None:
    """By the whole filter; only below the given id, and only by an attempt after the given one."""
    old = fired(engine)
    number = old.row_id

    def changed(after: int, before: int) -> list[int]:
        return engine.log.changed(LogFilter(**wanted), after=after, before=before)

    assert changed(0, number + 1) == ([number] if found else [])
    assert changed(0, number) == changed(engine.log.newest_attempt(), number + 1) == []
