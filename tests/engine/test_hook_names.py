"""A hook takes no name that is no field, and none that nobody may set: a misspelled gate would fail open."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import pytest

from hookrow import Hook, HookEngine
from hookrow.errors import InvalidHook


@pytest.mark.parametrize("door", [Hook, lambda **given: Hook.stored(given)], ids=["Hook", "stored"])
def test_names_that_are_no_field_are_refused_all_at_once(door: Any) -> None:
    """A misspelled gate would be stored as one that asks nobody, a misspelled password as none."""
    misspelled = {
        "wait_for_responce": True,
        "on_failur": "stop",
        "auth_pasword": "hunter22",
        "nonsense": 1,
        "stored": True,
    }
    read_only = {"id": 1, "revision": 3, "state": "off", "deleted": True, "paused_by": "person", "paused_reason": "x"}
    with pytest.raises(InvalidHook) as caught:
        door(name="n", url="http://h/", event="before_order_add", **misspelled, **read_only)
    said = {problem.field: str(problem.text) for problem in caught.value.problems}
    assert set(said) == {*misspelled, *read_only}
    assert said["wait_for_responce"] == "There is no such field; did you mean wait_for_response?"
    assert said["nonsense"] == "There is no such field."
    assert {said[name] for name in read_only} == {"It is read only: the engine sets it."}
    assert "hunter22" not in str(caught.value)


def test_a_password_under_a_misspelled_name_is_in_no_frame() -> None:
    """Error trackers record the local variables of every frame, and the name tells them nothing."""
    try:
        Hook(name="n", url="http://h/", event="before_order_add", auth_pasword="hunter22")
    except InvalidHook as error:
        frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
        assert frames
        assert not any("hunter22" in repr(names) for names in frames)


def test_a_change_under_an_unknown_or_read_only_name_is_refused(tmp_path: Path) -> None:
    """By `update` as by `Hook`."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        engine.hooks.add(Hook(name="n", url="http://h/", event="before_order_add"))
        for name, value in (("state", "off"), ("paused_by", "person"), ("on_failur", "stop"), ("id", 2)):
            with pytest.raises(InvalidHook) as caught:
                engine.hooks.update(1, {name: value})
            assert [problem.field for problem in caught.value.problems] == [name]
        assert engine.hooks.get(1).revision == 1
