"""`engine.hooks.move`: one hook to another place among its event's, in one transaction, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hookrow import Hook, HookEngine
from hookrow.errors import HookNotFound, InvalidHook
from hookrow.hookfile import import_hooks
from hookrow.store.moving import Goal, numbers

EVENT = "before_order_add"
Make = Callable[..., Hook]


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HookEngine]:
    """An engine on a database of its own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/hooks.db"
    else:
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    with HookEngine(url, worker=False) as made:
        yield made


@pytest.fixture
def row(engine: HookEngine) -> list[str]:
    """Four hooks, a to d, at 10 to 40."""
    for name in "abcd":
        engine.hooks.add(Hook(name=name, key=name, event=EVENT, url="http://receiver.test/"))
    return list("abcd")


def order(engine: HookEngine) -> list[tuple[str, int]]:
    """Names and positions, in the order in which they run."""
    return [(hook.name, hook.position or 0) for hook in engine.hooks.list(EVENT)]


def test_a_free_number_between_the_neighbours_changes_one_hook(engine: HookEngine, row: list[str]) -> None:
    """By places, before and after another hook; what is given is the new order, and one revision `move` is written."""
    assert [hook.name for hook in engine.hooks.move("b", by=1)] == ["a", "c", "b", "d"]
    assert order(engine) == [("a", 10), ("c", 30), ("b", 35), ("d", 40)]
    engine.hooks.move("d", before="a")
    engine.hooks.move("a", after="b")
    assert [name for name, _ in order(engine)] == ["d", "c", "b", "a"]
    assert [each.action for each in engine.hooks.history("d")] == ["move", "add"]
    assert [each.action for each in engine.hooks.history("c")] == ["add"]


def test_where_nothing_moves_nothing_is_written(engine: HookEngine, row: list[str]) -> None:
    """Beyond the ends, or to where it stands already."""
    for call in ({"by": -1}, {"by": 0}, {"before": "b"}, {"by": -99}):
        engine.hooks.move("a", **call)
    engine.hooks.move("d", by=5)
    assert {hook.revision for hook in engine.hooks.list(EVENT)} == {1}


def test_without_a_free_number_the_event_is_numbered_by_tens(engine: HookEngine, row: list[str]) -> None:
    """One revision a hook whose number changes, hooks that share a number keep sharing it, and none is joined."""
    for name, position in zip("abcd", (1, 2, 2, 3), strict=True):
        engine.hooks.update(name, position=position)
    engine.hooks.move("d", by=-1)
    assert order(engine) == [("a", 10), ("d", 20), ("b", 30), ("c", 30)]
    assert [len(engine.hooks.history(name)) for name in "abcd"] == [3, 3, 3, 3]
    engine.hooks.move("a", after="b")  # there is no place between two that share one: it goes behind both
    assert [name for name, _ in order(engine)] == ["d", "b", "c", "a"]


def test_the_last_place_is_after_one_with_the_last_number(engine: HookEngine, row: list[str]) -> None:
    """The event is numbered anew: a new hook, one that is put last or comes from another event, with lower ids or
    higher ones."""
    engine.hooks.update("d", position=9999)
    engine.hooks.update("a", position=None)
    assert order(engine) == [("b", 10), ("c", 20), ("d", 30), ("a", 40)]
    engine.hooks.update("a", position=9999)
    engine.hooks.add(Hook(name="e", key="e", event=EVENT, url="http://receiver.test/"))
    assert [name for name, _ in order(engine)] == [*"bcdae"]
    engine.hooks.update("b", event="before_user_update")
    engine.hooks.update("e", position=9999)
    engine.hooks.update("b", event=EVENT)
    assert [name for name, _ in order(engine)] == [*"cdaeb"]
    engine.hooks.update("b", position=9999)
    engine.hooks.update("b", position=None)
    assert [name for name, _ in order(engine)] == [*"cdaeb"]


def test_a_file_may_change_hooks_that_it_numbers_anew(engine: HookEngine, row: list[str]) -> None:
    """A new hook takes the last place before the file's next one, which moves for it, is changed."""
    engine.hooks.update("d", position=9999)
    new = f"  0:\n    name: new\n    event: {EVENT}\n    url: http://receiver.test/\n"
    import_hooks(engine, f"hookrow: 1\nhooks:\n{new}  d:\n    name: changed\n")
    assert order(engine) == [("a", 10), ("b", 20), ("c", 30), ("changed", 40), ("new", 50)]


def test_what_is_refused_changes_nothing(engine: HookEngine, row: list[str]) -> None:
    """Not exactly one argument, another event's hook, itself, a hook that is not there."""
    engine.hooks.add(Hook(name="far", key="far", event="before_order_update", url="http://receiver.test/"))
    calls: list[dict[str, Any]] = [{}, {"by": 1, "after": "c"}, {"before": "far"}, {"after": "a"}]
    for call in calls:
        with pytest.raises(InvalidHook):
            engine.hooks.move("a", **call)
    for ref, call in (("x", {"by": 1}), ("a", {"before": "x"})):
        with pytest.raises(HookNotFound):
            engine.hooks.move(ref, **call)
    engine.hooks.remove("d")
    with pytest.raises(HookNotFound):
        engine.hooks.move("a", after="d")
    assert order(engine) == [("a", 10), ("b", 20), ("c", 30)]


def test_moves_at_the_same_moment_follow_one_another(engine: HookEngine, row: list[str]) -> None:
    """Each counts on the row as it is stored by then: as many steps back as forth lead to where it began."""
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(engine.hooks.move, "b", by=step) for step in (1, -1) * 8]:
            done.result()
    names = [name for name, _ in order(engine)]
    assert sorted(names) == row
    assert [name for name in names if name != "b"] == ["a", "c", "d"]
    assert len({position for _, position in order(engine)}) == len(row)


POSITIONS = some.lists(some.integers(0, 40) | some.integers(9990, 9999), min_size=1, max_size=9)


@given(positions=POSITIONS, data=some.data())
def test_any_move_keeps_the_others_as_they_are(positions: list[int], data: Any) -> None:
    """The others run in the order in which they ran, equal numbers stay equal and unequal ones unequal, the moved hook
    shares its number with none once it has moved, and it runs where it was asked to, or past those that share one."""
    row = sorted((position, number) for number, position in enumerate(positions))
    moved = data.draw(some.integers(0, len(row) - 1))
    beside = data.draw(some.sampled_from([number for _, number in row if number != moved] or [None]))
    goals = [Goal(by=data.draw(some.integers(-9, 9)))]
    goals += [Goal(before=beside), Goal(after=beside)] if beside is not None else []
    goal = data.draw(some.sampled_from(goals))
    new = numbers(row, moved, goal)
    after = sorted((new.get(number, position), number) for position, number in row)
    assert all(0 <= position <= 9999 for position, _ in after)
    others, kept = ([each for each in rows if each[1] != moved] for rows in (row, after))
    assert [number for _, number in others] == [number for _, number in kept]
    assert [a[0] == b[0] for a, b in pairwise(others)] == [a[0] == b[0] for a, b in pairwise(kept)]
    places = [number for _, number in after]
    if new:
        assert [position for position, _ in after].count({number: position for position, number in after}[moved]) == 1
    if goal.before is not None:
        assert places.index(moved) < places.index(goal.before)
    if goal.after is not None:
        assert places.index(moved) > places.index(goal.after)
    now = [number for _, number in row].index(moved)
    step = places.index(moved) - now
    if goal.by is not None:
        assert step == 0 or (step > 0) == (goal.by > 0)
        assert abs(step) >= min(abs(goal.by), now if goal.by < 0 else len(row) - 1 - now)
