"""What a firing costs where it costs most, in figures that no machine changes: statements, and requests for threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hookrow import Hook, HookEngine
from receivers import Receiver, reply

EVENT = "before_order_add"
PAYLOAD = {"order": {"id": 7}}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[HookEngine]:
    """One that sends nothing by itself."""
    with HookEngine(f"sqlite:///{tmp_path}/hooks.db", worker=False) as made:
        yield made


@contextmanager
def said(engine: HookEngine) -> Iterator[list[str]]:
    """The first words of what is said meanwhile on the connection that writes."""
    words: list[str] = []
    driver: Any = engine.runtime.database.writing_connection().connection.driver_connection
    driver.set_trace_callback(lambda statement: words.append(statement.split(maxsplit=1)[0]))
    try:
        yield words
    finally:
        driver.set_trace_callback(None)


def test_a_durable_fire(engine: HookEngine) -> None:
    """One hook that nobody waits for: two ids, two rows, one commit."""
    engine.hooks.add(Hook(name="h", event=EVENT, url="http://127.0.0.1:9/"))
    with said(engine) as words:
        engine.fire(EVENT, PAYLOAD)
    assert words == ["BEGIN", "SELECT", "SELECT", "INSERT", "INSERT", "COMMIT"]


def test_a_fire_that_waits(engine: HookEngine) -> None:
    """Two waiting hooks: nothing before they were asked, then each table once, the breakers, one commit."""
    with Receiver(reply(200, b"{}")) as receiver:
        for name in "ab":
            engine.hooks.add(Hook(name=name, event=EVENT, url=receiver.url, wait_for_response=True))
        with said(engine) as words:
            engine.fire(EVENT, PAYLOAD)
    # An INSERT is told once for each of its rows.
    assert words == ["BEGIN", *["SELECT"] * 3, "INSERT", *["INSERT"] * 2, *["INSERT"] * 2, "SELECT", "COMMIT"]


def test_a_fire_without_hooks(engine: HookEngine) -> None:
    """Nothing is written, and the configuration is asked for once."""
    engine.fire(EVENT, PAYLOAD)
    driver: Any = engine.runtime.database.version_reader
    asked: list[str] = []
    driver.set_trace_callback(asked.append)
    with said(engine) as words:
        engine.fire(EVENT, PAYLOAD)
    driver.set_trace_callback(None)
    assert (words, asked) == ([], ["PRAGMA data_version"])
