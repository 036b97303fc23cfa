"""The log's filters choose the same firings on the command line and in the terminal interface."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow
from hookrow import HookEngine
from hookrow_tui.presenters.log.query import parse
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("options", "typed", "count"),
    [
        (("--event", "before_order_add"), "event:before_order_add", 3),
        (("--outcome", "vetoed"), "итог:отклонено", 1),
        (("--hook", "Two"), "hook:Two", 2),
        (("--code", "4xx"), "код:4xx", 1),
        (("--since", "1h"), "за:1ч", 5),
        (("--since", "1w"), "с:вчера", 5),
        (("--since", "-2h"), "since:2нед", 5),
        (("--until", "today"), "по:сегодня", 5),
        (("--until", "-30min"), "до:15мин", 0),
        (("--until", "yesterday"), "until:вчера", 0),
        (("--until", "1h"), "until:1h", 0),
        (("--since", "today", "--search", "needle"), "since:today needle", 1),
    ],
)
def test_a_filter_means_the_same(
    add: Add, hookrow: Hookrow, made: Path, options: tuple[str, ...], typed: str, count: int
) -> None:
    """Every key, alone or with another: the same ids in the same order."""
    with Receiver(reply(409, b'{"allow": false}'), reply(200, b"{}")) as receiver:
        add(receiver.url, "--wait-for-response")
        add(receiver.url, "--wait-for-response", name="Two", event="before_order_update")
        for number, event in enumerate(["before_order_add"] * 3 + ["before_order_update"] * 2):
            order = json.dumps({"order": {"id": number, "note": "needle" if number == 2 else "hay"}})
            hookrow("fire", event, "--payload", "-", stdin=order, code=None)
    chosen = [each["id"] for each in hookrow("log", *options, "--json").lines]
    with HookEngine(f"sqlite:///{made}") as engine:
        wanted = parse(typed, now_ms=time.time_ns() // 1_000_000, find_hook=lambda ref: engine.hooks.get(ref).id or 0)
        assert [each.id for each in engine.log.page(wanted)] == chosen
    assert len(chosen) == count
