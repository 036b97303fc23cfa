"""redeliver, replay, drop: one or many, elsewhere, dry, edited, paced, interrupted."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow, environment, program
from hookrow import HookEngine
from receivers import Peer, Receiver, hold, reply

Add = Callable[..., dict[str, Any]]
GATE = ("--wait-for-response",)
NOTIFY = ("--no-fire-and-forget",)
CANARY = "s3cret-" + "canary"


def fire(hookrow: Hookrow, event: str = "before_order_add", code: int = 0, number: int = 7) -> dict[str, Any]:
    """Fires an order and gives the firing."""
    payload = json.dumps({"order": {"id": number, "sum": 100}})
    found: dict[str, Any] = hookrow("fire", event, "--payload", "-", "--json", stdin=payload, code=code).json
    return found


def test_a_redelivery_is_the_same_bytes(add: Add, hookrow: Hookrow) -> None:
    """Same body by its hash, same webhook-id, next attempt number; a success settles the delivery."""
    with Receiver(reply(500), reply(200)) as receiver:
        add(receiver.url, *NOTIFY)
        fired = fire(hookrow)
        ran = hookrow("redeliver", fired["id"], "--json")
        first, second = receiver.wait(2)
    assert hashlib.sha256(first.body).digest() == hashlib.sha256(second.body).digest()
    assert first.header("webhook-id") == second.header("webhook-id") == fired["deliveries"][0]["id"]
    assert (first.header("hook-attempt"), second.header("hook-attempt")) == ("1", "2")
    assert ran.json["ok"] is True
    assert hookrow("log", "--json").json["deliveries"][0]["outcome"] == "ok"


def test_a_laptops_success_settles_nothing(add: Add, hookrow: Hookrow) -> None:
    """--to: recorded as an attempt elsewhere; the outcome and the pending retry stay."""
    with Receiver(reply(500)) as own, Receiver(reply(200)) as laptop:
        add(own.url, *NOTIFY)
        fired = fire(hookrow)
        hookrow("redeliver", fired["deliveries"][0]["id"], "--to", laptop.url)
        laptop.wait(1)
    shown = hookrow("show", fired["id"], "--json").json["deliveries"][0]
    assert shown["outcome"] == "retrying"
    assert [(each["elsewhere"], each["status"]) for each in shown["requests"]] == [(False, 500), (True, 200)]
    assert shown["requests"][1]["asked_by"]


def test_a_failed_redelivery_is_exit_1(add: Add, hookrow: Hookrow) -> None:
    """The receiver still says no: exit 1."""
    with Receiver(reply(500)) as receiver:
        add(receiver.url, *NOTIFY)
        assert hookrow("redeliver", fire(hookrow)["id"], "--json", code=1).json["ok"] is False


def test_a_replay_shows_the_changed_verdict(add: Add, hookrow: Hookrow) -> None:
    """After the receiver was mended: veto before, allowed now, side by side; a firing of its own with replay_of."""
    with Receiver(
        reply(409, b'{"allow": false, "message": "Out of stock"}'), reply(200, b'{"allow": true}')
    ) as receiver:
        add(receiver.url, *GATE)
        fired = fire(hookrow, code=1)
        ran = hookrow("replay", fired["id"], "--json").json
        assert (ran["recorded"]["outcome"], ran["firing"]["outcome"]) == ("vetoed", "allowed")
        assert ran["firing"]["replay_of"] == fired["id"]
        assert receiver.wait(2)[1].header("hook-replay-of") == fired["id"]
        people = hookrow("replay", fired["id"]).out
    assert 'vetoed "Out of stock" → allowed' in people


def test_replays_are_not_replayed_by_a_filter(add: Add, hookrow: Hookrow) -> None:
    """Else each run would double them; it says so, and --with-replays or an id takes them."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE)
        again = hookrow("replay", fire(hookrow)["id"], "--json").json["firing"]["id"]
        by_filter = ("replay", "--event", "before_order_add", "--yes")
        assert "1 earlier replay is left out (--with-replays)" in hookrow(*by_filter, "--dry-run").err
        assert "2 firings" in hookrow(*by_filter, "--with-replays", "--dry-run").err
        assert hookrow("replay", again, "--json").json["firing"]["replay_of"] == again


