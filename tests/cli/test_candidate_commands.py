"""A candidate on the command line: tried, seen, compared, promoted, dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cli_runs import Hookrow
from receivers import Receiver, reply

Add = Callable[..., Any]


def test_from_try_to_promoted(add: Add, hookrow: Hookrow) -> None:
    """How it compares stands in list, statistics, show, log, and in the question of `promote`."""
    yes, no = reply(200, b'{"allow": true}'), reply(422, b'{"allow": false, "message": "too much"}')
    with Receiver(yes, no, yes, yes, no) as receiver:
        add(receiver.url, "--wait-for-response", "--key", "old", name="Limit")
        token = f"{receiver.url}?token=t0ken-9a"
        told = hookrow("hooks", "try", "old", "--url", token, "--timeout", "2", "--json")
        assert told.json["candidate"]["fields"] == {"url": token, "timeout": 2.0}
        assert "Timeout: 5 → 2" in told.err
        assert "t0ken" not in hookrow("hooks", "list", "--json").out
        assert "candidate" in hookrow("hooks", "list").out
        assert "was not compared with the hook yet" in hookrow("hooks", "show", "old").out
        fired = hookrow("fire", "before_order_add", "--json").json
        own, trial = fired["deliveries"]
        assert (fired["allowed"], own["candidate"], trial["candidate"], trial["compared"]) == (
            True,
            False,
            True,
            "decision",
        )
        assert trial["would"] == "veto"
        hookrow("fire", "before_order_add")
        assert "candidate: would veto (differs: decision); too much" in hookrow("log").out
        assert [each["id"] for each in hookrow("log", "--outcome", "differs", "--json").lines] == [fired["id"]]
        assert "расходится" in hookrow("--lang", "ru", "log", "--outcome", "расходится").out
        assert "candidate: differ in 1 of 2" in hookrow("hooks", "list").out
        [found] = [each for each in hookrow("doctor", "--json", code=1).json["findings"] if each["code"] == "candidate"]
        assert "they differ in 1 of 2" in found["message"]
        assert "Limit: Hook and candidate, last 7 days: differ in 1 of 2" in hookrow("hooks", "stats").out
        [stats] = hookrow("hooks", "stats", "--json").lines
        assert (stats["week"]["calls"], stats["shadow"], stats["candidate"]["decisions"]) == (2, None, 1)
        told = hookrow("hooks", "promote", "old", "--yes", "--json")
        assert "differ in 1 of 2" in told.err
        assert fired["id"] in told.err
        assert "Promoted" in told.err
        assert (told.json["candidate"], told.json["timeout"]) == (None, 2.0)
        assert hookrow("fire", "before_order_add", "--json", code=1).json["allowed"] is False
        assert "has no candidate" in hookrow("hooks", "promote", "old").err
        assert "has no candidate" in hookrow("hooks", "drop-candidate", "old").err


def test_explain_has_it_beside_its_hook(add: Add, hookrow: Hookrow) -> None:
    """What it would do, or why it fails; its request is marked. A hook in shadow is not said to be sent."""
    add("http://127.0.0.1:9/x", "--wait-for-response", "--key", "old", name="Limit")
    add("http://127.0.0.1:9/x", "--wait-for-response", "--shadow", "--key", "new", name="Other")
    hookrow("hooks", "try", "old", "--timeout", "2")
    told = hookrow("explain", "before_order_add").out
    assert "candidate" in told
    assert told.count("is asked in shadow") == 2
    own, other = hookrow("explain", "before_order_add", "--json").lines
    assert other["candidate"] is None
    for request in (own["candidate"]["request"], other["request"]):
        assert ["hook-shadow", "1"] in request["headers"]
    assert ["hook-revision", "candidate"] in own["candidate"]["request"]["headers"]
    assert ["hook-shadow", "1"] not in own["request"]["headers"]
    hookrow("hooks", "try", "old", "--condition", "order.sum < 0")
    own, _ = hookrow("explain", "before_order_add", "--json").lines
    assert (own["candidate"]["act"], own["candidate"]["reason"]) == ("skip", "condition_false")


def test_an_edit_that_meets_it_is_refused_in_words(add: Add, hookrow: Hookrow) -> None:
    """Unless it is dropped with it; the history has who did what."""
    add("http://127.0.0.1:9/x", "--wait-for-response", "--key", "old", name="Limit")
    hookrow("hooks", "try", "old", "--timeout", "2")
    hookrow("hooks", "edit", "old", "--on-failure", "stop")
    refused = hookrow("hooks", "edit", "old", "--timeout", "3", code=5).err
    assert "its candidate changes the same: Timeout" in refused
    assert "--drop-candidate" in refused
    hookrow("hooks", "rollback", "old", "1")
    assert hookrow("hooks", "edit", "old", "--timeout", "3", "--drop-candidate", "--json").json["candidate"] is None
    hookrow("hooks", "try", "old", "--timeout", "2")
    assert "Candidate dropped" in hookrow("hooks", "drop-candidate", "old").err
    told = hookrow("hooks", "history", "old").out
    assert "candidate tried" in told
    assert "Candidate: Timeout: 2" in told
    assert "candidate dropped" in told
    assert "undo" not in hookrow("hooks", "undo", "--yes", code=5).err


def test_what_can_not_be_tried_is_no_option(add: Add, hookrow: Hookrow) -> None:
    """And a background hook has no candidate."""
    add("http://127.0.0.1:9/x", "--key", "bg", name="Background")
    assert "No such option" in hookrow("hooks", "try", "bg", "--name", "x", code=2).err
    assert "Nothing to try" in hookrow("hooks", "try", "bg", code=2).err
    assert "Only blocking hooks" in hookrow("hooks", "try", "bg", "--timeout", "2", code=5).err


def test_a_file_leaves_it_out(add: Add, hookrow: Hookrow) -> None:
    """It belongs to its database: an import keeps it, or is refused like an edit."""
    add("http://127.0.0.1:9/x", "--wait-for-response", "--key", "old", name="Limit")
    hookrow("hooks", "try", "old", "--timeout", "2")
    file = hookrow("export").out
    assert "candidate" not in file
    assert "timeout: 5" in file
    kept = hookrow("import", "-", "--dry-run", stdin=file.replace("on_failure: continue", "on_failure: stop"))
    assert "old: its candidate stays" in kept.err
    hookrow("import", "-", "--yes", stdin=file.replace("on_failure: continue", "on_failure: stop"))
    assert hookrow("hooks", "show", "old", "--json").json["candidate"]["fields"] == {"timeout": 2.0}
    for how in ("--yes", "--dry-run"):
        refused = hookrow("import", "-", how, stdin=file.replace("timeout: 5", "timeout: 4"), code=5)
        assert "its candidate changes the same" in refused.err
