"""A key that is missing is not taken for one that never was: nothing new is sealed, hooks are marked, rows are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hookrow import Hook, HookEngine
from hookrow.errors import KeyMissing
from hookrow.hook.modes import pause_reason
from hookrow.records import LogFilter
from hookrow.secrets.keyring import KeyRing, write_key_file
from hookrow.testing import HookReceiver, ManualClock
from hookrow.testing.fixtures import hook_receiver
from schemas import ours

__all__ = ["hook_receiver"]
EVENT = "after_registration"
Open = Callable[..., HookEngine]


@pytest.fixture
def opened(either_url: str) -> Iterator[Open]:
    """Opens engines without a worker on one database, each with keys of its own."""
    engines: list[HookEngine] = []

    def make(keys: KeyRing | str | None = None, **more: Any) -> HookEngine:
        engines.append(HookEngine(either_url, worker=False, keys=keys, **more))
        return engines[-1]

    yield make
    for each in engines:
        each.close()


def hook(url: str, key: str = "erp", **more: Any) -> Hook:
    """A background hook with a password."""
    return Hook(
        key=key, name=key.upper(), event=EVENT, url=url, **{"auth_login": "u", "auth_password": "s3cret", **more}
    )


def tend(engine: HookEngine) -> set[int]:
    """What a worker of this engine does at each step; on PostgreSQL it hears of edits."""
    engine.runtime.cache.forget()
    return set(engine.portal.call(engine.sending.key_pauses.tend()))


def state(engine: HookEngine, key: str = "erp") -> tuple[str, str | None]:
    """What a person is shown of the hook."""
    found = engine.hooks.get(key)
    return found.state, found.paused_by


def test_without_its_key_nothing_new_is_sealed(opened: Open) -> None:
    """By no way, and with both ways out in the error; no second key is made."""
    ring = KeyRing.new()
    opened(ring).hooks.add(hook("http://a.example/"))
    for keys in (KeyRing({}), KeyRing.new()):
        lost = opened(keys)
        tries: list[Callable[[], Any]] = [
            lambda engine=lost: engine.hooks.add(hook("http://a.example/", "new")),
            lambda engine=lost: engine.hooks.update("erp", custom_header="X-A: b"),
            lambda engine=lost: engine.hooks.new_secret("erp"),
            lambda engine=lost: engine.hooks.new_secret("erp", rotate=True),
            lambda engine=lost: engine.test(hook("http://a.example/", "draft")),
        ]
        for attempt in tries:
            with pytest.raises(KeyMissing, match=rf"(?s){ring.active_id}.*HOOKROW_KEYS.*keys abandon {ring.active_id}"):
                attempt()
        lost.hooks.update("erp", name="Renamed")
        assert [each.key for each in lost.hooks.list()] == ["erp"]


def test_no_second_key_file_is_made(tmp_path: Path) -> None:
    """Where the first one was lost."""
    url = f"sqlite:///{tmp_path / 'hooks.db'}"
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(hook("http://a.example/"))
    (tmp_path / "hookrow.key").unlink()
    with HookEngine(url, worker=False) as engine:
        with pytest.raises(KeyMissing):
            engine.hooks.add(hook("http://a.example/", "new"))
        with pytest.raises(KeyMissing):
            engine.hooks.update("erp", auth_password="again")
    assert not (tmp_path / "hookrow.key").exists()


def test_the_unreadable_secret_itself_may_be_replaced(opened: Open) -> None:
    """Under a key that can be used, though another hook's stays unreadable; and removed under any."""
    first = opened(KeyRing.new())
    for key in ("erp", "crm"):
        first.hooks.add(hook("http://a.example/", key))
    lost = opened(KeyRing.new())
    lost.hooks.update("erp", auth_password="new")
    assert (state(lost), state(lost, "crm")) == (("on", None), ("paused", "key"))
    lost.hooks.update("crm", auth_password=None)
    assert state(lost, "crm") == ("on", None)


def test_hooks_that_can_not_be_opened_are_marked(opened: Open, hook_receiver: HookReceiver) -> None:
    """In list, get, banner and plan, by whoever lacks the key; a blocking hook has failed, its `on_failure` decides."""
    ring = KeyRing.new()
    having = opened(ring)
    having.hooks.add(hook(hook_receiver.url))
    gate: dict[str, Any] = {"wait_for_response": True, "event": "before_order_add", "on_failure": "stop"}
    having.hooks.add(Hook(key="gate", name="Gate", url=hook_receiver.url, auth_login="u", auth_password="p", **gate))
    having.hooks.add(Hook(key="plain", name="Plain", event=EVENT, url=hook_receiver.url))
    lost = opened(KeyRing({}))
    assert [(each.key, each.state, each.paused_by) for each in lost.hooks.list(EVENT)] == [
        ("erp", "paused", "key"),
        ("plain", "on", None),
    ]
    assert ring.active_id in str(pause_reason("key", lost.hooks.get("erp").paused_reason))
    assert len(lost.log.summary().paused) == 2
    assert [each.act for each in lost.explain(EVENT)] == ["park", "queue"]
    firing = lost.fire("before_order_add", {})
    assert (firing.outcome, firing.deliveries[0].error) == ("failed", "key_error")
    with pytest.raises(KeyMissing):
        lost.hooks.resume("erp")
    assert (state(having), hook_receiver.received) == (("on", None), [])
    assert having.fire("before_order_add", {}).allowed