def test_nothing_to_send_again_names_what_arrived(add: Add, hookrow: Hookrow) -> None:
    """Exit 0, and the ids with which it would be sent all the same."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, *NOTIFY)
        fired = fire(hookrow)
        ran = hookrow("redeliver", fired["id"])
    assert "Nothing matches." in ran.err
    assert f"name it: {fired['deliveries'][0]['id']}" in ran.err


def test_a_reply_is_asked_about_before_a_terminal_shows_it(
    add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what a receiver put there; programs are not asked."""
    with Receiver(reply(200, b'{"allow": true, "note": "its own secret"}')) as receiver:
        add(receiver.url, *GATE, "--response-has-data")
        shown = fire(hookrow)["id"]
    assert "its own secret" in hookrow("show", shown).out
    monkeypatch.setattr("hookrow.cli.commands.show.in_terminal", lambda: True)
    monkeypatch.setattr("hookrow.cli.show.output.has_keyboard", lambda: True)
    refused = hookrow("show", shown, stdin="n\n")
    assert "may contain secrets of its own" in refused.err
    assert "41 bytes, not shown" in refused.out
    assert "its own secret" not in refused.out
    assert "its own secret" in hookrow("show", shown, stdin="y\n").out
    assert "its own secret" in hookrow("show", shown, "--yes").out
    assert "its own secret" in hookrow("show", shown, "--json").out


def test_a_replay_through_one_hook_reaches_no_other(add: Add, hookrow: Hookrow) -> None:
    """--hook limits it, a delivery's id too; a replay that is refused is exit 1."""
    with Receiver(reply(200, b"{}")) as one, Receiver(reply(409, b'{"allow": false}')) as two:
        add(one.url, *GATE, name="One")
        add(two.url, *GATE, name="Two")
        fired = fire(hookrow, code=1)
        hookrow("replay", fired["id"], "--hook", "One")
        assert (len(one.requests), len(two.requests)) == (2, 1)
        hookrow("replay", fired["deliveries"][1]["id"], code=1)
        assert (len(one.requests), len(two.requests)) == (2, 2)


