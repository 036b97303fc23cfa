"""Several hooks changed in one transaction, and one's own last change taken back from the revisions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hookrow import Hook, HookEngine
from hookrow.errors import ChangedMeanwhile, HookNotFound, InvalidHook, Refused
from hookrow.secrets.keyring import KeyRing
from hookrow.store.hooks import reseal_all
from hookrow.store.outbox import Note, note
from outbox_rows import claim, result, settle

EVENT = "before_order_add"


@pytest.fixture
def engine(either_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[HookEngine]:
    """An engine with four hooks."""
    monkeypatch.setenv("HOOKROW_KEYS", KeyRing.new().entries())
    with HookEngine(either_url, worker=False) as engine:
        for number in range(1, 5):
            engine.hooks.add(Hook(name=f"h{number}", key=f"h{number}", event=EVENT, url="https://a.example/x"))
        yield engine


@pytest.fixture
def be(engine: HookEngine) -> Callable[[str], None]:
    """Be another person from now on."""
    return lambda who: setattr(engine.runtime, "author_name", who)


def revisions(engine: HookEngine, *names: str) -> dict[int, int]:
    """The hooks of these names as they are looked at."""
    return {hook.id or 0: hook.revision for hook in engine.hooks.list() if hook.name in names}


def states(engine: HookEngine) -> dict[str, str]:
    """Each hook's state by its name."""
    return {hook.name: hook.state for hook in engine.hooks.list()}


def order(engine: HookEngine) -> list[str]:
    """The names in the order in which they run."""
    return [hook.name for hook in engine.hooks.list(EVENT)]


def undo(engine: HookEngine) -> Any:
    """Take the last change back, and give it."""
    change = engine.hooks.last_change()
    assert change is not None
    engine.hooks.undo(change)
    return change


def test_several_hooks_are_changed_and_taken_back_as_one(engine: HookEngine) -> None:
    """Off, paused, deleted; each undo brings back what was, and the undo of an undo does it again."""
    before = states(engine)
    for what, state in (("disable", "off"), ("pause", "paused")):
        assert len(engine.hooks.change_several(revisions(engine, "h1", "h3"), what, reason="ремонт")) == 2
        assert states(engine) == {**before, "h1": state, "h3": state}
        change = undo(engine)
        assert [part.name for part in change.parts] == ["h1", "h3"]
        assert states(engine) == before
    engine.hooks.change_several(revisions(engine, "h2", "h4"), "remove")
    assert set(states(engine)) == {"h1", "h3"}
    undo(engine)
    assert states(engine) == before
    undo(engine)
    assert set(states(engine)) == {"h1", "h3"}


def test_all_or_none(engine: HookEngine) -> None:
    """One of them was changed by a colleague: none is changed."""
    looked = revisions(engine, "h1", "h2", "h3")
    engine.hooks.update("h3", name="h3 new")
    before = states(engine)
    with pytest.raises(ChangedMeanwhile, match="h3 new"):
        engine.hooks.change_several(looked, "disable")
    assert states(engine) == before


def test_what_stands_already_is_left_alone(engine: HookEngine) -> None:
    """Pausing and resuming give the ids of those that were another thing before."""
    engine.hooks.pause("h1", "first")
    assert len(engine.hooks.change_several(revisions(engine, "h1", "h2"), "pause", reason="second")) == 1
    assert engine.hooks.get("h1").paused_reason == "first"
    assert len(engine.hooks.change_several(revisions(engine, "h1", "h2", "h3"), "resume")) == 2


def test_several_hooks_move_together(engine: HookEngine) -> None:
    """They keep their order among themselves, stop at the ends, and come back by one undo."""
    ids = list(revisions(engine, "h1", "h2"))
    engine.hooks.move_several(ids, 1)
    assert order(engine) == ["h3", "h1", "h2", "h4"]
    undo(engine)
    assert order(engine) == ["h1", "h2", "h3", "h4"]
    for _ in range(4):
        engine.hooks.move_several(ids, 1)
    assert order(engine) == ["h3", "h4", "h1", "h2"]
    engine.hooks.move_several(ids, -1)
    assert order(engine) == ["h3", "h1", "h2", "h4"]


def test_an_edit_a_move_and_a_new_hook_are_taken_back(engine: HookEngine) -> None:
    """Every field of an edit, moments too; a move of several numbers; a new hook is deleted."""
    engine.hooks.update("h1", name="x", timeout=7, valid_until="2030-01-01T00:00:00+03:00", body='{"a": 1}')
    engine.hooks.update("h1", valid_until="2031-01-01T00:00:00Z")
    undo(engine)
    hook = engine.hooks.get("h1")
    assert (hook.name, hook.timeout, hook.body) == ("x", 7, '{"a": 1}')
    assert hook.valid_until is not None
    assert hook.valid_until.isoformat() == "2029-12-31T21:00:00+00:00"
    engine.hooks.move("h4", before="h1")
    assert order(engine)[0] == "h4"
    undo(engine)
    assert order(engine) == ["x", "h2", "h3", "h4"]
    engine.hooks.add(Hook(name="new", event=EVENT, url="https://a.example/x"))
    undo(engine)
    with pytest.raises(HookNotFound):
        engine.hooks.get("new")


