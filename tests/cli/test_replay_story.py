"""The story of docs/replay.md, as a person lives it: a veto that should not have been, and a receiver that was down."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from cli_runs import ROOT, Hookrow, program
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
PAGE = (ROOT / "docs" / "replay.md").read_text("utf-8")
VARYING = (
    (r"evt_\w+", "evt_…"), (r"\d\d\.\d\d\.\d{4} [\d:.]+", "then"), (r"\d+ ms", "N ms"), (r"http://[\w.:]+/?", "URL"),
    (r" {2,}", "  "),
)  # fmt: skip


def alike(text: str) -> str:
    """A text without what differs from run to run: ids, moments, durations, addresses, the columns' widths."""
    for pattern, stands in VARYING:
        text = re.sub(pattern, stands, text)
    return text.strip()


def shown(command: str) -> str:
    """What the page shows below the command that begins so, and does not hold `--dry-run`."""
    blocks = re.findall(r"```console\n\$ ([^\n]*)\n(.*?)```", PAGE, re.DOTALL)
    return next(out for line, out in blocks if line.startswith(command) and "--dry-run" not in line)


def test_a_veto_becomes_allowed(add: Add, hookrow: Hookrow) -> None:
    """Found in the log, mended on a laptop, rehearsed, replayed: the page's own lines, veto → allowed."""
    order = json.dumps({"order": {"id": 7, "sum": 100}})
    veto = reply(409, b'{"allow": false, "message": "Out of stock"}')
    with Receiver(veto) as own, Receiver(reply(200, b'{"allow": true}')) as laptop:
        add(own.url, "--wait-for-response")
        hookrow("fire", "before_order_add", "--payload", "-", stdin=order, code=1)
        log = hookrow("log", "--outcome", "vetoed", "--hook", "Stock", "--since", "today").out
        assert alike(log) == alike(shown("hookrow log"))
        found = re.search(r"evt_\w+", log)
        assert found is not None
        rehearsal = hookrow("replay", found[0], "--hook", "Stock", "--to", laptop.url, "--dry-run").out
        assert f"curl -g -X POST {laptop.url}" in rehearsal
        assert not laptop.requests
        replayed = hookrow("replay", found[0], "--hook", "Stock", "--to", laptop.url).out
        assert alike(replayed) == alike(shown("hookrow replay"))
        assert laptop.wait(1)[0].json()["data"] == own.requests[0].json()["data"]
        assert len(own.requests) == 1
    assert hookrow("show", found[0], "--json").json["outcome"] == "vetoed"


def test_forty_dead_deliveries_go_out_again(add: Add, hookrow: Hookrow, made: Path) -> None:
    """The last day's, paced, with a progress bar; the same bytes; afterwards nothing of them is dead."""
    with Receiver(reply(500)) as receiver:
        add(receiver.url, "--no-fire-and-forget")
        for number in range(40):
            order = json.dumps({"order": {"id": number}})
            hookrow("fire", "before_order_add", "--payload", "-", stdin=order)
        give_up(made)
        receiver.play(reply(200))
        keyboard, terminal = pty.openpty()
        chosen = ("--outcome", "dead", "--since", "24h")
        with program("redeliver", *chosen, "--rate", "20/s", "--yes", cwd=made.parent, stderr=terminal) as running:
            os.close(terminal)
            seen = read_all(keyboard)
            running.communicate(timeout=60)
        sent = receiver.wait(80)
    assert running.returncode == 0, seen
    assert "40 deliveries will be sent again:" in seen
    assert "… and 35 more" in seen
    assert "100%" in seen
    assert [each.body for each in sent[40:]] == [each.body for each in sent[:40]]
    assert all(later.at - earlier.at >= 0.045 for earlier, later in pairwise(sent[40:]))
    assert hookrow("log", "--outcome", "dead", "--json").out == ""


def read_all(terminal: int) -> str:
    """What a program writes to its terminal until it ends."""
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux: nobody holds the other side any more
            piece = b""
        if not piece:
            os.close(terminal)
            return seen.decode()
        seen += piece


def give_up(database: Path) -> None:
    """Make every delivery that waits for another try dead, as ten failures would in a day."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE delivery SET state = 'dead', due_ms = NULL WHERE state = 'retrying'")
