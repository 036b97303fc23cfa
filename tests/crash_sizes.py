"""How often the crash tests kill (a few times in `make check`, many in `make torture`), and how they wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["sizes", "until"]


def sizes(**of_kind: tuple[int, int]) -> list[Any]:
    """Parameters (kind of database, how often) from (check, torture) of each kind."""
    made = []
    for kind, (check, torture) in of_kind.items():
        made.append(pytest.param(kind, check, id=f"{kind}-check"))
        made.append(pytest.param(kind, torture, id=f"{kind}-torture", marks=pytest.mark.torture))
    return made


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for what another process does: asked less and less often, up to ten times a second."""
    end, pause = time.monotonic() + seconds, 0.005
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)
        pause = min(pause * 1.4, 0.1)
