"""fire, explain, log, show: the contracts of their --json, their exit codes, what people read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow, program
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
FIRING = [
    "id",
    "event",
    "outcome",
    "allowed",
    "data",
    "result",
    "veto",
    "warnings",
    "reason",
    "reused",
    "ms",
    "deliveries",
]
DELIVERY = [
    "id",
    "hook",
    "position",
    "mode",
    "outcome",
    "error",
    "skipped",
    "status",
    "ms",
    "attempts",
    "takeovers",
    "shadow",
    "would",
    "candidate",
    "compared",
    "reason",
]
GATE = ("--wait-for-response",)
ORDER = '{"order": {"id": 7, "sum": 100}}'


def check_shape(firing: dict[str, Any]) -> None:
    """The contract of docs/reference/outcomes.md; `at`, `replay_of`, `depth` and `traceparent` come besides."""
    assert [
        name for name in firing if name not in ("at", "replay_of", "depth", "traceparent", "payload", "hidden")
    ] == FIRING
    for delivery in firing["deliveries"]:
        assert [name for name in delivery if name != "requests"] == DELIVERY
        assert list(delivery["hook"]) == ["id", "key", "name"]


def test_fire_allows_and_sends_what_it_queued(add: Add, hookrow: Hookrow) -> None:
    """A gate and a background hook: both get their request, exit 0, one object in the contract's shape."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url + "gate", *GATE, name="Gate")
        add(receiver.url + "later", name="Later")
        ran = hookrow("fire", "before_order_add", "--payload", "-", "--json", stdin=ORDER)
        assert [request.path for request in receiver.wait(2)] == ["/gate", "/later"]
    check_shape(ran.json)
    assert ran.json["outcome"] == "allowed"
    assert [each["outcome"] for each in ran.json["deliveries"]] == ["ok", "sent"]
    assert ran.json["data"] == json.loads(ORDER)
    assert hookrow("log", "--json").lines == [ran.json]


def test_a_veto_is_exit_1(add: Add, hookrow: Hookrow) -> None:
    """A hook's no: exit 1, `veto` says who and why; the hook after it is skipped with its reason."""
    with Receiver(reply(409, b'{"allow": false, "message": "Out of stock", "code": "stock"}')) as receiver:
        add(receiver.url, *GATE)
        add(receiver.url, name="After")
        ran = hookrow("fire", "before_order_add", "--payload", "-", "--json", stdin=ORDER, code=1)
        check_shape(ran.json)
        assert ran.json["veto"]["by"] == "hook"
        assert (ran.json["veto"]["message"], ran.json["veto"]["status"]) == ("Out of stock", 409)
        assert [each["skipped"] for each in ran.json["deliveries"]] == [None, "after_veto"]
        shown = hookrow("--lang", "ru", "fire", "before_order_add", code=1)
        assert "отклонено" in shown.out
        assert "Out of stock" in shown.out


def test_a_failed_background_attempt_is_exit_0(add: Add, hookrow: Hookrow) -> None:
    """What fails in background is left to a worker and does not change the exit code."""
    with Receiver(reply(503)) as receiver:
        add(receiver.url, "--no-fire-and-forget")
        ran = hookrow("fire", "before_order_add", "--json")
    assert ran.json["deliveries"][0]["outcome"] == "retrying"
    assert ran.json["deliveries"][0]["status"] == 503


def test_no_wait_leaves_it_to_a_worker(add: Add, hookrow: Hookrow) -> None:
    """--no-wait queues only."""
    add("http://127.0.0.1:9/x")
    ran = hookrow("fire", "before_order_add", "--no-wait", "--json")
    assert (ran.json["deliveries"][0]["outcome"], ran.json["deliveries"][0]["attempts"]) == ("queued", 0)


