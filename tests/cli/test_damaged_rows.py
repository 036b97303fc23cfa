"""Rows changed by hand, column by column: whatever a command meets, it says in words (exit 3), never as a fault of its
own."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cli_runs import Hookrow
from damaging import VALUES, Hand, columns_of
from hookrow import Hook, HookEngine
from hookrow.store.database.tables import TABLES
from hookrow.store.outbox import Note, note

BEFORE, AFTER = "before_order_add", "after_registration"
FACES: tuple[str, ...] = (
    "hooks|list",
    "hooks|show|a",
    "hooks|history|a",
    "hooks|stats",
    "log",
    "log|--json",
    "log|--who|root",
)
FACES += ("show|{firing}", "show|{delivery}", "doctor", "export", "events", "settings", "explain|after_registration")
FACES += (
    "hooks|deleted",
    "db|status",
    "redeliver|--outcome|dead|--dry-run",
    "replay|{firing}|--dry-run",
    "prune|--dry-run",
)
UNTOLD = (1, 2)  # a fault of ours, and of who typed
DAMAGES = [pytest.param(127, id="check"), pytest.param(1, marks=pytest.mark.torture, id="torture")]


@pytest.fixture
def kept(made: Path) -> dict[str, str]:
    """A database with a row in every table."""
    with HookEngine(
        f"sqlite:///{made}", worker=False, transport=httpx.MockTransport(lambda _: httpx.Response(500))
    ) as e:
        e.hooks.add(Hook(key="a", name="a", event=AFTER, url="http://127.0.0.1:9/", response_has_data=True))
        e.hooks.add(Hook(key="g", name="g", event=BEFORE, url="http://127.0.0.1:9/", wait_for_response=True))
        firing = e.send_own(e.fire(AFTER, {"n": 1}))
        e.fire(BEFORE, {"n": 1})
        e.hooks.pause("g", "busy")
        e.runtime.database.writer.write(lambda connection: note(connection, [Note(1, False, True, True)], 1))
        e.settings.set("retention_days", "30")
    return {"firing": firing.id, "delivery": firing.deliveries[0].id, "path": str(made)}


@pytest.mark.parametrize("each", DAMAGES)
def test_every_face_says_it_in_words(kept: dict[str, str], hookrow: Hookrow, each: int) -> None:
    """One column of one row after the other; in the short run the commands take turns."""
    faults, codes, count = [], Counter[int](), 0
    with closing((hand := Hand(Path(kept["path"]))).connection):
        for table in TABLES:
            number, before = hand.rows(table.name)[0]
            for column, kind in columns_of(table):
                if not hand.put(table.name, number, **{column: VALUES[kind]}):
                    continue
                for face in FACES:
                    count += 1
                    if count % each == 0:
                        ran = hookrow(*face.format(**kept).split("|"), code=None)
                        codes[ran.code] += 1
                        if "Internal error" in ran.err:
                            faults.append(f"{table.name}.{column} {kind}: {face}: {ran.err}")
                hand.put(table.name, number, **before)
    assert not faults, "\n".join(faults)
    assert codes[0]  # some damage is nobody's business
    assert codes[3]  # some is told as storage's
