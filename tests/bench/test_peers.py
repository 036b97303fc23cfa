"""The servers that the benchmarks start end with them, whatever happens."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tiny_bench import ROOT

LISTENS = """#!/usr/bin/env python3
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[2]))) as server:
    while True:
        server.accept()
"""


def test_redis_ends_where_the_block_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold up the program's end for ever."""
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.peers import redis

    (tmp_path / "redis-server").write_text(LISTENS)
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    bench: Any = SimpleNamespace(servers=[], folder=tmp_path)
    with pytest.raises(KeyError), redis(bench):
        raise KeyError
    assert not psutil.pid_exists(bench.servers[0])
