"""Every change of a hook makes a revision, from whatever side: who, when, what; and no secret in it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from engine_bench import Bench
from hookrow import AsyncHookEngine, Hook
from hookrow.core.actor import actor
from hookrow.errors import HookNotFound
from hookrow.records import as_of
from hookrow.store.configuration.revisions import ENGINE
from hookrow.store.hooks import reseal_all
from hookrow.store.log.purge import purge
from hookrow.store.outbox import breaker
from hookrow.store.outbox.breaker import try_again
from scripted import answer

pytestmark = pytest.mark.anyio
ME = actor()  # over SSH, under sudo or without a name, as containers are
Act = Callable[[Bench], Awaitable[Any]]


async def fails_for_long(bench: Bench) -> None:
    """Ten failures over a minute: the breaker opens."""
    bench.network.on("h", *([answer(503)] * 10), answer())
    for _ in range(10):
        await bench.fire()
        bench.clock.forward(7)


async def is_tried_again(bench: Bench) -> None:
    """What the worker does where the breaker is open and nothing waits that could be the probe."""
    await fails_for_long(bench)
    number = (await bench.engine.hooks.get("h")).id or 0
    bench.clock.forward(30)
    now_ms, database = bench.clock.now_ms(), bench.engine.runtime.database
    held = database.clock.lease_ms()
    await database.writer.awrite(lambda connection: try_again(connection, number, now_ms, held))


async def is_gone(bench: Bench) -> None:
    """A receiver that answers 410."""
    bench.network.on("h", answer(410))
    await bench.fire()


async def gets_new_keys(bench: Bench) -> None:
    """What `hookrow keys rotate` does with the database."""
    runtime = bench.engine.runtime
    author = runtime.author()
    await runtime.database.writer.awrite(lambda connection: reseal_all(connection, runtime.vault, author))


async def is_restored(bench: Bench) -> None:
    """Deleted, and the deletion undone."""
    number = (await bench.engine.hooks.remove("h")).id or 0
    await bench.engine.hooks.restore(number)


async def is_rolled_back(bench: Bench) -> None:
    """Edited, and back."""
    await bench.engine.hooks.update("h", position=7)
    await bench.engine.hooks.rollback("h", 1)


async def is_resumed(bench: Bench) -> None:
    """Paused and resumed by hand."""
    await bench.engine.hooks.pause("h", "works")
    await bench.engine.hooks.resume("h")


SIDES: dict[str, tuple[Act, str, str, set[str]]] = {
    "edit": (lambda b: b.engine.hooks.update("h", name="x", body=""), "edit", ME, {"name"}),
    "switch": (lambda b: b.engine.hooks.update("h", active=False), "edit", ME, {"active"}),
    "password": (lambda b: b.engine.hooks.update("h", auth_password="canary-2"), "edit", ME, {"auth_password"}),
    "pause": (lambda b: b.engine.hooks.pause("h", "works"), "pause", ME, {"paused_by", "paused_reason", "paused_at"}),
    "resume": (is_resumed, "resume", ME, {"paused_by", "paused_reason", "paused_at"}),
    "breaker": (fails_for_long, "pause", "hookrow", {"paused_by", "paused_reason", "paused_at"}),
    "breaker closes": (is_tried_again, "resume", "hookrow", {"paused_by", "paused_reason", "paused_at"}),
    "gone": (is_gone, "pause", "hookrow", {"paused_by", "paused_reason", "paused_at"}),
    "signing secret": (lambda b: b.engine.hooks.new_secret("h", rotate=True), "secret", ME, {"signing_secret"}),
    "keys": (gets_new_keys, "keys", ME, set()),
    "remove": (lambda b: b.engine.hooks.remove("h"), "remove", ME, {"deleted_at"}),
    "restore": (is_restored, "restore", ME, {"deleted_at"}),
    "rollback": (is_rolled_back, "rollback", ME, {"position"}),
}


@pytest.mark.parametrize("side", SIDES)
async def test_a_change_from_any_side_is_a_revision(bench: Bench, side: str) -> None:
    """The newest revision says what was done, by whom, when and to which fields; the hook bears its number."""
    act, action, who, fields = SIDES[side]
    hook = await bench.gate("h", key="h", auth_login="bob", auth_password="canary-1")
    bench.clock.forward(5)
    await act(bench)
    newest, *older = await bench.engine.hooks.history(hook.id or 0)
    assert (newest.action, newest.who) == (action, who)
    assert {name for name, _, _ in newest.changes()} == fields
    assert newest.at_ms <= bench.clock.now_ms()
    assert older[-1].action == "add"
    [now] = [each for each in await bench.engine.hooks.list(deleted=True) if each.id == hook.id]
    assert now.revision == newest.revision == len(older) + 1
    assert "canary" not in repr([newest, *older])


async def test_ensure_makes_one_where_it_makes_a_hook(bench: Bench) -> None:
    """And none where the hook is there."""
    wanted = Hook(key="k", name="k", event="before_order_add", url="http://receiver.test/k")
    for _ in range(2):
        await bench.engine.hooks.ensure(wanted)
    assert [each.action for each in await bench.engine.hooks.history("k")] == ["add"]


async def test_nothing_changed_is_no_revision(bench: Bench) -> None:
    """Also a pause of what is paused."""
    hook = await bench.hook("h")
    await bench.engine.hooks.update("h", name="h", timeout=hook.timeout)
    await bench.engine.hooks.pause("h")
    await bench.engine.hooks.pause("h")
    assert len(await bench.engine.hooks.history("h")) == 2


async def test_a_revision_that_retention_took_is_still_an_address(bench: Bench) -> None:
    """It said no more than that the engine paused the hook: the fields were those of the revision before."""
    hook = await bench.hook("h", timeout=3)
    database, number = bench.engine.runtime.database, hook.id or 0
    now_ms = bench.engine.runtime.clock.now_ms()
    database.writer.write(lambda connection: breaker.pause(connection, number, "breaker", "timeout", now_ms))
    database.writer.write(lambda connection: breaker.resume(connection, number, now_ms))
    bench.engine.runtime.cache.forget()
    await bench.engine.hooks.update("h", timeout=9)
    purge(database, days=1, most_bytes=2**40, now_ms=now_ms + 2 * 86_400_000)
    history = await bench.engine.hooks.history("h")
    assert [each.revision for each in history] == [4, 1]
    assert [as_of(history, number) for number in (0, 1, 2, 3, 4, 5)] == [None, *[history[1]] * 3, history[0], None]
    assert (await bench.engine.hooks.rollback("h", 3)).timeout == 3
    with pytest.raises(HookNotFound):
        await bench.engine.hooks.rollback("h", 6)


async def test_a_deleted_hook_still_tells_its_history(bench: Bench) -> None:
    """By id and by key."""
    hook = await bench.hook("h", key="k")
    await bench.engine.hooks.remove("k")
    for ref in (hook.id or 0, str(hook.id), "k"):
        assert [each.action for each in await bench.engine.hooks.history(ref)] == ["remove", "add"]


def test_who_is_at_work_is_no_matter_of_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of the process's user id, with the address of an SSH client and with who called sudo."""
    monkeypatch.setattr(pwd, "getpwuid", {os.getuid(): SimpleNamespace(pw_name="ada")}.__getitem__)
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "somebody")
    assert actor({}) == "ada"
    assert actor({"SSH_CONNECTION": "192.0.2.7 51000 192.0.2.1 22"}) == "ada@192.0.2.7"
    assert actor({"SUDO_USER": "olga", "SSH_CLIENT": "192.0.2.7 1 22"}) == "ada(olga)@192.0.2.7"


def test_a_user_without_a_name_is_his_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers have them."""
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert actor({}) == f"uid{os.getuid()}"


def test_nobody_is_taken_for_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service's system user may be called as the engine calls itself in revisions."""
    monkeypatch.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_name=ENGINE))
    assert actor({}) == f"{ENGINE}(uid {os.getuid()})"


async def test_the_ssh_client_stands_in_the_revision(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was when the engine was made."""
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 51000 192.0.2.1 22")
    monkeypatch.delenv("SUDO_USER", raising=False)
    async with AsyncHookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as engine:
        await engine.hooks.add(Hook(name="h", event="before_order_add", url="http://receiver.test/h"))
        assert (await engine.hooks.history("h"))[0].who == f"{actor({})}@192.0.2.7"
