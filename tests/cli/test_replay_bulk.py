"""Many at a pace, interrupted and resumed."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_runs import Hookrow, program
from hookrow import HookEngine
from receivers import Receiver, reply

Add = Callable[..., dict[str, Any]]
RATE = 100


@pytest.mark.parametrize("count", [120, pytest.param(1000, marks=pytest.mark.torture)])
def test_many_interrupted_and_resumed(add: Add, hookrow: Hookrow, made: Path, count: int) -> None:
    """No faster than asked; every firing of a background hook is replayed once: the one under way ends first."""
    with Receiver(reply(200, b"{}")) as receiver:
        add(receiver.url, "--response-has-data")
        with HookEngine(f"sqlite:///{made}") as engine:
            fired = [engine.fire("before_order_add", {"order": {"id": number}}).id for number in range(count)]
            receiver.wait(count, timeout=60)
        chosen = ("replay", "--event", "before_order_add", "--yes", "--json", "--rate", f"{RATE}/s")
        with program(*chosen, cwd=made.parent, stdout=subprocess.DEVNULL) as running:
            receiver.wait(count + 40, timeout=60)
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
    assert sent[39].at - sent[0].at >= 39 / RATE * 0.95
