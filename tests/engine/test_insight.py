"""`condition_matches` and `last_payload`: what was recorded, asked while a hook is written."""

from __future__ import annotations

import pytest

from engine_bench import Bench
from hookrow import HookEngine
from hookrow.errors import EventNotFound, InvalidTemplate
from hookrow.template.compiled import SAMPLE_WEBHOOK, Condition, prepare

pytestmark = pytest.mark.anyio
EVENT = "before_order_add"


async def fired(bench: Bench, *sums: object) -> None:
    """Firings whose orders have these sums, the last one newest."""
    await bench.hook("h")
    for each in sums:
        bench.clock.forward(1)
        await bench.fire({"order": {"sum": each, "city": "Тверь"}})


async def test_matches_three_of_the_last_five(bench: Bench) -> None:
    """Only the newest so many payloads are asked; other events' don't count."""
    await fired(bench, 9000, 50, 100, 5000, 70, 8000, 2000)
    await bench.hook("other", event="on_subscription")
    await bench.fire({"order": {"sum": 1}}, event="on_subscription")
    found = await bench.engine.condition_matches(EVENT, "order.sum > 1000", last=5)
    assert (found.matched, found.total, found.failed, found.newest, found.unmet) == (3, 5, 0, True, ())
    assert (await bench.engine.condition_matches(EVENT, "order.sum > 1000")).total == 7


async def test_the_false_part_is_named_as_it_is_written(bench: Bench) -> None:
    """For the newest recorded payload."""
    await fired(bench, 5000, 100)
    found = await bench.engine.condition_matches(EVENT, "order.city == 'Тверь' and (order.sum > 1000)")
    assert (found.matched, found.total, found.newest) == (1, 2, False)
    assert found.unmet == ("(order.sum > 1000)",)


@pytest.mark.parametrize(
    ("condition", "unmet"),
    [
        ("a.x == 1", ()),
        ("a.x == 2", ("a.x == 2",)),
        ("not (a.x == 1 and a.y == 2)", ("not (a.x == 1 and a.y == 2)",)),
        ("a.x == 2 or a.y == 3", ("a.x == 2", "a.y == 3")),
        ("a.x == 1 and (a.x == 2 or a.y == 3) and a.y == 2", ("a.x == 2", "a.y == 3")),
        ("a.x == 2 and a.y == 3", ("a.x == 2", "a.y == 3")),
        ("b is defined and b.z > 1", ("b is defined",)),
        ("a.y == 2 and b is defined and a.x == 5", ("b is defined", "a.x == 5")),
        ("'and' == a.s  and  a.x == 2", ("a.x == 2",)),
        ("(a.x == 2 if a.y == 2 else true)", ("(a.x == 2 if a.y == 2 else true)",)),
    ],
)
def test_which_parts_are_false(condition: str, unmet: tuple[str, ...]) -> None:
    """Of `and` each one that is false and can be judged, of `or` all; what has no parts is named whole."""
    view = prepare({"a": {"x": 1, "y": 2, "s": "and"}})
    assert Condition.compile(condition).unmet(view, SAMPLE_WEBHOOK) == unmet


async def test_payloads_that_cannot_be_judged_are_counted(bench: Bench) -> None:
    """A text is not compared with a number: that is said, not guessed."""
    await fired(bench, 5000, "много")
    found = await bench.engine.condition_matches(EVENT, "order.sum > 1000")
    assert (found.matched, found.total, found.failed, found.newest) == (1, 2, 1, None)
    assert found.error
    assert found.as_json()["error"] == found.error


async def test_nothing_recorded_matches_nothing(bench: Bench) -> None:
    """And an empty condition holds always."""
    found = await bench.engine.condition_matches(EVENT, "order.sum > 1000")
    assert (found.matched, found.total, found.newest) == (0, 0, None)
    await fired(bench, 1, 2)
    assert (await bench.engine.condition_matches(EVENT, " ")).matched == 2


async def test_what_cannot_be_read_is_refused(bench: Bench) -> None:
    """A condition that does not compile, an event that is not there."""
    with pytest.raises(InvalidTemplate):
        await bench.engine.condition_matches(EVENT, "order.sum >")
    with pytest.raises(EventNotFound):
        await bench.engine.condition_matches("no_such", "true")
    with pytest.raises(EventNotFound):
        await bench.engine.last_payload("no_such")


async def test_the_last_payload_is_the_newest_without_private_values(bench: Bench) -> None:
    """None where nothing is recorded."""
    event = "before_registration"
    assert await bench.engine.last_payload(event) is None
    await bench.gate("h", event=event)
    for name in ("Olga", "Ivan"):
        bench.clock.forward(1)
        await bench.fire({"user": {"name": name, "password": "canary"}}, event=event)
    assert await bench.engine.last_payload(event) == {"user": {"name": "Ivan", "password": None}}


def test_the_blocking_engine_has_the_same(tmp_path: object) -> None:
    """Without awaiting."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        assert engine.last_payload(EVENT) is None
        assert engine.condition_matches(EVENT, "true").total == 0
        assert engine.log.statistics() == {}
