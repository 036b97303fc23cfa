"""The front door: what goes in is checked, what comes out can be named, and nobody goes round it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any, get_args

import pytest

import hookrow
from hookrow import AsyncHookEngine, Hook, HookEngine, HookNotFound
from hookrow.core.care.health import Health
from hookrow.core.care.keys import Keys
from hookrow.core.events import Catalogue
from hookrow.core.hooks import Hooks
from hookrow.core.log import Log
from hookrow.core.settings import Settings
from hookrow.hook.modes import MODES, Mode
from hookrow.words import MODES as MODE_WORDS
from hookrow.words import OUTCOMES, STATES, DeliveryOutcome, FiringOutcome, HookState

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]
FACES = [*(ROOT / "engine/hookrow/cli").rglob("*.py"), *(ROOT / "tui/hookrow_tui").rglob("*.py")]
INSIDE = {"runtime", "portal", "bench", "hook_door"}
"""Attributes of an engine that are no door."""


@pytest.mark.parametrize("path", FACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_face_goes_round_the_front_door(path: Path) -> None:
    """The command line and the interface touch nothing of the engine's inside; the example's builder plays days."""
    if "example" in path.parts:
        return
    touched = {node.attr for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Attribute)}
    assert touched & INSIDE == set()


def test_what_is_returned_can_be_imported() -> None:
    """Every class of ours that a public method of an engine or a door of it names, in `hookrow`."""
    missing = set()
    for door in (AsyncHookEngine, HookEngine, Hooks, Log, Settings, Catalogue, Keys, Health):
        for name, member in vars(door).items():
            if name.startswith("_") or not inspect.isfunction(member):
                continue
            named = set(ast.walk(ast.parse(str(inspect.signature(member).return_annotation), mode="eval")))
            for each in (node.id for node in named if isinstance(node, ast.Name)):
                if each[0].isupper() and each not in KNOWN and each not in hookrow.__all__:
                    missing.add(f"{door.__name__}.{name}: {each}")
    assert missing - INNER == set()


KNOWN = {"Any", "JsonObject", "None", "Path", "Self", "Mapping", "Iterator", "ZoneInfo", "Text"}
INNER = {
    "AsyncHookEngine.run: Run",
    "AsyncHookEngine.run_in_background: Run",
    "AsyncHookEngine.arrival: Arrival",
    "Hooks.find: StoredHook",
}
"""What the engine's own parts call."""


def test_literals_are_the_words_of_the_dictionary() -> None:
    """Outcomes, states and modes have one list each."""
    assert set(get_args(FiringOutcome)) | set(get_args(DeliveryOutcome)) == set(OUTCOMES) - {"running"}
    assert set(get_args(HookState)) == set(STATES)
    assert get_args(Mode) == MODES == tuple(MODE_WORDS)


def test_every_moment_of_a_record_is_a_datetime_too(tmp_path: Path) -> None:
    """`at` beside `at_ms`: aware, in UTC, to the millisecond."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        engine.hooks.add(Hook(name="n", url="http://127.0.0.1:9/", event="before_order_add", wait_for_response=True,
                              fire_and_forget=False))  # fmt: skip
        firing = engine.fire("before_order_add", {})
        share = firing.deliveries[0]
        records = [firing, share, engine.log.attempts(share.id)[0], engine.hooks.history(1)[0]]
        for each in records:
            assert each.at.utcoffset() is not None
            assert round(each.at.timestamp() * 1000) == each.at_ms


def test_a_removed_hook_is_restored_by_its_id_or_key(tmp_path: Path) -> None:
    """As every other question to `hooks`; a hook that is there is not found among the removed ones."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        for ref in (1, "1", "key"):
            if ref == 1:
                engine.hooks.add(Hook(name="n", key="key", url="http://h/", event="before_order_add"))
            with pytest.raises(HookNotFound):
                engine.hooks.restore(ref)
            engine.hooks.remove(1)
            assert engine.hooks.restore(ref).deleted is False


async def test_backup_and_afire_have_their_twins(tmp_path: Path) -> None:
    """What serves both engines asks one question."""
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        assert (await engine.afire("before_order_add", {})).allowed
        assert await engine.backup(tmp_path / "copy.db") == tmp_path / "copy.db"
        assert await engine.keys.check() == 0
        assert await engine.health.stuck() == 0
        assert "sqlite" in await engine.health.versions()


@pytest.mark.parametrize("way", ["fire", "afire", "explain", "replay", "redeliver", "test", "backup"])
def test_both_engines_take_the_same(way: str) -> None:
    """Names and defaults of each door."""

    def shape(engine: type[Any]) -> list[tuple[str, Any]]:
        parameters = inspect.signature(getattr(engine, way)).parameters.values()
        return [(each.name, each.default) for each in parameters]

    assert shape(HookEngine) == shape(AsyncHookEngine)