def test_their_deliveries_are_held_and_go_by_themselves(opened: Open, hook_receiver: HookReceiver) -> None:
    """No attempt is spent; the hook is paused for all to see, until somebody has the key again."""
    ring = KeyRing.new()
    having = opened(ring)
    having.hooks.add(hook(hook_receiver.url))
    having.hooks.add(Hook(key="told", name="Told", event="hook.paused", url=hook_receiver.url))
    lost = opened(KeyRing({}))
    firing = lost.send_own(lost.fire(EVENT, {"user": {"id": 1}}))
    assert [(each.outcome, each.attempts) for each in firing.deliveries] == [("parked", 0)]
    with having.runtime.database.read() as connection:
        found = ours(connection, "SELECT paused_by, paused_reason FROM main.hook WHERE key = 'erp'").one()
    assert (found[0], ring.active_id in found[1]) == ("key", True)
    assert [each.event for each in lost.log.page(LogFilter(event="hook.paused"))] == ["hook.paused"]
    assert state(having) == ("on", None)  # it has the key
    again = opened(ring)
    tend(again)
    assert having.hooks.get("erp").paused_by is None
    sent = again.send_own(again.log.get(firing.id))
    assert [(each.outcome, each.attempts) for each in sent.deliveries] == [("sent", 1)]


def test_two_that_differ_do_not_pause_and_resume_in_turns(opened: Open) -> None:
    """Who lacks the key pauses once; who has it resumes; the former claims nothing of the hook meanwhile."""
    ring = KeyRing.new()
    having, lost = opened(ring), opened(KeyRing({}))
    found = having.hooks.add(hook("http://a.example/"))
    for _ in range(3):
        assert tend(lost) == {found.id}
        assert tend(having) == set()
    actions = [each.action for each in having.hooks.history("erp")]
    assert actions == ["resume", "pause", "add"]


def test_a_key_file_that_was_replaced_seals_nothing(tmp_path: Path) -> None:
    """Not the first secret after it either, in a process that has loaded the file before."""
    with HookEngine(f"sqlite:///{tmp_path / 'hooks.db'}", worker=False) as engine:
        engine.hooks.add(hook("http://a.example/"))
        write_key_file(tmp_path / "hookrow.key", KeyRing.new())
        for _ in range(2):
            with pytest.raises(KeyMissing):
                engine.hooks.add(hook("http://a.example/", "new"))


def test_several_are_paused_and_resumed_as_one_is(opened: Open) -> None:
    """A person's pause comes over one for a missing key and outlives it; the other can't be resumed by hand."""
    ring, others = KeyRing.new(), KeyRing.new()
    opened(ring).hooks.add(hook("http://a.example/"))
    lost = opened(others)
    number = lost.hooks.get("erp").id or 0
    with pytest.raises(KeyMissing, match="ERP"):  # held by this process alone
        lost.hooks.change_several({number: 1}, "resume")
    assert tend(lost) == {number}
    revision = lost.hooks.get("erp").revision
    with pytest.raises(KeyMissing, match="ERP"):
        lost.hooks.change_several({number: revision}, "resume")
    having = opened(ring)
    assert having.hooks.change_several({number: revision}, "resume") == []  # it ends by itself
    assert lost.hooks.change_several({number: revision}, "pause", reason="repair") == [number]
    assert tend(having) == set()
    assert state(having) == ("paused", "person")


def test_a_key_that_is_put_back_is_seen(tmp_path: Path) -> None:
    """Within a second, by a process that runs."""
    url = f"sqlite:///{tmp_path / 'hooks.db'}"
    with HookEngine(url, worker=False) as engine:
        engine.hooks.add(hook("http://a.example/"))
    key = (tmp_path / "hookrow.key").rename(tmp_path / "elsewhere")
    clock = ManualClock()
    with HookEngine(url, worker=False, clock=clock) as engine:
        assert state(engine) == ("paused", "key")
        key.rename(tmp_path / "hookrow.key")
        clock.forward(1)
        assert state(engine) == ("on", None)
        engine.hooks.update("erp", auth_password="new")


def test_a_secret_that_was_changed_is_held_as_well(opened: Open, hook_receiver: HookReceiver) -> None:
    """Its key is here and does not open it: known when it is to be sent; it spends no ten attempts."""
    engine = opened(KeyRing.new())
    engine.hooks.add(hook(hook_receiver.url))
    with engine.runtime.database.write() as connection:
        ours(connection, "UPDATE main.hook SET auth_password = substr(auth_password, 1, 40) || 'AAAAAAAAAAAAAAAA'")
    engine.runtime.cache.forget()
    firing = engine.send_own(engine.fire(EVENT, {}))
    assert [(each.outcome, each.attempts) for each in firing.deliveries] == [("parked", 0)]
    assert state(engine) == ("paused", "key")
    engine.hooks.update("erp", auth_password="new")
    assert state(engine) == ("on", None)
    tend(engine)
    assert [each.outcome for each in engine.send_own(engine.log.get(firing.id)).deliveries] == ["sent"]


def test_who_may_only_read_needs_no_key(opened: Open, either_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is marked that the process could not know."""
    engine = opened(KeyRing.new())
    engine.hooks.add(hook("http://a.example/"))
    lost = opened(KeyRing({}))
    lost.runtime.sealing.marks = False
    assert state(lost) == ("on", None)