def test_only_ones_own_change_is_taken_back_and_not_over_a_colleagues(
    engine: HookEngine, be: Callable[[str], None]
) -> None:
    """The last change of this person; refused by name where somebody changed the hook after it."""
    be("olga")
    engine.hooks.update("h1", name="by olga")
    be("ivan")
    engine.hooks.update("h2", name="by ivan")
    be("olga")
    change = engine.hooks.last_change()
    assert change is not None
    assert [part.name for part in change.parts] == ["by olga"]
    be("ivan")
    engine.hooks.update("h1", timeout=9)
    be("olga")
    stale = engine.hooks.last_change()
    assert stale is not None
    assert [part.since for part in stale.changed_since] == ["ivan"]
    for each in (change, stale):
        with pytest.raises(ChangedMeanwhile, match="by olga"):
            engine.hooks.undo(each)
    assert engine.hooks.get("h1").name == "by olga"
    be("nobody")
    assert engine.hooks.last_change() is None


@pytest.mark.parametrize("by", ["resume", "pause"])
def test_a_breakers_pause_that_an_undo_brings_back_is_probed(engine: HookEngine, by: str) -> None:
    """A resumption closes the breaker, and so does a late success beneath a person's pause: taken back, the hook is
    tried at once, and goes on."""
    hook, now = engine.hooks.get("h1").id or 0, engine.runtime.clock.now_ms()
    database = engine.runtime.database
    engine.fire(EVENT, {"order": {"id": 7}})
    for number in range(10):
        failure = Note(hook, success=False, countable=True)
        database.writer.write(lambda c, f=failure, n=number: note(c, [f], now + n * 7000))  # type: ignore[misc]
    if by == "resume":
        engine.hooks.resume("h1")
    else:
        engine.hooks.pause("h1", "by hand")
        database.writer.write(lambda c: note(c, [Note(hook, success=True)], now + 70_000))
    undo(engine)
    assert engine.hooks.get("h1").paused_by == "breaker"
    (probe,) = [each for each in claim(database, now + 80_000).rows if each.hook_id == hook]
    assert probe.probe
    assert settle(database, probe, result(at_ms=now), now + 80_001).resumed
    assert engine.hooks.get("h1").paused_by is None


def test_secrets_do_not_come_back_and_do_not_go_elsewhere(engine: HookEngine) -> None:
    """What a revision does not hold is said; another origin gets no secrets unasked."""
    engine.hooks.update("h1", auth_password="one")
    engine.hooks.update("h1", auth_password=None, name="x")
    change = undo(engine)
    assert change.parts[0].lost == ("auth_password",)
    assert engine.hooks.get("h1").auth_password is None
    assert engine.hooks.get("h1").name == "h1"
    engine.hooks.update("h2", auth_password="two")
    engine.hooks.update("h2", url="https://b.example/y", keep_secrets=True)
    moved = engine.hooks.last_change()
    assert moved is not None
    with pytest.raises(InvalidHook):
        engine.hooks.undo(moved)
    engine.hooks.undo(moved, keep_secrets=True)
    assert engine.hooks.get("h2").url == "https://a.example/x"


def test_it_works_across_restarts(either_url: str) -> None:
    """Another process, the same person."""
    with HookEngine(either_url, worker=False) as engine:
        engine.hooks.add(Hook(name="a", key="a", event=EVENT, url="https://a.example/x"))
        engine.hooks.remove("a")
    with HookEngine(either_url, worker=False) as engine:
        undo(engine)
        assert [hook.name for hook in engine.hooks.list()] == ["a"]


def test_an_added_secret_goes_with_its_undo(engine: HookEngine) -> None:
    """Left behind, a password would be sent with an empty login, a header's value under the next name."""
    engine.hooks.update("h1", auth_login="shop", auth_password="s3cret", custom_header="X-Key: abc")
    undo(engine)
    hook = engine.hooks.get("h1")
    assert (hook.auth_login, hook.auth_password, hook.custom_header, hook.custom_header_value) == ("", None, "", None)
    engine.hooks.new_secret("h1")
    undo(engine)
    assert engine.hooks.get("h1").signing_secret is None


def test_an_undo_with_nothing_to_bring_back_is_refused(engine: HookEngine) -> None:
    """The secret before is nowhere: no word of success, and the receiver keeps what it has."""
    engine.hooks.new_secret("h1")
    engine.hooks.new_secret("h1", rotate=True)
    before = engine.hooks.get("h1")
    with pytest.raises(Refused, match="nothing to undo"):
        undo(engine)
    assert engine.hooks.get("h1") == before


def test_secrets_sealed_with_another_key_stand_in_no_undos_way(engine: HookEngine) -> None:
    """It changes no field: one's last edit is the one before it."""
    engine.hooks.update("h1", name="new", auth_password="s3cret")
    engine.hooks.update("h1", name="newer")
    run = engine.runtime
    author = run.author()
    run.database.writer.write(lambda c: reseal_all(c, run.vault, author))
    assert engine.hooks.history("h1")[0].action == "keys"
    assert undo(engine).action == "edit"
    assert engine.hooks.get("h1").name == "new"


def test_a_change_of_the_event_is_taken_back_with_the_place(engine: HookEngine) -> None:
    """Also where the number was the same in both events."""
    engine.hooks.update("h1", event="before_user_update")
    assert engine.hooks.get("h1").position == 10
    undo(engine)
    assert order(engine) == ["h1", "h2", "h3", "h4"]
