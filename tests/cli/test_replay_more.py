"""Replay and redelivery where something has changed since: a hook edited, expired, switched off; large; at once."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from cli_runs import Hookrow, program
from hookrow import HookEngine
from hookrow.errors import StorageError
from receivers import Receiver, reply
from warm import run_warm

Add = Callable[..., dict[str, Any]]
GATE = ("--wait-for-response",)
NOTIFY = ("--no-fire-and-forget",)
CANARY = "s3cret-" + "canary"


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
        hookrow("replay", fired["id"], "--json", code=1)
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
        hookrow("replay", fired["id"], code=1)
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


def test_a_recorded_request_as_curl_and_http(add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets stand as variables or masks, never as values; a kept reply is printed only after a yes."""
    with Receiver(reply(409, b'{"allow": false, "message": "from the receiver"}')) as receiver:
        add(receiver.url + "x?token=" + CANARY, *GATE)
        monkeypatch.setenv("SECRET", CANARY)
        hookrow("hooks", "edit", 1, "--auth-login", "shop", "--auth-password-env", "SECRET")
        hookrow("hooks", "edit", 1, "--custom-header-name", "X-Token", "--custom-header-env", "SECRET")
        fired = fire(hookrow, code=1)
        received = receiver.wait(1)[0].body.decode()
    curl = hookrow("show", fired["id"], "--curl").out
    assert '"$HOOK_LOGIN:$HOOK_PASSWORD"' in curl
    assert 'X-Token: \'"$HOOK_X_TOKEN"' in curl  # the name quoted apart from the value
    assert shlex.split(curl)[-1] == received
    unasked = hookrow("show", fired["id"], "--http", code=2)
    assert "--yes" in unasked.err
    assert "from the receiver" not in unasked.out
    http = hookrow("show", fired["deliveries"][0]["id"], "--http", "--yes").out
    assert received in http
    assert "HTTP 409" in http
    assert "from the receiver" in http
    secret = base64.b64encode(f"shop:{CANARY}".encode()).decode()
    assert not [text for text in (curl, http) if CANARY in text or secret in text]
    hookrow("show", fired["id"], "--http", "--curl", code=2)


def test_without_a_request_there_is_nothing_to_show_as_curl(add: Add, hookrow: Hookrow) -> None:
    """A hook that was skipped sent nothing: exit 1."""
    add("http://127.0.0.1:9/", *GATE)
    hookrow("hooks", "disable", 1)
    found = hookrow("fire", "before_order_add", "--json").json
    hookrow("show", found["id"], "--curl", code=1)


def test_a_fixture_is_a_test_that_passes(
    add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The recorded request and reply as a pytest test, run by pytest; nothing secret is in it."""
    veto = b'{"allow": false, "message": "Out of \\"stock\\""}'
    with Receiver(reply(409, veto, [("Set-Cookie", CANARY)])) as receiver:
        add(receiver.url + "x?token=" + CANARY, *GATE)
        monkeypatch.setenv("SECRET", CANARY)
        hookrow("hooks", "edit", 1, "--auth-login", "shop", "--auth-password-env", "SECRET")
        hookrow("hooks", "edit", 1, "--custom-header-name", "X-Token", "--custom-header-env", "SECRET")
        hookrow("hooks", "secret", "new", 1)
        fired = fire(hookrow, code=1)
    hookrow("fixture", fired["id"], code=2)
    source = hookrow("fixture", fired["id"], "--yes").out
    assert CANARY not in source
    assert base64.b64encode(f"shop:{CANARY}".encode()).decode() not in source
    assert "v1," not in source
    assert repr(veto) in source
    module = tmp_path / "test_recorded.py"
    module.write_text(source, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(module)]
    ran = run_warm(command, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


def test_a_replay_that_its_receiver_does_not_take_is_no_success(add: Add, hookrow: Hookrow) -> None:
    """Allowed, since nobody waits; but of those replayed it is counted, and the exit code is 1."""
    with Receiver(reply(500)) as receiver:
        add(receiver.url, *NOTIFY)
        for _ in range(2):
            fire(hookrow)
        ran = hookrow("replay", "--event", "before_order_add", "--yes", code=1)
        assert "2 done, 2 of them failed." in ran.err
        receiver.play(reply(200))
        again = ("replay", "--since", "1h", "--outcome", "retrying", "--yes")
        assert "4 done, 0 of them" in hookrow(*again, "--with-replays").err
        assert "2 done, 0 of them" in hookrow(*again).err  # earlier replays are left out


def test_trouble_with_the_database_ends_a_run_of_many(
    add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 3 at the first one that is not recorded, and how to go on; the rest is not tried."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, *NOTIFY)
        fired = [fire(hookrow)["id"] for _ in range(3)]
        replay, tried = HookEngine.replay, []

        def full(engine: HookEngine, ref: str, **how: Any) -> Any:
            tried.append(ref)
            if len(tried) == 2:
                raise StorageError("the disk is full")
            return replay(engine, ref, **how)

        monkeypatch.setattr(HookEngine, "replay", full)
        ran = hookrow("replay", "--event", "before_order_add", "--yes", code=3)
    assert tried == fired[:2]
    assert "the disk is full" in ran.err
    assert f"--resume {fired[1]}..{fired[2]}" in ran.err


def test_what_arrived_goes_again_where_its_outcome_is_named(add: Add, hookrow: Hookrow) -> None:
    """The receiver lost it after all: `--outcome ok` means deliveries that arrived, without it none of them."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, *NOTIFY)
        fired = fire(hookrow)["deliveries"][0]["id"]
        assert "Nothing matches." in hookrow("redeliver", "--since", "1h").err
        hookrow("redeliver", "--since", "1h", "--outcome", "ok")
        assert [each.header("webhook-id") for each in receiver.wait(2)] == [fired] * 2


def test_when_the_next_attempt_is_due(add: Add, hookrow: Hookrow) -> None:
    """`show` says it, and how many there were."""
    with Receiver(reply(500)) as receiver:
        add(receiver.url, *NOTIFY)
        assert "1 of 10 attempts were made." in hookrow("show", fire(hookrow)["id"]).out
