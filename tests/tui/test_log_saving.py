"""What the log shows, written to a file of JSON lines."""

from __future__ import annotations

import json
import stat
import threading
from array import array
from pathlib import Path

import pytest
from apps import in_thread, shown, until
from screens import drawn

from hookrow import Hook, HookEngine
from hookrow_tui.log.saving import write_lines

pytestmark = pytest.mark.anyio


def filled(path: Path, count: int) -> HookEngine:
    """An engine with so many firings of one hook."""
    engine = HookEngine(f"sqlite:///{path / 'hooks.db'}", worker=False)

    def fill() -> None:
        engine.hooks.add(Hook(name="h", event="before_order_add", url="https://a.example/x"))
        for number in range(count):
            engine.fire("before_order_add", {"order": {"number": f"Ж-{number}"}})

    in_thread(fill)
    return engine


async def test_all_shown_firings_are_written_one_object_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """W asks for a name; the lines are those of `log --json`, newest first; the file is its owner's and new; one that
    exists is never written over."""
    monkeypatch.chdir(tmp_path)
    async with shown((120, 40), engine=filled(tmp_path, 5)) as at:
        await at.press("L")
        await until(at.pilot, lambda: "5 срабатываний" in drawn(at.app), "the log")
        await at.press("W", "enter")
        await until(at.pilot, lambda: "firings.jsonl, права 0600" in drawn(at.app), "the end")
        file = tmp_path / "firings.jsonl"
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        assert lines == [firing.as_json() for firing in at.engine.log.page(limit=10)]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await at.press("escape", "W", "enter")
        await until(at.pilot, lambda: "не записан до конца" in drawn(at.app), "the refusal")
        assert len(file.read_text("utf-8").splitlines()) == 5


def test_it_stops_between_two_chunks_and_leaves_out_what_was_purged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written by then stays; ids that are gone are no lines."""
    monkeypatch.setattr("hookrow_tui.log.saving.CHUNK", 2)
    engine, halt = filled(tmp_path, 5), threading.Event()
    with engine:
        ids = array("q", [*engine.log.ids(), 1])
        counts = []
        for count in write_lines(engine, ids, tmp_path / "a.jsonl", halt):
            counts.append(count)
            if count == 4:
                halt.set()
        assert counts == [2, 4]
        assert len((tmp_path / "a.jsonl").read_text("utf-8").splitlines()) == 4
        assert list(write_lines(engine, ids, tmp_path / "b.jsonl", threading.Event()))[-1] == 5


def test_a_name_that_ends_in_har(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is shown as one HAR document, as `log --har` prints it."""
    monkeypatch.setattr("hookrow_tui.log.saving.CHUNK", 2)
    engine = filled(tmp_path, 5)
    with engine:
        ids = engine.log.ids()
        assert list(write_lines(engine, array("q", [*ids, 1]), tmp_path / "a.HAR", threading.Event())) == [2, 4, 5]
        written = json.loads((tmp_path / "a.HAR").read_text("utf-8"))
        assert written == engine.log.har([each.id for each in engine.log.by_rows(ids)])
        assert list(write_lines(engine, array("q"), tmp_path / "b.har", threading.Event())) == []
        assert json.loads((tmp_path / "b.har").read_text("utf-8"))["log"]["entries"] == []
