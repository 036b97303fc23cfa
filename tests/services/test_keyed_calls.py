"""Calls with an idempotency key: the hooks are spared, the handler is not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx

from hookrow import Hook
from hookrow.asgi import ApiCall
from hookrow.testing import HookReceiver, MemoryEngine, changes
from hosting import ADD, ORDER, gate, settled

Host = Callable[..., AbstractContextManager[str]]
NEW = "/organization/user/new"


def of_the_user(call: ApiCall) -> str | None:
    """The client's key within its user's own."""
    key = call.header("Idempotency-Key")
    return None if key is None else f"{call.header('X-User')} {key}"


def keyed(key: str, user: str = "1") -> dict[str, str]:
    """The headers of a call."""
    return {"idempotency-key": key, "x-user": user}


def test_a_repeated_call_asks_its_hooks_once(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """The handler gets the same changes again; another user's key, and a call without one, are other calls."""
    hook_receiver.script = changes({"order": {"paid": True}})
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(idempotency=of_the_user) as url:
        got = [httpx.post(url + ADD, json=ORDER, headers=keyed("a")).json()["body"] for _ in range(2)]
        assert got == ['{"order":{"id":7,"sum":1290,"paid":true}}'] * 2
        assert len(hook_receiver.received) == 1
        httpx.post(url + ADD, json=ORDER, headers=keyed("a", user="2"))
        for _ in range(2):
            httpx.post(url + ADD, json=ORDER, headers={"x-user": "1"})
            httpx.post(url + ADD, json=ORDER, headers=keyed("a" * 400))  # longer than a database takes
    assert len(hook_receiver.received) == 5


def test_another_call_under_the_same_key_is_refused(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """422, before the handler; a call that was refused unseen has taken no key."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    with host(idempotency=of_the_user) as url:
        assert httpx.post(url + ADD, content=b"{}", headers=keyed("a")).status_code == 415
        assert httpx.post(url + ADD, json=ORDER, headers=keyed("a")).status_code == 200
        refused = httpx.post(url + ADD, json={"order": {"id": 8}}, headers=keyed("a"))
    problem = refused.json()
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["code"], problem["event"], problem["firing"]) == ("idempotency_conflict", "before_order_add", None)
    assert len(hook_receiver.received) == 1


def test_off_by_default_and_for_what_was_done(
    host: Host, hook_engine: MemoryEngine, hook_receiver: HookReceiver
) -> None:
    """Whose key it is only the service knows. After events have none: the handler has worked twice, so they get two."""
    hook_engine.hooks.add(gate("before_order_add", hook_receiver.url))
    hook_engine.hooks.add(Hook(key="card", name="Card", event="after_registration", url=hook_receiver.url))
    with host() as url:
        for _ in range(2):
            httpx.post(url + ADD, json=ORDER, headers=keyed("a"))
    with host(idempotency=of_the_user) as url:
        for _ in range(2):
            httpx.post(url + NEW, json={}, headers=keyed("b"))
        settled(hook_engine, 4)
    assert [each.event for each in hook_engine.fired] == ["before_order_add"] * 2 + ["after_registration"] * 2
    assert len({each.id for each in hook_engine.fired}) == 4