def test_a_firing_whose_process_died_says_so(add: Add, hookrow: Hookrow, made: Path) -> None:
    """The next one with its key fires anew; log, show and --json say of the first why it ended, in both languages."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE)
        fire = ("fire", "before_order_add", "--idempotency-key", "k", "--json")
        died = hookrow(*fire).json["id"]
        with closing(sqlite3.connect(made)) as database, database:
            database.execute("UPDATE firing SET outcome = NULL, deadline_ms = deadline_ms - 60000")
        assert not hookrow(*fire).json["reused"]
    assert hookrow("show", died, "--json").json["outcome"] == "cancelled"
    for language, words in (("en", "interrupted: the process"), ("ru", "прервано: вызвавший")):
        for command in (("log",), ("show", died), ("show", died, "--json")):
            assert words in hookrow("--lang", language, *command).out


def test_the_same_key_fires_once(add: Add, hookrow: Hookrow) -> None:
    """--idempotency-key: the second run gets the first one's outcome; another payload is refused, exit 5."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE)
        run = ("fire", "before_order_add", "--idempotency-key", "k", "--payload", "-", "--json")
        assert hookrow(*run, stdin=ORDER).json["reused"] is False
        assert hookrow(*run, stdin=ORDER).json["reused"] is True
        hookrow(*run, stdin='{"order": {}}', code=5)
        assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "stdin", "code"),
    [
        (["fire", "nothing"], "", 4),
        (["fire", "before_order_add", "--payload", "-"], "[1]", 5),
        (["fire", "before_order_add", "--payload", "-"], "{", 5),
        (["fire", "before_order_add", "--payload", "-"], '{"order": NaN}', 5),
        (["fire", "before_order_add", "--payload", "missing.json"], "", 2),
        (["fire"], "", 2),
        (["show", "evt_00000000000000000000"], "", 4),
        (["show", "nonsense"], "", 4),
        (["show", "msg_0000000000000000000001"], "", 4),
        (["log", "--hook", "nobody"], "", 4),
        (["log", "--event", "nothing"], "", 4),
        (["log", "--outcome", "nothing"], "", 2),
        (["log", "--since", "whenever"], "", 5),
        (["log", "--code", "9"], "", 5),
    ],
)
def test_exit_codes(hookrow: Hookrow, made: Path, arguments: list[str], stdin: str, code: int) -> None:
    """Unknown things 4, bad values 5, usage 2; stdout stays empty."""
    assert hookrow(*arguments, stdin=stdin, code=code).out == ""


def test_explain_gives_every_reason_and_sends_nothing(add: Add, hookrow: Hookrow) -> None:
    """The plan: who is called, who is skipped and why, also at another moment."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, *GATE, name="Gate")
        add(receiver.url, "--condition", "order.sum > 1000000", name="Rich")
        add(receiver.url, "--no-active", name="Off")
        add(receiver.url, "--valid-from", "01.01.2040", name="Future")
        plan = hookrow("explain", "before_order_add", "--json").lines
        assert [(each["act"], each["reason"]) for each in plan] == [
            ("call", None),
            ("skip", "condition_false"),
            ("skip", "inactive"),
            ("skip", "not_yet_valid"),
        ]
        later = hookrow("explain", "before_order_add", "--at", "2041-01-01T00:00:00Z", "--json").lines
        assert later[-1]["act"] == "queue"
        assert "not_yet_valid" in hookrow("explain", "before_order_add").out
        assert receiver.requests == []
    assert hookrow("log", "--json").out == ""


def test_explain_shows_the_time_and_a_replay_says_its_own(add: Add, hookrow: Hookrow) -> None:
    """Where a condition or a body asks it; `--at` moves it."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, *GATE, "--condition", 'now.date == "2041-01-01"', name="New Year")
        [plan] = hookrow("explain", "before_order_add", "--at", "01.01.2041 13:00", "--json").lines
        assert (plan["act"], plan["now"]) == ("call", {"hour": 13, "weekday": 2, "date": "2041-01-01"})
        told = hookrow("explain", "before_order_add", "--at", "01.01.2041 13:00").out
        assert "now.hour = 13, now.weekday = 2, now.date = 2041-01-01" in told
        hookrow("fire", "before_order_add")
        [fired] = hookrow("log", "--json").lines
        again = hookrow("replay", fired["id"])
        assert "Time as of this replay: now.hour = " in again.out
        assert receiver.requests == []


