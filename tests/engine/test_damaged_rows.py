"""Rows changed by hand, column by column: a worker ends what it can't read in words, and every face says it in words.

SQLite takes anything in any column. Each column of each table is damaged as one kind: another type, half a JSON, an
unknown word, NULL, a number beyond all bounds, bytes.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from damaging import VALUES, Hand, columns_of
from hookrow import Hook, HookEngine
from hookrow.core.sending import idle
from hookrow.errors import DatabaseDamaged, EngineClosed
from hookrow.records import Firing
from hookrow.store.database.tables import DELIVERIES, FIRINGS
from hookrow.worker.loop import Worker

EVENT = "after_registration"
STATES: dict[str, dict[str, Any]] = {
    "due": {"state": "queued", "lease_ms": None, "owner": None},
    "taken over": {"state": "leased", "lease_ms": 1, "owner": "gone", "takeovers": 1, "begun_ms": 1},
    "retrying": {"state": "retrying", "attempts": 2, "due_ms": 1},
}


def answer(request: httpx.Request) -> httpx.Response:
    """A receiver that is content."""
    return httpx.Response(204)


KINDS = [(table, *each) for table in (DELIVERIES, FIRINGS) for each in columns_of(table)]


@pytest.fixture(scope="module")
def fired(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Firing]]:
    """A database with a firing for each column and kind of damage, and some more; to be copied."""
    path = tmp_path_factory.mktemp("fired") / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        engine.hooks.add(Hook(key="a", name="a", event=EVENT, url="http://127.0.0.1:9/", response_has_data=True))
        return path, [engine.fire(EVENT, {"n": n}) for n in range(len(KINDS) + 41)]


def until(true: Callable[[], bool]) -> None:
    """Wait for what the worker does."""
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("state", STATES)
def test_a_worker_ends_what_it_cannot_read_and_sends_the_rest(
    tmp_path: Path, fired: tuple[Path, list[Firing]], caplog: pytest.LogCaptureFixture, state: str
) -> None:
    """Every column of delivery and firing, of one row each, in one database: no traceback, each told once, the worker
    lives, the rows between them arrive."""
    made, firings = fired
    path = Path(shutil.copy(made, tmp_path))
    damaged: dict[int, str] = {}
    with closing((hand := Hand(path)).connection):
        hand.connection.execute("BEGIN")
        for firing, (table, column, kind) in zip(firings, KINDS, strict=False):
            row = firing.deliveries[0].row_id
            assert hand.put("delivery", row, **STATES[state])
            if hand.put(table.name, row if table is DELIVERIES else firing.row_id, **{column: VALUES[kind]}):
                damaged[row] = f"{table.name}.{column} {kind}"
        lost = firings[len(KINDS)]
        hand.connection.execute("DELETE FROM firing WHERE id = ?", (lost.row_id,))
        damaged[lost.deliveries[0].row_id] = "its firing is missing"
        hand.connection.execute("COMMIT")
        innocent = [each.deliveries[0].row_id for each in firings if each.deliveries[0].row_id not in damaged]
        came = f"SELECT count(*) FROM delivery WHERE state = 'ok' AND id IN ({','.join(map(str, innocent))})"
        caplog.set_level(logging.WARNING)
        with HookEngine(f"sqlite:///{path}", transport=httpx.MockTransport(answer)) as engine:
            worker = engine.sending.worker
            assert worker is not None
            until(lambda: hand.connection.execute(came).fetchone() == (len(innocent),))
            until(lambda: idle(worker, engine.runtime.clock.now_ms()))
            assert worker.running
        told = [record for record in caplog.records if record.exc_info]
        assert not told, [(each.getMessage(), each.exc_info) for each in told][:3]
        rows = hand.connection.execute("SELECT id, state, error, detail FROM delivery").fetchall()
    ended = {row: json.loads(detail)["v"]["why"] for row, _, error, detail in rows if error == "damaged"}
    assert set(ended) <= set(damaged)
    assert "its firing is missing" in ended.values()
    assert any(why.startswith("body = ") for why in ended.values())  # which is only read to be sent
    for row, why in ended.items():
        column = damaged[row].partition(".")[2].partition(" ")[0]
        assert f"{column} = " in why or why in ("its firing is missing", "its hook is missing")
    lines = [record.getMessage() for record in caplog.records if "can't be read" in record.getMessage()]
    assert len(lines) == len(ended)


@pytest.mark.usefixtures("looking_each_time")
@pytest.mark.parametrize(
    ("table", "column", "claimed"),
    [("hook", "timeout", False), ("hook", "timeout", True), ("hook", "condition", False), ("event", "methods", False)],
)
def test_a_hook_that_cannot_be_read_holds_all_up_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, table: str, column: str, *, claimed: bool
) -> None:
    """It may be the gate that would have refused: nobody fires, workers wait and say why; put right, all goes on.

    `claimed`: it was changed between the worker's look at the hooks and its claim, which meets it first.
    """
    path = tmp_path / "hooks.db"
    caplog.set_level(logging.WARNING)
    with (
        closing((hand := Hand(path)).connection),
        HookEngine(f"sqlite:///{path}", worker=False, transport=httpx.MockTransport(answer)) as engine,
    ):
        engine.hooks.add(Hook(key="a", name="a", event=EVENT, url="http://127.0.0.1:9/", response_has_data=True))
        [(row, before), *_] = hand.rows(table)
        [waiting] = engine.fire(EVENT, {"n": 1}).deliveries
        hand.put("delivery", waiting.row_id, due_ms=None)  # not far ahead: a worker takes that for a clock set back
        begun = threading.Event()

        def started(its: Worker) -> None:
            if claimed:
                its.tend = None
            begun.set()

        def work() -> None:
            with suppress(EngineClosed):
                engine.run_worker(started=started)

        worker = threading.Thread(target=work)
        worker.start()
        begun.wait()
        assert hand.put(table, row, **{column: b"\xff"})
        assert isinstance(engine.fire(EVENT, {"n": 2}).error, DatabaseDamaged)
        hand.put("delivery", waiting.row_id, due_ms=1)
        until(lambda: "outbox can't be read" in caplog.text)
        assert hand.put(table, row, **before)
        until(lambda: hand.connection.execute("SELECT state FROM delivery").fetchall() == [("ok",)])
        engine.close()
        worker.join()
    assert not [record for record in caplog.records if record.exc_info]
