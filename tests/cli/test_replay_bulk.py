"""Many at a pace, interrupted and resumed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow, program
from hookrow import HookEngine
from hookrow.cli.app import run
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
RATE = 50
FIRST = 20
"""So many are replayed before the run is interrupted."""


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.torture)])
def test_many_interrupted_and_resumed(add: Add, hookrow: Hookrow, made: Path, count: int) -> None:
    """No faster than asked; every firing of a background hook is replayed once: the one under way ends first."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, "--response-has-data")
        with HookEngine(f"sqlite:///{made}") as engine:
            fired = [engine.fire("before_order_add", {"order": {"id": number}}).id for number in range(count)]
            receiver.wait(count, timeout=60)
        chosen = ("replay", "--event", "before_order_add", "--yes", "--json", "--rate", f"{RATE}/s")
        with program(*chosen, cwd=made.parent, stdout=subprocess.DEVNULL) as running:
            receiver.wait(count + FIRST, timeout=60)
            running.send_signal(2)
            _, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        assert "Traceback" not in err
        token = re.search(r"--resume (\S+)", err)
        assert token is not None
        hookrow(*chosen, "--resume", token[1])
        sent = receiver.wait(2 * count, timeout=60)[count:]
    asked = Counter(request.header("hook-replay-of") for request in sent)
    assert asked == Counter(fired)
    assert len({request.header("webhook-id") for request in sent}) == count
    assert sent[FIRST - 1].at - sent[0].at >= (FIRST - 1) / RATE * 0.95


def test_many_whose_reader_went_away_say_where_they_stopped(
    add: Add, hookrow: Hookrow, made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`replay … | head`: not all were sent, so that it is no success, and it says how to go on; a dry run sent none."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, "--wait-for-response")
        with HookEngine(f"sqlite:///{made}", worker=False) as engine:
            fired = [engine.fire("before_order_add", {"order": {"id": number}}).id for number in range(3)]
        chosen = ("replay", "--event", "before_order_add", "--yes")
        for dry, code, sent in (("--dry-run", 0, 3), ("--json", 3, 4)):
            read, write = os.pipe()
            os.close(read)
            with open(write, "w", encoding="utf-8") as pipe, monkeypatch.context() as patched:
                patched.setattr(sys, "stdout", pipe)
                assert run([*chosen, dry]) == code
            said = capsys.readouterr().err
            assert len(receiver.requests) == sent
        assert "Stopped after 1 of 3" in said
        hookrow(*chosen, "--resume", f"{fired[1]}..{fired[2]}")
        assert f"--resume {fired[1]}..{fired[2]}" in said
        asked = Counter(request.header("hook-replay-of") for request in receiver.requests[3:])
    assert asked == Counter(fired)
