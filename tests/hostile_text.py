"""The example's database with one hostile text in every field that people see."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from hookrow import KeyRing
from hookrow.safetext import UNSAFE

__all__ = ["EVIL", "clean", "hostile_example"]

ROOT = Path(__file__).parents[1]
EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\u202eexe\u2028\u200b\ufeff\u00ad\U000e0041[/]\\ ' \" \r\x00\x85\u0600"
KEPT = {
    ("event", "code"), ("event", "moment"), ("event", "methods"), ("event", "sample"), ("event", "private"),
    ("firing", "uid"), ("firing", "event"), ("firing", "moment"), ("firing", "outcome"), ("firing", "replay_of"),
    ("firing", "payload_hash"), ("firing", "idempotency_key"),
    ("hook", "key"), ("hook", "event"), ("hook", "on_failure"), ("hook", "uid"), ("hook", "paused_by"),
    ("hook", "auth_password"), ("hook", "custom_header_value"), ("hook", "signing_secret"),
    ("hook", "signing_secret_old"), ("hook", "valid_from"), ("hook", "valid_until"), ("hook", "order_key"),
    ("setting", "name"), ("setting", "value"),
    ("delivery", "mode"), ("delivery", "state"), ("delivery", "skipped"), ("delivery", "owner"),
    ("delivery", "order_key"), ("hook_revision", "event"), ("attempt", "origin"),
}  # fmt: skip
"""Columns of codes, ids, sealed values and parsed settings: no text of anybody's."""
SHAPED = {"changes", "request_headers", "response_headers", "times", "veto", "before", "after"}
"""JSON whose keys are the engine's own."""


def clean(text: str) -> bool:
    """Nothing in it acts, but for line breaks and tabs."""
    return UNSAFE.search(text.replace("\n", "").replace("\t", "")) is None


def poisoned(value: Any, *, keys: bool) -> Any:
    """JSON in which every text holds the hostile one, and with `keys` every object has such a key."""
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, list):
        return [poisoned(each, keys=keys) for each in value]
    if isinstance(value, dict):
        inside = {name: poisoned(each, keys=keys) for name, each in value.items()}
        return {**inside, f"key {EVIL}": EVIL} if keys else inside
    return value


def poison(path: Path) -> None:
    """Write the hostile text into every text of the database."""
    with closing(sqlite3.connect(path)) as database, database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = database.execute(f"PRAGMA table_info({table})").fetchall()
            texts = [name for _, name, kind, *_ in columns if "TEXT" in kind or "CHAR" in kind or "BLOB" in kind]
            for column in texts:
                if (table, column) in KEPT or table.startswith("sqlite_") or "version" in table:
                    continue
                rows = database.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
                for row, value in rows:
                    new = hostile(table, column, value)
                    database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (new, row))
        sample = "SELECT id FROM firing WHERE json_type(payload) = 'object'"
        database.execute(f"UPDATE firing SET hidden = ? WHERE id IN ({sample})", (json.dumps([f"/order/{EVIL}"]),))


def hostile(table: str, column: str, value: Any) -> Any:
    """The value of a column with the hostile text in it, as JSON where it is JSON."""
    if isinstance(value, bytes):
        return value + EVIL.encode()
    if column == "url":
        return f"{value}/{EVIL}"
    if table == "hook":
        return value[:20] + EVIL.replace("\x00", "")
    try:
        parsed = json.loads(value)
    except ValueError:
        return value + EVIL.replace("\x00", "")
    return json.dumps(poisoned(parsed, keys=column not in SHAPED))


def hostile_example(folder: Path) -> Path:
    """Make it in this folder of the example that is shipped, as `hooks.db`, with a key beside it; English is spoken."""
    path = Path(shutil.copy(ROOT / "hooks.db.example", folder / "hooks.db"))
    poison(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE setting SET value = 'en' WHERE name = 'language'")
    key = folder / "hookrow.key"
    key.write_text(KeyRing.new().text())
    key.chmod(0o600)
    return folder
