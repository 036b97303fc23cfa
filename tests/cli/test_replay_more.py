"""Replay and redelivery where the hook or the moment has changed since: edited, expired, switched off, large, at once."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from cli_runs import Hookrow, program
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
GATE = ("--wait-for-response",)
NOTIFY = ("--no-fire-and-forget",)


def fire(hookrow: Hookrow, payload: dict[str, Any] | None = None, code: int = 0) -> dict[str, Any]:
    """Fires an order and gives the firing."""
    text = json.dumps(payload or {"order": {"id": 7, "sum": 100}})
    found: dict[str, Any] = hookrow("fire", "before_order_add", "--payload", "-", "--json", stdin=text, code=code).json
    return found


def test_an_edited_hook_is_replayed_as_it_is_now(add: Add, hookrow: Hookrow) -> None:
    """Another address and another body since: replay follows today's hook; a redelivery keeps the recorded bytes."""
    with Receiver(reply(500)) as old, Receiver(reply(200)) as new:
        add(old.url, *NOTIFY)
        fired = fire(hookrow)
        old.wait(1)
        hookrow("hooks", "edit", 1, "--url", new.url, "--body", '{"n": {{ order.id }}}')
        hookrow("redeliver", fired["id"])
        hookrow("replay", fired["id"])
        again, replayed = new.wait(2)
        assert again.body == old.requests[0].body
        assert replayed.json() == {"n": 7}
        assert len(old.requests) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [(("hooks", "disable", 1), "inactive"), (("hooks", "edit", 1, "--valid-until", "01.01.2020"), "expired")],
)
def test_a_hook_that_runs_no_more_is_not_replayed(
    add: Add, hookrow: Hookrow, change: tuple[object, ...], reason: str
) -> None:
    """Switched off or expired since: the replay skips it with its reason and sends nothing."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE)
        fired = fire(hookrow)
        hookrow(*change)
        replayed = hookrow("replay", fired["id"], "--json").json["firing"]
        assert [each["skipped"] for each in replayed["deliveries"]] == [reason]
        assert len(receiver.requests) == 1


def test_a_megabyte_is_sent_again_byte_for_byte(add: Add, hookrow: Hookrow, made: Path) -> None:
    """A payload of nearly 1 MB: redelivered with the same hash, replayed with the same data."""
    data = {"order": {"id": 7, "note": "я" * 490_000}}
    with Receiver(reply(500)) as receiver:
        add(receiver.url, *NOTIFY)
        fired = fire(hookrow, data)
        hookrow("redeliver", fired["id"], code=1)
        hookrow("replay", fired["id"], "--json")
        first, again, replayed = receiver.wait(3)
    assert len(first.body) > 900_000
    assert hashlib.sha256(first.body).digest() == hashlib.sha256(again.body).digest()
    assert replayed.json()["data"] == data


def test_the_signature_is_valid_when_sent_again(add: Add, hookrow: Hookrow) -> None:
    """Redelivered and replayed requests are signed for the moment of sending, and verify by the published rule."""
    with Receiver(reply(500)) as receiver:
        add(receiver.url, *NOTIFY)
        secret = hookrow("hooks", "secret", "new", 1).out.strip().split()[-1]
        fired = fire(hookrow)
        hookrow("redeliver", fired["id"], code=1)
        hookrow("replay", fired["id"])
        sent = receiver.wait(3)
    for request in sent:
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        Webhook(secret).verify(request.body, {name: request.header(name) or "" for name in names})
    assert sent[0].header("webhook-signature") != sent[2].header("webhook-signature")


def test_replays_of_one_firing_at_once_are_firings_of_their_own(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Three processes replay the same firing while the receiver holds them: three firings, three ids, one original."""
    together = threading.Event()
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE, "--timeout", 30)
        fired = fire(hookrow)
        receiver.play(reply(200, b"{}", after=together))
        running = [program("replay", fired["id"], "--json", cwd=made.parent) for _ in range(3)]
        receiver.wait(4, timeout=30)
        together.set()
        ended = [each.communicate(timeout=30) for each in running]
    assert [each.returncode for each in running] == [0, 0, 0], ended
    made_now = [json.loads(out)["firing"] for out, _ in ended]
    assert {each["replay_of"] for each in made_now} == {fired["id"]}
    assert len({each["id"] for each in made_now} | {fired["id"]}) == 4
