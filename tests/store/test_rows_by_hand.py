"""Rows changed by hand: what can't be read is told with advice, and names the table; not a fault of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hookrow import Hook, HookEngine
from hookrow.errors import DatabaseDamaged
from hookrow.store.configuration import cache, revisions
from hookrow.store.database.plain import NUMBER, Kinds
from hookrow.store.log import reading as log

EVENT = "after_registration"
READ: dict[str, Callable[[HookEngine, str], Any]] = {
    "hook": lambda engine, ref: engine.hooks.list(),
    "firing": lambda engine, ref: engine.log.get(ref),
    "delivery": lambda engine, ref: engine.log.get(ref),
    "attempt": lambda engine, ref: engine.log.attempts(engine.log.get(ref).deliveries[0].id),
    "hook_revision": lambda engine, ref: engine.hooks.history("erp"),
    "event": lambda engine, ref: engine.events.list(),
}


SHOWN: dict[str, Kinds] = {
    "hook": cache.HOLDS,
    "hook_revision": revisions.HOLDS,
    "firing": log.FIRING_HOLDS,
    "delivery": log.DELIVERY_HOLDS,
    "attempt": log.ATTEMPT_HOLDS,
}
NUMBERS = [(table, name) for table, kinds in SHOWN.items() for name, kind in kinds.items() if kind is NUMBER]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("hook", "valid_from", "yesterday"),
        ("hook", "timeout", "soon"),
        ("hook", "name", b"\xff"),
        ("hook", "paused_reason", b"\xff"),
        ("firing", "payload", "{"),
        ("firing", "warnings", "7"),
        ("firing", "veto", "[]"),
        ("delivery", "changes", "[1]"),
        ("attempt", "request_headers", "x"),
        ("attempt", "response_headers", "[1]"),
        ("hook_revision", "after", "{"),
        ("event", "methods", "["),
    ],
)
def test_it_says_which_table_and_what_to_do(tmp_path: Path, table: str, column: str, value: object) -> None:
    """SQLite takes any value in any column; an editor's slip must not look like a fault of Hookrow."""
    path = tmp_path / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine:
        engine.hooks.add(Hook(key="erp", name="ERP", event=EVENT, url="http://127.0.0.1:9/"))
        ref = engine.fire(EVENT, {}).id
        engine.send_own(engine.log.get(ref))
        READ[table](engine, ref)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(f'UPDATE "{table}" SET "{column}" = ?', (value,))
            connection.commit()
        engine.runtime.cache.forget()
        with pytest.raises(
            DatabaseDamaged, match="no Hookrow wrote it so: put it right, or restore a backup"
        ) as caught:
            READ[table](engine, ref)
    name = "firing" if table == "delivery" else table
    assert f"a row of the table {name} can't be read" in str(caught.value)


def test_a_word_where_a_number_belongs_is_told_too(tmp_path: Path) -> None:
    """In each number column that is read, one after the other, but for those by which rows are found."""
    path = tmp_path / "hooks.db"
    with HookEngine(f"sqlite:///{path}", worker=False) as engine, closing(sqlite3.connect(path)) as connection:
        engine.hooks.add(Hook(key="erp", name="ERP", event=EVENT, url="http://127.0.0.1:9/"))
        ref = engine.fire(EVENT, {}).id
        engine.send_own(engine.log.get(ref))
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for table, column in NUMBERS:
            if column.endswith("id"):
                continue
            ((kept,),) = connection.execute(f'SELECT "{column}" FROM "{table}"')
            connection.execute(f'UPDATE "{table}" SET "{column}" = ?', ("soon",))
            connection.commit()
            engine.runtime.cache.forget()
            with pytest.raises(DatabaseDamaged) as caught:
                READ[table](engine, ref)
            assert f"a row of the table {table} can't be read (TypeError: {column} = 'soon')" in str(caught.value)
            connection.execute(f'UPDATE "{table}" SET "{column}" = ?', (kept,))
            connection.commit()
