"""Rows changed by hand: each column of each table damaged as one kind, by somebody with an SQLite shell."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Table

__all__ = ["VALUES", "Hand", "columns_of"]

VALUES: dict[str, Any] = {
    "word": "soon",
    "json": "{",
    "list": "[1, {}]",
    "null": None,
    "huge": 2**63 - 1,
    "negative": -(2**40),
    "float": 1e300,
    "bytes": b"\xff\xfe",
}
"""SQLite takes anything in any column."""
KEYS = {"id", "n"}
"""By which rows are found: with another there is another row."""


def columns_of(table: Table) -> list[tuple[str, str]]:
    """Each column of a table with each kind of damage."""
    return [(column.name, kind) for column in table.c if column.name not in KEYS for kind in VALUES]


class Hand:
    """Somebody who knows no checks and no foreign keys."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA ignore_check_constraints = ON")
        self.connection.execute("PRAGMA foreign_keys = OFF")

    def rows(self, table: str) -> list[tuple[Any, dict[str, Any]]]:
        """The rows of a table, by SQLite's own number of them."""
        cursor = self.connection.execute(f'SELECT rowid, * FROM "{table}"')
        names = [each[0] for each in cursor.description][1:]
        return [(number, dict(zip(names, values, strict=True))) for number, *values in cursor]

    def put(self, table: str, rowid: int, **values: Any) -> bool:
        """Change one row; False where SQLite itself refuses: not null, unique."""
        values.pop("id", None)
        names = ", ".join(f'"{name}" = ?' for name in values)
        try:
            self.connection.execute(f'UPDATE "{table}" SET {names} WHERE rowid = ?', (*values.values(), rowid))
        except sqlite3.IntegrityError:
            return False
        return True
