"""The time in bodies and conditions: `now.hour`, `now.weekday`, `now.date`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine_bench import Bench
from hookrow.clock import to_ms
from hookrow.hook.local_time import LocalTime
from hookrow.template.compiled import Condition, prepare

WORKING = "now.weekday <= 5 and 9 <= now.hour and now.hour < 18"
FRIDAY = datetime(2026, 11, 27, 14, 59, tzinfo=UTC)  # 17:59 in Moscow


@pytest.fixture
async def moscow(bench: Bench) -> Bench:
    """A bench whose people mean Moscow's clocks, on a Friday at 17:59 there."""
    await bench.engine.settings.set("timezone", "Europe/Moscow")
    bench.clock.wall = to_ms(FRIDAY)
    return bench


@pytest.mark.parametrize(
    ("at", "zone_hour", "weekday", "date"),
    [
        ("2026-11-29T20:59:59+00:00", 23, 7, "2026-11-29"),
        ("2026-11-29T21:00:00+00:00", 0, 1, "2026-11-30"),
        ("1969-12-31T20:00:00+00:00", 23, 3, "1969-12-31"),
    ],
)
def test_the_zone_decides_which_day_it_is(at: str, zone_hour: int, weekday: int, date: str) -> None:
    """Monday is 1; a day begins at the zone's midnight."""
    from zoneinfo import ZoneInfo

    found = LocalTime(to_ms(datetime.fromisoformat(at)), ZoneInfo("Europe/Moscow")).names()
    assert found == {"hour": zone_hour, "weekday": weekday, "date": date}


async def test_a_hook_of_working_hours(moscow: Bench) -> None:
    """Asked at 17:59 on a Friday, left out a minute later and on Saturday morning; the reason is named."""
    await moscow.gate("duty", condition=WORKING, body='{"at": {{ now.hour }}, "day": {{ now.date }}}')
    assert (await moscow.fire()).deliveries[0].body == '{"at": 17, "day": "2026-11-27"}'
    moscow.clock.forward(60)
    [left] = (await moscow.fire()).deliveries
    assert (left.skipped, left.detail) == ("condition_false", "now.hour < 18")
    moscow.clock.forward(16 * 3600)
    [left] = (await moscow.fire()).deliveries
    assert (left.skipped, left.detail) == ("condition_false", "now.weekday <= 5")


async def test_explain_shows_the_time_and_moves_it(moscow: Bench) -> None:
    """Only for hooks that ask it."""
    await moscow.hook("plain")
    await moscow.hook("duty", condition=WORKING)
    plain, duty = await moscow.engine.explain("before_order_add", {"order": {}})
    assert plain.now is None
    assert duty.act == "queue"
    assert duty.as_json()["now"] == {"hour": 17, "weekday": 5, "date": "2026-11-27"}
    _, later = await moscow.engine.explain("before_order_add", {"order": {}}, at=FRIDAY + timedelta(hours=12))
    assert (later.act, later.reason, later.now) == (
        "skip",
        "condition_false",
        {"hour": 5, "weekday": 6, "date": "2026-11-28"},
    )


async def test_a_replay_goes_by_its_own_time(moscow: Bench) -> None:
    """And says which that is."""
    await moscow.hook("duty", condition=WORKING)
    fired = await moscow.fire()
    moscow.clock.forward(24 * 3600)
    again = await moscow.engine.replay(fired.id)
    assert again.firing is not None
    assert again.firing.deliveries[0].skipped == "condition_false"
    assert again.now == {"hour": 17, "weekday": 6, "date": "2026-11-28"}
    assert (await moscow.engine.replay(fired.id, dry_run=True)).now == again.now


async def test_recorded_firings_are_judged_at_their_own_time(moscow: Bench) -> None:
    """While a condition is written."""
    await moscow.hook("any")
    await moscow.fire()
    moscow.clock.forward(24 * 3600)
    await moscow.fire()
    found = await moscow.engine.condition_matches("before_order_add", WORKING)
    assert (found.matched, found.total, found.newest, found.unmet) == (1, 2, False, ("now.weekday <= 5",))


async def test_the_payloads_own_key_stands_above_the_time(moscow: Bench) -> None:
    """And whoever saves such a hook is told."""
    await moscow.hook("first")
    await moscow.fire({"now": {"hour": 3}})
    kept = await moscow.hook("duty", condition="now.hour == 3", body='{"h": {{ now.hour }}}')
    assert [str(note) for note in kept.notes] == [
        'the payload has a key "now" of its own: "now" means that key, not the time'
    ]
    _, delivery = (await moscow.fire({"now": {"hour": 3}})).deliveries
    assert delivery.body == '{"h": 3}'
    assert [step.now for step in await moscow.engine.explain("before_order_add", {"now": {"hour": 3}})] == [None] * 2
    assert not (await moscow.engine.hooks.update(kept.id, {"timeout": 2})).notes


def test_without_a_moment_the_name_is_missing() -> None:
    """Nothing reads a clock by itself; a loop's variable of that name stays one."""
    assert Condition.compile("now is undefined").test(prepare({}), {})
    assert not Condition.compile("now is undefined").test(prepare({}, moment=LocalTime(0)), {})