def test_the_logs_filters(add: Add, hookrow: Hookrow) -> None:
    """Event, hook (by name, a removed one too), outcome, status, text, time, limit; newest first."""
    with Receiver(reply(200, b"{}"), reply(500), reply(200, b"{}")) as receiver:
        add(receiver.url, *GATE, name="Orders")
        add(receiver.url, "--no-fire-and-forget", name="Users", event="after_registration")
        hookrow("fire", "before_order_add", "--payload", "-", stdin='{"order": {"note": "first"}}')
        hookrow("fire", "after_registration")
        hookrow("fire", "before_order_add", "--payload", "-", stdin='{"order": {"note": "third"}}')
    ids = [each["id"] for each in hookrow("log", "--json").lines]
    assert ids == sorted(ids, reverse=True)

    def found(*arguments: str) -> list[int]:
        return [len(ids) - ids.index(each["id"]) for each in hookrow("log", "--json", *arguments).lines]

    assert found("--event", "before_order_add") == [3, 1]
    assert found("--hook", "Users") == [2]
    assert found("--outcome", "retrying") == [2]
    assert found("--outcome", "allowed", "--limit", "2") == [3, 2]
    assert found("--code", "5xx") == [2]
    assert found("--search", "first") == [1]
    assert found("--since", "1h") == [3, 2, 1]
    assert found("--until", "1h") == []
    hookrow("hooks", "rm", "Users", "--yes")
    assert found("--hook", "Users") == [2]


def test_show_has_everything(add: Add, hookrow: Hookrow) -> None:
    """A firing with its payload and every request; a delivery's id shows its own requests."""
    with Receiver(reply(200, b'{"allow": true, "data": {"order": {"sum": 90}}}')) as receiver:
        add(receiver.url, *GATE, "--response-has-data")
        fired = hookrow("fire", "before_order_add", "--payload", "-", "--json", stdin=ORDER).json
    shown = hookrow("show", fired["id"], "--json").json
    check_shape(shown)
    assert shown["payload"] == json.loads(ORDER)
    assert shown["data"]["order"]["sum"] == 90
    request = shown["deliveries"][0]["requests"][0]
    assert ["webhook-id", fired["deliveries"][0]["id"]] in request["request_headers"]
    assert '"sum": 90' in request["response_body"]
    for ref in (fired["id"], fired["deliveries"][0]["id"]):
        people = hookrow("show", ref).out
        assert "/order/sum: 100 → 90" in people
        assert "> webhook-id: " in people


def test_a_hostile_reply_cannot_script_the_terminal(add: Add, hookrow: Hookrow) -> None:
    """What a receiver answers is shown, spelled, wherever people look."""
    with Receiver(reply(200, b'{"allow": false, "message": "no\\u001b[2J\\u202e"}')) as receiver:
        add(receiver.url, *GATE)
        fired = hookrow("fire", "before_order_add", code=1)
        shown = [fired, hookrow("log"), hookrow("log", "--json")]
        shown.append(hookrow("show", shown[2].json["id"]))
    for ran in shown:
        assert "\x1b" not in ran.out
        assert "\u202e" not in ran.out


def test_the_log_is_followed(add: Add, hookrow: Hookrow, made: Path) -> None:
    """--follow prints what is there, then what another process fires; ctrl+c ends it with 130, quietly."""
    add("http://127.0.0.1:9/x")
    first = hookrow("fire", "before_order_add", "--no-wait", "--json").json
    with program("log", "--follow", "--json", cwd=made.parent, env={"PYTHONUNBUFFERED": "1"}) as running:
        assert json.loads(running.stdout.readline())["id"] == first["id"]
        second = hookrow("fire", "before_order_add", "--no-wait", "--json").json
        assert json.loads(running.stdout.readline())["id"] == second["id"]
        running.send_signal(2)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out, err.strip()) == (130, "", "")
