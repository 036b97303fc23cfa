"""A hook in shadow on the command line: set, seen, promoted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cli_runs import Hookrow
from receivers import Receiver, reply

Add = Callable[..., Any]
GATE = ("--wait-for-response", "--shadow")


def test_from_shadow_to_promoted(add: Add, hookrow: Hookrow) -> None:
    """What its answers would have done stands in list, figures, log, and in the question of `promote`."""
    no = reply(422, b'{"allow": false, "message": "too much"}')
    with Receiver(no, reply(200), no, reply(200)) as receiver:
        add(receiver.url, *GATE, "--key", "new", name="New gate")
        assert hookrow("hooks", "show", "new", "--json").json["shadow"] is True
        assert "it was not asked" in hookrow("hooks", "show", "new").out
        fired = hookrow("fire", "before_order_add", "--json").json
        [share] = fired["deliveries"]
        assert (fired["allowed"], share["outcome"], share["shadow"], share["would"]) == (True, "ok", True, "veto")
        assert "shadow: would veto; too much" in hookrow("log").out
        hookrow("fire", "before_order_add")
        assert "shadow: asked 2, would refuse 1" in hookrow("hooks", "list").out
        assert "New gate: In shadow, last 7 days: asked 2, would refuse 1" in hookrow("hooks", "stats").out
        [stats] = hookrow("hooks", "stats", "--json").lines
        assert (stats["week"]["calls"], stats["shadow"]["asked"], stats["shadow"]["vetoes"]) == (0, 2, 1)
        assert [each["id"] for each in hookrow("log", "--would", "veto", "--json").lines] == [fired["id"]]
        assert [each["id"] for each in hookrow("log", "--would", "отказал бы", "--json").lines] == [fired["id"]]
        assert hookrow("log", "--would", "fail").out == ""
        [found] = [each for each in hookrow("doctor", "--json", code=1).json["findings"] if each["code"] == "shadow"]
        assert "asked 2, would refuse 1, failed 0" in found["message"]
        assert "--hook new --would veto" in found["message"]
        told = hookrow("hooks", "promote", "new", "--yes", "--json")
        assert "asked 2, would refuse 1, failed 0" in told.err
        assert fired["id"] in told.err
        assert told.json["shadow"] is False
        assert hookrow("fire", "before_order_add", "--json", code=1).json["allowed"] is False
        assert "is not in shadow" in hookrow("hooks", "promote", "new").err


def test_where_a_shadow_has_no_effect_it_is_said(add: Add, hookrow: Hookrow) -> None:
    """A background hook, an event that has happened."""
    add("http://127.0.0.1:9/x", "--key", "bg", name="Background")
    assert "shadow has no effect here" in hookrow("hooks", "edit", "bg", "--shadow").err
    assert "shadow has no effect" not in hookrow("hooks", "edit", "bg", "--wait-for-response").err


def test_a_file_carries_it(add: Add, hookrow: Hookrow) -> None:
    """Export and import keep it."""
    add("http://127.0.0.1:9/x", *GATE, "--key", "new", name="New gate")
    file = hookrow("export").out
    assert "shadow: true" in file
    hookrow("hooks", "promote", "new", "--yes")
    told = hookrow("import", "-", "--yes", stdin=file)
    assert hookrow("hooks", "show", "new", "--json").json["shadow"] is True, told.err
