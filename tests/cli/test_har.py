"""`show --har` and `log --har`: the log's requests as HAR 1.2, secrets masked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
EVENT = "after_registration"
REQUIRED = {
    "": {"startedDateTime", "time", "request", "response", "cache", "timings"},
    "request": {
        *("method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"),
    },
    "response": {
        *("status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL"),
        *("headersSize", "bodySize"),
    },
    "timings": {"send", "wait", "receive"},
}
"""What HAR 1.2 demands of an entry."""


def entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of a document that has what HAR demands."""
    assert document["log"]["version"] == "1.2"
    assert set(document["log"]["creator"]) == {"name", "version"}
    found: list[dict[str, Any]] = document["log"]["entries"]
    for each in found:
        for part, names in REQUIRED.items():
            assert names <= set(each[part] if part else each)
        assert all(set(pair) == {"name", "value"} for pair in each["request"]["headers"])
    return found


def test_a_request_and_its_reply(add: Add, hookrow: Hookrow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where, what, when, how long; the password, the URL's token and the private value are in none of it."""
    monkeypatch.setenv("PASSWORD", "hush-hush")
    secret = ("--auth-login", "me", "--auth-password-env", "PASSWORD", "--response-has-data")
    with (
        Receiver(reply(200, b'{"ok": true}')) as good,
        Receiver(reply(302, b"\xff\xfe", [("Location", "/there")])) as odd,
    ):
        add(f"{good.url}/a?token=tell-nobody&b=1", *secret, event=EVENT, name="Stock")
        add(odd.url, "--response-has-data", event=EVENT, name="Odd")
        fired = hookrow("fire", EVENT, "--json").json
    ran = hookrow("show", fired["id"], "--har")
    assert not {"hush-hush", "tell-nobody", "bWU6aHVzaC1odXNo"} & set(ran.out.replace('"', " ").split())
    assert all(word not in ran.out for word in ("hush-hush", "tell-nobody", base64.b64encode(b"me:hush-hush").decode()))
    first, second = entries(ran.json)
    assert first["request"]["method"] == "POST"
    assert [each["name"] for each in first["request"]["queryString"]] == ["token", "b"]
    assert first["request"]["postData"]["mimeType"] == "application/json"
    assert json.loads(first["request"]["postData"]["text"]) == json.loads(good.requests[0].body)
    assert (first["response"]["status"], first["response"]["content"]["text"]) == (200, '{"ok": true}')
    assert first["time"] >= first["timings"]["wait"] >= 0
    assert first["serverIPAddress"] == "127.0.0.1"
    assert fired["deliveries"][0]["id"] in first["comment"]
    assert (second["response"]["status"], second["response"]["redirectURL"]) == (302, "/there")
    assert second["response"]["content"] == {"size": 2, "mimeType": "x-unknown", "text": "//4=", "encoding": "base64"}
    [only] = entries(hookrow("show", fired["deliveries"][1]["id"], "--har").json)
    assert only == second


def test_nothing_answered(add: Add, hookrow: Hookrow) -> None:
    """Status 0, as browsers write it, and why in the comment; what was never sent has no entry."""
    add("http://127.0.0.1:1/", "--wait-for-response", event=EVENT)
    fired = hookrow("fire", EVENT, "--json", code=None).json
    [entry] = entries(hookrow("show", fired["id"], "--har").json)
    assert (entry["response"]["status"], entry["response"]["headers"]) == (0, [])
    assert "connect_error" in entry["comment"]
    hookrow("hooks", "disable", 1)
    add("http://127.0.0.1:1/", "--condition", "false", event=EVENT, name="never")
    unsent = hookrow("fire", EVENT, "--json").json
    assert entries(hookrow("show", unsent["id"], "--har").json) == []


def test_a_piece_of_the_log(add: Add, hookrow: Hookrow, made: Path) -> None:
    """As the filters say, newest first, one document; not together with what prints something else."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, "--response-has-data", event=EVENT)
        fired = [hookrow("fire", EVENT, "--json").json["id"] for _ in range(3)]
    found = entries(hookrow("log", "--har", "--limit", 2).json)
    assert [next(word for word in each["comment"].split() if word.startswith("evt_")) for each in found] == fired[:0:-1]
    assert entries(hookrow("log", "--har", "--outcome", "dead").json) == []
    for other in ("--json", "--follow", "--who"):
        assert "--har" in hookrow("log", "--har", other, code=2).err
    assert "--har" in hookrow("show", fired[0], "--har", "--curl", code=2).err