def test_a_dry_run_sends_nothing_and_gives_a_curl_line(
    add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan, the requests with masked secrets, and a curl line that works once the variables are set."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url + "x?token=" + CANARY, *GATE)
        monkeypatch.setenv("SECRET", CANARY)
        hookrow("hooks", "edit", 1, "--auth-login", "shop", "--auth-password-env", "SECRET")
        hookrow("hooks", "edit", 1, "--custom-header-name", "X-Token", "--custom-header-env", "SECRET")
        fired = fire(hookrow)
        sent = len(receiver.wait(1))
        shown = [
            hookrow("replay", fired["id"], "--dry-run"),
            hookrow("replay", fired["id"], "--dry-run", "--json"),
            hookrow("redeliver", fired["deliveries"][0]["id"], "--dry-run"),
            hookrow("redeliver", fired["deliveries"][0]["id"], "--dry-run", "--json"),
        ]
        assert len(receiver.requests) == sent
        for ran in shown:
            assert CANARY not in ran.out + ran.err
        line = shown[3].json["curl"]
        assert shlex.split(line)[0] == "curl"
        variables = {"HOOK_LOGIN": "shop", "HOOK_PASSWORD": CANARY, "HOOK_X_TOKEN": CANARY, "HOOK_TOKEN": CANARY}
        checked = subprocess.run(
            ["bash", "-c", line.replace("curl ", "printf '%s\\n' ", 1)],
            env=environment(**variables), capture_output=True, text=True, check=True,
        )  # fmt: skip
    words = checked.stdout.split("\n")
    assert f"shop:{CANARY}" in words
    assert f"X-Token: {CANARY}" in words
    assert f"{receiver.url}x?token={CANARY}" in words
    assert receiver.requests[0].body.decode() in checked.stdout


def test_credentials_stay_at_home(add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another origin gets no credentials unless --with-auth."""
    monkeypatch.setenv("SECRET", CANARY)
    with Receiver(reply(200, b"{}")) as own, Receiver(reply(200, b"{}")) as other:
        add(own.url, *GATE)
        hookrow("hooks", "edit", 1, "--auth-login", "a", "--auth-password-env", "SECRET")
        fired = fire(hookrow)
        hookrow("replay", fired["id"], "--to", other.url)
        hookrow("replay", fired["id"], "--to", other.url, "--with-auth")
        assert [bool(request.header("authorization")) for request in other.wait(2)] == [False, True]
        assert len(own.requests) == 1


def test_a_replay_elsewhere_reaches_nobody_else(add: Add, hookrow: Hookrow) -> None:
    """--to holds for the whole row, background hooks too: the hooks' own receivers get nothing, nothing is repeated."""
    with Receiver(reply(200, b"{}")) as own, Receiver(reply(500)) as laptop:
        add(own.url, *GATE)
        add(own.url, *NOTIFY, name="Later")
        fired = fire(hookrow)
        own.wait(2)
        hookrow("replay", fired["id"], "--to", laptop.url, code=1)
        laptop.wait(2)
        assert len(own.requests) == 2
    assert hookrow("log", "--outcome", "retrying", "--json").out == ""
    assert hookrow("log", "--outcome", "queued", "--json").out == ""


def test_an_edited_payload(add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """--edit opens the payload in $EDITOR and replays what was saved; what is no JSON is refused, exit 5, and kept."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE)
        fired = fire(hookrow)
        monkeypatch.setenv("VISUAL", "sed -i s/100/250/")
        hookrow("replay", fired["id"], "--edit")
        assert receiver.wait(2)[1].json()["data"]["order"]["sum"] == 250
        monkeypatch.setenv("TMPDIR", str(folder))
        monkeypatch.setattr(tempfile, "tempdir", None)
        for broken in ("s/:/,/", r"s/{/\xff/"):  # a comma too many, what is no UTF-8
            monkeypatch.setenv("VISUAL", f"sed -i '{broken}'")
            ran = hookrow("replay", fired["id"], "--edit", code=5)
            [kept] = folder.glob("hookrow-payload-*.json")
            assert str(kept) in ran.err
            assert b"250" in kept.read_bytes() or b"100" in kept.read_bytes()
            kept.unlink()
        monkeypatch.setenv("VISUAL", "true")
        hookrow("replay", fired["id"], "--edit", code=130)


def test_many_ask_first(add: Add, hookrow: Hookrow) -> None:
    """Several: the count and a sample, then --yes or nothing; filters choose as the log's do; the oldest goes first."""
    with Receiver(reply(500)) as receiver:
        add(receiver.url, *NOTIFY, name="One")
        add(receiver.url, *NOTIFY, name="Two")
        fired = [fire(hookrow, number=number) for number in range(7)]
        sent = len(receiver.wait(14))
        ran = hookrow("redeliver", "--outcome", "retrying", "--hook", "One", code=2)
        assert "7 deliveries will be sent again:" in ran.err
        assert "… and 2 more" in ran.err
        assert "--yes" in ran.err
        assert len(receiver.requests) == sent
        receiver.play(reply(200))
        ran = hookrow("redeliver", "--outcome", "retrying", "--hook", "One", "--yes", "--json")
    assert [each["delivery"]["id"] for each in ran.lines] == [each["deliveries"][0]["id"] for each in fired]
    assert len(receiver.requests) == sent + 7
    assert "7 done, 0 of them failed." in ran.err


def test_what_was_settled_since_it_was_chosen_is_not_sent_again(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Many at a pace take their time: what arrived meanwhile is left out and said; an id named goes."""
    with Receiver(reply(500)) as receiver, HookEngine(f"sqlite:///{made}", worker=False) as other:
        add(receiver.url, *NOTIFY)
        first, second = (fire(hookrow, number=number)["deliveries"][0]["id"] for number in range(2))
        receiver.wait(2)

        def meanwhile(peer: Peer) -> None:
            peer.read()
            other.redeliver(second)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        receiver.play(meanwhile, reply(200))
        ran = hookrow("redeliver", "--outcome", "retrying", "--yes")
        assert [request.header("webhook-id") for request in receiver.requests[2:]] == [first, second]
        assert f"{second} has been settled in the meantime: it is not sent again" in ran.err
        hookrow("redeliver", first, second, "--yes")
        assert len(receiver.requests) == 6


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["replay"], 2),
        (["redeliver"], 2),
        (["replay", "evt_00000000000000000000"], 4),
        (["replay", "evt_00000000000000000000", "--outcome", "dead"], 2),
        (["redeliver", "--outcome", "dead"], 0),
        (["replay", "--event", "before_order_add", "--rate", "x"], 2),
    ],
)
def test_exit_codes(hookrow: Hookrow, made: Path, arguments: list[str], code: int) -> None:
    """Neither ids nor filters, or both: 2; unknown: 4; nothing that matches: 0."""
    hookrow(*arguments, code=code)


def test_the_pace_is_kept(add: Add, hookrow: Hookrow) -> None:
    """--rate: never sooner one after another than asked for."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE)
        for number in range(4):
            fire(hookrow, number=number)
        hookrow("replay", "--event", "before_order_add", "--yes", "--rate", "20/s")
        moments = [request.at for request in receiver.wait(8)][4:]
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(moments))


def test_ctrl_c_says_where(add: Add, hookrow: Hookrow, made: Path) -> None:
    """Interrupted in the middle, and again while the one under way goes on: exit 130, how many were done; a later run
    does the rest, and no replays."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE, "--timeout", 30)
        fired = [fire(hookrow, number=number) for number in range(3)]
        receiver.play(reply(200, b"{}"), hold)
        with program("replay", "--event", "before_order_add", "--yes", cwd=made.parent) as running:
            receiver.wait(5)
            running.send_signal(2)
            assert running.stderr is not None
            while "Stopping after this one" not in running.stderr.readline():
                assert running.poll() is None
            running.send_signal(2)
            _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert f"Stopped after 1 of 3. Next: {fired[1]['id']}." in err
    token = f"{fired[1]['id']}..{fired[2]['id']}"
    assert f"--resume {token}" in err
    with Receiver(reply(200, b"{}")) as mended:
        resumed = ("--event", "before_order_add", "--yes", "--to", mended.url, "--resume", token)
        hookrow("replay", *resumed)
        asked = [request.header("hook-replay-of") for request in mended.wait(2)]
    assert asked == [fired[1]["id"], fired[2]["id"]]
    hookrow("replay", "--event", "before_order_add", "--yes", "--resume", "evt_1", code=2)
    assert "Traceback" not in err


def test_dropping(add: Add, hookrow: Hookrow) -> None:
    """Dead deliveries are given up by hand; they show as cancelled and are not redelivered by filters any more."""
    add("http://127.0.0.1:9/x", *NOTIFY, "--body", '{"n": {{ order.number }}}')
    fired = hookrow("fire", "before_order_add", "--payload", "-", "--json", stdin='{"order": {"x": 1}}').json
    assert fired["deliveries"][0]["outcome"] == "dead"
    hookrow("drop", fired["id"], code=2)
    assert hookrow("drop", "--outcome", "dead", "--yes", "--json").json == {"dropped": 1}
    assert hookrow("log", "--json").json["deliveries"][0]["outcome"] == "cancelled"
