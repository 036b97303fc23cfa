"""The log's filters choose the same firings on the command line and in the terminal interface."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from cli_runs import Hookrow
from hookrow import Hook, HookEngine
from hookrow_tui.presenters.log.query import parse
from receivers import Receiver, reply


@pytest.fixture(scope="module")
def log(initial: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which five firings have happened just now."""
    path = Path(shutil.copytree(initial, tmp_path_factory.mktemp("alike"), dirs_exist_ok=True)) / "hooks.db"
    with (
        Receiver(reply(409, b'{"allow": false}'), reply(200, b"{}")) as receiver,
        HookEngine(f"sqlite:///{path}", worker=False) as engine,
    ):
        for name, event in (("Stock", "before_order_add"), ("Two", "before_order_update")):
            engine.hooks.add(Hook(name=name, event=event, url=receiver.url, wait_for_response=True))
        for number, event in enumerate(["before_order_add"] * 3 + ["before_order_update"] * 2):
            engine.fire(event, {"order": {"id": number, "note": "needle" if number == 2 else "hay"}})
    return path


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
def test_a_filter_means_the_same(log: Path, hookrow: Hookrow, options: tuple[str, ...], typed: str, count: int) -> None:
    """Every key, alone or with another: the same ids in the same order."""
    chosen = [each["id"] for each in hookrow("--db", log, "log", *options, "--json").lines]
    with HookEngine(f"sqlite:///{log}", worker=False) as engine:
        wanted = parse(typed, now_ms=time.time_ns() // 1_000_000, find_hook=lambda ref: engine.hooks.get(ref).id or 0)
        assert [each.id for each in engine.log.page(wanted)] == chosen
    assert len(chosen) == count
