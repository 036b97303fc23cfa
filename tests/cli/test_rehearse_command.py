"""`hookrow rehearse`: what would become of recorded firings, before a hook is saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli_runs import Hookrow
from receivers import Receiver, reply

Add = Callable[..., Any]


def fired(hookrow: Hookrow, *orders: dict[str, Any]) -> None:
    """Fire these orders."""
    for order in orders:
        hookrow("fire", "before_order_add", "--payload", "-", stdin=json.dumps({"order": order}))


def test_a_changed_hook_on_recorded_firings(add: Add, hookrow: Hookrow) -> None:
    """Exit 1 where it would fail; what differs is shown; nothing is saved or sent."""
    with Receiver(reply(200)) as receiver:
        hook = add(receiver.url, "--wait-for-response", "--key", "stock")
        fired(hookrow, {"sum": 1, "phone": "1"}, {"sum": 2})
        sent = len(receiver.requests)
        told = hookrow("rehearse", "stock", "--body", '{"p": {{ order.phone }}}', code=1)
        assert "stock: 2 firings tried, called on 1" in told.out
        assert "1 would fail: line 1: order.phone is missing" in told.out
        [found] = hookrow("rehearse", "stock", "--condition", "order.sum > 1", "--json").lines
        assert (found["firings"], found["called"], found["newly_left_out"], found["failed"]) == (2, 1, 1, 0)
        assert hookrow("rehearse", "stock", "--since", "2041-01-01T00:00:00Z").out.startswith("stock: no firing")
        assert len(receiver.requests) == sent
        assert hookrow("hooks", "show", "stock", "--json").json["revision"] == hook["revision"]
    hookrow("rehearse", code=2)
    hookrow("rehearse", "nope", code=4)
    hookrow("rehearse", "stock", "--condition", "order.sum >", code=5)


def test_a_file_is_rehearsed_before_it_is_imported(add: Add, hookrow: Hookrow, folder: Path) -> None:
    """Each hook that it adds or changes; `import --dry-run` says what would fail, too."""
    with Receiver(reply(200)) as receiver:
        add(receiver.url, "--wait-for-response", "--key", "stock", name="Stock")
        add(receiver.url, "--key", "other", name="Other")
        fired(hookrow, {"sum": "x"}, {"sum": 2})
        file = folder / "hooks.yaml"
        file.write_text(hookrow("export").out.replace("condition: ''", "condition: order.sum > 1", 1), "utf-8")
        assert "order.sum > 1" in file.read_text("utf-8")
        told = hookrow("rehearse", "--file", str(file), code=1)
        assert "2 firings tried, called on 1" in told.out
        assert len(told.out.split("firings tried")) == 2
        dry = hookrow("import", str(file), "--dry-run")
        assert "On the last 2 firings, 1 would fail" in dry.err
        [found] = hookrow("import", str(file), "--dry-run", "--json").json["rehearsals"]
        assert found["failures"][0]["error"] == "condition_error"
        assert "No hook of the file" in hookrow("rehearse", "--file", "-", stdin=hookrow("export").out).err
